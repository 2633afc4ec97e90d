// SPDX-License-Identifier: Apache-2.0
// Saving and loading checkpoints: the collective protocols.
//
// Save:  digest -> lay out (rank 0) -> write -> read back -> commit (rank 0)
// with an agreement at each arrow: if a phase fails anywhere, every rank returns that failure and
// rank 0 removes the temporary file. Rank 0's work on HDF5 needs the digests, so they are made
// before anything is written; the metadata is then written once and never touched again.
//
// Tests can stop rank 0 at each arrow: tk_ck_at.
#include "core/base/log.h"
#include "train/checkpoint/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void (*tk_ck_at)(const char *arrow);

static void at(const tk_comm *world, const char *arrow)
{
    if (tk_ck_at && world->rank == 0) tk_ck_at(arrow);
}

tk_status tk_ck_damaged(const char *path, const char *group, const char *name)
{
    return TK_FAIL(TK_INPUT,
                   "%s is damaged: the numbers of %s%s%s%s are not those that were written (its "
                   "digest differs)",
                   path, group ? "/" : "", group ? group : "", group ? "/" : "", name);
}

// What save and load have in common: n flats, each with a row of table->n tensors.
typedef struct job {
    const char *path;
    tk_mesh *mesh;
    tk_comm *world;
    tk_model *model;
    const tk_param_table *table;
    int n, total; // flats; flats * tensors
    bool may_add; // a load: what an option adds may be missing
    const tk_flat *flat;
    tk_arena arena;
    tk_ck_tensor *tensor; // (total)
    tk_ck_tally *tally;   // (total)
    tk_ck_files files;    // to load from
    tk_ck_io io;
} job;

static tk_status prepare_flats_job(job *j)
{
    j->io.fd = j->io.file = -1;
    if ((int64_t)j->n * j->table->n > INT_MAX / 4) return TK_FAIL(TK_INTERNAL, "too many tensors");
    j->total = j->n * j->table->n;
    TK_ARENA_NEW(j->tensor, &j->arena, j->total);
    TK_ARENA_NEW(j->tally, &j->arena, j->total);
    for (int i = 0; i < j->total; i++) {
        const tk_param_spec *s = &j->table->spec[i % j->table->n];
        j->tensor[i].count = s->rows * s->cols;
    }
    return tk_ck_io_open(&j->io);
}

// Collective: the job is set up on every rank, and all ranks mean the same checkpoint.
static tk_status open_flats_job(job *j, const char *path, tk_mesh *mesh, tk_model *model, int n,
                                const tk_flat *flat)
{
    *j = (job){.path = path,
               .mesh = mesh,
               .world = &mesh->world,
               .model = model,
               .table = &model->table,
               .n = n,
               .flat = flat};
    tk_arena_init(&j->arena, 0);
    TK_TRY(tk_agree(j->world, prepare_flats_job(j)));
    const int size[2] = {n, model->table.n};
    return tk_same(j->world, "the set of tensors of a checkpoint", size, sizeof size);
}

static void close_job(job *j)
{
    tk_ck_io_close(&j->io);
    tk_arena_free(&j->arena);
}

static tk_status open_to_write(job *j, const char *path)
{
    j->io.path = path;
    j->io.file = 0;
    j->io.fd = open(path, O_RDWR | O_CLOEXEC);
    if (j->io.fd >= 0) return TK_OK;
    return TK_FAIL(TK_IO, "cannot open %s: %s (is it on a file system that all ranks share?)", path,
                   strerror(errno));
}

// All flats through one mode; then, collectively, the tallies of all ranks.
static tk_status pass(job *j, tk_ck_mode mode, bool mine_only)
{
    tk_status st = TK_OK;
    memset(j->tally, 0, (size_t)j->total * sizeof *j->tally);
    for (int k = 0; k < j->n && st == TK_OK; k++) {
        const int at = k * j->table->n;
        const tk_ck_passing p = {.io = &j->io,
                                 .mode = mode,
                                 .mesh = j->mesh,
                                 .model = j->model,
                                 .flat = &j->flat[k],
                                 .tensor = j->tensor + at,
                                 .tally = j->tally + at,
                                 .mine_only = mine_only};
        st = tk_ck_pass(&p);
    }
    return st;
}

static tk_status sum_tallies(job *j)
{
    return tk_comm_sum_u64(j->world, (uint64_t *)j->tally, 2 * j->total);
}

static tk_status share_tensors(job *j)
{
    return tk_comm_broadcast(j->world, j->tensor, (size_t)j->total * sizeof *j->tensor, 0);
}

// ---- save --------------------------------------------------------------------------------------

