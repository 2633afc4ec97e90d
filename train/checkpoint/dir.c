// SPDX-License-Identifier: Apache-2.0
// Which checkpoint of a run directory to use, and which to throw away.
#include "core/base/list.h"
#include "core/base/log.h"
#include "train/checkpoint/internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOKS = 20 }; // at a directory whose run removes checkpoints meanwhile

// ---- verifying ---------------------------------------------------------------------------------

// This rank's even share of all elements, tensor by tensor; *broken: the number, from 1, of one
// that holds what is no number.
static tk_status digest_share(const tk_comm *world, const tk_ck_list *l, uint64_t *sums,
                              size_t *broken)
{
    int64_t total = 0, at = 0;
    tk_ck_io io;
    for (int64_t i = 0; i < l->n; i++) total += l->tensor[i].count;
    const int64_t begin = tk_split_begin(total, world->size, world->rank);
    const int64_t end = begin + tk_split_count(total, world->size, world->rank);
    tk_status st = tk_ck_io_open(&io);
    io.files = &l->files;
    for (int64_t i = 0; i < l->n && st == TK_OK; i++) {
        const tk_ck_tensor *t = &l->tensor[i];
        const int64_t lo = begin > at ? begin - at : 0;
        const int64_t hi = end < at + t->count ? end - at : t->count;
        bool finite = true;
        if (lo < hi) st = tk_ck_digest_file(&io, t, lo, hi - lo, &finite, &sums[i]);
        if (!finite) *broken = (size_t)i + 1;
        at += t->count;
    }
    tk_ck_io_close(&io);
    return st;
}

// Weights were not written by one who looked whether they are numbers, and may tell no digest.
static tk_status judge_weights(const char *path, const tk_ck_list *l, const uint64_t *sums,
                               size_t broken)
{
    char digest[17];
    if (broken)
        return TK_FAIL(TK_INPUT, "%s: %s holds what is no finite number: these weights are broken",
                       path, l->name[broken - 1]);
    snprintf(digest, sizeof digest, "%016llx",
             (unsigned long long)tk_ck_digest_all(l->n, l->name, sums));
    if (!l->told || !strcmp(l->told, digest)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s is damaged: its numbers are not those that were written (their digest "
                   "differs)",
                   path);
}

static tk_status compare_sums(const char *path, const tk_ck_list *l, const uint64_t *sums,
                              size_t broken)
{
    if (l->weights) return judge_weights(path, l, sums, broken);
    for (int64_t i = 0; i < l->n; i++)
        if (sums[i] != l->tensor[i].digest) return tk_ck_damaged(path, NULL, l->name[i]);
    return TK_OK;
}

static tk_status make_room_for_sums(tk_ck_list *l, tk_arena *a, bool tensors, uint64_t **sums)
{
    if (tensors) TK_ARENA_NEW(l->tensor, a, l->n);
    TK_ARENA_NEW(*sums, a, l->n);
    return TK_OK;
}

static tk_status verify(const char *path, tk_comm *world, tk_arena *a, uint64_t *digest)
{
    const bool first = world->rank == 0;
    tk_ck_list l = {0};
    uint64_t *sums = NULL;
    size_t broken = 0;
    TK_TRY(tk_agree(world, first ? tk_ck_list_all(path, a, &l) : TK_OK));
    TK_TRY(tk_comm_broadcast(world, &l.n, sizeof l.n, 0));
    TK_TRY(tk_agree(world, make_room_for_sums(&l, a, !first, &sums)));
    TK_TRY(tk_comm_broadcast(world, l.tensor, (size_t)l.n * sizeof *l.tensor, 0));
    TK_TRY(tk_ck_share_files(world, a, &l.files));
    TK_TRY(tk_agree(world, digest_share(world, &l, sums, &broken)));
    TK_TRY(tk_comm_sum_u64(world, sums, (int)l.n));
    TK_TRY(tk_comm_most(world, &broken));
    TK_TRY(tk_agree(world, first ? compare_sums(path, &l, sums, broken) : TK_OK));
    if (first && l.weights) *digest = tk_ck_digest_all(l.n, l.name, sums);
    return tk_agree(world, first && !l.weights ? tk_ck_seal_hash(path, digest) : TK_OK);
}

tk_status tk_ck_verify(const char *path, tk_comm *world, uint64_t *digest)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_status st = verify(path, world, &a, digest);
    tk_arena_free(&a);
    TK_TRY(st);
    return TK_OK;
}

// ---- names -------------------------------------------------------------------------------------

typedef struct found {
    int64_t n, cap;
    int64_t *step; // newest first
    bool is_file;  // `where` is a checkpoint itself
} found;

