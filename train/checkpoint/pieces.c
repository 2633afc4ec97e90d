// SPDX-License-Identifier: Apache-2.0
// A rank's pieces of the global tensors: from the device to the file and back, with digests.
#include "core/store/safetensors.h"
#include "train/checkpoint/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

tk_status tk_ck_io_open(tk_ck_io *io)
{
    *io = (tk_ck_io){.fd = -1, .file = -1};
    TK_NEW(io->host, TK_CK_STAGE);
    return TK_OK;
}

void tk_ck_io_close(tk_ck_io *io)
{
    if (io->fd >= 0) close(io->fd);
    tk_free(io->host);
    tk_free(io->span);
    *io = (tk_ck_io){.fd = -1, .file = -1};
}

uint64_t tk_ck_digest(const float *x, int64_t n, int64_t first)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        uint64_t k = (uint64_t)(first + i) * 0x9e3779b97f4a7c15u ^
                     ((uint64_t)bits + 1) * 0xd6e8feb86659fd93u;
        k = (k ^ k >> 32) * 0xff51afd7ed558ccdu; // two rounds of multiply and shift
        k = (k ^ k >> 29) * 0xc4ceb9fe1a85ec53u;
        sum += k ^ k >> 32;
    }
    return sum;
}

// ---- geometry ----------------------------------------------------------------------------------

// Columns are shared out, so that a row of the share is less than a row of the tensor.
static bool cut_columns(const tk_param_spec *s, const tk_share *h)
{
    return s->axis == 1 && h->cols < s->cols;
}

tk_ck_run tk_ck_next_run(const tk_param_spec *s, const tk_share *h, int64_t at, int64_t end)
{
    tk_ck_run r = {at, at, end - at};
    if (s->axis < 0 || (s->axis == 1 && !cut_columns(s, h))) return r;
    const int64_t row = at / h->cols, col = at % h->cols, along = s->axis == 0 ? row : col;
    for (int i = 0; i < h->n_pieces; i++) {
        const tk_piece *p = &h->piece[i];
        if (along < p->local || along >= p->local + p->count) continue;
        const int64_t shift = p->global - p->local; // along the axis
        int64_t stop; // end of the piece in the share (axis 1: in this row)
        if (s->axis == 0) {
            r.global = (row + shift) * s->cols + col;
            stop = (p->local + p->count) * h->cols;
        } else {
            r.global = row * s->cols + col + shift;
            stop = row * h->cols + p->local + p->count;
        }
        if (stop < end) r.n = stop - at;
        break;
    }
    return r;
}

// ---- file --------------------------------------------------------------------------------------

static tk_status turn_to_file(tk_ck_io *io, int file)
{
    if (io->file == file) return TK_OK;
    if (io->fd >= 0) close(io->fd);
    io->file = file;
    io->path = io->files->path[file];
    io->fd = open(io->path, O_RDONLY | O_CLOEXEC);
    if (io->fd >= 0) return TK_OK;
    io->file = -1;
    return TK_FAIL(TK_IO, "cannot open %s: %s (is it on a file system that all ranks share?)",
                   io->path, strerror(errno));
}

tk_ck_tensor tk_ck_none(const tk_param_spec *s)
{
    return (tk_ck_tensor){.count = s->rows * s->cols, .file = TK_CK_NONE};
}

tk_status tk_ck_read(tk_ck_io *io, const tk_ck_tensor *t, int64_t first, int64_t n, float *to)
{
    const tk_safe_tensor stored = {
        .name = "a tensor", .type = (tk_safe_type)t->type, .address = t->address};
    TK_TRY(turn_to_file(io, t->file));
    return tk_safe_get(io->fd, io->path, &stored, first, n, to);
}

// Whole rows in one read, then the columns of this share: short reads would cost more.
static tk_status read_columns(tk_ck_io *io, const tk_param_spec *s, const tk_share *h,
                              const tk_ck_tensor *t, int64_t lo, int64_t hi)
{
    const tk_ck_run first = tk_ck_next_run(s, h, lo, hi), last = tk_ck_next_run(s, h, hi - 1, hi);
    const int64_t n = last.global + last.n - first.global;
    const size_t bytes = (size_t)n * sizeof *io->span;
    if (bytes > io->span_bytes) {
        tk_free(io->span);
        io->span_bytes = 0;
        TK_NEW(io->span, n);
        io->span_bytes = bytes;
    }
    TK_TRY(tk_ck_read(io, t, first.global, n, io->span));
    for (int64_t at = lo; at < hi;) {
        const tk_ck_run r = tk_ck_next_run(s, h, at, hi);
        memcpy(io->host + (at - lo), io->span + (r.global - first.global),
               (size_t)r.n * sizeof *io->host);
        at += r.n;
    }
    return TK_OK;
}

