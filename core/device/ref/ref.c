// SPDX-License-Identifier: Apache-2.0
// The specification: the operators with gradients as plain loops over fp32, sums in double. In bf16
// they are these on widened inputs, rounded once: the dispatcher's business
// (core/device/ops/dispatch.c). (The operators without gradients are in step.c, the collectives in
// cpu/comm.c.)
#include "core/device/ref/ref.h"
#include <math.h>
#include <string.h>

// Gradient element: added to or set.
static void give(const tk_call *c, int k, int64_t at, double g)
{
    float *p = tk_f32(&c->din[k]) + at;
    *p = (float)(c->add[k] ? *p + g : g);
}

// Gradients that many rows add to: cleared first unless they are accumulated into.
static void clear_unless_add(const tk_call *c, int k)
{
    if (tk_wants(c, k) && !c->add[k]) memset(c->din[k].data, 0, tk_bytes(&c->din[k]));
}

static double weight_at(const tk_tensor *w, int64_t i) // absent: ones
{
    return w->data ? tk_f32(w)[i] : 1;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

// ---- linear ----------------------------------------------------------------------------------

static tk_status linear(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *x = tk_f32(&c->in[0]), *b = tk_f32(&c->in[2]);
    float *y = tk_f32(&c->out[0]);
    int64_t n = tk_rows(&c->out[0]), m = tk_cols(&c->out[0]), channels = tk_cols(&c->in[1]);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++) {
            double s = b ? b[j] : 0;
            for (int64_t k = 0; k < channels; k++)
                s += x[i * channels + k] * weight_at(&c->in[1], j * channels + k);
            y[i * m + j] = (float)s;
        }
    return TK_OK;
}

static tk_status linear_back(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *dy = tk_f32(&c->dout[0]), *x = tk_f32(&c->in[0]);
    int64_t n = tk_rows(&c->dout[0]), m = tk_cols(&c->dout[0]);
    int64_t channels = c->in[1].ndim ? tk_cols(&c->in[1]) : tk_cols(&c->din[1]);
    for (int64_t i = 0; tk_wants(c, 0) && i < n; i++)
        for (int64_t k = 0; k < channels; k++) {
            double s = 0;
            for (int64_t j = 0; j < m; j++)
                s += dy[i * m + j] * weight_at(&c->in[1], j * channels + k);
            give(c, 0, i * channels + k, s);
        }
    for (int64_t j = 0; tk_wants(c, 1) && j < m; j++)
        for (int64_t k = 0; k < channels; k++) {
            double s = 0;
            for (int64_t i = 0; i < n; i++) s += (double)dy[i * m + j] * x[i * channels + k];
            give(c, 1, j * channels + k, s);
        }
    for (int64_t j = 0; tk_wants(c, 2) && j < m; j++) {
        double s = 0;
        for (int64_t i = 0; i < n; i++) s += dy[i * m + j];
        give(c, 2, j, s);
    }
    return TK_OK;
}

// ---- RMS norm, modulation, gate --------------------------------------------------------------

static double inverse_rms(const float *x, int64_t n, double eps)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i] * x[i];
    return 1 / sqrt(s / (double)n + eps);
}

// dx of y = x * r * g', r = inverse rms of x, given g = dL/d(x * r):
// dx = r * (g - xhat * mean(g * xhat))
static void rms_back(const tk_call *c, int64_t at, const double *g, double r, int64_t n)
{
    const float *x = tk_f32(&c->in[0]) + at;
    double mean = 0;
    for (int64_t i = 0; i < n; i++) mean += g[i] * x[i] * r / (double)n;
    for (int64_t i = 0; i < n; i++) give(c, 0, at + i, r * (g[i] - x[i] * r * mean));
}

static tk_status rms_norm(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *x = tk_f32(&c->in[0]);
    int64_t n = c->i[0], count = tk_count(&c->in[0]);
    for (int64_t at = 0; at < count; at += n) {
        double r = inverse_rms(x + at, n, c->f[0]);
        for (int64_t i = 0; i < n; i++)
            tk_f32(&c->out[0])[at + i] = (float)(x[at + i] * r * weight_at(&c->in[1], i));
    }
    return TK_OK;
}

