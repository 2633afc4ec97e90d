// SPDX-License-Identifier: Apache-2.0
// A step of the optimizer over a flat shard: SUM_SQUARES, CLIP_SCALE, ADAMW, EMA, all in fp32 but
// for sums. Scale and rates are read where they lie, so that a recorded step can be run again.
#include "core/device/cuda/kernels/flat.cuh"
#include "core/device/cuda/kernels/sums.cuh"
#include "core/device/cuda/table.h"

// ---- the gradient's norm -----------------------------------------------------------------------

namespace
{
struct sum_squares {
    const float *x, *weight; // weight NULL: ones
    bool wide;
    template <int V> __device__ double of(int64_t i) const
    {
        float a[V], w[V];
        double s = 0;
        tk_read_any<V>(x + i, a, wide);
        for (int j = 0; j < V; j++) w[j] = 1.0f;
        if (weight) tk_read_any<V>(weight + i, w, wide);
        for (int j = 0; j < V; j++) s += (double)w[j] * ((double)a[j] * a[j]);
        return s;
    }
};
} // namespace

extern "C" size_t tk_cuda_sum_squares_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d, (void)back;
    return tk_sum_bytes(tk_count(&c->in[0]));
}

extern "C" tk_status tk_cuda_sum_squares(tk_device *d, const tk_call *c)
{
    const float *x = tk_f32(&c->in[0]), *weight = tk_f32(&c->in[1]);
    const sum_squares term = {x, weight, tk_head(x, weight) == 0};
    return tk_sum(d, "sum_squares", term, tk_count(&c->in[0]), tk_f32(&c->out[0]), true);
}

static __global__ void clip_kernel(const float *sum, float *scale, double most)
{
    const double s = *sum;
    if (threadIdx.x == 0) *scale = isfinite(s) ? (float)fmin(1.0, most / sqrt(s)) : 0.0f;
}

extern "C" tk_status tk_cuda_clip_scale(tk_device *d, const tk_call *c)
{
    return tk_launch(d, "clip_scale", clip_kernel, 1, TK_WARP, 0, tk_f32(&c->in[0]),
                     tk_f32(&c->out[0]), c->f[0]);
}

// ---- weights -----------------------------------------------------------------------------------

namespace
{
struct adamw {
    const float *grad, *decay, *scale, *rates; // decay and scale NULL: ones
    float *p, *m, *v;
    float keep1, keep2, eps, factor;
    template <int V> __device__ void at(int64_t i) const
    {
        const float by = scale ? *scale : 1.0f, rate = rates[0], inverse2 = rates[1];
        const float shrink = rates[2] * factor;
        if (by == 0.0f) return;
        float g[V], pi[V], mi[V], vi[V], d[V];
        tk_read<V>(grad + i, g);
        tk_read<V>(p + i, pi);
        tk_read<V>(m + i, mi);
        tk_read<V>(v + i, vi);
        for (int j = 0; j < V; j++) d[j] = 1.0f;
        if (decay) tk_read<V>(decay + i, d);
        for (int j = 0; j < V; j++) {
            g[j] *= by;
            mi[j] += keep1 * (g[j] - mi[j]);
            vi[j] += keep2 * (g[j] * g[j] - vi[j]);
            pi[j] -= shrink * d[j] * pi[j];
            pi[j] -= rate * mi[j] / (sqrtf(vi[j] * inverse2) + eps);
        }
        tk_write<V>(m + i, mi);
        tk_write<V>(v + i, vi);
        tk_write<V>(p + i, pi);
    }
};

struct ema {
    const float *p, *rate;
    float *e;
    template <int V> __device__ void at(int64_t i) const
    {
        float x[V], y[V];
        tk_read<V>(p + i, x);
        tk_read<V>(e + i, y);
        for (int j = 0; j < V; j++) y[j] += *rate * (x[j] - y[j]);
        tk_write<V>(e + i, y);
    }
};
} // namespace

extern "C" tk_status tk_cuda_adamw(tk_device *d, const tk_call *c)
{
    const adamw work = {tk_f32(&c->in[0]),  tk_f32(&c->in[1]),    tk_f32(&c->in[2]),
                        tk_f32(&c->in[3]),  tk_f32(&c->out[0]),   tk_f32(&c->out[1]),
                        tk_f32(&c->out[2]), (float)(1 - c->f[0]), (float)(1 - c->f[1]),
                        (float)c->f[2],     (float)c->f[3]};
    return tk_flat<4>(d, "adamw", work, tk_count(&c->in[0]),
                      tk_head(work.grad, work.decay, work.p, work.m, work.v));
}

extern "C" tk_status tk_cuda_ema(tk_device *d, const tk_call *c)
{
    const ema work = {tk_f32(&c->in[0]), tk_f32(&c->in[1]), tk_f32(&c->out[0])};
    return tk_flat<4>(d, "ema", work, tk_count(&c->in[0]), tk_head(work.p, work.e));
}
