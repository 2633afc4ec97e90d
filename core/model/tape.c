// SPDX-License-Identifier: Apache-2.0
// The tape itself: values, nodes, segments and the backward walk. The operators' wrappers are in
// core/model/tape_ops.c.
#include "core/model/tape_internal.h"
#include <string.h>

void tk_tape_init(tk_tape *t, tk_device *d, tk_tape_mode mode)
{
    memset(t, 0, sizeof *t);
    t->device = d;
    t->mode = mode;
    tk_arena_init(&t->arena, 0);
}

// The shape stays: a gradient may yet be made after it.
static void drop_data(tk_tape *t, tk_value *v)
{
    tk_tensor data = v->t;
    if (!v->owned) return;
    tk_device_free(t->device, &data);
    v->t.data = NULL;
    v->owned = false;
}

static void drop_grad(tk_tape *t, tk_value *v)
{
    if (v->owns_grad) tk_device_free(t->device, &v->grad);
    v->owns_grad = v->grad_ready = false;
}

// Frees what the values made since `first` still hold and forgets them, but for those that are
// held.
static void drop_values(tk_tape *t, int first)
{
    int live = first;
    for (int i = first; i < t->n_values; i++) {
        tk_value *v = t->values[i];
        if (!v->data_held) drop_data(t, v);
        if (!v->grad_held) drop_grad(t, v);
        if (v->data_held || v->grad_held) t->values[live++] = v;
    }
    t->n_values = live;
}

// The data of v (of a view: of what it looks at) stays until let_go.
static void hold_data(tk_value *v)
{
    for (; v; v = v->of) v->data_held = true;
}

static void let_go(tk_tape *t)
{
    for (int i = 0; i < t->n_values; i++) t->values[i]->data_held = t->values[i]->grad_held = false;
    t->late = NULL;
}

void tk_tape_reset(tk_tape *t)
{
    let_go(t);
    drop_values(t, 0);
    t->last = NULL;
    t->status = TK_OK;
    tk_arena_reset(&t->arena);
}

void tk_tape_free(tk_tape *t)
{
    let_go(t);
    drop_values(t, 0);
    tk_arena_free(&t->arena);
    tk_free(t->values);
    memset(t, 0, sizeof *t);
}

tk_value *tk_tape_fail(tk_tape *t, tk_status s)
{
    if (t->status == TK_OK) t->status = s;
    return NULL;
}

tk_value *tk_tape_value(tk_tape *t, tk_tensor data)
{
    if (t->n_values == t->cap_values) {
        const int cap = t->cap_values ? 2 * t->cap_values : 256;
        tk_value **grown = tk_realloc(t->values, (size_t)t->cap_values * sizeof *grown,
                                      (size_t)cap * sizeof *grown);
        if (!grown) return tk_tape_fail(t, TK_FAIL(TK_MEMORY, "out of memory for the tape"));
        t->values = grown;
        t->cap_values = cap;
    }
    tk_value *v = tk_arena_alloc(&t->arena, sizeof *v);
    if (!v) return tk_tape_fail(t, TK_FAIL(TK_MEMORY, "out of memory for the tape"));
    v->t = data;
    t->values[t->n_values++] = v;
    return v;
}

tk_value *tk_leaf(tk_tape *t, tk_tensor data, const tk_tensor *grad)
{
    if (t->status != TK_OK) return NULL;
    tk_value *v = tk_tape_value(t, data);
    if (!v || !grad) return v;
    v->wants_grad = true;
    v->grad = *grad;
    v->grad_ready = grad->data != NULL;
    return v;
}

tk_value *tk_keep(tk_tape *t, tk_value *v)
{
    (void)t;
    if (v) v->kept = true;
    return v;
}

void tk_tape_done(tk_tape *t, tk_value *v)
{
    if (v && !v->kept && !v->needed) drop_data(t, v);
}

