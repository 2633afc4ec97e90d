// SPDX-License-Identifier: Apache-2.0
// The specification of the operators without gradients (inputs, optimizer, sampler), and of casts.
#include "core/device/ref/ref.h"
#include "core/numbers/half.h"
#include "core/numbers/rng.h"
#include <math.h>

tk_status tk_ref_normal(tk_device *d, const tk_call *c)
{
    (void)d;
    int64_t rows = tk_rows(&c->out[0]), n = tk_cols(&c->out[0]);
    for (int64_t row = 0; row < rows; row++) {
        int32_t step = tk_i32(&c->in[0])[2 * row], first = tk_i32(&c->in[0])[2 * row + 1];
        tk_key key = tk_rng_key((uint64_t)c->i[0], (tk_purpose)c->i[1], (uint32_t)step);
        for (int64_t i = 0; i < n; i++)
            tk_f32(&c->out[0])[row * n + i] =
                (float)tk_rng_normal(key, (uint64_t)(uint32_t)first * (uint64_t)n + (uint64_t)i);
    }
    return TK_OK;
}

tk_status tk_ref_noise(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *x = tk_f32(&c->in[0]), *noise = tk_f32(&c->in[1]), *t = tk_f32(&c->in[2]);
    int64_t n = tk_cols(&c->in[0]);
    for (int64_t i = 0; i < tk_count(&c->in[0]); i++) {
        double level = t[i / n];
        tk_f32(&c->out[0])[i] = (float)(level * x[i] + (1 - level) * noise[i]);
        tk_f32(&c->out[1])[i] = x[i] - noise[i];
    }
    return TK_OK;
}

tk_status tk_ref_sinusoid(tk_device *d, const tk_call *c)
{
    (void)d;
    int64_t rows = tk_rows(&c->out[0]), half = c->i[0] / 2;
    for (int64_t row = 0; row < rows; row++) {
        float *out = tk_f32(&c->out[0]) + row * 2 * half;
        for (int64_t j = 0; j < half; j++) {
            float frequency = expf(-9.21034037f * (float)j / (float)half); // ln(10000)
            float angle = tk_f32(&c->in[0])[row] * frequency;
            out[j] = cosf(angle);
            out[half + j] = sinf(angle);
        }
    }
    return TK_OK;
}

tk_status tk_ref_rope_table(tk_device *d, const tk_call *c)
{
    (void)d;
    int64_t rows = tk_rows(&c->in[0]), n = c->i[0];
    for (int64_t j = 0; j < n; j++) {
        float inv_freq = 1.0f / powf((float)c->f[0], (float)j / (float)n);
        for (int64_t row = 0; row < rows; row++)
            for (int64_t axis = 0; axis < 3; axis++) {
                float angle = tk_f32(&c->in[0])[row * 3 + axis] * inv_freq;
                int64_t at = row * 3 * n + axis * n + j;
                tk_f32(&c->out[0])[at] = cosf(angle);
                tk_f32(&c->out[1])[at] = sinf(angle);
            }
    }
    return TK_OK;
}

tk_status tk_ref_euler(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *u = tk_f32(&c->in[0]), *cond = tk_f32(&c->in[1]), *by = tk_f32(&c->in[2]);
    int64_t n = tk_cols(&c->in[0]);
    for (int64_t i = 0; i < tk_count(&c->in[0]); i++) {
        double v = cond ? u[i] + c->f[0] * ((double)cond[i] - u[i]) : u[i];
        tk_f32(&c->out[0])[i] = (float)(tk_f32(&c->out[0])[i] + by[i / n] * v);
    }
    return TK_OK;
}

tk_status tk_ref_adamw(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *grad = tk_f32(&c->in[0]), *decay = tk_f32(&c->in[1]), *scale = tk_f32(&c->in[2]);
    const float *rates = tk_f32(&c->in[3]);
    float *p = tk_f32(&c->out[0]), *m = tk_f32(&c->out[1]), *v = tk_f32(&c->out[2]);
    double beta1 = c->f[0], beta2 = c->f[1], eps = c->f[2], shrink = rates[2] * c->f[3];
    if (scale && scale[0] == 0) return TK_OK;
    for (int64_t i = 0; i < tk_count(&c->in[0]); i++) {
        double g = grad[i] * (scale ? (double)scale[0] : 1.0);
        double mi = m[i] + (1 - beta1) * (g - m[i]), vi = v[i] + (1 - beta2) * (g * g - v[i]);
        double pi = p[i] * (1 - shrink * (decay ? (double)decay[i] : 1.0));
        m[i] = (float)mi;
        v[i] = (float)vi;
        p[i] = (float)(pi - rates[0] * mi / (sqrt(vi * rates[1]) + eps));
    }
    return TK_OK;
}

tk_status tk_ref_ema(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *p = tk_f32(&c->in[0]), *rate = tk_f32(&c->in[1]);
    float *e = tk_f32(&c->out[0]);
    for (int64_t i = 0; i < tk_count(&c->in[0]); i++)
        e[i] = (float)(e[i] + rate[0] * ((double)p[i] - e[i]));
    return TK_OK;
}

tk_status tk_ref_sum_squares(tk_device *d, const tk_call *c)
{
    (void)d;
    const float *x = tk_f32(&c->in[0]), *w = tk_f32(&c->in[1]);
    double s = 0;
    for (int64_t i = 0; i < tk_count(&c->in[0]); i++)
        s += (w ? (double)w[i] : 1.0) * (double)x[i] * x[i];
    tk_f32(&c->out[0])[0] = (float)(tk_f32(&c->out[0])[0] + s);
    return TK_OK;
}

tk_status tk_ref_clip_scale(tk_device *d, const tk_call *c)
{
    (void)d;
    double s = tk_f32(&c->in[0])[0];
    tk_f32(&c->out[0])[0] = isfinite(s) ? (float)fmin(1, c->f[0] / sqrt(s)) : 0;
    return TK_OK;
}

static float read_at(const tk_tensor *x, int64_t i)
{
    if (x->dtype == TK_F32) return ((const float *)x->data)[i];
    return tk_bf16_to_float(((const uint16_t *)x->data)[i]);
}

static void write_at(const tk_tensor *x, int64_t i, float value)
{
    if (x->dtype == TK_F32)
        ((float *)x->data)[i] = value;
    else
        ((uint16_t *)x->data)[i] = tk_bf16_from_float(value);
}

tk_status tk_ref_cast(tk_device *d, const tk_call *c)
{
    (void)d;
    for (int64_t i = 0; i < tk_count(&c->in[0]); i++)
        write_at(&c->out[0], i, read_at(&c->in[0], i));
    return TK_OK;
}

tk_status tk_ref_cast_back(tk_device *d, const tk_call *c)
{
    (void)d;
    for (int64_t i = 0; i < tk_count(&c->dout[0]); i++)
        write_at(&c->din[0], i, (c->add[0] ? read_at(&c->din[0], i) : 0) + read_at(&c->dout[0], i));
    return TK_OK;
}
