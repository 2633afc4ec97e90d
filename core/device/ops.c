// SPDX-License-Identifier: Apache-2.0
// The operator table (shapes, FLOPs, what a backward reads) and the dispatch to a device.
#include "core/device/ops.h"
#include "core/base/log.h"

// ---- shape checks ----------------------------------------------------------------------------

static tk_status wrong(const tk_call *c, const char *what, int k, const tk_tensor *got,
                       const tk_tensor *wanted)
{
    char a[80], b[80];
    tk_tensor_print_shape(got, a, sizeof a);
    tk_tensor_print_shape(wanted, b, sizeof b);
    return TK_FAIL(TK_INTERNAL, "operator %s: %s %d is %s, should be %s", tk_op_table[c->op].name,
                   what, k, a, b);
}

// Input k, if given, is (rows, cols) of type t.
static tk_status want(const tk_call *c, int k, tk_dtype t, int64_t rows, int64_t cols)
{
    const tk_tensor *x = &c->in[k];
    if (!tk_present(x)) return TK_OK; // tk_op_forward has checked that it may be absent
    tk_tensor w = tk_tensor_2d(NULL, t, rows, cols);
    if (x->dtype != t || tk_rows(x) != rows || tk_cols(x) != cols)
        return wrong(c, "input", k, x, &w);
    return TK_OK;
}

// Input k, if given, has n elements of type t, as (n), (n, 1) or (1, n).
static tk_status want_vector(const tk_call *c, int k, tk_dtype t, int64_t n)
{
    const tk_tensor *x = &c->in[k];
    if (!tk_present(x)) return TK_OK;
    tk_tensor w = tk_tensor_1d(NULL, t, n);
    if (x->dtype != t || tk_count(x) != n) return wrong(c, "input", k, x, &w);
    return TK_OK;
}

static tk_status want_f32(const tk_call *c, int k)
{
    const tk_tensor *x = &c->in[k];
    return want(c, k, TK_F32, tk_rows(x), tk_cols(x));
}

static tk_status want_attr(const tk_call *c, bool ok, const char *rule)
{
    if (ok) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "operator %s: %s does not hold", tk_op_table[c->op].name, rule);
}

static tk_tensor f32(int64_t rows, int64_t cols)
{
    return tk_tensor_2d(NULL, TK_F32, rows, cols);
}

static tk_tensor shape_of(const tk_tensor *x, tk_dtype t)
{
    tk_tensor s = *x;
    s.data = NULL;
    s.dtype = t;
    return s;
}

static tk_status shape_linear(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0], *w = &c->in[1];
    TK_TRY(want_f32(c, 0));
    TK_TRY(want(c, 1, w->dtype == TK_BF16 ? TK_BF16 : TK_F32, tk_rows(w), tk_cols(x)));
    TK_TRY(want_vector(c, 2, TK_F32, tk_rows(w)));
    out[0] = f32(tk_rows(x), tk_rows(w));
    return TK_OK;
}

static tk_status shape_rms_norm(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want_f32(c, 0));
    TK_TRY(want_attr(c, c->i[0] > 0 && tk_cols(x) % c->i[0] == 0, "i[0] divides the columns"));
    TK_TRY(want_vector(c, 1, TK_F32, c->i[0]));
    out[0] = shape_of(x, TK_F32);
    return TK_OK;
}

static tk_status shape_modulate(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    int64_t channels = tk_cols(x), width = tk_cols(&c->in[2]);
    TK_TRY(want_f32(c, 0));
    TK_TRY(want_vector(c, 1, TK_F32, channels));
    TK_TRY(want_f32(c, 2));
    TK_TRY(want_vector(c, 3, TK_I32, tk_rows(x)));
    TK_TRY(want_attr(c,
                     c->i[0] >= 0 && c->i[1] >= 0 && c->i[0] + channels <= width &&
                         c->i[1] + channels <= width,
                     "shift and scale lie inside the table"));
    out[0] = shape_of(x, TK_F32);
    return TK_OK;
}

static tk_status shape_gate_add(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want_f32(c, 0));
    TK_TRY(want(c, 1, TK_F32, tk_rows(x), tk_cols(x)));
    TK_TRY(want_f32(c, 2));
    TK_TRY(want_vector(c, 3, TK_I32, tk_rows(x)));
    TK_TRY(want_attr(c, c->i[0] >= 0 && c->i[0] + tk_cols(x) <= tk_cols(&c->in[2]),
                     "the gate lies inside the table"));
    out[0] = shape_of(x, TK_F32);
    return TK_OK;
}

static tk_status shape_add(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want_f32(c, 0));
    TK_TRY(want(c, 1, TK_F32, tk_rows(x), tk_cols(x)));
    out[0] = shape_of(x, TK_F32);
    return TK_OK;
}

