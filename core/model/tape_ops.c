// SPDX-License-Identifier: Apache-2.0
// The operators as functions of values: run now, remember for backward.
#include "core/model/tape_internal.h"
#include <string.h>

// Data of v is read by a backward to come (of a view: the data it looks at).
static void need(tk_value *v)
{
    for (; v; v = v->of) v->needed = true;
}

static tk_status remember(tk_tape *t, const tk_call *c, tk_value *const in[], tk_value *const out[])
{
    const tk_op_info *info = &tk_op_table[c->op];
    bool wants = false;
    for (int k = 0; k < info->n_in; k++)
        wants |= in[k] && in[k]->wants_grad && (info->grads >> k & 1);
    if (t->mode != TK_TAPE_RECORD || !wants) return TK_OK;
    tk_node *n = tk_tape_node(t);
    if (!n) return t->status;
    n->call = *c;
    n->n_in = info->n_in;
    for (int k = 0; k < info->n_in; k++) {
        n->in[k] = in[k];
        if (in[k] && (info->needs_in >> k & 1)) need(in[k]);
    }
    for (int k = 0; k < info->n_out; k++) {
        n->out[k] = out[k];
        if (!out[k]) continue;
        out[k]->wants_grad = true;
        if (info->needs_out >> k & 1) need(out[k]);
    }
    return TK_OK;
}

// Output k of a call, in memory of its own. sends: it goes to other ranks.
static tk_status new_output(tk_tape *t, tk_call *c, int k, const tk_tensor *shape, bool sends,
                            tk_value **out)
{
    const tk_op_info *info = &tk_op_table[c->op];
    const bool moves = sends || (info->filled >> k & 1);
    TK_TRY((moves ? tk_device_new_sent : tk_device_new_for)(
        t->device, TK_FOR_ACTIVATIONS, shape->dtype, tk_rows(shape), tk_cols(shape), &c->out[k]));
    *out = tk_tape_value(t, c->out[k]);
    if (!*out) tk_device_free(t->device, &c->out[k]);
    if (!*out) return t->status;
    (*out)->owned = true;
    (*out)->sent_grad = info->sent_grads >> k & 1;
    return TK_OK;
}

static tk_status run_call(tk_tape *t, tk_call *c, tk_value *const in[], tk_value *out[])
{
    const tk_op_info *info = &tk_op_table[c->op];
    const bool sends = t->sends;
    t->sends = false;
    for (int k = 0; k < info->n_in; k++)
        if (in[k]) c->in[k] = in[k]->t;
    tk_tensor shape[TK_OP_OUT] = {{0}};
    TK_TRY(tk_op_shape(c, shape));
    t->device->op = info->name;
    for (int k = 0; k < info->n_out; k++)
        if (shape[k].ndim) TK_TRY(new_output(t, c, k, &shape[k], sends, &out[k]));
    TK_TRY(tk_op_forward(t->device, c));
    return remember(t, c, in, out);
}

// Runs call `c` on the values; NULLs when the tape has failed or fails, or a required one is
// absent.
static void apply_for(tk_tape *t, tk_call c, tk_value *const in[TK_OP_IN], tk_value *out[TK_OP_OUT])
{
    for (int k = 0; k < TK_OP_OUT; k++) out[k] = NULL;
    if (t->status != TK_OK) return;
    const tk_status s = run_call(t, &c, in, out);
    if (s == TK_OK) return;
    tk_tape_fail(t, tk_trace(s, __FILE__, __LINE__, __func__));
    for (int k = 0; k < TK_OP_OUT; k++) out[k] = NULL;
}

static tk_value *apply_to(tk_tape *t, tk_call c, tk_value *const in[TK_OP_IN])
{
    tk_value *out[TK_OP_OUT];
    apply_for(t, c, in, out);
    return out[0];
}

static tk_value *apply(tk_tape *t, tk_call c, tk_value *a, tk_value *b, tk_value *d, tk_value *e)
{
    return apply_to(t, c, (tk_value *[TK_OP_IN]){a, b, d, e});
}

tk_value *tk_linear(tk_tape *t, tk_value *x, tk_value *w, tk_value *b)
{
    return apply(t, (tk_call){.op = TK_OP_LINEAR}, x, w, b, NULL);
}

tk_value *tk_rms_norm(tk_tape *t, tk_value *x, tk_value *w, double eps)
{
    if (t->status != TK_OK) return NULL;
    return apply(t, (tk_call){.op = TK_OP_RMS_NORM, .i = {tk_count(&w->t)}, .f = {eps}}, x, w, NULL,
                 NULL);
}

tk_value *tk_modulate(tk_tape *t, tk_value *x, tk_value *w, tk_value *table, tk_value *index,
                      int64_t shift_col, int64_t scale_col, double eps)
{
    return apply(t, (tk_call){.op = TK_OP_MODULATE, .i = {shift_col, scale_col}, .f = {eps}}, x, w,
                 table, index);
}

tk_value *tk_gate_add(tk_tape *t, tk_value *x, tk_value *y, tk_value *table, tk_value *index,
                      int64_t gate_col)
{
    return apply(t, (tk_call){.op = TK_OP_GATE_ADD, .i = {gate_col}}, x, y, table, index);
}