int64_t tk_checkpoint_step(const char *name)
{
    char back[64], *end;
    if (strncmp(name, "step-", 5) || name[5] < '0' || name[5] > '9') return -1;
    errno = 0;
    const long long step = strtoll(name + 5, &end, 10);
    if (errno || step < 0 || strcmp(end, ".h5")) return -1;
    snprintf(back, sizeof back, "step-%08lld.h5", step);
    return strcmp(back, name) ? -1 : step;
}

static int newest_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static tk_status add_step(found *f, int64_t step)
{
    TK_ROOM_FOR_ONE(f->step, f->n, f->cap, 64);
    f->step[f->n++] = step;
    return TK_OK;
}

// A pipeline of diffusers, of which the model is a folder.
static tk_status refuse_pipeline(const char *where)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    const char *model = tk_arena_printf(&a, "%s/transformer", where);
    const bool is = model && tk_ck_is_folder(model);
    tk_arena_free(&a);
    if (!is) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s is a whole pipeline: its model's weights lie in %s/transformer; "
                   "give that folder",
                   where, where);
}

tk_status tk_checkpoint_exists(const char *where)
{
    tk_file_seat seat;
    const int error = access(where, F_OK) ? errno : 0;
    if (!error) return TK_OK;
    return TK_FAIL(TK_INPUT, "no checkpoint at %s%s: %s", where, tk_file_sought(where, error, seat),
                   strerror(error));
}

static tk_status list_steps(const char *where, found *f)
{
    struct stat s;
    tk_status st = TK_OK;
    *f = (found){0};
    TK_TRY(tk_checkpoint_exists(where));
    if (stat(where, &s)) return TK_FAIL(TK_INPUT, "cannot read %s: %s", where, strerror(errno));
    if (!S_ISDIR(s.st_mode) || tk_ck_is_folder(where)) {
        f->is_file = true;
        f->n = 1;
        return TK_OK;
    }
    TK_TRY(refuse_pipeline(where));
    DIR *d = opendir(where);
    if (!d) return TK_FAIL(TK_INPUT, "cannot read the directory %s: %s", where, strerror(errno));
    for (struct dirent *e; st == TK_OK && (e = readdir(d));)
        if (tk_checkpoint_step(e->d_name) >= 0) st = add_step(f, tk_checkpoint_step(e->d_name));
    closedir(d);
    if (f->n) qsort(f->step, (size_t)f->n, sizeof *f->step, newest_first);
    return st;
}

// ---- newest ------------------------------------------------------------------------------------

static char *candidate_path(const char *where, const found *f, int64_t i, tk_arena *a)
{
    if (f->is_file) return tk_arena_strdup(a, where);
    const size_t n = strlen(where);
    return tk_arena_printf(a, "%s%sstep-%08lld.h5", where, n && where[n - 1] == '/' ? "" : "/",
                           (long long)f->step[i]);
}

