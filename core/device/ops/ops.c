// SPDX-License-Identifier: Apache-2.0
// The operator table: shapes, types, FLOPs, what a backward reads. (Calls: call.c; what does them:
// dispatch.c.)
#include "core/device/ops/impl.h"

// ---- shape checks ----------------------------------------------------------------------------

tk_status tk_op_wrong(const tk_call *c, const char *what, int k, const tk_tensor *got,
                      const tk_tensor *wanted)
{
    char a[80], b[80];
    tk_tensor_print_shape(got, a, sizeof a);
    tk_tensor_print_shape(wanted, b, sizeof b);
    return TK_FAIL(TK_INTERNAL, "operator %s: %s %d is %s, should be %s", tk_op_table[c->op].name,
                   what, k, a, b);
}

// Input k, if given, is (rows, cols).
static tk_status want(const tk_call *c, int k, int64_t rows, int64_t cols)
{
    const tk_tensor *x = &c->in[k];
    if (!tk_present(x)) return TK_OK; // tk_op_forward has checked that it may be absent
    tk_tensor w = tk_tensor_2d(NULL, x->dtype, rows, cols);
    if (tk_rows(x) != rows || tk_cols(x) != cols) return tk_op_wrong(c, "input", k, x, &w);
    return TK_OK;
}

// Input k, if given, has n elements, as (n), (n, 1) or (1, n).
static tk_status want_vector(const tk_call *c, int k, int64_t n)
{
    const tk_tensor *x = &c->in[k];
    if (!tk_present(x)) return TK_OK;
    tk_tensor w = tk_tensor_1d(NULL, x->dtype, n);
    if (tk_count(x) != n) return tk_op_wrong(c, "input", k, x, &w);
    return TK_OK;
}

static tk_status want_attr(const tk_call *c, bool ok, const char *rule)
{
    if (ok) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "operator %s: %s does not hold", tk_op_table[c->op].name, rule);
}

static tk_tensor matrix(int64_t rows, int64_t cols)
{
    return tk_tensor_2d(NULL, TK_F32, rows, cols);
}

static tk_tensor shape_of(const tk_tensor *x)
{
    tk_tensor s = *x;
    s.data = NULL;
    return s;
}

static tk_status shape_linear(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0], *w = &c->in[1];
    TK_TRY(want(c, 1, tk_rows(w), tk_cols(x)));
    TK_TRY(want_vector(c, 2, tk_rows(w)));
    out[0] = matrix(tk_rows(x), tk_rows(w));
    return TK_OK;
}

static tk_status shape_rms_norm(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want_attr(c, c->i[0] > 0 && tk_cols(x) % c->i[0] == 0, "i[0] divides the columns"));
    TK_TRY(want_vector(c, 1, c->i[0]));
    out[0] = shape_of(x);
    return TK_OK;
}

static tk_status shape_modulate(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    int64_t channels = tk_cols(x), width = tk_cols(&c->in[2]);
    TK_TRY(want_vector(c, 1, channels));
    TK_TRY(want_vector(c, 3, tk_rows(x)));
    TK_TRY(want_attr(c,
                     c->i[0] >= 0 && c->i[1] >= 0 && c->i[0] + channels <= width &&
                         c->i[1] + channels <= width,
                     "shift and scale lie inside the table"));
    out[0] = shape_of(x);
    return TK_OK;
}

static tk_status shape_gate_add(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want(c, 1, tk_rows(x), tk_cols(x)));
    TK_TRY(want_vector(c, 3, tk_rows(x)));
    TK_TRY(want_attr(c, c->i[0] >= 0 && c->i[0] + tk_cols(x) <= tk_cols(&c->in[2]),
                     "the gate lies inside the table"));
    out[0] = shape_of(x);
    return TK_OK;
}

static tk_status shape_add(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want(c, 1, tk_rows(x), tk_cols(x)));
    out[0] = shape_of(x);
    return TK_OK;
}

static tk_status shape_same(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    out[0] = shape_of(&c->in[0]);
    return TK_OK;
}

static tk_status shape_swiglu(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_attr(c, tk_cols(&c->in[0]) % 2 == 0, "an even number of columns"));
    out[0] = matrix(tk_rows(&c->in[0]), tk_cols(&c->in[0]) / 2);
    return TK_OK;
}

static tk_status shape_rope(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0], *cos = &c->in[1];
    TK_TRY(want(c, 1, tk_rows(x), tk_cols(cos)));
    TK_TRY(want(c, 2, tk_rows(x), tk_cols(cos)));
    TK_TRY(want_attr(c, c->i[0] > 0 && tk_cols(x) % c->i[0] == 0, "head_dim divides the columns"));
    TK_TRY(want_attr(c, 2 * tk_cols(cos) <= c->i[0], "twice the table's columns <= head_dim"));
    out[0] = shape_of(x);
    return TK_OK;
}