tk_node *tk_tape_node(tk_tape *t)
{
    tk_node *n = tk_arena_alloc(&t->arena, sizeof *n);
    if (!n) {
        tk_tape_fail(t, TK_FAIL(TK_MEMORY, "out of memory for the tape"));
        return NULL;
    }
    n->before = t->last;
    t->last = n;
    return n;
}

tk_value *tk_segment(tk_tape *t, tk_segment_fn fn, const void *ctx, tk_value *const in[], int n_in,
                     bool recompute)
{
    if (t->status != TK_OK) return NULL;
    const int first = t->n_values;
    const bool replay = recompute && t->mode == TK_TAPE_RECORD;
    const tk_tape_mode mode = t->mode;
    if (replay) t->mode = TK_TAPE_RUN;
    tk_value *out = fn(t, ctx, in, n_in);
    t->mode = mode;
    if (!out) return NULL;

    int live = first; // values that outlast the segment stay listed
    for (int i = first; i < t->n_values; i++) {
        tk_value *v = t->values[i];
        if (v != out && !v->kept && !v->needed) drop_data(t, v);
        if (v->owned || (mode == TK_TAPE_RECORD && !replay)) t->values[live++] = v;
    }
    t->n_values = live;
    if (!replay) return out;

    tk_node *n = tk_tape_node(t);
    if (!n) return NULL;
    n->segment = fn;
    n->ctx = ctx;
    n->n_in = n_in;
    for (int i = 0; i < n_in; i++) {
        n->in[i] = in[i];
        in[i]->needed = true;
    }
    n->out[0] = out;
    out->wants_grad = true;
    return out;
}

tk_tape *tk_to_send(tk_tape *t, bool sends)
{
    t->sends = sends;
    return t;
}

void tk_tape_mark(tk_tape *t, int mark)
{
    if (t->status != TK_OK) return;
    if (t->watch.reached) t->status = t->watch.reached(t->watch.ctx, mark);
    if (t->mode != TK_TAPE_RECORD || t->status != TK_OK) return;
    tk_node *n = tk_tape_node(t);
    if (!n) return;
    n->marks = true;
    n->mark = mark;
}

// The gradient of v as a tensor to write (*add false) or add (*add true) into.
static tk_status open_grad(tk_tape *t, tk_value *v, bool *add)
{
    *add = v->grad_ready;
    if (v->grad_ready) return TK_OK;
    if (!v->grad.data) {
        TK_TRY((v->sent_grad ? tk_device_new_sent : tk_device_new_for)(
            t->device, TK_FOR_ACTIVATIONS, v->t.dtype, tk_rows(&v->t), tk_cols(&v->t), &v->grad));
        v->owns_grad = true;
    }
    v->grad.ndim = v->t.ndim;
    memcpy(v->grad.dim, v->t.dim, sizeof v->grad.dim);
    v->grad_ready = true;
    return TK_OK;
}

// A node has run backward: its results and their gradients are of no more use.
static void close_outputs(tk_tape *t, tk_node *n)
{
    for (int k = 0; k < TK_OP_OUT; k++) {
        tk_value *v = n->out[k];
        if (!v) continue;
        if (!v->grad_held) drop_grad(t, v);
        if (!v->kept && !v->data_held) drop_data(t, v);
    }
}

// The gradients of the weights of one product, `c`, are made in the second half, of x and dy, which
// stay until then.
static tk_status make_later(tk_tape *t, const tk_call *c, tk_value *x, tk_value *dy)
{
    tk_node *late = tk_arena_alloc(&t->arena, sizeof *late);
    if (!late) return TK_FAIL(TK_MEMORY, "out of memory for the tape");
    *late = (tk_node){.before = t->late, .call = *c};
    late->call.din[0] = (tk_tensor){0};
    t->late = late;
    hold_data(x);
    dy->grad_held = true;
    return TK_OK;
}

// The same of weight k of `c`, whose product is of all ranks' rows x and has the gradient dy.
static tk_status make_of_rows_later(tk_tape *t, const tk_call *c, int k, tk_value *x, tk_value *dy)
{
    if (!c->din[k].data) return TK_OK; // perhaps there is no such weight
    const tk_call product = {.op = TK_OP_LINEAR,
                             .in = {x->t, c->in[k]},
                             .dout = {dy->grad},
                             .din = {{0}, c->din[k]},
                             .add = {false, c->add[k]}};
    return make_later(t, &product, x, dy);
}