static tk_status shape_same(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_f32(c, 0));
    out[0] = shape_of(&c->in[0], TK_F32);
    return TK_OK;
}

static tk_status shape_swiglu(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_f32(c, 0));
    TK_TRY(want_attr(c, tk_cols(&c->in[0]) % 2 == 0, "an even number of columns"));
    out[0] = f32(tk_rows(&c->in[0]), tk_cols(&c->in[0]) / 2);
    return TK_OK;
}

static tk_status shape_rope(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0], *cos = &c->in[1];
    TK_TRY(want_f32(c, 0));
    TK_TRY(want(c, 1, TK_F32, tk_rows(x), tk_cols(cos)));
    TK_TRY(want(c, 2, TK_F32, tk_rows(x), tk_cols(cos)));
    TK_TRY(want_attr(c, c->i[0] > 0 && tk_cols(x) % c->i[0] == 0, "head_dim divides the columns"));
    TK_TRY(want_attr(c, 2 * tk_cols(cos) <= c->i[0], "twice the table's columns <= head_dim"));
    out[0] = shape_of(x, TK_F32);
    return TK_OK;
}

static tk_status shape_attention(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t n = tk_rows(&c->in[0]), channels = tk_cols(&c->in[0]);
    TK_TRY(want_f32(c, 0));
    const int64_t asked = tk_rows(&c->in[1]);
    TK_TRY(want(c, 1, TK_F32, asked, channels));
    TK_TRY(want(c, 2, TK_F32, asked, channels));
    TK_TRY(want_vector(c, 3, TK_I32, c->i[4] + 1));
    TK_TRY(want_vector(c, 4, TK_I32, c->i[4] + 1));
    TK_TRY(want_attr(c, c->i[0] > 0 && channels % c->i[0] == 0, "head_dim divides the columns"));
    TK_TRY(want_attr(c, c->i[1] >= 0 && c->i[1] <= n && c->i[2] >= 0 && c->i[2] <= asked,
                     "longest document <= rows"));
    out[0] = f32(n, channels);
    out[1] = f32(n, channels / c->i[0]);
    return TK_OK;
}

static tk_status shape_pick(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t channels = -1;
    for (int k = 0; k < 3; k++) {
        if (!tk_present(&c->in[k])) continue;
        if (channels < 0) channels = tk_cols(&c->in[k]);
        TK_TRY(want(c, k, TK_F32, tk_rows(&c->in[k]), channels));
    }
    TK_TRY(want_attr(c, channels >= 0, "at least one source"));
    TK_TRY(want(c, 3, TK_I32, tk_rows(&c->in[3]), 2));
    out[0] = f32(tk_rows(&c->in[3]), channels);
    return TK_OK;
}

static int64_t sum_counts(const tk_call *c)
{
    int64_t n = 0;
    for (int r = 0; r < c->comm->size; r++) n += c->counts[r];
    return n;
}

static tk_status shape_gather_rows(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t channels = tk_cols(&c->in[0]);
    TK_TRY(want(c, 0, TK_F32, c->counts[c->comm->rank], channels));
    out[0] = f32(sum_counts(c), channels);
    return TK_OK;
}

static tk_status shape_scatter_sum(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t channels = tk_cols(&c->in[0]);
    TK_TRY(want(c, 0, TK_F32, sum_counts(c), channels));
    out[0] = f32(c->counts[c->comm->rank], channels);
    return TK_OK;
}

static tk_status shape_gather_cols(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t n = tk_rows(&c->in[0]);
    TK_TRY(want(c, 0, TK_F32, n, c->counts[c->comm->rank]));
    out[0] = f32(n, sum_counts(c));
    return TK_OK;
}

static tk_status shape_squared_error(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want_f32(c, 0));
    TK_TRY(want(c, 1, TK_F32, tk_rows(x), tk_cols(x)));
    TK_TRY(want_vector(c, 2, TK_F32, tk_rows(x)));
    out[0] = tk_tensor_1d(NULL, TK_F32, 1);
    return TK_OK;
}

static tk_status shape_normal(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want(c, 0, TK_I32, tk_rows(&c->in[0]), 2));
    out[0] = f32(tk_rows(&c->in[0]), tk_cols(&c->out[0]));
    return TK_OK;
}

static tk_status shape_noise(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want_f32(c, 0));
    TK_TRY(want(c, 1, TK_F32, tk_rows(x), tk_cols(x)));
    TK_TRY(want_vector(c, 2, TK_F32, tk_rows(x)));
    out[0] = out[1] = shape_of(x, TK_F32);
    return TK_OK;
}