static tk_status shape_norm_rope(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0], *cos = &c->in[2];
    TK_TRY(want_attr(c, c->i[0] > 0 && tk_cols(x) % c->i[0] == 0, "head_dim divides the columns"));
    TK_TRY(want_vector(c, 1, c->i[0]));
    TK_TRY(want(c, 2, tk_rows(x), tk_cols(cos)));
    TK_TRY(want(c, 3, tk_rows(x), tk_cols(cos)));
    TK_TRY(want_attr(c, 2 * tk_cols(cos) <= c->i[0], "twice the table's columns <= head_dim"));
    out[0] = shape_of(x);
    return TK_OK;
}

static tk_status shape_attention(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t n = tk_rows(&c->in[0]), channels = tk_cols(&c->in[0]);
    const int64_t asked = tk_rows(&c->in[1]);
    TK_TRY(want(c, 1, asked, channels));
    TK_TRY(want(c, 2, asked, channels));
    TK_TRY(want_vector(c, 3, c->i[4] + 1));
    TK_TRY(want_vector(c, 4, c->i[4] + 1));
    TK_TRY(want_attr(c, c->i[0] > 0 && channels % c->i[0] == 0, "head_dim divides the columns"));
    TK_TRY(want_attr(c, c->i[1] >= 0 && c->i[1] <= n && c->i[2] >= 0 && c->i[2] <= asked,
                     "longest document <= rows"));
    TK_TRY(want_attr(c, c->i[5] >= 0 && c->i[5] <= c->i[4] && !c->i[5] == !c->i[3],
                     "filled documents <= documents, none where no products are"));
    out[0] = matrix(n, channels);
    out[1] = matrix(n, channels / c->i[0]);
    return TK_OK;
}

static tk_status shape_pick(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t channels = -1;
    for (int k = 0; k < 3; k++) {
        if (!tk_present(&c->in[k])) continue;
        if (channels < 0) channels = tk_cols(&c->in[k]);
        TK_TRY(want(c, k, tk_rows(&c->in[k]), channels));
    }
    TK_TRY(want_attr(c, channels >= 0, "at least one source"));
    TK_TRY(want(c, 3, tk_rows(&c->in[3]), 2));
    out[0] = matrix(tk_rows(&c->in[3]), channels);
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
    TK_TRY(want(c, 0, c->counts[c->comm->rank], channels));
    out[0] = matrix(sum_counts(c), channels);
    return TK_OK;
}

static tk_status shape_scatter_sum(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t channels = tk_cols(&c->in[0]);
    TK_TRY(want(c, 0, sum_counts(c), channels));
    out[0] = matrix(c->counts[c->comm->rank], channels);
    return TK_OK;
}

static tk_status shape_gather_cols(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t n = tk_rows(&c->in[0]);
    TK_TRY(want(c, 0, n, c->counts[c->comm->rank]));
    out[0] = matrix(n, sum_counts(c));
    return TK_OK;
}

static tk_status shape_gather_linear(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const int64_t channels = tk_cols(&c->in[0]), rows = sum_counts(c);
    TK_TRY(want(c, 0, c->counts[c->comm->rank], channels));
    for (int k = 0; k < 3; k++) {
        const tk_tensor *w = &c->in[1 + k];
        if (!tk_present(w)) continue;
        TK_TRY(want(c, 1 + k, tk_rows(w), channels));
        out[k] = matrix(rows, tk_rows(w));
    }
    out[3] = matrix(rows, channels);
    return TK_OK;
}

static tk_status shape_linear_scatter(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *w = &c->in[1];
    TK_TRY(want(c, 0, sum_counts(c), tk_cols(w)));
    out[0] = matrix(c->counts[c->comm->rank], tk_rows(w));
    return TK_OK;
}

static tk_status shape_squared_error(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want(c, 1, tk_rows(x), tk_cols(x)));
    TK_TRY(want_vector(c, 2, tk_rows(x)));
    out[0] = tk_tensor_1d(NULL, TK_F32, 1);
    return TK_OK;
}

static tk_status shape_normal(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want(c, 0, tk_rows(&c->in[0]), 2));
    out[0] = matrix(tk_rows(&c->in[0]), tk_cols(&c->out[0]));
    return TK_OK;
}

static tk_status shape_noise(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want(c, 1, tk_rows(x), tk_cols(x)));
    TK_TRY(want_vector(c, 2, tk_rows(x)));
    out[0] = out[1] = shape_of(x);
    return TK_OK;
}

static tk_status shape_sinusoid(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_vector(c, 0, tk_count(&c->in[0])));
    TK_TRY(want_attr(c, c->i[0] >= 0 && c->i[0] % 2 == 0, "an even number of features"));
    out[0] = matrix(tk_count(&c->in[0]), c->i[0]);
    return TK_OK;
}