// Collective: rank 0's i-th path, for everybody.
static tk_status share_path(const char *where, const found *f, int64_t i, tk_comm *world,
                            tk_arena *a, char **path)
{
    int64_t bytes = 0;
    if (world->rank == 0) *path = candidate_path(where, f, i, a);
    if (world->rank == 0 && *path) bytes = (int64_t)strlen(*path) + 1;
    TK_TRY(tk_comm_broadcast(world, &bytes, sizeof bytes, 0));
    if (world->rank) *path = tk_arena_alloc(a, (size_t)bytes);
    TK_TRY(tk_agree(world, *path ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory (a file's name)")));
    return tk_comm_broadcast(world, *path, (size_t)bytes, 0);
}

// Collective. Whether the file is there no more: its run goes on and has removed it.
static tk_status look_whether_gone(const char *path, tk_comm *world, bool *gone)
{
    struct stat s;
    int32_t missing = world->rank == 0 && lstat(path, &s) && errno == ENOENT;
    TK_TRY(tk_comm_broadcast(world, &missing, sizeof missing, 0));
    *gone = missing != 0;
    return TK_OK;
}

typedef struct search { // for the newest checkpoint
    const char *where, *codec_file;
    tk_comm *world;
    tk_arena *arena;
    char **path;
    tk_checkpoint_meta *meta;
    bool gone; // a file of the list was removed since; the list is old
} search;

static tk_status verify_and_open(const search *s)
{
    uint64_t digest = 0;
    TK_TRY(tk_ck_verify(*s->path, s->world, &digest));
    TK_TRY(tk_comm_broadcast(s->world, &digest, sizeof digest, 0));
    TK_TRY(tk_checkpoint_open(*s->path, s->codec_file, s->world, s->arena, s->meta));
    s->meta->digest = digest;
    return TK_OK;
}

// Collective. Whether the failure is not the checkpoint's: it is there no more, or what it refers
// to is not.
static tk_status look_why(search *s, bool *blameless)
{
    int32_t refers = s->meta->refer;
    TK_TRY(look_whether_gone(*s->path, s->world, &s->gone));
    TK_TRY(tk_comm_broadcast(s->world, &refers, sizeof refers, 0));
    *blameless = s->gone || refers;
    return TK_OK;
}

static tk_status try_all(search *s, const found *f, int64_t n, bool is_file)
{
    for (int64_t i = 0; i < n; i++) {
        bool blameless = false;
        char words[1024];
        TK_TRY(share_path(s->where, f, i, s->world, s->arena, s->path));
        const tk_status st = verify_and_open(s);
        if (st == TK_OK) return TK_OK;
        if (is_file || (st != TK_INPUT && st != TK_IO)) return st;
        snprintf(words, sizeof words, "%s", tk_status_message());
        TK_TRY(look_why(s, &blameless));
        tk_status_set(st, words);
        tk_status_set_shared(true);
        if (blameless) return st;
        if (s->world->rank == 0)
            tk_log_warn("%s; trying the checkpoint before it", tk_status_message());
        tk_status_clear();
    }
    return TK_FAIL(TK_INPUT,
                   n ? "none of the %lld checkpoints in %s verifies"
                     : "there is no checkpoint (%lld files named step-<number>.h5) in %s",
                   (long long)n, s->where);
}

static tk_status try_newest(search *s)
{
    found f = {0};
    *s->path = NULL;
    *s->meta = (tk_checkpoint_meta){0};
    s->gone = false;
    tk_status st = tk_agree(s->world, s->world->rank == 0 ? list_steps(s->where, &f) : TK_OK);
    int64_t told[2] = {f.n, f.is_file};
    if (st == TK_OK) st = tk_comm_broadcast(s->world, told, sizeof told, 0);
    if (st == TK_OK) st = try_all(s, &f, told[0], told[1] != 0);
    tk_free(f.step);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_checkpoint_newest(const char *where, const char *codec_file, tk_comm *world,
                               tk_arena *a, char **path, tk_checkpoint_meta *meta)
{
    search s = {where, codec_file, world, a, path, meta, true};
    tk_status st = TK_OK;
    for (int i = 0; i < LOOKS && s.gone; i++) {
        tk_status_clear();
        st = try_newest(&s);
    }
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_checkpoint_look(const char *where, tk_arena *a, char **path, tk_checkpoint_meta *meta)
{
    found f = {0};
    tk_status st = list_steps(where, &f);
    if (st == TK_OK && !f.n) st = TK_FAIL(TK_INPUT, "there is no checkpoint in %s", where);
    if (st == TK_OK && !(*path = candidate_path(where, &f, 0, a)))
        st = TK_FAIL(TK_MEMORY, "out of memory (a file's name)");
    tk_free(f.step);
    TK_TRY(st);
    return tk_ck_read_meta(*path, NULL, a, meta);
}

// ---- pruning -----------------------------------------------------------------------------------

// What a run that was killed while saving left behind.
static void remove_leftovers(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        char name[64];
        const size_t n = strlen(e->d_name);
        if (n < 5 || n >= sizeof name || strcmp(e->d_name + n - 4, ".tmp")) continue;
        snprintf(name, sizeof name, "%.*s", (int)(n - 4), e->d_name);
        if (tk_checkpoint_step(name) >= 0) unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}

static tk_status remove_old(const char *dir, const found *f, int64_t saved, int64_t keep,
                            tk_arena *a)
{
    int64_t later = 0;
    while (later < f->n && f->step[later] > saved) later++;
    for (int64_t i = later + keep; i < f->n; i++) {
        const char *path = candidate_path(dir, f, i, a);
        if (!path) return TK_FAIL(TK_MEMORY, "out of memory (a file's name)");
        if (unlink(path) && errno != ENOENT)
            return TK_FAIL(TK_IO, "cannot remove the old checkpoint %s: %s", path, strerror(errno));
    }
    return TK_OK;
}

tk_status tk_checkpoint_prune(const char *dir, int64_t saved, int64_t keep)
{
    found f;
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_status st = list_steps(dir, &f);
    if (st == TK_OK && !f.is_file) {
        remove_leftovers(dir);
        st = remove_old(dir, &f, saved, keep > 1 ? keep : 1, &a);
    }
    tk_free(f.step);
    tk_arena_free(&a);
    TK_TRY(st);
    return TK_OK;
}