static tk_status rms_norm_back(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *x = tk_f32(&c->in[0]), *dy = tk_f32(&c->dout[0]);
    int64_t n = c->i[0], count = tk_count(&c->in[0]);
    double *g;
    TK_NEW(g, n);
    clear_unless_add(c, 1);
    for (int64_t at = 0; at < count; at += n) {
        double r = inverse_rms(x + at, n, c->f[0]);
        for (int64_t i = 0; i < n; i++) {
            g[i] = dy[at + i] * weight_at(&c->in[1], i);
            if (tk_wants(c, 1)) tk_f32(&c->din[1])[i] += (float)(dy[at + i] * x[at + i] * r);
        }
        if (tk_wants(c, 0)) rms_back(c, at, g, r, n);
    }
    tk_free(g);
    return TK_OK;
}

static tk_status modulate(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *x = tk_f32(&c->in[0]), *table = tk_f32(&c->in[2]);
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]), width = tk_cols(&c->in[2]);
    for (int64_t row = 0; row < rows; row++) {
        const float *t = table + tk_i32(&c->in[3])[row] * width;
        double r = inverse_rms(x + row * n, n, c->f[0]);
        for (int64_t i = 0; i < n; i++) {
            double y = x[row * n + i] * r * weight_at(&c->in[1], i);
            tk_f32(&c->out[0])[row * n + i] = (float)(y * (1 + t[c->i[1] + i]) + t[c->i[0] + i]);
        }
    }
    return TK_OK;
}

static tk_status modulate_back(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *x = tk_f32(&c->in[0]), *table = tk_f32(&c->in[2]), *dy = tk_f32(&c->dout[0]);
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]), width = tk_cols(&c->in[2]);
    double *g;
    TK_NEW(g, n);
    clear_unless_add(c, 1);
    clear_unless_add(c, 2);
    for (int64_t row = 0; row < rows; row++) {
        int64_t at = row * n, entry = tk_i32(&c->in[3])[row] * width;
        double r = inverse_rms(x + at, n, c->f[0]);
        for (int64_t i = 0; i < n; i++) {
            double w = weight_at(&c->in[1], i), scale = 1 + (double)table[entry + c->i[1] + i];
            double xhat = x[at + i] * r, up = dy[at + i];
            g[i] = up * scale * w;
            if (tk_wants(c, 1)) tk_f32(&c->din[1])[i] += (float)(up * scale * xhat);
            if (!tk_wants(c, 2)) continue;
            tk_f32(&c->din[2])[entry + c->i[0] + i] += (float)up;
            tk_f32(&c->din[2])[entry + c->i[1] + i] += (float)(up * xhat * w);
        }
        if (tk_wants(c, 0)) rms_back(c, at, g, r, n);
    }
    tk_free(g);
    return TK_OK;
}

static tk_status gate_add(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *x = tk_f32(&c->in[0]), *y = tk_f32(&c->in[1]), *table = tk_f32(&c->in[2]);
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]), width = tk_cols(&c->in[2]);
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = table + tk_i32(&c->in[3])[row] * width + c->i[0];
        for (int64_t i = 0, at = row * n; i < n; i++, at++)
            tk_f32(&c->out[0])[at] = x[at] + gate[i] * y[at];
    }
    return TK_OK;
}

static tk_status gate_add_back(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *y = tk_f32(&c->in[1]), *table = tk_f32(&c->in[2]), *g = tk_f32(&c->dout[0]);
    int64_t rows = tk_rows(&c->dout[0]), n = tk_cols(&c->dout[0]), width = tk_cols(&c->in[2]);
    clear_unless_add(c, 2);
    for (int64_t row = 0; row < rows; row++) {
        int64_t gate = tk_i32(&c->in[3])[row] * width + c->i[0];
        for (int64_t i = 0, at = row * n; i < n; i++, at++) {
            if (tk_wants(c, 0)) give(c, 0, at, g[at]);
            if (tk_wants(c, 1)) give(c, 1, at, (double)g[at] * table[gate + i]);
            if (tk_wants(c, 2)) tk_f32(&c->din[2])[gate + i] += g[at] * y[at];
        }
    }
    return TK_OK;
}

