// SPDX-License-Identifier: Apache-2.0
// Fast CPU backend: elementwise operators, rotary embedding, pick and loss, and its table.
#include "core/device/cpu/cpu.h"
#include "core/device/ref/ref.h"

// ---- elementwise -----------------------------------------------------------------------------

static tk_status add(tk_device *d, const tk_call *c)
{
    const float *a = tk_f32(&c->in[0]), *b = tk_f32(&c->in[1]);
    float *y = tk_f32(&c->out[0]);
    int64_t n = tk_count(&c->out[0]);
    int threads = tk_cpu_threads(d, n);
#pragma omp parallel for simd num_threads(threads)
    for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
    return TK_OK;
}

static tk_status add_back(tk_device *d, const tk_call *c)
{
    const float *g = tk_f32(&c->dout[0]);
    int64_t n = tk_count(&c->dout[0]);
    int threads = tk_cpu_threads(d, n);
    for (int k = 0; k < 2; k++) {
        float *to = tk_f32(&c->din[k]);
        bool more = c->add[k];
        if (!to) continue;
#pragma omp parallel for simd num_threads(threads)
        for (int64_t i = 0; i < n; i++) to[i] = (more ? to[i] : 0) + g[i];
    }
    return TK_OK;
}

static tk_status silu(tk_device *d, const tk_call *c)
{
    const float *x = tk_f32(&c->in[0]);
    float *y = tk_f32(&c->out[0]);
    int64_t n = tk_count(&c->out[0]);
    int threads = tk_cpu_threads(d, 4 * n);
#pragma omp parallel for simd num_threads(threads)
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * tk_sigmoidf(x[i]);
    return TK_OK;
}

TK_LOOP silu_slopes(const float *restrict x, const float *restrict g, float *restrict to, int64_t n,
                    bool more)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float s = tk_sigmoidf(x[i]), slope = s * (1.0f + x[i] * (1.0f - s));
        to[i] = (more ? to[i] : 0) + g[i] * slope;
    }
}

static tk_status silu_back(tk_device *d, const tk_call *c)
{
    int64_t n = tk_count(&c->dout[0]);
    int threads = tk_cpu_threads(d, 4 * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < n; i += TK_CPU_ELEMENTS) {
        const float *x = tk_f32(&c->in[0]) + i, *g = tk_f32(&c->dout[0]) + i;
        float *to = tk_f32(&c->din[0]) + i;
        int64_t count = tk_least(TK_CPU_ELEMENTS, n - i);
        if (c->add[0])
            silu_slopes(x, g, to, count, true);
        else
            silu_slopes(x, g, to, count, false);
    }
    return TK_OK;
}

static tk_status swiglu(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->out[0]), n = tk_cols(&c->out[0]);
    int threads = tk_cpu_threads(d, 4 * rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const float *value = tk_f32(&c->in[0]) + row * 2 * n, *gate = value + n;
        float *y = tk_f32(&c->out[0]) + row * n;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) y[i] = value[i] * (gate[i] * tk_sigmoidf(gate[i]));
    }
    return TK_OK;
}

// A row: x = [value | gate] and its gradient dx.
TK_LOOP swiglu_slopes(const float *restrict x, const float *restrict g, float *restrict dx,
                      int64_t n, bool more)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float value = x[i], gate = x[n + i], s = tk_sigmoidf(gate);
        float slope = s * (1.0f + gate * (1.0f - s));
        dx[i] = (more ? dx[i] : 0) + g[i] * (gate * s);
        dx[n + i] = (more ? dx[n + i] : 0) + g[i] * (value * slope);
    }
}

static tk_status swiglu_back(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->dout[0]), n = tk_cols(&c->dout[0]);
    int threads = tk_cpu_threads(d, 4 * rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const float *x = tk_f32(&c->in[0]) + row * 2 * n, *g = tk_f32(&c->dout[0]) + row * n;
        float *dx = tk_f32(&c->din[0]) + row * 2 * n;
        if (c->add[0])
            swiglu_slopes(x, g, dx, n, true);
        else
            swiglu_slopes(x, g, dx, n, false);
    }
    return TK_OK;
}

// ---- rotary embedding ------------------------------------------------------------------------

// One head: (lo, hi) := (lo, hi) turned by the angle times `sign`, the other channels copied.
TK_LOOP turn(const float *restrict x, const float *cos, const float *sin, float sign, int64_t r,
             int64_t head_dim, float *restrict y, bool add)
{
#pragma omp simd
    for (int64_t j = 0; j < r; j++) {
        float lo = x[j], hi = x[j + r], s = sign * sin[j];
        y[j] = (add ? y[j] : 0) + (lo * cos[j] - hi * s);
        y[j + r] = (add ? y[j + r] : 0) + (hi * cos[j] + lo * s);
    }
    for (int64_t j = 2 * r; j < head_dim; j++) y[j] = (add ? y[j] : 0) + x[j];
}

static void turn_rows(const tk_device *d, const tk_call *c, const tk_tensor *from,
                      const tk_tensor *to, float sign, bool more)
{
    int64_t rows = tk_rows(from), n = tk_cols(from), r = tk_cols(&c->in[1]), dim = c->i[0];
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const float *cos = tk_f32(&c->in[1]) + row * r, *sin = tk_f32(&c->in[2]) + row * r;
        for (int64_t at = row * n; at < (row + 1) * n; at += dim) {
            const float *x = tk_f32(from) + at;
            if (more)
                turn(x, cos, sin, sign, r, dim, tk_f32(to) + at, true);
            else
                turn(x, cos, sin, sign, r, dim, tk_f32(to) + at, false);
        }
    }
}