// What the operator gives of all rows but keeps to itself gets a place for its gradient.
static tk_status put_products_off(tk_tape *t, const tk_node *n, tk_call *c)
{
    tk_value *dy = tk_tape_value(t, (tk_tensor){0});
    if (!dy) return t->status;
    TK_TRY(tk_device_new_sent(t->device, TK_FOR_ACTIVATIONS, c->dout[0].dtype, tk_rows(&c->in[0]),
                              tk_cols(&c->dout[0]), &dy->grad));
    dy->owns_grad = true;
    c->dout[1] = dy->grad;
    return make_of_rows_later(t, c, 1, n->in[0], dy);
}

// An operator with products whose weights get their gradients in the second half: now only its
// input does.
static tk_status put_off(tk_tape *t, const tk_node *n, tk_call *c)
{
    if (c->op == TK_OP_LINEAR) TK_TRY(make_later(t, c, n->in[0], n->out[0]));
    if (c->op == TK_OP_LINEAR_SCATTER) TK_TRY(put_products_off(t, n, c));
    for (int k = TK_GATHER_WEIGHTS; k > 0 && c->op == TK_OP_GATHER_LINEAR; k--)
        TK_TRY(make_of_rows_later(t, c, k, n->out[TK_GATHER_WEIGHTS], n->out[k - 1]));
    for (int k = 1; k < TK_OP_IN; k++) c->din[k] = (tk_tensor){0};
    return tk_op_backward(t->device, c);
}

static bool has_products(tk_op op)
{
    return op == TK_OP_LINEAR || op == TK_OP_GATHER_LINEAR || op == TK_OP_LINEAR_SCATTER;
}

static tk_status back_op(tk_tape *t, tk_node *n)
{
    const tk_op_info *info = &tk_op_table[n->call.op];
    tk_call c = n->call;
    t->device->op = info->name;
    if (n->out[0]->of) { // a view: its gradient is the viewed value's in another shape
        c.dout[0] = n->out[0]->grad;
        tk_tensor *d = &c.dout[0];
        d->ndim = n->in[0]->t.ndim;
        memcpy(d->dim, n->in[0]->t.dim, sizeof d->dim);
        TK_TRY(open_grad(t, n->in[0], &c.add[0]));
        c.din[0] = n->in[0]->grad;
        return tk_op_backward(t->device, &c);
    }
    for (int k = 0; k < info->n_out; k++)
        if (n->out[k] && n->out[k]->grad_ready) c.dout[k] = n->out[k]->grad;
    for (int k = 0; k < info->n_in; k++) {
        tk_value *v = n->in[k];
        if (!v || !v->wants_grad || !(info->grads >> k & 1)) continue;
        TK_TRY(open_grad(t, v, &c.add[k]));
        c.din[k] = v->grad;
    }
    if (t->splits && has_products(c.op) && c.din[1].data) return put_off(t, n, &c);
    return tk_op_backward(t->device, &c);
}

static tk_status pass_mark(tk_tape *t, int mark)
{
    return t->watch.passed ? t->watch.passed(t->watch.ctx, mark) : TK_OK;
}

// Gradients that were put off lie before it.
static tk_status put_off_mark(tk_tape *t, int mark)
{
    tk_node *late = tk_arena_alloc(&t->arena, sizeof *late);
    if (!late) return TK_FAIL(TK_MEMORY, "out of memory for the tape");
    *late = (tk_node){.before = t->late, .marks = true, .mark = mark};
    t->late = late;
    return TK_OK;
}

static tk_status walk_back(tk_tape *t, tk_node *last);