// Every element of every tensor exactly once: else the shares, not the file, are wrong.
static tk_status take_digests(job *j)
{
    for (int i = 0; i < j->total; i++) {
        if (j->tally[i].count != (uint64_t)j->tensor[i].count)
            return TK_FAIL(TK_INTERNAL, "the ranks hold %llu of the %lld elements of /%s/%s",
                           (unsigned long long)j->tally[i].count, (long long)j->tensor[i].count,
                           j->flat[i / j->table->n].group, j->table->spec[i % j->table->n].name);
        j->tensor[i].digest = j->tally[i].digest;
    }
    return TK_OK;
}

static tk_status write_pieces(job *j, const char *tmp)
{
    TK_TRY(open_to_write(j, tmp));
    TK_TRY(pass(j, TK_CK_WRITE, true));
    if (fsync(j->io.fd)) {
        const bool full = errno == ENOSPC || errno == EDQUOT;
        return TK_FAIL(TK_IO, "cannot write %s to disk: %s", tmp,
                       full ? "disk full" : strerror(errno));
    }
    posix_fadvise(j->io.fd, 0, 0, POSIX_FADV_DONTNEED); // so that reading back asks the disk
    return TK_OK;
}

static tk_status compare_back(const job *j, const char *tmp)
{
    for (int i = 0; i < j->total; i++)
        if (j->tally[i].digest != j->tensor[i].digest)
            return TK_FAIL(TK_IO,
                           "%s: /%s/%s does not read back as it was written: the disk or "
                           "file system is at fault",
                           tmp, j->flat[i / j->table->n].group,
                           j->table->spec[i % j->table->n].name);
    return tk_ck_check_seal(tmp);
}

static tk_status commit(job *j, const char *tmp)
{
    at(j->world, "rename");
    TK_TRY(tk_commit_file(tmp, j->path));
    at(j->world, "done");
    return TK_OK;
}

static tk_status save_flats(job *j, const char *tmp, const tk_checkpoint_meta *meta)
{
    const bool first = j->world->rank == 0;
    tk_comm *w = j->world;
    TK_TRY(tk_agree(w, pass(j, TK_CK_DIGEST, true)));
    TK_TRY(sum_tallies(j));
    TK_TRY(take_digests(j));
    at(w, "digest");
    TK_TRY(
        tk_agree(w, first ? tk_ck_lay_out(tmp, meta, j->table, j->n, j->flat, j->tensor) : TK_OK));
    TK_TRY(share_tensors(j));
    at(w, "layout");
    TK_TRY(tk_agree(w, write_pieces(j, tmp)));
    at(w, "write");
    TK_TRY(tk_agree(w, pass(j, TK_CK_CHECK, true)));
    TK_TRY(sum_tallies(j));
    at(w, "verify");
    TK_TRY(tk_agree(w, first ? compare_back(j, tmp) : TK_OK));
    return tk_agree(w, first ? commit(j, tmp) : TK_OK);
}

