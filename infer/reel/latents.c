// SPDX-License-Identifier: Apache-2.0
#include "infer/reel/latents.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

typedef struct latents_head {
    char magic[16];
    uint64_t codec;
    int64_t rows[TK_CODEC_SIDES], numbers[TK_CODEC_SIDES];
} latents_head;
static const char magic[16] = {'t', 'a', 'l', 'k', 'i', 'e', '-', 'l',
                               'a', 't', 'e', 'n', 't', 's', ' ', '1'};

enum { PIECE = 1 << 18 };                     // numbers read or written at once, about
static const int64_t MOST = (int64_t)1 << 40; // rows, and numbers of one; more is no clip's

static latents_head latents_head_of(const tk_latents_form *f)
{
    latents_head h = {.codec = f->codec};
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.rows, f->rows, sizeof h.rows);
    memcpy(h.numbers, f->numbers, sizeof h.numbers);
    return h;
}

// ---- writing -----------------------------------------------------------------------------------

tk_status tk_latents_write(const tk_file *f, const tk_latents_form *form, tk_latent_source *from)
{
    const latents_head h = latents_head_of(form);
    int64_t at = sizeof h;
    TK_TRY(tk_pwrite_all(f->fd, f->path, &h, sizeof h, 0));
    for (int k = 0; k < TK_CODEC_SIDES; k++) {
        const int64_t each = form->numbers[k], most = each < PIECE ? PIECE / each : 1;
        for (int64_t n, i = 0; i < form->rows[k]; i += n) {
            tk_row_part part;
            n = form->rows[k] - i < most ? form->rows[k] - i : most;
            TK_TRY(from->rows(from, (tk_codec_side)k, i, n, &part));
            const size_t bytes = tk_array_bytes(n * each, sizeof(float));
            TK_TRY(tk_pwrite_all(f->fd, f->path, part.x + (i - part.first) * each, bytes, at));
            at += (int64_t)bytes;
        }
    }
    return TK_OK;
}

// ---- reading -----------------------------------------------------------------------------------

static tk_status check_head(const char *path, const latents_head *h, int64_t bytes)
{
    int64_t all = 0;
    if (memcmp(h->magic, magic, sizeof magic))
        return TK_FAIL(TK_INPUT, "%s is no file of a clip's latents", path);
    for (int k = 0; k < TK_CODEC_SIDES; k++) {
        int64_t n = 0;
        const bool fits = h->rows[k] > 0 && h->rows[k] < MOST && h->numbers[k] > 0 &&
                          h->numbers[k] < MOST &&
                          tk_mul_size(h->rows[k], h->numbers[k], &n) == TK_OK;
        if (!fits) tk_status_clear();
        if (!fits || n > MOST)
            return TK_FAIL(TK_INPUT,
                           "%s is damaged: it says that it holds %" PRId64 " rows of %" PRId64,
                           path, h->rows[k], h->numbers[k]);
        all += n;
    }
    if (bytes == (int64_t)sizeof *h + all * (int64_t)sizeof(float)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s is damaged: it has %" PRId64
                   " bytes, and what it says that it holds is %" PRId64,
                   path, bytes, (int64_t)sizeof *h + all * (int64_t)sizeof(float));
}

static tk_status read_latents_head(int fd, const char *path, int64_t bytes, latents_head *h)
{
    if (bytes < (int64_t)sizeof *h)
        return TK_FAIL(TK_INPUT, "%s is no file of a clip's latents", path);
    TK_TRY(tk_pread_all(fd, path, h, sizeof *h, 0));
    return check_head(path, h, bytes);
}

tk_status tk_latents_look(const char *path, tk_latents_form *form)
{
    latents_head h;
    int64_t bytes;
    int fd;
    TK_TRY(tk_file_open(path, &fd, &bytes));
    const tk_status st = read_latents_head(fd, path, bytes, &h);
    close(fd);
    TK_TRY(st);
    form->codec = h.codec;
    memcpy(form->rows, h.rows, sizeof h.rows);
    memcpy(form->numbers, h.numbers, sizeof h.numbers);
    return TK_OK;
}

typedef struct latents_reading {
    const char *path;
    int fd;
    int64_t at; // in the file
    XXH3_state_t *state;
    float *piece; // (PIECE)
} latents_reading;

// So many numbers, the first n of which are wanted.
static tk_status read_numbers(latents_reading *r, int64_t all, int64_t n, float *to)
{
    for (int64_t here, i = 0; i < all; i += here) {
        here = all - i < PIECE ? all - i : PIECE;
        const size_t bytes = tk_array_bytes(here, sizeof(float));
        TK_TRY(tk_pread_all(r->fd, r->path, r->piece, bytes, r->at));
        XXH3_64bits_update(r->state, r->piece, bytes);
        r->at += (int64_t)bytes;
        for (int64_t k = 0; k < here; k++)
            if (!isfinite(r->piece[k]))
                return TK_FAIL(TK_INPUT, "%s is damaged: not all that it holds are numbers",
                               r->path);
        if (i < n)
            memcpy(to + i, r->piece, tk_array_bytes(n - i < here ? n - i : here, sizeof(float)));
    }
    return TK_OK;
}

static tk_status read_both_sides(latents_reading *r, const tk_latents_form *form, uint64_t digest,
                                 const int64_t n[TK_CODEC_SIDES], float *const rows[TK_CODEC_SIDES])
{
    const latents_head h = latents_head_of(form);
    r->at = sizeof h;
    if (XXH3_64bits_reset(r->state) != XXH_OK ||
        XXH3_64bits_update(r->state, &h, sizeof h) != XXH_OK)
        return TK_FAIL(TK_INTERNAL, "XXH3 does not begin");
    for (int k = 0; k < TK_CODEC_SIDES; k++)
        TK_TRY(read_numbers(r, form->rows[k] * form->numbers[k], n[k] * form->numbers[k], rows[k]));
    if (XXH3_64bits_digest(r->state) == digest) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s is damaged, or another clip's: its digest is not the one that the "
                   "clip's description names",
                   r->path);
}

static tk_status open_reading(latents_reading *r, const tk_latents_form *form, uint64_t digest,
                              const int64_t n[TK_CODEC_SIDES], float *const rows[TK_CODEC_SIDES],
                              int64_t bytes)
{
    latents_head h;
    const latents_head want = latents_head_of(form);
    TK_TRY(read_latents_head(r->fd, r->path, bytes, &h));
    if (memcmp(&h, &want, sizeof h))
        return TK_FAIL(TK_INPUT, "%s is not what it was a moment ago", r->path);
    return read_both_sides(r, form, digest, n, rows);
}

tk_status tk_latents_read(const char *path, const tk_latents_form *form, uint64_t digest,
                          const int64_t n[TK_CODEC_SIDES], float *const rows[TK_CODEC_SIDES])
{
    latents_reading r = {.path = path};
    int64_t bytes;
    TK_TRY(tk_file_open(path, &r.fd, &bytes));
    r.piece = tk_alloc(PIECE * sizeof *r.piece);
    r.state = XXH3_createState();
    const tk_status st = r.piece && r.state ? open_reading(&r, form, digest, n, rows, bytes)
                                            : TK_FAIL(TK_MEMORY, "out of memory reading %s", path);
    XXH3_freeState(r.state);
    tk_free(r.piece);
    close(r.fd);
    return st;
}