static tk_status shape_sinusoid(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_vector(c, 0, TK_F32, tk_count(&c->in[0])));
    TK_TRY(want_attr(c, c->i[0] >= 0 && c->i[0] % 2 == 0, "an even number of features"));
    out[0] = f32(tk_count(&c->in[0]), c->i[0]);
    return TK_OK;
}

static tk_status shape_rope_table(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want(c, 0, TK_F32, tk_rows(&c->in[0]), 3));
    TK_TRY(want_attr(c, c->i[0] >= 0, "frequencies >= 0"));
    out[0] = out[1] = f32(tk_rows(&c->in[0]), 3 * c->i[0]);
    return TK_OK;
}

static tk_status shape_euler(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want_f32(c, 0));
    TK_TRY(want(c, 1, TK_F32, tk_rows(x), tk_cols(x)));
    TK_TRY(want_vector(c, 2, TK_F32, tk_rows(x)));
    out[0] = shape_of(x, TK_F32);
    return TK_OK;
}

static tk_status shape_adamw(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t n = tk_count(&c->in[0]);
    TK_TRY(want_f32(c, 0));
    TK_TRY(want_vector(c, 1, TK_F32, n));
    TK_TRY(want_vector(c, 2, TK_F32, 1));
    TK_TRY(want_attr(c, c->f[5] >= 1, "step >= 1"));
    for (int k = 0; k < 3; k++) out[k] = shape_of(&c->in[0], TK_F32);
    return TK_OK;
}

static tk_status shape_scalar(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_f32(c, 0));
    TK_TRY(want_vector(c, 1, TK_F32, tk_count(&c->in[0])));
    out[0] = tk_tensor_1d(NULL, TK_F32, 1);
    return TK_OK;
}

static tk_status shape_clip_scale(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_vector(c, 0, TK_F32, 1));
    out[0] = tk_tensor_1d(NULL, TK_F32, 1);
    return TK_OK;
}

static tk_status shape_cast(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want_attr(c, x->dtype != TK_I32, "the input is f32 or bf16"));
    out[0] = shape_of(x, x->dtype == TK_F32 ? TK_BF16 : TK_F32);
    return TK_OK;
}

// ---- FLOPs -----------------------------------------------------------------------------------

static double flops_linear(const tk_call *c)
{
    // from the weight's shape and whatever rows are at hand: backward may lack x or w
    const tk_tensor *w = c->in[1].ndim ? &c->in[1] : &c->din[1];
    const tk_tensor *y = c->dout[0].ndim ? &c->dout[0] : &c->out[0];
    int64_t rows = y->ndim ? tk_rows(y) : tk_rows(&c->in[0]);
    return 2.0 * (double)rows * (double)tk_rows(w) * (double)tk_cols(w);
}

static double flops_attention(const tk_call *c)
{
    return 4.0 * (double)c->i[3] * (double)tk_cols(&c->in[0]);
}

// ---- the table -------------------------------------------------------------------------------

enum { B0 = 1, B1 = 2, B2 = 4, B3 = 8, B4 = 16 };

