// SPDX-License-Identifier: Apache-2.0
// Collectives over host buffers, with their adjoints. The backends "ref" and "cpu" share them.
//
// A communicator's calls write their output; where a gradient is to be added up, and where columns
// must be brought into rank order, the result passes through scratch.
#include "core/device/ops_impl.h"
#include "core/numbers/half.h"
#include <string.h>

static tk_dtype type(const tk_call *c) // of what the ranks send each other
{
    return c->dout[0].data ? c->dout[0].dtype : c->in[0].dtype;
}

static tk_status gather(const tk_call *c, const void *in, void *out, int64_t width)
{
    return tk_all_gather(c->comm, in, out, c->counts, width, type(c));
}

static tk_status scatter_sum(const tk_call *c, const void *in, void *out, int64_t width)
{
    return tk_reduce_scatter(c->comm, in, out, c->counts, width, type(c));
}

static void add_to(const tk_tensor *x, const void *by)
{
    const int64_t n = tk_count(x);
    float *to = x->data;
    uint16_t *half = x->data;
    const uint16_t *from = by;
    if (x->dtype == TK_F32)
        for (int64_t i = 0; i < n; i++) to[i] += ((const float *)by)[i];
    else
        for (int64_t i = 0; i < n; i++)
            half[i] = tk_bf16_from_float(tk_bf16_to_float(half[i]) + tk_bf16_to_float(from[i]));
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
    void *to = c->add[0] ? d->scratch : c->din[0].data;
    TK_TRY(scatter_sum(c, c->dout[0].data, to, tk_cols(&c->dout[0])));
    if (c->add[0]) add_to(&c->din[0], to);
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
    void *to = c->add[0] ? d->scratch : c->din[0].data;
    TK_TRY(gather(c, c->dout[0].data, to, tk_cols(&c->dout[0])));
    if (c->add[0]) add_to(&c->din[0], to);
    return TK_OK;
}

// blocks: for each rank its (rows, counts[r]); whole: (rows, sum counts)
static void copy_columns(const tk_call *c, char *blocks, char *whole, int64_t rows, bool unpack)
{
    const int64_t size = (int64_t)tk_dtype_size(type(c)), width = total(c) * size;
    int64_t column = 0;
    for (int r = 0; r < c->comm->size; r++) {
        int64_t n = c->counts[r] * size;
        for (int64_t i = 0; i < rows; i++) {
            char *a = blocks + rows * column + i * n, *b = whole + i * width + column;
            memcpy(unpack ? b : a, unpack ? a : b, (size_t)n);
        }
        column += n;
    }
}

tk_status tk_host_gather_cols(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->in[0]);
    TK_TRY(gather(c, c->in[0].data, d->scratch, rows));
    copy_columns(c, d->scratch, c->out[0].data, rows, true);
    return TK_OK;
}

tk_status tk_host_gather_cols_back(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->dout[0]);
    char *blocks = d->scratch, *mine = blocks + tk_bytes(&c->dout[0]);
    copy_columns(c, blocks, c->dout[0].data, rows, false);
    if (!c->add[0]) mine = c->din[0].data;
    TK_TRY(scatter_sum(c, blocks, mine, rows));
    if (c->add[0]) add_to(&c->din[0], mine);
    return TK_OK;
}
