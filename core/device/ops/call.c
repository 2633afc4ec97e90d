// SPDX-License-Identifier: Apache-2.0
// Calls of operators as the tape makes them: checked, and given to whatever does them.
#include "core/base/log.h"
#include "core/device/ops/impl.h"

// Communicators write their results: a gradient that is to be added passes through scratch.
static tk_status run_and_add(tk_device *d, const tk_call *c)
{
    const tk_tensor *x = &c->din[0];
    tk_call apart = *c;
    TK_TRY(tk_device_new_for(d, TK_FOR_MESSAGES, x->dtype, tk_rows(x), tk_cols(x), &apart.din[0]));
    tk_status st = tk_op_collective(d, &apart, true);
    const tk_call add = {.op = TK_OP_ADD, .in = {*x, apart.din[0]}, .out = {*x}};
    if (st == TK_OK) st = tk_op_run(d, &add, false);
    tk_device_free(d, &apart.din[0]);
    TK_TRY(st);
    return TK_OK;
}

static tk_status dispatch_call(tk_device *d, const tk_call *c, bool back)
{
    if (tk_op_is_of_rows(c->op)) return tk_op_of_rows(d, c, back);
    if (!tk_op_is_collective(c->op)) return tk_op_run(d, c, back);
    if (back && c->add[0]) return run_and_add(d, c);
    return tk_op_collective(d, c, back);
}

static bool same_extent(const tk_tensor *a, const tk_tensor *b)
{
    if (tk_count(a) != tk_count(b)) return false;
    return a->ndim < 2 || b->ndim < 2 || tk_cols(a) == tk_cols(b);
}

tk_status tk_op_forward(tk_device *d, const tk_call *c)
{
    const tk_op_info *info = &tk_op_table[c->op];
    for (int k = 0; k < info->n_in; k++)
        if (!(info->optional >> k & 1) && !tk_present(&c->in[k]))
            return TK_FAIL(TK_INTERNAL, "operator %s: input %d is absent", info->name, k);
    tk_tensor out[TK_OP_OUT] = {{0}};
    TK_TRY(tk_op_shape(c, out));
    for (int k = 0; k < info->n_out; k++)
        if (out[k].ndim && (!tk_present(&c->out[k]) || !same_extent(&c->out[k], &out[k]) ||
                            c->out[k].dtype != out[k].dtype))
            return tk_op_wrong(c, "output", k, &c->out[k], &out[k]);
    TK_TRY(dispatch_call(d, c, false));
    tk_alive();
    return TK_OK;
}

tk_status tk_op_backward(tk_device *d, const tk_call *c)
{
    const tk_op_info *info = &tk_op_table[c->op];
    int wanted = 0;
    for (int k = 0; k < info->n_in; k++) {
        if (!c->din[k].data) continue;
        if (!(info->grads >> k & 1))
            return TK_FAIL(TK_INTERNAL, "operator %s: input %d has no gradient", info->name, k);
        if (c->in[k].ndim && !same_extent(&c->din[k], &c->in[k]))
            return tk_op_wrong(c, "gradient of input", k, &c->din[k], &c->in[k]);
        wanted++;
    }
    // A rank that holds no rows of a collective takes part in it all the same; and so does one that
    // wants what is gathered for later.
    const bool gathers = c->op == TK_OP_LINEAR_SCATTER && tk_present(&c->dout[1]);
    if (!wanted && !gathers && !(c->comm && tk_present(&c->din[0]))) return TK_OK;
    if (!tk_present(&c->dout[0]))
        return TK_FAIL(TK_INTERNAL, "operator %s: no gradient of its output", info->name);
    TK_TRY(tk_op_gradient_types(c));
    TK_TRY(dispatch_call(d, c, true));
    tk_alive();
    return TK_OK;
}
