// SPDX-License-Identifier: Apache-2.0
// The collectives of the model on any device: from its communicator and its copies.
//
// Rows lie in rank order as they are sent. Columns do not: the ranks' blocks of columns come one
// after the other and are copied to their places, or from them.
#include "core/device/ops/impl.h"

static int64_t total(const tk_call *c)
{
    int64_t n = 0;
    for (int r = 0; r < c->comm->size; r++) n += c->counts[r];
    return n;
}

static tk_status gather(const tk_call *c, const tk_tensor *x, const tk_tensor *to)
{
    return tk_all_gather(c->comm, x->data, to->data, c->counts, tk_cols(x), x->dtype);
}

static tk_status scatter_sum(const tk_call *c, const tk_tensor *x, const tk_tensor *to)
{
    return tk_reduce_scatter(c->comm, x->data, to->data, c->counts, tk_cols(x), x->dtype);
}

// blocks: for each rank its (rows, counts[r]); whole: (rows, sum counts)
static tk_status copy_columns(tk_device *d, const tk_call *c, const tk_tensor *blocks,
                              const tk_tensor *whole, bool unpack)
{
    const size_t size = tk_dtype_size(whole->dtype), rows = (size_t)tk_rows(whole);
    const size_t width = (size_t)total(c) * size;
    size_t column = 0;
    for (int r = 0; r < c->comm->size; r++) {
        const size_t n = (size_t)c->counts[r] * size;
        char *block = (char *)blocks->data + rows * column, *place = (char *)whole->data + column;
        if (unpack)
            TK_TRY(tk_device_copy_2d(d, place, width, block, n, rows, n));
        else
            TK_TRY(tk_device_copy_2d(d, block, n, place, width, rows, n));
        column += n;
    }
    return TK_OK;
}

static tk_status gather_cols(tk_device *d, const tk_call *c, const tk_tensor *blocks)
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(tk_all_gather(c->comm, x->data, blocks->data, c->counts, tk_rows(x), x->dtype));
    return copy_columns(d, c, blocks, &c->out[0], true);
}

static tk_status scatter_cols(tk_device *d, const tk_call *c, const tk_tensor *blocks)
{
    const tk_tensor *g = &c->dout[0];
    TK_TRY(copy_columns(d, c, blocks, g, false));
    return tk_reduce_scatter(c->comm, blocks->data, c->din[0].data, c->counts, tk_rows(g),
                             g->dtype);
}

static tk_status columns(tk_device *d, const tk_call *c, bool back)
{
    const tk_tensor *whole = back ? &c->dout[0] : &c->out[0];
    tk_tensor blocks;
    TK_TRY(tk_device_new_for(d, TK_FOR_MESSAGES, whole->dtype, tk_rows(whole), tk_cols(whole),
                             &blocks));
    const tk_status st = back ? scatter_cols(d, c, &blocks) : gather_cols(d, c, &blocks);
    tk_device_free(d, &blocks);
    TK_TRY(st);
    return TK_OK;
}

bool tk_op_is_collective(tk_op op)
{
    return op == TK_OP_GATHER_ROWS || op == TK_OP_SCATTER_SUM || op == TK_OP_GATHER_COLS;
}

tk_status tk_op_collective(tk_device *d, const tk_call *c, bool back)
{
    const tk_tensor *from = back ? &c->dout[0] : &c->in[0], *to = back ? &c->din[0] : &c->out[0];
    if (c->op == TK_OP_GATHER_COLS) return columns(d, c, back);
    const bool gathers = (c->op == TK_OP_GATHER_ROWS) != back;
    return gathers ? gather(c, from, to) : scatter_sum(c, from, to);
}