tk_value *tk_add(tk_tape *t, tk_value *a, tk_value *b)
{
    return apply(t, (tk_call){.op = TK_OP_ADD}, a, b, NULL, NULL);
}

tk_value *tk_silu(tk_tape *t, tk_value *x)
{
    return apply(t, (tk_call){.op = TK_OP_SILU}, x, NULL, NULL, NULL);
}

tk_value *tk_swiglu(tk_tape *t, tk_value *x)
{
    return apply(t, (tk_call){.op = TK_OP_SWIGLU}, x, NULL, NULL, NULL);
}

tk_value *tk_norm_rope(tk_tape *t, tk_value *x, tk_value *w, double eps, tk_value *cos,
                       tk_value *sin)
{
    if (t->status != TK_OK) return NULL;
    return apply(t, (tk_call){.op = TK_OP_NORM_ROPE, .i = {tk_count(&w->t)}, .f = {eps}}, x, w, cos,
                 sin);
}

tk_value *tk_attention(tk_tape *t, tk_value *q, tk_value *k, tk_value *v, const tk_documents *docs,
                       int64_t head_dim, double scale)
{
    const tk_call c = {.op = TK_OP_ATTENTION,
                       .i = {head_dim, docs->longest_ask, docs->longest_asked, docs->products,
                             docs->count, docs->filled},
                       .f = {scale}};
    return apply_to(t, c, (tk_value *[TK_OP_IN]){q, k, v, docs->ask, docs->asked});
}

tk_value *tk_pick(tk_tape *t, tk_value *a, tk_value *b, tk_value *c, tk_value *index)
{
    return apply(t, (tk_call){.op = TK_OP_PICK}, a, b, c, index);
}

static tk_value *record_collective(tk_tape *t, tk_op op, tk_value *x, tk_device_comm *comm,
                                   const int64_t *counts)
{
    if (comm->size == 1) return x;
    return apply(t, (tk_call){.op = op, .comm = comm, .counts = counts}, x, NULL, NULL, NULL);
}

tk_value *tk_gather_rows(tk_tape *t, tk_value *x, tk_device_comm *comm, const int64_t *counts)
{
    return record_collective(t, TK_OP_GATHER_ROWS, x, comm, counts);
}

tk_value *tk_gather_cols(tk_tape *t, tk_value *x, tk_device_comm *comm, const int64_t *counts)
{
    return record_collective(t, TK_OP_GATHER_COLS, x, comm, counts);
}

static tk_call call_of_rows(tk_op op, tk_device_comm *comm, const int64_t *counts)
{
    return (tk_call){
        .op = op, .i = {comm->row_pieces, comm->beside}, .comm = comm, .counts = counts};
}

void tk_gather_linear(tk_tape *t, tk_value *x, tk_device_comm *comm, const int64_t *counts,
                      tk_value *const w[], int n, tk_value *y[])
{
    tk_value *in[TK_OP_IN] = {x}, *out[TK_OP_OUT];
    if (comm->size == 1) {
        for (int k = 0; k < n; k++) y[k] = tk_linear(t, x, w[k], NULL);
        return;
    }
    for (int k = 0; k < n; k++) in[1 + k] = w[k];
    apply_for(t, call_of_rows(TK_OP_GATHER_LINEAR, comm, counts), in, out);
    for (int k = 0; k < n; k++) y[k] = out[k];
}

tk_value *tk_linear_scatter(tk_tape *t, tk_value *x, tk_value *w, tk_device_comm *comm,
                            const int64_t *counts)
{
    if (comm->size == 1) return tk_linear(t, x, w, NULL);
    return apply(t, call_of_rows(TK_OP_LINEAR_SCATTER, comm, counts), x, w, NULL, NULL);
}

tk_value *tk_squared_error(tk_tape *t, tk_value *pred, tk_value *target, tk_value *weight)
{
    return apply(t, (tk_call){.op = TK_OP_SQUARED_ERROR}, pred, target, weight, NULL);
}

tk_value *tk_sinusoid(tk_tape *t, tk_value *x, int64_t features)
{
    return apply(t, (tk_call){.op = TK_OP_SINUSOID, .i = {features}}, x, NULL, NULL, NULL);
}

tk_value *tk_cast(tk_tape *t, tk_value *x, tk_dtype type)
{
    if (t->status != TK_OK || x->t.dtype == type) return x;
    return apply(t, (tk_call){.op = TK_OP_CAST}, x, NULL, NULL, NULL);
}

tk_value *tk_reshape(tk_tape *t, tk_value *x, int64_t rows, int64_t cols)
{
    if (t->status != TK_OK) return NULL;
    tk_value *v = tk_tape_value(t, tk_tensor_reshape(x->t, rows, cols));
    if (!v) return NULL;
    v->of = x;
    if (t->mode != TK_TAPE_RECORD || !x->wants_grad) return v;
    tk_node *n = tk_tape_node(t);
    if (!n) return NULL;
    // Backward of a view is that of an addition with nothing: the gradient goes through as it is.
    n->call = (tk_call){.op = TK_OP_ADD, .in = {x->t, x->t}, .out = {x->t}};
    n->in[0] = x;
    n->out[0] = v;
    n->n_in = 1;
    v->wants_grad = true;
    return v;
}
