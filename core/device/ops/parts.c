// SPDX-License-Identifier: Apache-2.0
// Fused operators as calls of their parts, which are operators too. This is also what they mean: to
// the bit where a device runs them so.
#include "core/device/ops/impl.h"

bool tk_op_has_parts(tk_op op)
{
    return op == TK_OP_NORM_ROPE;
}

// RMS_NORM, then ROPE.
void tk_op_parts(const tk_call *c, bool back, const tk_tensor *between, tk_call part[TK_PARTS_MOST])
{
    tk_call norm = {
        .op = TK_OP_RMS_NORM, .in = {c->in[0], c->in[1]}, .i = {c->i[0]}, .f = {c->f[0]}};
    tk_call turn = {.op = TK_OP_ROPE, .in = {*between, c->in[2], c->in[3]}, .i = {c->i[0]}};
    if (!back) {
        norm.out[0] = *between;
        turn.out[0] = c->out[0];
    } else {
        turn.in[0] = (tk_tensor){0};
        turn.dout[0] = c->dout[0];
        turn.din[0] = *between;
        norm.dout[0] = *between;
        for (int k = 0; k < 2; k++) {
            norm.din[k] = c->din[k];
            norm.add[k] = c->add[k];
        }
    }
    part[back] = norm;
    part[!back] = turn;
}