// ---- elementwise -----------------------------------------------------------------------------

static tk_status add(tk_device *d, const tk_call *c)
{
    (void)d;
    for (int64_t i = 0; i < tk_count(&c->out[0]); i++)
        tk_f32(&c->out[0])[i] = tk_f32(&c->in[0])[i] + tk_f32(&c->in[1])[i];
    return TK_OK;
}

static tk_status add_back(tk_device *d, const tk_call *c)
{
    (void)d;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; tk_wants(c, k) && i < tk_count(&c->dout[0]); i++)
            give(c, k, i, tk_f32(&c->dout[0])[i]);
    return TK_OK;
}

static double silu_slope(double x)
{
    double s = sigmoid(x);
    return s * (1 + x * (1 - s));
}

static tk_status silu(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *x = tk_f32(&c->in[0]);
    for (int64_t i = 0; i < tk_count(&c->out[0]); i++)
        tk_f32(&c->out[0])[i] = (float)(x[i] * sigmoid(x[i]));
    return TK_OK;
}

static tk_status silu_back(tk_device *d, const tk_call *c)
{
    (void)d;
    for (int64_t i = 0; i < tk_count(&c->dout[0]); i++)
        give(c, 0, i, tk_f32(&c->dout[0])[i] * silu_slope(tk_f32(&c->in[0])[i]));
    return TK_OK;
}

static tk_status swiglu(tk_device *d, const tk_call *c)
{
    (void)d;
    int64_t rows = tk_rows(&c->out[0]), n = tk_cols(&c->out[0]);
    for (int64_t row = 0; row < rows; row++) {
        const float *value = tk_f32(&c->in[0]) + row * 2 * n, *gate = value + n;
        for (int64_t i = 0; i < n; i++)
            tk_f32(&c->out[0])[row * n + i] = (float)(value[i] * gate[i] * sigmoid(gate[i]));
    }
    return TK_OK;
}

static tk_status swiglu_back(tk_device *d, const tk_call *c)
{
    (void)d;
    int64_t rows = tk_rows(&c->dout[0]), n = tk_cols(&c->dout[0]);
    for (int64_t row = 0; row < rows; row++) {
        const float *value = tk_f32(&c->in[0]) + row * 2 * n, *gate = value + n;
        for (int64_t i = 0; i < n; i++) {
            double g = tk_f32(&c->dout[0])[row * n + i];
            give(c, 0, row * 2 * n + i, g * gate[i] * sigmoid(gate[i]));
            give(c, 0, row * 2 * n + n + i, g * value[i] * silu_slope(gate[i]));
        }
    }
    return TK_OK;
}

// Rotates the pairs (j, j + R) of each head by the angle, or back by it (its transpose).
static void rotate(const tk_call *c, const float *x, bool back)
{
    const tk_tensor *table = &c->in[1], *t = back ? &c->dout[0] : &c->in[0];
    int64_t r = tk_cols(table), head_dim = c->i[0], width = tk_cols(t);
    for (int64_t at = 0; at < tk_count(t); at++) {
        int64_t row = at / width, j = at % width % head_dim;
        double y = x[at];
        if (j < 2 * r) {
            int64_t k = row * r + j % r;
            double cos = tk_f32(&c->in[1])[k], sin = tk_f32(&c->in[2])[k] * (back ? -1.0 : 1.0);
            y = j < r ? x[at] * cos - x[at + r] * sin : x[at] * cos + x[at - r] * sin;
        }
        if (back)
            give(c, 0, at, y);
        else
            tk_f32(&c->out[0])[at] = (float)y;
    }
}

static tk_status rope(tk_device *d, const tk_call *c)
{
    (void)d;
    rotate(c, tk_f32(&c->in[0]), false);
    return TK_OK;
}

