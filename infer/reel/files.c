// SPDX-License-Identifier: Apache-2.0
#include "infer/reel/files.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/reel/owner.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

typedef struct window_file { // of a file; then video and audio rows
    char magic[16];
    uint64_t part, of;
    int64_t numbers; // of the rows
    uint64_t digest; // of them
} window_file;
static const char magic[16] = "talkie-window 2";

tk_status (*tk_reel_at)(const char *arrow);

static tk_status at_arrow(const char *arrow)
{
    return tk_reel_at ? tk_reel_at(arrow) : TK_OK;
}

// ---- names -------------------------------------------------------------------------------------

#define SUFFIX ".window"
enum { DIGITS = 16 }; // of a digest

static tk_status name_part(tk_reel_files *f, int64_t part, tk_arena *a, char **path)
{
    *path = tk_arena_printf(a, "%s/%016" PRIx64 "-%06" PRId64 SUFFIX, f->folder,
                            f->reel.shape.part[part].of, part);
    return *path ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
}

// Whether a name in the folder is one of ours, a temporary's included.
static bool is_ours(const char *name)
{
    int i = 0;
    while (i < DIGITS && isxdigit((unsigned char)name[i])) i++;
    return i == DIGITS && name[i] == '-' && strstr(name + i, SUFFIX) != NULL;
}

// Whether it is that of a part of the shape, or of one's temporary. NULL: it has none.
static bool is_of_part(const tk_reel_shape *s, const char *name)
{
    char own[DIGITS + 1];
    const int64_t part = strtoll(name + DIGITS + 1, NULL, 10);
    if (!s || part < 0 || part >= s->n) return false;
    snprintf(own, sizeof own, "%016" PRIx64, s->part[part].of);
    return !strncmp(name, own, DIGITS);
}

// Removes files of ours but those of these parts; returns how many windows.
static int64_t remove_files(const char *folder, const tk_reel_shape *but)
{
    int64_t n = 0;
    DIR *d = opendir(folder);
    if (!d) return 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!is_ours(e->d_name) || is_of_part(but, e->d_name)) continue;
        const size_t length = strlen(e->d_name);
        const bool whole = !strcmp(e->d_name + length - strlen(SUFFIX), SUFFIX);
        if (unlinkat(dirfd(d), e->d_name, 0) == 0) n += whole;
    }
    closedir(d);
    return n;
}

tk_status tk_reel_files_remove(const char *output)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    const char *folder = tk_reel_folder(output, &a);
    const tk_status st = folder ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (st == TK_OK) {
        remove_files(folder, NULL);
        (void)rmdir(folder); // what is not ours stays
    }
    tk_arena_free(&a);
    return st;
}

// ---- a file ------------------------------------------------------------------------------------

static int64_t numbers_of(const tk_reel_shape *s, int64_t part, tk_codec_side side)
{
    return (s->part[part].end[side] - tk_reel_begin(s, part, side)) * s->numbers[side];
}

static window_file window_head(const tk_reel_files *f, int64_t part, const float *rows)
{
    const tk_reel_shape *s = &f->reel.shape;
    window_file h = {.part = (uint64_t)part, .of = s->part[part].of};
    memcpy(h.magic, magic, sizeof magic);
    for (int k = 0; k < TK_CODEC_SIDES; k++) h.numbers += numbers_of(s, part, k);
    h.digest = XXH3_64bits(rows, tk_array_bytes(h.numbers, sizeof *rows));
    return h;
}

// Reads the part into f->rows and holds it against what its file says and what it must be.
static tk_status read_open(tk_reel_files *f, int64_t part, int fd, const char *path)
{
    const tk_reel_shape *s = &f->reel.shape;
    window_file h;
    int64_t numbers = 0;
    f->part = -1; // until it is there
    for (int k = 0; k < TK_CODEC_SIDES; k++) numbers += numbers_of(s, part, k);
    TK_TRY(tk_pread_all(fd, path, &h, sizeof h, 0));
    if (memcmp(h.magic, magic, sizeof magic) || h.part != (uint64_t)part ||
        h.of != s->part[part].of || h.numbers != numbers)
        return TK_FAIL(TK_INPUT, "%s is not what its name says", path);
    TK_TRY(tk_pread_all(fd, path, f->rows, tk_array_bytes(numbers, sizeof *f->rows), sizeof h));
    if (window_head(f, part, f->rows).digest != h.digest)
        return TK_FAIL(TK_INPUT, "%s is damaged: its numbers are not those that were written",
                       path);
    f->part = part;
    return TK_OK;
}

