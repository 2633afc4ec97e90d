// SPDX-License-Identifier: Apache-2.0
// Weights written as safetensors.
//
// Find -> lay out (rank 0) -> copy -> read back -> finish (rank 0), with an agreement at each
// arrow. Every rank copies an even share of all elements, a stage of them at a time. Before a
// checkpoint is laid out, its digests are made.
#include "core/numbers/half.h"
#include "core/store/safetensors.h"
#include "train/checkpoint/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static tk_status make_room_for_export(tk_ck_export *x)
{
    TK_TRY(tk_param_table_build(x->config, &x->arena, &x->table));
    TK_ARENA_NEW(x->source, &x->arena, x->table.n);
    TK_ARENA_NEW(x->target, &x->arena, x->table.n);
    TK_ARENA_NEW(x->sum, &x->arena, x->table.n);
    TK_ARENA_NEW(x->back, &x->arena, x->table.n);
    return TK_OK;
}

static tk_status find_source(tk_ck_export *x)
{
    const tk_flat flat = {.group = x->form->average ? "ema" : "model"};
    return tk_ck_find(x->from, &x->table, 1, &flat, false, &x->arena, x->source, &x->source_files);
}

// ---- the numbers -------------------------------------------------------------------------------

typedef struct output { // the file of a set that is open to be written
    const tk_ck_files *files;
    int fd, file;
} output;

static tk_status close_output(output *o)
{
    const int fd = o->fd;
    o->fd = o->file = -1;
    if (fd < 0) return TK_OK;
    const int error = fsync(fd) ? errno : 0;
    close(fd);
    return error ? TK_FAIL(TK_IO, "cannot write weights to disk: %s", tk_io_words(error)) : TK_OK;
}

static tk_status turn_output(output *o, int file)
{
    if (o->file == file) return TK_OK;
    TK_TRY(close_output(o));
    const char *path = o->files->path[file];
    o->fd = open(path, O_RDWR | O_CLOEXEC);
    if (o->fd < 0)
        return TK_FAIL(TK_IO, "cannot open %s: %s (is it on a file system that all ranks share?)",
                       path, strerror(errno));
    o->file = file;
    return TK_OK;
}

// Elements [lo, hi) of tensor i; their digest is that of the numbers as they can be read again.
static tk_status copy_stage(tk_ck_export *x, int i, int64_t lo, int64_t hi, tk_ck_io *in,
                            output *out)
{
    const tk_ck_tensor *t = &x->target[i];
    const tk_safe_tensor place = {
        .name = x->table.spec[i].name, .type = (tk_safe_type)t->type, .address = t->address};
    TK_TRY(tk_ck_read(in, &x->source[i], lo, hi - lo, in->host));
    TK_TRY(turn_output(out, t->file));
    TK_TRY(tk_safe_put(out->fd, x->to, &place, lo, hi - lo, in->host));
    for (int64_t k = 0; k < hi - lo && x->form->bf16; k++)
        in->host[k] = tk_bf16_to_float(tk_bf16_from_float(in->host[k]));
    x->sum[i] += tk_ck_digest(in->host, hi - lo, lo);
    return TK_OK;
}

static tk_status copy_part(tk_ck_export *x, int i, int64_t lo, int64_t hi, tk_ck_io *in,
                           output *out)
{
    tk_status st = TK_OK;
    for (int64_t at = lo; at < hi && st == TK_OK; at += TK_CK_STAGE)
        st = copy_stage(x, i, at, hi - at < TK_CK_STAGE ? hi : at + TK_CK_STAGE, in, out);
    return st;
}

static tk_status digest_part(tk_ck_export *x, int i, int64_t lo, int64_t hi, tk_ck_io *in,
                             output *out)
{
    bool finite = true;
    (void)out;
    return tk_ck_digest_file(in, &x->source[i], lo, hi - lo, &finite, &x->sum[i]);
}

static tk_status read_part_back(tk_ck_export *x, int i, int64_t lo, int64_t hi, tk_ck_io *in,
                                output *out)
{
    bool finite = true;
    (void)out;
    return tk_ck_digest_file(in, &x->target[i], lo, hi - lo, &finite, &x->back[i]);
}