static tk_status rope(tk_device *d, const tk_call *c)
{
    turn_rows(d, c, &c->in[0], &c->out[0], 1, false);
    return TK_OK;
}

static tk_status rope_back(tk_device *d, const tk_call *c)
{
    turn_rows(d, c, &c->dout[0], &c->din[0], -1, c->add[0]);
    return TK_OK;
}

// ---- pick, loss ------------------------------------------------------------------------------

static tk_status pick(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->out[0]), n = tk_cols(&c->out[0]);
    const int32_t *index = tk_i32(&c->in[3]);
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++)
        memcpy(tk_f32(&c->out[0]) + row * n,
               tk_f32(&c->in[index[2 * row]]) + index[2 * row + 1] * n, (size_t)n * sizeof(float));
    return TK_OK;
}

// A block of columns is one thread's for all rows: rows picked twice add up in row order.
static tk_status pick_back(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->dout[0]), n = tk_cols(&c->dout[0]);
    const int32_t *index = tk_i32(&c->in[3]);
    for (int k = 0; k < 3; k++)
        if (tk_wants(c, k) && !c->add[k]) memset(c->din[k].data, 0, tk_bytes(&c->din[k]));
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t col = 0; col < n; col += TK_CPU_COLUMNS)
        for (int64_t row = 0; row < rows; row++) {
            int32_t source = index[2 * row];
            if (!tk_wants(c, source)) continue;
            const float *g = tk_f32(&c->dout[0]) + row * n;
            float *to = tk_f32(&c->din[source]) + index[2 * row + 1] * n;
            int64_t end = tk_least(n, col + TK_CPU_COLUMNS);
#pragma omp simd
            for (int64_t i = col; i < end; i++) to[i] += g[i];
        }
    return TK_OK;
}

// A sum in double per block of rows.
static size_t squared_error_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    return back ? 0 : (size_t)tk_blocks(tk_rows(&c->in[0]), TK_CPU_ROWS) * sizeof(double);
}

static tk_status squared_error(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]);
    int64_t blocks = tk_blocks(rows, TK_CPU_ROWS);
    double *part = d->scratch, loss = 0;
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t b = 0; b < blocks; b++) {
        part[b] = 0;
        for (int64_t row = b * TK_CPU_ROWS; row < tk_least(rows, (b + 1) * TK_CPU_ROWS); row++) {
            const float *x = tk_f32(&c->in[0]) + row * n, *y = tk_f32(&c->in[1]) + row * n;
            float s = 0;
#pragma omp simd reduction(+ : s)
            for (int64_t i = 0; i < n; i++) s += (x[i] - y[i]) * (x[i] - y[i]);
            part[b] += (double)tk_f32(&c->in[2])[row] * s;
        }
    }
    for (int64_t b = 0; b < blocks; b++) loss += part[b];
    tk_f32(&c->out[0])[0] = (float)loss;
    return TK_OK;
}

static tk_status squared_error_back(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]);
    bool more = c->add[0];
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const float *x = tk_f32(&c->in[0]) + row * n, *y = tk_f32(&c->in[1]) + row * n;
        float *to = tk_f32(&c->din[0]) + row * n;
        float by = 2.0f * tk_f32(&c->dout[0])[0] * tk_f32(&c->in[2])[row];
#pragma omp simd
        for (int64_t i = 0; i < n; i++) to[i] = (more ? to[i] : 0) + by * (x[i] - y[i]);
    }
    return TK_OK;
}

const tk_kernel tk_cpu_kernels[TK_OP_COUNT] = {
    [TK_OP_LINEAR] = {tk_cpu_linear, tk_cpu_linear_back, tk_cpu_linear_scratch, tk_cpu_linear_bf16},
    [TK_OP_RMS_NORM] = {tk_cpu_rms_norm, tk_cpu_rms_norm_back, tk_cpu_norm_scratch},
    [TK_OP_MODULATE] = {tk_cpu_modulate, tk_cpu_modulate_back, tk_cpu_modulate_scratch},
    [TK_OP_GATE_ADD] = {tk_cpu_gate_add, tk_cpu_gate_add_back, NULL},
    [TK_OP_ADD] = {add, add_back, NULL},
    [TK_OP_SILU] = {silu, silu_back, NULL},
    [TK_OP_SWIGLU] = {swiglu, swiglu_back, NULL},
    [TK_OP_ROPE] = {rope, rope_back, NULL},
    [TK_OP_ATTENTION] = {tk_cpu_attention, tk_cpu_attention_back, tk_cpu_attention_scratch},
    [TK_OP_PICK] = {pick, pick_back, NULL},
    [TK_OP_SQUARED_ERROR] = {squared_error, squared_error_back, squared_error_scratch},
    [TK_OP_NORMAL] = {tk_cpu_normal, NULL, NULL},
    [TK_OP_NOISE] = {tk_cpu_noise, NULL, NULL},
    [TK_OP_SINUSOID] = {tk_ref_sinusoid, NULL, NULL},
    [TK_OP_ROPE_TABLE] = {tk_ref_rope_table, NULL, NULL},
    [TK_OP_EULER] = {tk_cpu_euler, NULL, NULL},
    [TK_OP_ADAMW] = {tk_cpu_adamw, NULL, NULL},
    [TK_OP_EMA] = {tk_cpu_ema, NULL, NULL},
    [TK_OP_SUM_SQUARES] = {tk_cpu_sum_squares, NULL, tk_cpu_sum_squares_scratch},
    [TK_OP_CLIP_SCALE] = {tk_ref_clip_scale, NULL, NULL},
    [TK_OP_CAST] = {tk_cpu_cast, tk_cpu_cast_back, NULL},
};