static tk_status read_part(tk_reel_files *f, int64_t part)
{
    tk_arena a;
    char *path;
    int fd;
    if (f->part == part) return TK_OK;
    tk_arena_init(&a, 0);
    tk_status st = name_part(f, part, &a, &path);
    if (st == TK_OK) st = tk_file_open(path, &fd, NULL);
    if (st == TK_OK) {
        st = read_open(f, part, fd, path);
        close(fd);
    }
    tk_arena_free(&a);
    return st;
}

static tk_status write_rows(tk_reel_files *f, int64_t part, const tk_file *file)
{
    const window_file h = window_head(f, part, f->rows);
    TK_TRY(at_arrow("begin"));
    TK_TRY(tk_pwrite_all(file->fd, file->path, &h, sizeof h, 0));
    TK_TRY(at_arrow("write"));
    TK_TRY(tk_pwrite_all(file->fd, file->path, f->rows, tk_array_bytes(h.numbers, sizeof *f->rows),
                         sizeof h));
    if (fsync(file->fd))
        return TK_FAIL(TK_IO, "cannot write %s to disk: %s", file->path, tk_io_words(errno));
    TK_TRY(at_arrow("verify"));
    const tk_status st = read_open(f, part, file->fd, file->path);
    if (st == TK_INPUT)
        return TK_FAIL(TK_IO, "%s: what was written to disk is not what is there", file->path);
    TK_TRY(st);
    return at_arrow("rename");
}

// f->rows, which are the part's.
static tk_status write_window_file(tk_reel_files *f, int64_t part)
{
    tk_arena a;
    tk_file file = {.fd = -1};
    char *path;
    tk_arena_init(&a, 0);
    tk_status st = name_part(f, part, &a, &path);
    if (st == TK_OK) st = tk_file_begin(&file, path);
    if (st == TK_OK) st = write_rows(f, part, &file);
    if (st == TK_OK)
        st = tk_file_commit(&file);
    else
        tk_file_abort(&file);
    if (st == TK_OK) st = at_arrow("done");
    tk_arena_free(&a);
    return st;
}

// ---- the reel ----------------------------------------------------------------------------------

static bool files_have(const tk_reel *r, int64_t part)
{
    return ((const tk_reel_files *)r)->there[part];
}

static tk_status files_put(tk_reel *r, int64_t part, const float *const rows[TK_CODEC_SIDES])
{
    tk_reel_files *f = (tk_reel_files *)r;
    tk_status st = TK_OK;
    if (f->replica->rank == 0) {
        float *to = f->rows;
        f->part = -1;
        for (int k = 0; k < TK_CODEC_SIDES; k++) {
            const int64_t n = numbers_of(&r->shape, part, k);
            memcpy(to, rows[k], tk_array_bytes(n, sizeof *to));
            to += n;
        }
        st = write_window_file(f, part);
    }
    TK_TRY(tk_agree(f->replica, st));
    f->there[part] = true;
    return TK_OK;
}

// On rank 0.
static tk_status copy_rows(tk_reel_files *f, tk_codec_side side, int64_t first, int64_t n,
                           float *to)
{
    const tk_reel_shape *s = &f->reel.shape;
    const int64_t each = s->numbers[side];
    for (int64_t part = 0; part < s->n && n > 0; part++) {
        const int64_t begin = tk_reel_begin(s, part, side), end = s->part[part].end[side];
        if (end <= first) continue;
        const int64_t here = end - first < n ? end - first : n;
        TK_TRY(read_part(f, part));
        const float *from = f->rows + (first - begin) * each;
        if (side == TK_CODEC_AUDIO) from += numbers_of(s, part, TK_CODEC_VIDEO);
        memcpy(to, from, tk_array_bytes(here * each, sizeof *to));
        to += here * each, first += here, n -= here;
    }
    return TK_OK;
}