static tk_status rope_back(tk_device *d, const tk_call *c)
{
    (void)d;
    rotate(c, tk_f32(&c->dout[0]), true);
    return TK_OK;
}

// ---- attention -------------------------------------------------------------------------------

static double dot(const float *a, const float *b, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)a[i] * b[i];
    return s;
}

// One query row and head: its output and log-sum-exp over the keys [begin, end).
static void attend(const tk_call *c, int64_t row, int64_t head, int64_t begin, int64_t end,
                   double *score)
{
    int64_t n = c->i[0], width = tk_cols(&c->in[0]), heads = width / n, at = head * n;
    const float *q = tk_f32(&c->in[0]) + row * width + at, *k = tk_f32(&c->in[1]) + at;
    const float *v = tk_f32(&c->in[2]) + at;
    double top = -INFINITY, sum = 0;
    for (int64_t j = begin; j < end; j++) {
        score[j - begin] = c->f[0] * dot(q, k + j * width, n);
        top = fmax(top, score[j - begin]);
    }
    for (int64_t j = begin; j < end; j++) sum += exp(score[j - begin] - top);
    double lse = begin < end ? top + log(sum) : 0;
    for (int64_t i = 0; i < n; i++) {
        double o = 0;
        for (int64_t j = begin; j < end; j++) o += exp(score[j - begin] - lse) * v[j * width + i];
        tk_f32(&c->out[0])[row * width + at + i] = (float)o;
    }
    tk_f32(&c->out[1])[row * heads + head] = (float)lse;
}

static tk_status attention(tk_device *d, const tk_call *c)
{
    (void)d;
    int64_t heads = tk_cols(&c->in[0]) / c->i[0];
    const int32_t *ask = tk_i32(&c->in[3]), *asked = tk_i32(&c->in[4]);
    double *score;
    TK_NEW(score, c->i[2]);
    for (int64_t doc = 0; doc < c->i[4]; doc++)
        for (int64_t row = ask[doc]; row < ask[doc + 1]; row++)
            for (int64_t head = 0; head < heads; head++)
                attend(c, row, head, asked[doc], asked[doc + 1], score);
    tk_free(score);
    return TK_OK;
}

// One query row and head: P = exp(score - lse), dP = do . v, dS = P * (dP - do . o) * scale;
// dq += dS k, dk += dS q, dv += P do.
static void attend_back(const tk_call *c, int64_t row, int64_t head, int64_t begin, int64_t end)
{
    int64_t n = c->i[0], width = tk_cols(&c->in[0]), heads = width / n;
    int64_t at = row * width + head * n;
    const float *q = tk_f32(&c->in[0]) + at, *up = tk_f32(&c->dout[0]) + at;
    double across = dot(up, tk_f32(&c->out[0]) + at, n);
    double lse = tk_f32(&c->out[1])[row * heads + head];
    for (int64_t j = begin; j < end; j++) {
        int64_t to = j * width + head * n;
        const float *k = tk_f32(&c->in[1]) + to, *v = tk_f32(&c->in[2]) + to;
        double p = exp(c->f[0] * dot(q, k, n) - lse);
        double ds = p * (dot(up, v, n) - across) * c->f[0];
        for (int64_t i = 0; i < n; i++) {
            if (tk_wants(c, 0)) tk_f32(&c->din[0])[at + i] += (float)(ds * k[i]);
            if (tk_wants(c, 1)) tk_f32(&c->din[1])[to + i] += (float)(ds * q[i]);
            if (tk_wants(c, 2)) tk_f32(&c->din[2])[to + i] += (float)(p * up[i]);
        }
    }
}

static tk_status attention_back(tk_device *d, const tk_call *c)
{
    (void)d;
    int64_t heads = tk_cols(&c->in[0]) / c->i[0];
    const int32_t *ask = tk_i32(&c->in[3]), *asked = tk_i32(&c->in[4]);
    for (int k = 0; k < 3; k++) clear_unless_add(c, k);
    for (int64_t doc = 0; doc < c->i[4]; doc++)
        for (int64_t row = ask[doc]; row < ask[doc + 1]; row++)
            for (int64_t head = 0; head < heads; head++)
                attend_back(c, row, head, asked[doc], asked[doc + 1]);
    return TK_OK;
}

