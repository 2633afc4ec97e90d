// SPDX-License-Identifier: Apache-2.0
#include "core/device/ledger.h"

void tk_ledger_note(tk_device *d, tk_queue q, const tk_work *w)
{
    if (d->ledger) d->ledger->clock[q] += tk_ledger_price(d, w);
}

double tk_ledger_price(tk_device *d, const tk_work *w)
{
    return d->ledger ? d->ledger->price(d->ledger->ctx, w) : 0;
}

void tk_ledger_wait(tk_ledger *l, tk_queue q, tk_queue of, double at)
{
    if (l->clock[q] >= at) return;
    if (q == TK_QUEUE_COMPUTE) l->waited[of] += at - l->clock[q];
    l->clock[q] = at;
}

double tk_op_flops(const tk_call *c, bool back)
{
    const tk_op_info *info = &tk_op_table[c->op];
    if (!info->flops) return 0;
    if (!back) return info->flops(c);
    if (c->op == TK_OP_LINEAR)
        return info->flops(c) * ((c->din[0].data != NULL) + (c->din[1].data != NULL));
    return 2 * info->flops(c); // attention: two matrix products forward, four backward
}

static int64_t bytes_there(const tk_tensor *t)
{
    return tk_present(t) ? (int64_t)tk_bytes(t) : 0;
}

// Of input k: what is read of it.
static int64_t bytes_used(const tk_call *c, int k)
{
    const tk_tensor *x = &c->in[k];
    int64_t shares = 0; // of a table: pieces as wide as a row
    if (c->op == TK_OP_MODULATE && k == 2) shares = 2;
    if (c->op == TK_OP_GATE_ADD && k == 2) shares = 1;
    if (!shares || !tk_present(x)) return bytes_there(x);
    const tk_tensor *row = tk_present(&c->in[0]) ? &c->in[0] : &c->in[1];
    return tk_rows(x) * shares * tk_cols(row) * (int64_t)tk_dtype_size(x->dtype);
}

// Whether output 0 and those after it are changed, not made.
static bool changes(tk_op op)
{
    return op == TK_OP_ADAMW || op == TK_OP_EMA || op == TK_OP_EULER || op == TK_OP_SUM_SQUARES;
}

static void traffic_fore(const tk_call *c, int64_t *read, int64_t *written)
{
    const tk_op_info *info = &tk_op_table[c->op];
    for (int k = 0; k < info->n_out; k++) *written += bytes_there(&c->out[k]);
    if (changes(c->op)) *read += *written;
    for (int k = 0; k < info->n_in; k++)
        if (c->op != TK_OP_PICK || k == 3) *read += bytes_used(c, k);
    if (c->op == TK_OP_PICK) *read += *written; // the rows that are picked
}

// Whether a backward reads input k: of a product, what the gradients that are wanted need.
static bool backward_reads(const tk_call *c, int k)
{
    if (c->op == TK_OP_LINEAR) return k < 2 && c->din[1 - k].data;
    return tk_op_table[c->op].needs_in >> k & 1;
}

static void traffic_back(const tk_call *c, int64_t *read, int64_t *written)
{
    const tk_op_info *info = &tk_op_table[c->op];
    for (int k = 0; k < info->n_out; k++) {
        *read += bytes_there(&c->dout[k]);
        if (info->needs_out >> k & 1) *read += bytes_there(&c->out[k]);
    }
    for (int k = 0; k < info->n_in; k++) {
        if (backward_reads(c, k)) *read += bytes_used(c, k);
        if (!c->din[k].data) continue;
        const int64_t picked = bytes_there(&c->dout[0]), all = bytes_there(&c->din[k]);
        const int64_t n = c->op == TK_OP_PICK && c->add[k] && picked < all ? picked : all;
        *written += n;
        if (c->add[k]) *read += n;
    }
}

void tk_op_traffic(const tk_call *c, bool back, int64_t *read, int64_t *written)
{
    *read = *written = 0;
    if (back)
        traffic_back(c, read, written);
    else
        traffic_fore(c, read, written);
}