static tk_status shape_rope_table(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want(c, 0, tk_rows(&c->in[0]), 3));
    TK_TRY(want_attr(c, c->i[0] >= 0, "frequencies >= 0"));
    out[0] = out[1] = matrix(tk_rows(&c->in[0]), 3 * c->i[0]);
    return TK_OK;
}

static tk_status shape_euler(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_tensor *x = &c->in[0];
    TK_TRY(want(c, 1, tk_rows(x), tk_cols(x)));
    TK_TRY(want_vector(c, 2, tk_rows(x)));
    out[0] = shape_of(x);
    return TK_OK;
}

static tk_status shape_adamw(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    int64_t n = tk_count(&c->in[0]);
    TK_TRY(want_vector(c, 1, n));
    TK_TRY(want_vector(c, 2, 1));
    TK_TRY(want_vector(c, 3, 3));
    for (int k = 0; k < 3; k++) out[k] = shape_of(&c->in[0]);
    return TK_OK;
}

static tk_status shape_ema(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_vector(c, 1, 1));
    return shape_same(c, out);
}

static tk_status shape_scalar(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_vector(c, 1, tk_count(&c->in[0])));
    out[0] = tk_tensor_1d(NULL, TK_F32, 1);
    return TK_OK;
}

static tk_status shape_clip_scale(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    TK_TRY(want_vector(c, 0, 1));
    out[0] = tk_tensor_1d(NULL, TK_F32, 1);
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
    // name, types, inputs, outputs, optional, gradients, backward reads in, out, rows
    [TK_OP_LINEAR] = {"linear", "aww>a", 3, 1, B2, B0 | B1 | B2, B0 | B1, 0, B0, shape_linear,
                      flops_linear},
    [TK_OP_RMS_NORM] = {"rms_norm", "aw>a", 2, 1, B1, B0 | B1, B0 | B1, 0, B0, shape_rms_norm,
                        NULL},
    [TK_OP_MODULATE] = {"modulate", "awfi>a", 4, 1, B1, B0 | B1 | B2, B0 | B1 | B2 | B3, 0, B0 | B3,
                        shape_modulate, NULL},
    [TK_OP_GATE_ADD] = {"gate_add", "aafi>a", 4, 1, 0, B0 | B1 | B2, B1 | B2 | B3, 0, B0 | B1 | B3,
                        shape_gate_add, NULL},
    [TK_OP_ADD] = {"add", "aa>a", 2, 1, 0, B0 | B1, 0, 0, B0 | B1, shape_add, NULL},
    [TK_OP_SILU] = {"silu", "a>a", 1, 1, 0, B0, B0, 0, B0, shape_same, NULL},
    [TK_OP_SWIGLU] = {"swiglu", "a>a", 1, 1, 0, B0, B0, 0, B0, shape_swiglu, NULL},
    [TK_OP_ROPE] = {"rope", "aff>a", 3, 1, 0, B0, B1 | B2, 0, B0 | B1 | B2, shape_rope, NULL},
    [TK_OP_NORM_ROPE] = {"norm_rope", "awff>a", 4, 1, B1, B0 | B1, B0 | B1 | B2 | B3, 0,
                         B0 | B2 | B3, shape_norm_rope, NULL},
    [TK_OP_ATTENTION] = {"attention", "aaaii>af", 5, 2, 0, B0 | B1 | B2, B0 | B1 | B2 | B3 | B4,
                         B0 | B1, 0, shape_attention, flops_attention},
    [TK_OP_PICK] = {"pick", "eeei>a", 4, 1, B0 | B1 | B2, B0 | B1 | B2, B3, 0, 0, shape_pick, NULL},
    [TK_OP_GATHER_ROWS] = {"gather_rows", "a>a", 1, 1, 0, B0, 0, 0, 0, shape_gather_rows, NULL,
                           .filled = B0, .sent_grads = B0},
    [TK_OP_SCATTER_SUM] = {"scatter_sum", "a>a", 1, 1, 0, B0, 0, 0, 0, shape_scatter_sum, NULL,
                           .sent_grads = B0},
    [TK_OP_GATHER_COLS] = {"gather_cols", "a>a", 1, 1, 0, B0, 0, 0, 0, shape_gather_cols, NULL},
    [TK_OP_GATHER_LINEAR] = {"gather_linear", "awww>aaaa", 4, 4, B2 | B3, B0 | B1 | B2 | B3,
                             B1 | B2 | B3, B3, 0, shape_gather_linear, NULL, .filled = B3},
    [TK_OP_LINEAR_SCATTER] = {"linear_scatter", "aw>a", 2, 1, 0, B0 | B1, B0 | B1, 0, 0,
                              shape_linear_scatter, NULL, .sent_grads = B0},
    [TK_OP_SQUARED_ERROR] = {"squared_error", "fff>f", 3, 1, 0, B0, B0 | B1 | B2, 0, 0,
                             shape_squared_error, NULL},
    [TK_OP_NORMAL] = {"normal", "i>f", 1, 1, 0, 0, 0, 0, 0, shape_normal, NULL},
    [TK_OP_NOISE] = {"noise", "fff>ff", 3, 2, 0, 0, 0, 0, 0, shape_noise, NULL},
    [TK_OP_SINUSOID] = {"sinusoid", "f>f", 1, 1, 0, 0, 0, 0, 0, shape_sinusoid, NULL},
    [TK_OP_ROPE_TABLE] = {"rope_table", "f>ff", 1, 2, 0, 0, 0, 0, 0, shape_rope_table, NULL},
    [TK_OP_EULER] = {"euler", "fff>f", 3, 1, B1, 0, 0, 0, 0, shape_euler, NULL},
    [TK_OP_ADAMW] = {"adamw", "ffff>fff", 4, 3, B1 | B2, 0, 0, 0, 0, shape_adamw, NULL},
    [TK_OP_EMA] = {"ema", "ff>f", 2, 1, 0, 0, 0, 0, 0, shape_ema, NULL},
    [TK_OP_SUM_SQUARES] = {"sum_squares", "ff>f", 2, 1, B1, 0, 0, 0, 0, shape_scalar, NULL},
    [TK_OP_CLIP_SCALE] = {"clip_scale", "f>f", 1, 1, 0, 0, 0, 0, 0, shape_clip_scale, NULL},
    [TK_OP_CAST] = {"cast", "a>c", 1, 1, 0, B0, 0, 0, B0, shape_same, NULL},
};