// This rank's even share of all elements, tensor by tensor.
static tk_status go_through_share(tk_ck_export *x, const tk_comm *world, const tk_ck_files *from,
                                  tk_status (*take)(tk_ck_export *x, int i, int64_t lo, int64_t hi,
                                                    tk_ck_io *in, output *out))
{
    const int64_t total = tk_param_count(&x->table);
    const int64_t begin = tk_split_begin(total, world->size, world->rank);
    const int64_t end = begin + tk_split_count(total, world->size, world->rank);
    output out = {&x->target_files, -1, -1};
    int64_t at = 0;
    tk_ck_io in;
    tk_status st = tk_ck_io_open(&in);
    in.files = from;
    for (int i = 0; i < x->table.n && st == TK_OK; i++) {
        const int64_t n = x->source[i].count;
        const int64_t lo = begin > at ? begin - at : 0, hi = end < at + n ? end - at : n;
        if (lo < hi) st = take(x, i, lo, hi, &in, &out);
        at += n;
    }
    tk_ck_io_close(&in);
    const tk_status closed = close_output(&out);
    return st == TK_OK ? closed : st;
}

static tk_status compare_with_written(const tk_ck_export *x)
{
    for (int i = 0; i < x->table.n; i++)
        if (x->sum[i] != x->back[i])
            return TK_FAIL(TK_IO,
                           "%s: %s does not read back as it was written: the disk or file system "
                           "is at fault",
                           x->to, x->table.spec[i].name);
    return x->form->checkpoint ? tk_ck_check_seal(x->target_files.path[0]) : TK_OK;
}

// Collective: into x->sum those of the source, which are a checkpoint's.
static tk_status make_digests(tk_ck_export *x, tk_comm *w)
{
    TK_TRY(tk_agree(w, go_through_share(x, w, &x->source_files, digest_part)));
    return tk_comm_sum_u64(w, x->sum, x->table.n);
}

// ---- the whole ---------------------------------------------------------------------------------

static tk_status write_weights(tk_ck_export *x, tk_comm *w)
{
    const bool first = w->rank == 0;
    TK_TRY(tk_agree(w, make_room_for_export(x)));
    const size_t bytes = (size_t)x->table.n * sizeof *x->source;
    TK_TRY(tk_agree(w, first ? find_source(x) : TK_OK));
    TK_TRY(tk_comm_broadcast(w, x->source, bytes, 0));
    TK_TRY(tk_ck_share_files(w, &x->arena, &x->source_files));
    if (x->form->checkpoint) TK_TRY(make_digests(x, w));
    TK_TRY(tk_agree(w, first ? tk_ck_export_lay_out(x) : TK_OK));
    memset(x->sum, 0, (size_t)x->table.n * sizeof *x->sum);
    TK_TRY(tk_comm_broadcast(w, x->target, bytes, 0));
    TK_TRY(tk_ck_share_files(w, &x->arena, &x->target_files));
    TK_TRY(tk_agree(w, go_through_share(x, w, &x->source_files, copy_part)));
    TK_TRY(tk_comm_sum_u64(w, x->sum, x->table.n));
    TK_TRY(tk_agree(w, go_through_share(x, w, &x->target_files, read_part_back)));
    TK_TRY(tk_comm_sum_u64(w, x->back, x->table.n));
    TK_TRY(tk_agree(w, first ? compare_with_written(x) : TK_OK));
    return tk_agree(w, first ? tk_ck_export_finish(x) : TK_OK);
}

tk_status tk_weights_write(const char *from, const char *to, const tk_checkpoint_meta *meta,
                           const tk_model_config *m, const tk_weights_form *form, tk_comm *world)
{
    tk_ck_export x = {.from = from, .to = to, .meta = meta, .config = m, .form = form};
    tk_arena_init(&x.arena, 0);
    const tk_status st = write_weights(&x, world);
    tk_ck_export_drop(&x);
    tk_arena_free(&x.arena);
    TK_TRY(st);
    return TK_OK;
}
