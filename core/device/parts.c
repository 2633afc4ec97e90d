// SPDX-License-Identifier: Apache-2.0
// Fused operators as calls of their parts, which are operators too. This is also what they mean: to
// the bit where a device runs them so.
#include "core/device/ops_impl.h"

bool tk_op_has_parts(tk_op op)
{
    return op == TK_OP_NORM_ROPE;
}

// RMS_NORM, then ROPE; `between` is what the one gives the other, or its gradient.
static tk_status norm_rope(tk_device *d, const tk_call *c, bool back, const tk_tensor *between)
{
    tk_call norm = {
        .op = TK_OP_RMS_NORM, .in = {c->in[0], c->in[1]}, .i = {c->i[0]}, .f = {c->f[0]}};
    tk_call turn = {.op = TK_OP_ROPE, .in = {*between, c->in[2], c->in[3]}, .i = {c->i[0]}};
    if (!back) {
        norm.out[0] = *between;
        turn.out[0] = c->out[0];
        TK_TRY(tk_op_forward(d, &norm));
        return tk_op_forward(d, &turn);
    }
    turn.in[0] = (tk_tensor){0};
    turn.dout[0] = c->dout[0];
    turn.din[0] = *between;
    norm.dout[0] = *between;
    for (int k = 0; k < 2; k++) {
        norm.din[k] = c->din[k];
        norm.add[k] = c->add[k];
    }
    TK_TRY(tk_op_backward(d, &turn));
    return tk_op_backward(d, &norm);
}

tk_status tk_op_by_parts(tk_device *d, const tk_call *c, bool back)
{
    const tk_tensor *x = &c->in[0];
    tk_tensor between;
    TK_TRY(tk_device_new(d, x->dtype, tk_rows(x), tk_cols(x), &between));
    const tk_status st = norm_rope(d, c, back, &between);
    tk_device_free(d, &between);
    TK_TRY(st);
    return TK_OK;
}