// ---- pick, loss ------------------------------------------------------------------------------

static tk_status pick(tk_device *d, const tk_call *c)
{
    (void)d;
    int64_t rows = tk_rows(&c->out[0]), n = tk_cols(&c->out[0]);
    const int32_t *index = tk_i32(&c->in[3]);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < n; i++)
            tk_f32(&c->out[0])[row * n + i] =
                tk_f32(&c->in[index[2 * row]])[index[2 * row + 1] * n + i];
    return TK_OK;
}

static tk_status pick_back(tk_device *d, const tk_call *c)
{
    (void)d;
    int64_t rows = tk_rows(&c->dout[0]), n = tk_cols(&c->dout[0]);
    const int32_t *index = tk_i32(&c->in[3]);
    for (int k = 0; k < 3; k++) clear_unless_add(c, k);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; tk_wants(c, index[2 * row]) && i < n; i++)
            tk_f32(&c->din[index[2 * row]])[index[2 * row + 1] * n + i] +=
                tk_f32(&c->dout[0])[row * n + i];
    return TK_OK;
}

static tk_status squared_error(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *a = tk_f32(&c->in[0]), *b = tk_f32(&c->in[1]), *w = tk_f32(&c->in[2]);
    int64_t n = tk_cols(&c->in[0]);
    double loss = 0;
    for (int64_t i = 0; i < tk_count(&c->in[0]); i++)
        loss += (double)w[i / n] * ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    tk_f32(&c->out[0])[0] = (float)loss;
    return TK_OK;
}

static tk_status squared_error_back(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *a = tk_f32(&c->in[0]), *b = tk_f32(&c->in[1]), *w = tk_f32(&c->in[2]);
    int64_t n = tk_cols(&c->in[0]);
    double up = tk_f32(&c->dout[0])[0];
    for (int64_t i = 0; i < tk_count(&c->in[0]); i++)
        give(c, 0, i, up * 2 * w[i / n] * ((double)a[i] - b[i]));
    return TK_OK;
}

const tk_kernel tk_ref_kernels[TK_OP_COUNT] = {
    [TK_OP_LINEAR] = {linear, linear_back, NULL},
    [TK_OP_RMS_NORM] = {rms_norm, rms_norm_back, NULL},
    [TK_OP_MODULATE] = {modulate, modulate_back, NULL},
    [TK_OP_GATE_ADD] = {gate_add, gate_add_back, NULL},
    [TK_OP_ADD] = {add, add_back, NULL},
    [TK_OP_SILU] = {silu, silu_back, NULL},
    [TK_OP_SWIGLU] = {swiglu, swiglu_back, NULL},
    [TK_OP_ROPE] = {rope, rope_back, NULL},
    [TK_OP_ATTENTION] = {attention, attention_back, NULL},
    [TK_OP_PICK] = {pick, pick_back, NULL},
    [TK_OP_SQUARED_ERROR] = {squared_error, squared_error_back, NULL},
    [TK_OP_NORMAL] = {tk_ref_normal, NULL, NULL},
    [TK_OP_NOISE] = {tk_ref_noise, NULL, NULL},
    [TK_OP_SINUSOID] = {tk_ref_sinusoid, NULL, NULL},
    [TK_OP_ROPE_TABLE] = {tk_ref_rope_table, NULL, NULL},
    [TK_OP_EULER] = {tk_ref_euler, NULL, NULL},
    [TK_OP_ADAMW] = {tk_ref_adamw, NULL, NULL},
    [TK_OP_EMA] = {tk_ref_ema, NULL, NULL},
    [TK_OP_SUM_SQUARES] = {tk_ref_sum_squares, NULL, NULL},
    [TK_OP_CLIP_SCALE] = {tk_ref_clip_scale, NULL, NULL},
    [TK_OP_CAST] = {tk_ref_cast, tk_ref_cast_back, NULL},
};
