// SPDX-License-Identifier: Apache-2.0
// Fast CPU backend: operators without gradients (inputs, optimizer, sampler), and casts.
#include "core/device/cpu/cpu.h"
#include "core/numbers/half.h"
#include "core/numbers/rng.h"

tk_status tk_cpu_normal(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->out[0]), n = tk_cols(&c->out[0]);
    const int32_t *at = tk_i32(&c->in[0]);
    int threads = tk_cpu_threads(d, rows * n * 16);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        tk_key key = tk_rng_key((uint64_t)c->i[0], (tk_purpose)c->i[1], (uint32_t)at[2 * row]);
        uint64_t first = (uint64_t)(uint32_t)at[2 * row + 1] * (uint64_t)n;
        tk_rng_fill_normal(key, first, tk_f32(&c->out[0]) + row * n, n, 1.0f);
    }
    return TK_OK;
}

tk_status tk_cpu_noise(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]);
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const float *x = tk_f32(&c->in[0]) + row * n, *noise = tk_f32(&c->in[1]) + row * n;
        float *xt = tk_f32(&c->out[0]) + row * n, *v = tk_f32(&c->out[1]) + row * n;
        float t = tk_f32(&c->in[2])[row], rest = 1.0f - t;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            xt[i] = t * x[i] + rest * noise[i];
            v[i] = x[i] - noise[i];
        }
    }
    return TK_OK;
}

tk_status tk_cpu_euler(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]);
    float guidance = (float)c->f[0];
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const float *u = tk_f32(&c->in[0]) + row * n;
        const float *cond = tk_f32(&c->in[1]) ? tk_f32(&c->in[1]) + row * n : NULL;
        float *x = tk_f32(&c->out[0]) + row * n, by = tk_f32(&c->in[2])[row];
        if (cond) {
#pragma omp simd
            for (int64_t i = 0; i < n; i++) x[i] += by * (u[i] + guidance * (cond[i] - u[i]));
        } else {
#pragma omp simd
            for (int64_t i = 0; i < n; i++) x[i] += by * u[i];
        }
    }
    return TK_OK;
}

typedef struct adamw { // constants of one step
    float keep1, keep2, rate, inverse2, eps, shrink, scale;
} adamw;

static void adamw_block(const tk_call *c, adamw a, int64_t begin, int64_t end)
{
    const float *g = tk_f32(&c->in[0]), *decay = tk_f32(&c->in[1]);
    float *p = tk_f32(&c->out[0]), *m = tk_f32(&c->out[1]), *v = tk_f32(&c->out[2]);
#pragma omp simd
    for (int64_t i = begin; i < end; i++) {
        float gi = g[i] * a.scale;
        float mi = m[i] + a.keep1 * (gi - m[i]), vi = v[i] + a.keep2 * (gi * gi - v[i]);
        float pi = p[i] - a.shrink * (decay ? decay[i] : 1.0f) * p[i];
        m[i] = mi;
        v[i] = vi;
        p[i] = pi - a.rate * mi / (sqrtf(vi * a.inverse2) + a.eps);
    }
}

tk_status tk_cpu_adamw(tk_device *d, const tk_call *c)
{
    int64_t n = tk_count(&c->in[0]);
    const float *scale = tk_f32(&c->in[2]), *rates = tk_f32(&c->in[3]);
    if (scale && scale[0] == 0) return TK_OK;
    adamw a = {
        .keep1 = (float)(1 - c->f[0]),
        .keep2 = (float)(1 - c->f[1]),
        .rate = rates[0],
        .inverse2 = rates[1],
        .eps = (float)c->f[2],
        .shrink = rates[2] * (float)c->f[3],
        .scale = scale ? scale[0] : 1.0f,
    };
    int threads = tk_cpu_threads(d, n);
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < n; i += TK_CPU_ELEMENTS)
        adamw_block(c, a, i, tk_least(n, i + TK_CPU_ELEMENTS));
    return TK_OK;
}

tk_status tk_cpu_ema(tk_device *d, const tk_call *c)
{
    const float *p = tk_f32(&c->in[0]);
    float *e = tk_f32(&c->out[0]), by = tk_f32(&c->in[1])[0];
    int64_t n = tk_count(&c->in[0]);
    int threads = tk_cpu_threads(d, n);
#pragma omp parallel for simd num_threads(threads)
    for (int64_t i = 0; i < n; i++) e[i] += by * (p[i] - e[i]);
    return TK_OK;
}

// A partial sum in double for each block of elements.
size_t tk_cpu_sum_squares_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d, (void)back;
    return (size_t)tk_blocks(tk_count(&c->in[0]), TK_CPU_ELEMENTS) * sizeof(double);
}

tk_status tk_cpu_sum_squares(tk_device *d, const tk_call *c)
{
    const float *x = tk_f32(&c->in[0]), *w = tk_f32(&c->in[1]);
    int64_t n = tk_count(&c->in[0]), blocks = tk_blocks(n, TK_CPU_ELEMENTS);
    double *part = d->scratch, sum = 0;
    int threads = tk_cpu_threads(d, n);
#pragma omp parallel for num_threads(threads)
    for (int64_t b = 0; b < blocks; b++) {
        double s = 0;
        int64_t begin = b * TK_CPU_ELEMENTS, end = tk_least(n, begin + TK_CPU_ELEMENTS);
        if (w) {
#pragma omp simd reduction(+ : s)
            for (int64_t i = begin; i < end; i++) s += (double)w[i] * ((double)x[i] * x[i]);
        } else {
#pragma omp simd reduction(+ : s)
            for (int64_t i = begin; i < end; i++) s += (double)x[i] * x[i];
        }
        part[b] = s;
    }
    for (int64_t b = 0; b < blocks; b++) sum += part[b];
    tk_f32(&c->out[0])[0] = (float)(tk_f32(&c->out[0])[0] + sum);
    return TK_OK;
}

// Elements [begin, end) of a cast, or (more) added to what is there.
TK_LOOP cast_loop(const void *restrict x, tk_dtype from, void *restrict y, tk_dtype to,
                  int64_t begin, int64_t end, bool more)
{
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        tk_store(y, to, i, more ? tk_load(y, to, i) + tk_load(x, from, i) : tk_load(x, from, i));
}

static void cast_block(const tk_tensor *x, const tk_tensor *y, int64_t begin, int64_t end,
                       bool more)
{
    if (x->dtype == TK_BF16 && more)
        cast_loop(x->data, TK_BF16, y->data, TK_F32, begin, end, true);
    else if (x->dtype == TK_BF16)
        cast_loop(x->data, TK_BF16, y->data, TK_F32, begin, end, false);
    else if (more)
        cast_loop(x->data, TK_F32, y->data, TK_BF16, begin, end, true);
    else
        cast_loop(x->data, TK_F32, y->data, TK_BF16, begin, end, false);
}

static tk_status cast_all(const tk_device *d, const tk_tensor *x, const tk_tensor *y, bool more)
{
    int64_t n = tk_count(x);
    int threads = tk_cpu_threads(d, n);
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < n; i += TK_CPU_ELEMENTS)
        cast_block(x, y, i, tk_least(n, i + TK_CPU_ELEMENTS), more);
    return TK_OK;
}

tk_status tk_cpu_cast(tk_device *d, const tk_call *c)
{
    return cast_all(d, &c->in[0], &c->out[0], false);
}

tk_status tk_cpu_cast_back(tk_device *d, const tk_call *c)
{
    return cast_all(d, &c->dout[0], &c->din[0], c->add[0]);
}