// Runs a segment's function again, recording, on fresh leaves that share the outer values' data and
// gradients, then backward through what it recorded.
static tk_status back_segment(tk_tape *t, tk_node *n)
{
    tk_node *const outer = t->last;
    const int first = t->n_values;
    tk_value *in[TK_SEGMENT_IN];
    t->last = NULL;
    for (int i = 0; i < n->n_in; i++) {
        in[i] = tk_leaf(t, n->in[i]->t, NULL);
        if (!in[i]) return t->status;
        in[i]->wants_grad = n->in[i]->wants_grad;
        in[i]->grad = n->in[i]->grad;
        in[i]->grad_ready = n->in[i]->grad_ready;
    }
    const double before = t->device->flops;
    tk_value *out = n->segment(t, n->ctx, in, n->n_in);
    t->replayed += t->device->flops - before;
    if (!out) return tk_trace(t->status, __FILE__, __LINE__, __func__);
    out->grad = n->out[0]->grad;
    out->grad_ready = true;
    TK_TRY(walk_back(t, t->last));
    n->out[0]->grad_held |= out->grad_held; // outer values share these
    for (int i = 0; i < n->n_in; i++)
        if (in[i]->data_held) hold_data(n->in[i]);
    for (int i = 0; i < n->n_in; i++) { // gradients made inside belong to the outer values
        if (!in[i]->owns_grad) continue;
        n->in[i]->grad = in[i]->grad;
        n->in[i]->owns_grad = n->in[i]->grad_ready = true;
        in[i]->owns_grad = in[i]->grad_ready = false;
    }
    drop_values(t, first);
    t->last = outer;
    return TK_OK;
}

static tk_status walk_back(tk_tape *t, tk_node *last)
{
    for (tk_node *n = last; n; n = n->before) {
        bool reached = false;
        if (n->marks) TK_TRY(t->splits ? put_off_mark(t, n->mark) : pass_mark(t, n->mark));
        for (int k = 0; k < TK_OP_OUT; k++) reached |= n->out[k] && n->out[k]->grad_ready;
        if (reached) TK_TRY(n->segment ? back_segment(t, n) : back_op(t, n));
        close_outputs(t, n);
    }
    return TK_OK;
}

static tk_status seed(tk_tape *t, tk_value *root, const tk_tensor *dy)
{
    static const float one = 1;
    bool add;
    if (!root) return TK_FAIL(TK_INTERNAL, "backward from a value that is not there");
    TK_TRY(open_grad(t, root, &add));
    if (add) return TK_FAIL(TK_INTERNAL, "backward was seeded twice at one value");
    if (dy->data && (dy->dtype != root->grad.dtype || tk_count(dy) != tk_count(&root->t)))
        return TK_FAIL(TK_INTERNAL, "backward starts from a gradient of another shape or type");
    if (dy->data) return tk_device_copy(t->device, root->grad.data, dy->data, tk_bytes(dy));
    if (tk_count(&root->t) != 1 || root->t.dtype != TK_F32)
        return TK_FAIL(TK_INTERNAL, "backward needs a gradient to start from");
    return tk_device_upload(t->device, root->grad.data, &one, sizeof one);
}

tk_status tk_tape_backward(tk_tape *t, int n, tk_value *const root[], const tk_tensor dy[])
{
    TK_TRY(t->status);
    for (int i = 0; i < n; i++) TK_TRY(seed(t, root[i], &dy[i]));
    TK_TRY(walk_back(t, t->last));
    t->last = NULL;
    return TK_OK;
}

tk_status tk_tape_backward_inputs(tk_tape *t, int n, tk_value *const root[], const tk_tensor dy[])
{
    t->splits = true;
    const tk_status st = tk_tape_backward(t, n, root, dy);
    t->splits = false;
    return st;
}

tk_status tk_tape_backward_weights(tk_tape *t)
{
    tk_node *next = NULL; // the order in which they were met
    for (tk_node *n = t->late, *before; n; n = before) {
        before = n->before;
        n->before = next;
        next = n;
    }
    for (; next; next = next->before)
        TK_TRY(next->marks ? pass_mark(t, next->mark) : tk_op_backward(t->device, &next->call));
    let_go(t);
    return TK_OK;
}