tk_status tk_checkpoint_save(const char *path, tk_mesh *mesh, tk_model *model, int n,
                             const tk_flat *flat, const tk_checkpoint_meta *meta)
{
    job j;
    tk_status st = open_flats_job(&j, path, mesh, model, n, flat);
    const char *slash = strrchr(path, '/'), *in = meta->staging;
    char *tmp = NULL;
    if (st == TK_OK)
        tmp = in ? tk_arena_printf(&j.arena, "%s/%s.tmp", in, slash ? slash + 1 : path)
                 : tk_arena_printf(&j.arena, "%s.tmp", path);
    if (st == TK_OK)
        st = tk_agree(j.world, tmp ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory (a file's name)"));
    if (st == TK_OK) st = save_flats(&j, tmp, meta);
    if (st != TK_OK && tmp && j.world->rank == 0) unlink(tmp);
    close_job(&j);
    TK_TRY(st);
    return TK_OK;
}

// ---- load --------------------------------------------------------------------------------------

// Each element was read by the same number of ranks (once, or once per data rank, ...), so the sum
// of their digests is that many times the tensor's.
static tk_status compare_loaded(const job *j)
{
    for (int i = 0; i < j->total; i++) {
        const tk_ck_tensor *t = &j->tensor[i];
        const tk_ck_tally *seen = &j->tally[i];
        const char *group = j->flat[i / j->table->n].group;
        const char *name = j->table->spec[i % j->table->n].name;
        if (t->count == 0) continue;
        const uint64_t times = seen->count / (uint64_t)t->count;
        if (times == 0 || seen->count % (uint64_t)t->count)
            return TK_FAIL(TK_INTERNAL, "the ranks loaded %llu elements of the %lld of /%s/%s",
                           (unsigned long long)seen->count, (long long)t->count, group, name);
        if (t->digest && seen->digest != times * t->digest)
            return tk_ck_damaged(j->path, group, name);
    }
    return TK_OK;
}

static tk_status load_flats(job *j)
{
    const bool first = j->world->rank == 0;
    TK_TRY(tk_agree(j->world, first ? tk_ck_find(j->path, j->table, j->n, j->flat, j->may_add,
                                                 &j->arena, j->tensor, &j->files)
                                    : TK_OK));
    TK_TRY(share_tensors(j));
    TK_TRY(tk_ck_share_files(j->world, &j->arena, &j->files));
    j->io.files = &j->files;
    TK_TRY(tk_agree(j->world, pass(j, TK_CK_LOAD, false)));
    TK_TRY(sum_tallies(j));
    return tk_agree(j->world, first ? compare_loaded(j) : TK_OK);
}

static tk_status load_at(const char *path, tk_mesh *mesh, tk_model *model, int n, tk_flat *flat,
                         bool may_add)
{
    job j;
    tk_status st = open_flats_job(&j, path, mesh, model, n, flat);
    j.may_add = may_add;
    if (st == TK_OK) st = load_flats(&j);
    close_job(&j);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_checkpoint_load(const char *path, tk_mesh *mesh, tk_model *model, int n, tk_flat *flat)
{
    return load_at(path, mesh, model, n, flat, false);
}

tk_status tk_checkpoint_begin(const char *path, tk_mesh *mesh, tk_model *model, tk_flat *flat)
{
    return load_at(path, mesh, model, 1, flat, true);
}

// ---- header ------------------------------------------------------------------------------------

typedef struct header { // what rank 0 tells the others
    int64_t step, config_bytes;
    double ema_updates;
    uint64_t clips;
    int64_t has_codec, weights, bare, averaged;
    int64_t empty_rows, text_channels; // 0: an empty caption's text features are not known
} header;

static tk_status share_empty(tk_comm *world, tk_arena *a, int64_t rows, int64_t channels,
                             tk_text_form *f)
{
    float *x = (float *)f->empty;
    if (!rows) return TK_OK;
    if (world->rank) x = tk_arena_alloc(a, tk_array_bytes(rows * channels, sizeof *x));
    TK_TRY(tk_agree(world, x ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory (text features)")));
    *f = (tk_text_form){.channels = channels, .empty_rows = rows, .empty = x};
    return tk_comm_broadcast(world, x, tk_array_bytes(rows * channels, sizeof *x), 0);
}

static tk_status share_header(tk_comm *world, tk_arena *a, tk_checkpoint_meta *m)
{
    const bool first = world->rank == 0;
    header h = {0};
    if (first)
        h = (header){.step = m->step,
                     .config_bytes = (int64_t)strlen(m->config) + 1,
                     .ema_updates = m->ema_updates,
                     .clips = m->clips,
                     .has_codec = m->codec != NULL,
                     .weights = m->weights,
                     .bare = m->bare,
                     .averaged = m->averaged,
                     .empty_rows = m->text.empty ? m->text.empty_rows : 0,
                     .text_channels = m->text.channels};
    TK_TRY(tk_comm_broadcast(world, &h, sizeof h, 0));
    m->step = h.step;
    m->weights = h.weights != 0;
    m->bare = h.bare != 0;
    m->averaged = h.averaged != 0;
    m->ema_updates = h.ema_updates;
    m->clips = h.clips;
    if (!first) m->config = tk_arena_alloc(a, (size_t)h.config_bytes);
    TK_TRY(tk_agree(world, m->config ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory (the config)")));
    TK_TRY(tk_comm_broadcast(world, m->config, (size_t)h.config_bytes, 0));
    TK_TRY(share_empty(world, a, h.empty_rows, h.text_channels, &m->text));
    return h.has_codec ? tk_codec_broadcast(world, &m->codec, 0) : TK_OK;
}

tk_status tk_checkpoint_open(const char *path, const char *codec_file, tk_comm *world, tk_arena *a,
                             tk_checkpoint_meta *out)
{
    *out = (tk_checkpoint_meta){0};
    tk_status st =
        tk_agree(world, world->rank == 0 ? tk_ck_read_meta(path, codec_file, a, out) : TK_OK);
    if (st == TK_OK) st = share_header(world, a, out);
    if (st == TK_OK) return TK_OK;
    tk_codec_free(out->codec);
    out->codec = NULL;
    return tk_trace(st, __FILE__, __LINE__, __func__);
}