// ---- types -----------------------------------------------------------------------------------

// What a letter of `types` stands for in a call whose activations are of type a; t: what is there.
static tk_dtype meant(char letter, tk_dtype a, tk_dtype t)
{
    switch (letter) {
    case 'a':
    case 'e':
        return a;
    case 'c':
        return a == TK_F32 ? TK_BF16 : TK_F32;
    case 'w':
        return t == TK_BF16 ? TK_BF16 : TK_F32;
    case 'i':
        return TK_I32;
    default:
        return TK_F32;
    }
}

// The activations' type: that of the first there is (forward), or what the gradient of the first
// output tells (backward, where activations may be absent).
static tk_dtype activations(const tk_call *c, bool back)
{
    const tk_op_info *info = &tk_op_table[c->op];
    if (back) {
        const tk_dtype t = c->dout[0].dtype == TK_BF16 ? TK_BF16 : TK_F32;
        return info->types[info->n_in + 1] == 'c' ? meant('c', t, t) : t;
    }
    for (int k = 0; k < info->n_in; k++)
        if ((info->types[k] == 'a' || info->types[k] == 'e') && tk_present(&c->in[k]))
            return c->in[k].dtype == TK_BF16 ? TK_BF16 : TK_F32;
    return TK_F32;
}

static tk_status want_type(const tk_call *c, const char *what, int k, char letter, tk_dtype a,
                           const tk_tensor *x)
{
    tk_tensor wanted = *x;
    wanted.dtype = meant(letter, a, x->dtype);
    if (!tk_present(x) || x->dtype == wanted.dtype) return TK_OK;
    return tk_op_wrong(c, what, k, x, &wanted);
}

tk_status tk_op_shape(const tk_call *c, tk_tensor out[TK_OP_OUT])
{
    const tk_op_info *info = &tk_op_table[c->op];
    const tk_dtype a = activations(c, false);
    for (int k = 0; k < info->n_in; k++)
        TK_TRY(want_type(c, "input", k, info->types[k], a, &c->in[k]));
    TK_TRY(info->shape(c, out));
    for (int k = 0; k < info->n_out; k++)
        out[k].dtype = meant(info->types[info->n_in + 1 + k], a, TK_F32);
    return TK_OK;
}

tk_status tk_op_gradient_types(const tk_call *c)
{
    const tk_op_info *info = &tk_op_table[c->op];
    const tk_dtype a = activations(c, true);
    TK_TRY(want_type(c, "gradient of output", 0, info->types[info->n_in + 1], a, &c->dout[0]));
    for (int k = 0; k < info->n_in; k++) {
        TK_TRY(want_type(c, "input", k, info->types[k], a, &c->in[k]));
        char letter = info->types[k] == 'a' ? 'a' : 'f';
        if (info->types[k] == 'e' && c->din[k].dtype == TK_BF16) letter = 'a';
        TK_TRY(want_type(c, "gradient of input", k, letter, a, &c->din[k]));
    }
    return TK_OK;
}
