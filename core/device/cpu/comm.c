// SPDX-License-Identifier: Apache-2.0
// Collectives over host buffers, with their adjoints. The backends "ref" and "cpu" share them.
//
// A communicator's calls write their output; where a gradient is to be added up, and where columns
// must be brought into rank order, the result passes through scratch.
#include "core/device/ops_impl.h"
#include <string.h>

static tk_status gather(const tk_call *c, const void *in, void *out, int64_t width)
{
    return tk_all_gather(c->comm, in, out, c->counts, width, TK_F32);
}

static tk_status scatter_sum(const tk_call *c, const void *in, void *out, int64_t width)
{
    return tk_reduce_scatter(c->comm, in, out, c->counts, width, TK_F32);
}

static void add_to(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

static int64_t total(const tk_call *c)
{
    int64_t n = 0;
    for (int r = 0; r < c->comm->size; r++) n += c->counts[r];
    return n;
}

size_t tk_host_comm_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    size_t mine = tk_bytes(&c->din[0]), bytes;
    if (c->op != TK_OP_GATHER_COLS)
        bytes = back && c->add[0] ? mine : 0;
    else // the ranks' column blocks one after the other
        bytes = back ? tk_bytes(&c->dout[0]) + mine : tk_bytes(&c->out[0]);
    return bytes + 1; // never without an address, even for no elements
}

tk_status tk_host_gather_rows(tk_device *d, const tk_call *c)
{
    (void)d;
    const tk_tensor *x = &c->in[0];
    return gather(c, x->data, c->out[0].data, tk_cols(x));
}

tk_status tk_host_gather_rows_back(tk_device *d, const tk_call *c)
{
    float *to = c->add[0] ? d->scratch : tk_f32(&c->din[0]);
    TK_TRY(scatter_sum(c, c->dout[0].data, to, tk_cols(&c->dout[0])));
    if (c->add[0]) add_to(tk_f32(&c->din[0]), to, tk_count(&c->din[0]));
    return TK_OK;
}

tk_status tk_host_scatter_sum(tk_device *d, const tk_call *c)
{
    (void)d;
    const tk_tensor *x = &c->in[0];
    return scatter_sum(c, x->data, c->out[0].data, tk_cols(x));
}

tk_status tk_host_scatter_sum_back(tk_device *d, const tk_call *c)
{
    float *to = c->add[0] ? d->scratch : tk_f32(&c->din[0]);
    TK_TRY(gather(c, c->dout[0].data, to, tk_cols(&c->dout[0])));
    if (c->add[0]) add_to(tk_f32(&c->din[0]), to, tk_count(&c->din[0]));
    return TK_OK;
}

// blocks: for each rank its (rows, counts[r]); whole: (rows, sum counts)
static void copy_columns(const tk_call *c, float *blocks, float *whole, int64_t rows, bool unpack)
{
    int64_t width = total(c), column = 0;
    for (int r = 0; r < c->comm->size; r++) {
        int64_t n = c->counts[r];
        for (int64_t i = 0; i < rows; i++) {
            float *a = blocks + rows * column + i * n, *b = whole + i * width + column;
            memcpy(unpack ? b : a, unpack ? a : b, (size_t)n * sizeof *a);
        }
        column += n;
    }
}

tk_status tk_host_gather_cols(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->in[0]);
    TK_TRY(gather(c, c->in[0].data, d->scratch, rows));
    copy_columns(c, d->scratch, tk_f32(&c->out[0]), rows, true);
    return TK_OK;
}

tk_status tk_host_gather_cols_back(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->dout[0]), n = tk_count(&c->din[0]);
    float *blocks = d->scratch, *mine = blocks + tk_count(&c->dout[0]);
    copy_columns(c, blocks, tk_f32(&c->dout[0]), rows, false);
    if (!c->add[0]) mine = tk_f32(&c->din[0]);
    TK_TRY(scatter_sum(c, blocks, mine, rows));
    if (c->add[0]) add_to(tk_f32(&c->din[0]), mine, n);
    return TK_OK;
}
