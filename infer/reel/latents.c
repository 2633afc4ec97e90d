// SPDX-License-Identifier: Apache-2.0
#include "infer/reel/latents.h"
#include <errno.h>
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

static tk_status not_numbers(const char *path)
{
    return TK_FAIL(TK_INPUT, "%s is damaged: not all that it holds are numbers", path);
}

static bool are_numbers(const float *x, int64_t n)
{
    bool all = true;
    for (int64_t i = 0; i < n; i++) all &= isfinite(x[i]) != 0;
    return all;
}

// All rows, through a piece of memory.
static tk_status digest_rows(const tk_latents_file *f, XXH3_state_t *state, float *piece)
{
    int64_t left = 0, at = sizeof(latents_head);
    for (int k = 0; k < TK_CODEC_SIDES; k++) left += f->form.rows[k] * f->form.numbers[k];
    for (int64_t n; left > 0; left -= n) {
        n = left < PIECE ? left : PIECE;
        const size_t bytes = tk_array_bytes(n, sizeof *piece);
        TK_TRY(tk_pread_all(f->fd, f->path, piece, bytes, at));
        XXH3_64bits_update(state, piece, bytes);
        if (!are_numbers(piece, n)) return not_numbers(f->path);
        at += (int64_t)bytes;
    }
    return TK_OK;
}

static tk_status check_digest(const tk_latents_file *f, const latents_head *h, uint64_t digest)
{
    float *piece = tk_alloc(PIECE * sizeof *piece);
    XXH3_state_t *state = XXH3_createState();
    tk_status st = piece && state ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory reading %s", f->path);
    if (st == TK_OK &&
        (XXH3_64bits_reset(state) != XXH_OK || XXH3_64bits_update(state, h, sizeof *h) != XXH_OK))
        st = TK_FAIL(TK_INTERNAL, "XXH3 does not begin");
    if (st == TK_OK) st = digest_rows(f, state, piece);
    if (st == TK_OK && XXH3_64bits_digest(state) != digest)
        st = TK_FAIL(TK_INPUT,
                     "%s is damaged, or another clip's: its digest is not the one that the "
                     "clip's description names",
                     f->path);
    XXH3_freeState(state);
    tk_free(piece);
    return st;
}

static tk_status check_latents(const tk_latents_file *f, int64_t bytes, uint64_t digest)
{
    latents_head h;
    const latents_head want = latents_head_of(&f->form);
    TK_TRY(read_latents_head(f->fd, f->path, bytes, &h));
    if (memcmp(&h, &want, sizeof h))
        return TK_FAIL(TK_INPUT, "%s is not what it was a moment ago", f->path);
    return check_digest(f, &h, digest);
}

tk_status tk_latents_open(const char *path, const tk_latents_form *form, uint64_t digest,
                          tk_latents_file *out)
{
    int64_t bytes;
    *out = (tk_latents_file){.form = *form};
    TK_TRY(tk_file_open(path, &out->fd, &bytes));
    out->path = path;
    const tk_status st = check_latents(out, bytes, digest);
    if (st != TK_OK) tk_latents_close(out);
    return st;
}

// Where rows [first, first + n) of a side lie in the file.
static tk_status place_of_rows(const tk_latents_file *f, tk_codec_side side, int64_t first,
                               int64_t n, int64_t *at)
{
    int64_t before = first * f->form.numbers[side];
    for (int k = 0; k < (int)side; k++) before += f->form.rows[k] * f->form.numbers[k];
    if (first < 0 || n < 0 || first + n > f->form.rows[side])
        return TK_FAIL(TK_INTERNAL, "%s does not hold rows %" PRId64 " to %" PRId64, f->path, first,
                       first + n);
    *at = (int64_t)sizeof(latents_head) + before * (int64_t)sizeof(float);
    return TK_OK;
}

tk_status tk_latents_get(const tk_latents_file *f, tk_codec_side side, int64_t first, int64_t n,
                         float *to)
{
    const int64_t numbers = n * f->form.numbers[side];
    int64_t at = 0;
    TK_TRY(place_of_rows(f, side, first, n, &at));
    TK_TRY(tk_pread_all(f->fd, f->path, to, tk_array_bytes(numbers, sizeof *to), at));
    return are_numbers(to, numbers) ? TK_OK : not_numbers(f->path); // written to meanwhile
}

tk_status tk_latents_put(const tk_latents_file *f, tk_codec_side side, int64_t first, int64_t n,
                         const float *from)
{
    const int64_t numbers = n * f->form.numbers[side];
    int64_t at = 0;
    TK_TRY(place_of_rows(f, side, first, n, &at));
    return tk_pwrite_all(f->fd, f->path, from, tk_array_bytes(numbers, sizeof *from), at);
}

// Its size, so that what is not put reads as zeros.
static tk_status lay_out_scratch(const tk_latents_file *f)
{
    const latents_head h = latents_head_of(&f->form);
    int64_t end = 0;
    TK_TRY(place_of_rows(f, TK_CODEC_AUDIO, f->form.rows[TK_CODEC_AUDIO], 0, &end));
    TK_TRY(tk_pwrite_all(f->fd, f->path, &h, sizeof h, 0));
    if (ftruncate(f->fd, end) == 0) return TK_OK;
    return TK_FAIL(TK_IO, "cannot write %s: %s", f->path, tk_io_words(errno));
}

tk_status tk_latents_scratch(const char *path, const tk_latents_form *form, tk_latents_file *out)
{
    *out = (tk_latents_file){.form = *form};
    TK_TRY(tk_file_scratch(path, &out->fd));
    out->path = path;
    const tk_status st = lay_out_scratch(out);
    if (st != TK_OK) tk_latents_close(out);
    return st;
}

void tk_latents_close(tk_latents_file *f)
{
    if (f->path) close(f->fd);
    *f = (tk_latents_file){0};
}