const tk_op_info tk_op_table[TK_OP_COUNT] = {
    // name, inputs, outputs, optional, gradients, backward reads in, out
    [TK_OP_LINEAR] = {"linear", 3, 1, B2, B0 | B1 | B2, B0 | B1, 0, shape_linear, flops_linear},
    [TK_OP_RMS_NORM] = {"rms_norm", 2, 1, B1, B0 | B1, B0 | B1, 0, shape_rms_norm, NULL},
    [TK_OP_MODULATE] = {"modulate", 4, 1, B1, B0 | B1 | B2, B0 | B1 | B2 | B3, 0, shape_modulate,
                        NULL},
    [TK_OP_GATE_ADD] = {"gate_add", 4, 1, 0, B0 | B1 | B2, B1 | B2 | B3, 0, shape_gate_add, NULL},
    [TK_OP_ADD] = {"add", 2, 1, 0, B0 | B1, 0, 0, shape_add, NULL},
    [TK_OP_SILU] = {"silu", 1, 1, 0, B0, B0, 0, shape_same, NULL},
    [TK_OP_SWIGLU] = {"swiglu", 1, 1, 0, B0, B0, 0, shape_swiglu, NULL},
    [TK_OP_ROPE] = {"rope", 3, 1, 0, B0, B1 | B2, 0, shape_rope, NULL},
    [TK_OP_ATTENTION] = {"attention", 5, 2, 0, B0 | B1 | B2, B0 | B1 | B2 | B3 | B4, B0 | B1,
                         shape_attention, flops_attention},
    [TK_OP_PICK] = {"pick", 4, 1, B0 | B1 | B2, B0 | B1 | B2, B3, 0, shape_pick, NULL},
    [TK_OP_GATHER_ROWS] = {"gather_rows", 1, 1, 0, B0, 0, 0, shape_gather_rows, NULL},
    [TK_OP_SCATTER_SUM] = {"scatter_sum", 1, 1, 0, B0, 0, 0, shape_scatter_sum, NULL},
    [TK_OP_GATHER_COLS] = {"gather_cols", 1, 1, 0, B0, 0, 0, shape_gather_cols, NULL},
    [TK_OP_SQUARED_ERROR] = {"squared_error", 3, 1, 0, B0, B0 | B1 | B2, 0, shape_squared_error,
                             NULL},
    [TK_OP_NORMAL] = {"normal", 1, 1, 0, 0, 0, 0, shape_normal, NULL},
    [TK_OP_NOISE] = {"noise", 3, 2, 0, 0, 0, 0, shape_noise, NULL},
    [TK_OP_SINUSOID] = {"sinusoid", 1, 1, 0, 0, 0, 0, shape_sinusoid, NULL},
    [TK_OP_ROPE_TABLE] = {"rope_table", 1, 2, 0, 0, 0, 0, shape_rope_table, NULL},
    [TK_OP_EULER] = {"euler", 3, 1, B1, 0, 0, 0, shape_euler, NULL},
    [TK_OP_ADAMW] = {"adamw", 3, 3, B1 | B2, 0, 0, 0, shape_adamw, NULL},
    [TK_OP_EMA] = {"ema", 1, 1, 0, 0, 0, 0, shape_same, NULL},
    [TK_OP_SUM_SQUARES] = {"sum_squares", 2, 1, B1, 0, 0, 0, shape_scalar, NULL},
    [TK_OP_CLIP_SCALE] = {"clip_scale", 1, 1, 0, 0, 0, 0, shape_clip_scale, NULL},
    [TK_OP_CAST] = {"cast", 1, 1, 0, 0, 0, 0, shape_cast, NULL},
};

// ---- dispatch --------------------------------------------------------------------------------

static tk_status run(tk_device *d, const tk_call *c, bool back)
{
    if (!tk_device_has(d, c, back))
        return TK_FAIL(TK_INTERNAL, "device %s has no %s %s", d->ops->name, tk_op_table[c->op].name,
                       back ? "backward" : "forward");
    TK_TRY(tk_device_run(d, c, back));
    if (!tk_device_computes(d) && c->comm && c->comm->size > 1)
        c->comm->bytes_sent += (int64_t)tk_bytes(back ? &c->dout[0] : &c->in[0]);
    return TK_OK;
}

static bool same_shape(const tk_tensor *a, const tk_tensor *b)
{
    if (a->dtype != b->dtype || tk_count(a) != tk_count(b)) return false;
    return a->ndim < 2 || b->ndim < 2 || tk_cols(a) == tk_cols(b);
}

tk_status tk_op_forward(tk_device *d, const tk_call *c)
{
    const tk_op_info *info = &tk_op_table[c->op];
    for (int k = 0; k < info->n_in; k++)
        if (!(info->optional >> k & 1) && !tk_present(&c->in[k]))
            return TK_FAIL(TK_INTERNAL, "operator %s: input %d is absent", info->name, k);
    tk_tensor out[TK_OP_OUT] = {{0}};
    TK_TRY(info->shape(c, out));
    for (int k = 0; k < info->n_out; k++)
        if (!tk_present(&c->out[k]) || !same_shape(&c->out[k], &out[k]))
            return wrong(c, "output", k, &c->out[k], &out[k]);
    TK_TRY(run(d, c, false));
    tk_alive();
    if (info->flops) d->flops += info->flops(c);
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
        if (c->din[k].dtype != TK_F32 || (c->in[k].ndim && !same_shape(&c->din[k], &c->in[k])))
            return wrong(c, "gradient of input", k, &c->din[k], &c->in[k]);
        wanted++;
    }
    // A rank that holds no rows of a collective takes part in it all the same.
    if (!wanted && !(c->comm && tk_present(&c->din[0]))) return TK_OK;
    if (!tk_present(&c->dout[0]))
        return TK_FAIL(TK_INTERNAL, "operator %s: no gradient of its output", info->name);
    TK_TRY(run(d, c, true));
    tk_alive();
    if (info->flops && c->op == TK_OP_LINEAR)
        d->flops += info->flops(c) * ((c->din[0].data != NULL) + (c->din[1].data != NULL));
    else if (info->flops) // attention: two matrix products forward, four backward
        d->flops += 2 * info->flops(c);
    return TK_OK;
}