static tk_status read_chunk(tk_ck_io *io, const tk_param_spec *s, const tk_share *h,
                            const tk_ck_tensor *t, int64_t lo, int64_t hi)
{
    if (cut_columns(s, h)) return read_columns(io, s, h, t, lo, hi);
    for (int64_t at = lo; at < hi;) {
        const tk_ck_run r = tk_ck_next_run(s, h, at, hi);
        TK_TRY(tk_ck_read(io, t, r.global, r.n, io->host + (at - lo)));
        at += r.n;
    }
    return TK_OK;
}

tk_status tk_ck_digest_file(tk_ck_io *io, const tk_ck_tensor *t, int64_t begin, int64_t n,
                            bool *finite, uint64_t *sum)
{
    for (int64_t at = begin; at < begin + n; at += TK_CK_STAGE) {
        const int64_t m = begin + n - at < TK_CK_STAGE ? begin + n - at : TK_CK_STAGE;
        TK_TRY(tk_ck_read(io, t, at, m, io->host));
        for (int64_t i = 0; i < m; i++) *finite = *finite && isfinite(io->host[i]);
        *sum += tk_ck_digest(io->host, m, at);
    }
    return TK_OK;
}

// ---- passes ------------------------------------------------------------------------------------

// Elements [lo, hi) of a weight's share, all of them of stretch k.
static tk_status take_chunk(const tk_ck_passing *p, const tk_flat_part *k, const tk_weight *w,
                            int64_t lo, int64_t hi)
{
    const tk_ck_mode mode = p->mode;
    const tk_param_spec *s = &p->model->table.spec[w->spec];
    const tk_share *h = &w->share;
    const tk_ck_tensor *t = p->tensor + w->spec;
    tk_ck_tally *tally = p->tally + w->spec;
    tk_ck_io *io = p->io;
    tk_device *d = p->model->device;
    void *device =
        (char *)p->flat->x.data + (size_t)(k->at + w->offset + lo - k->begin) * sizeof(float);
    const tk_tensor x = tk_tensor_1d(device, TK_F32, hi - lo);
    tally->count += (uint64_t)(hi - lo);
    if (t->file == TK_CK_NONE) return TK_OK;
    if (mode == TK_CK_DIGEST || mode == TK_CK_WRITE)
        TK_TRY(tk_device_get(d, &x, io->host));
    else
        TK_TRY(read_chunk(io, s, h, t, lo, hi));
    for (int64_t at = lo; at < hi;) {
        const tk_ck_run r = tk_ck_next_run(s, h, at, hi);
        const float *from = io->host + (at - lo);
        if (mode == TK_CK_WRITE)
            TK_TRY(tk_pwrite_all(io->fd, io->path, from, (size_t)r.n * sizeof *from,
                                 t->address + r.global * (int64_t)sizeof *from));
        else
            tally->digest += tk_ck_digest(from, r.n, r.global);
        at += r.n;
    }
    if (mode != TK_CK_LOAD) return TK_OK;
    TK_TRY(tk_device_upload(d, device, io->host, tk_bytes(&x)));
    return tk_device_sync(d);
}

// Of the ranks that hold the same elements, the one that writes them.
static bool accounts_for(const tk_mesh *mesh, const tk_flat *flat, const tk_param_spec *s)
{
    if (!flat->owner) return false;
    if (s->axis < 0 && mesh->axis[TK_AXIS_TENSOR].rank > 0) return false;
    return s->where != TK_ON_ALL || mesh->axis[TK_AXIS_PIPELINE].rank == 0;
}

static tk_status take_weight(const tk_ck_passing *p, const tk_flat_part *k, const tk_weight *w)
{
    const tk_param_spec *s = &p->model->table.spec[w->spec];
    const int64_t n = w->share.rows * w->share.cols;
    int64_t lo = k->begin - w->offset, hi = k->begin + k->count - w->offset, step = TK_CK_STAGE;
    if (lo < 0) lo = 0;
    if (hi > n) hi = n;
    if (cut_columns(s, &w->share) && s->cols < TK_CK_STAGE)
        step = TK_CK_STAGE / s->cols *
               w->share.cols; // so that the rows read whole are TK_CK_STAGE too
    for (int64_t at = lo; at < hi; at += step)
        TK_TRY(take_chunk(p, k, w, at, at + step < hi ? at + step : hi));
    return TK_OK;
}

tk_status tk_ck_pass(const tk_ck_passing *p)
{
    const tk_model *model = p->model;
    const tk_flat *flat = p->flat;
    for (int i = 0; i < model->n_weights; i++) {
        const tk_weight *w = &model->weight[i];
        if (p->mine_only && !accounts_for(p->mesh, flat, &model->table.spec[w->spec])) continue;
        for (int k = 0; k < flat->n; k++) TK_TRY(take_weight(p, &flat->stretch[k], w));
    }
    return TK_OK;
}