static tk_status files_get(tk_reel *r, tk_codec_side side, int64_t first, int64_t n, float *to)
{
    tk_reel_files *f = (tk_reel_files *)r;
    const int64_t numbers = n * r->shape.numbers[side];
    TK_TRY(tk_agree(f->replica, f->replica->rank ? TK_OK : copy_rows(f, side, first, n, to)));
    if (!f->holders) return TK_OK;
    return tk_comm_broadcast(f->holders, to, tk_array_bytes(numbers, sizeof *to), 0);
}

static tk_status files_rows(tk_latent_source *source, tk_codec_side side, int64_t first, int64_t n,
                            tk_row_part *out)
{
    tk_reel_files *f = (tk_reel_files *)(void *)((char *)source - offsetof(tk_reel_files, source));
    const int64_t numbers = n * f->reel.shape.numbers[side];
    if (numbers > f->room[side]) {
        tk_free(f->given[side]);
        f->room[side] = 0;
        TK_NEW(f->given[side], numbers);
        f->room[side] = numbers;
    }
    TK_TRY(copy_rows(f, side, first, n, f->given[side]));
    *out = (tk_row_part){f->given[side], first};
    return TK_OK;
}

// ---- what an earlier run left ------------------------------------------------------------------

// What cannot be taken is made again.
static tk_status look_for_part(tk_reel_files *f, int64_t part, tk_arena *a)
{
    char *path;
    TK_TRY(name_part(f, part, a, &path));
    if (access(path, F_OK)) return TK_OK;
    const tk_status st = read_part(f, part);
    if (st == TK_MEMORY) return st;
    f->there[part] = st == TK_OK;
    f->kept += st == TK_OK;
    if (st != TK_OK)
        tk_log_warn("%s: window %" PRId64 " of %" PRId64 " is made again: %s", f->clip, part + 1,
                    f->reel.shape.n, tk_status_message());
    tk_status_clear();
    return TK_OK;
}

// Rank 0.
static tk_status look_for_parts(tk_reel_files *f)
{
    tk_arena a;
    tk_status st = TK_OK;
    TK_TRY(tk_reel_folder_make(f->clip, f->folder));
    const int64_t others = remove_files(f->folder, &f->reel.shape);
    if (others)
        tk_log("%s: %" PRId64 " windows in %s were of another storyboard, checkpoint or seed; they "
               "are removed",
               f->clip, others, f->folder);
    tk_arena_init(&a, 0);
    for (int64_t i = 0; i < f->reel.shape.n && st == TK_OK; i++) {
        tk_arena_reset(&a);
        st = look_for_part(f, i, &a);
        tk_alive();
    }
    tk_arena_free(&a);
    if (f->kept)
        tk_log("%s: %" PRId64 " of %" PRId64 " windows were finished by an earlier run; the others "
               "are made",
               f->clip, f->kept, f->reel.shape.n);
    return st;
}

static tk_status open_files(tk_reel_files *f, const char *output)
{
    f->clip = tk_arena_strdup(&f->arena, output);
    f->folder = tk_reel_folder(output, &f->arena);
    if (!f->clip || !f->folder) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_ARENA_NEW(f->there, &f->arena, f->reel.shape.n);
    if (f->replica->rank) return TK_OK;
    TK_NEW(f->rows, tk_reel_most(&f->reel.shape));
    return look_for_parts(f);
}

tk_status tk_reel_files_open(const char *output, const tk_reel_shape *s, tk_comm *replica,
                             tk_comm *holders, tk_reel_files *out)
{
    *out = (tk_reel_files){.reel = {*s, files_have, files_put, files_get},
                           .source = {files_rows},
                           .replica = replica,
                           .holders = holders,
                           .part = -1};
    tk_arena_init(&out->arena, 0);
    tk_status st = tk_agree(replica, open_files(out, output));
    if (st == TK_OK) st = tk_comm_broadcast(replica, out->there, (size_t)s->n, 0);
    if (st != TK_OK) tk_reel_files_close(out);
    return st;
}

void tk_reel_files_close(tk_reel_files *f)
{
    if (f->rows) (void)rmdir(f->folder); // where nothing was finished
    tk_free(f->rows);
    for (int k = 0; k < TK_CODEC_SIDES; k++) tk_free(f->given[k]);
    tk_arena_free(&f->arena);
    *f = (tk_reel_files){0};
}
