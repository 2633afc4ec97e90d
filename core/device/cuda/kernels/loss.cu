// SPDX-License-Identifier: Apache-2.0
// SQUARED_ERROR: sum over rows of weight * sum over channels of (pred - target)^2, all in fp32.
#include "core/device/cuda/kernels/flat.cuh"
#include "core/device/cuda/kernels/sums.cuh"
#include "core/device/cuda/table.h"

namespace
{
struct squared_error {
    const float *pred, *target, *weight;
    int64_t cols;
    bool wide; // packs are aligned, and of one row
    template <int V> __device__ double of(int64_t i) const
    {
        float x[V], y[V], s = 0;
        tk_read_any<V>(pred + i, x, wide);
        tk_read_any<V>(target + i, y, wide);
        for (int j = 0; j < V; j++) x[j] -= y[j];
        if (wide) {
            for (int j = 0; j < V; j++) s += x[j] * x[j];
            return (double)weight[i / cols] * s;
        }
        double sum = 0;
        for (int j = 0; j < V; j++) sum += (double)weight[(i + j) / cols] * (x[j] * x[j]);
        return sum;
    }
};

struct squared_error_back {
    const float *pred, *target, *weight, *up;
    float *to;
    int64_t cols;
    bool more;
    template <int V> __device__ void at(int64_t i) const
    {
        const float by = 2.0f * *up * weight[i / cols];
        float x[V], y[V];
        tk_read<V>(pred + i, x);
        tk_read<V>(target + i, y);
        for (int j = 0; j < V; j++) x[j] = by * (x[j] - y[j]);
        tk_give<V>(to + i, x, more);
    }
};
} // namespace

extern "C" size_t tk_cuda_squared_error_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    return back ? 0 : tk_sum_bytes(tk_count(&c->in[0]));
}

extern "C" tk_status tk_cuda_squared_error(tk_device *d, const tk_call *c)
{
    const float *pred = tk_f32(&c->in[0]), *target = tk_f32(&c->in[1]);
    const int64_t cols = tk_cols(&c->in[0]);
    const bool wide = tk_head_of_rows<TK_SUM_PACK>(cols, pred, target) == 0;
    const squared_error term = {pred, target, tk_f32(&c->in[2]), cols, wide};
    return tk_sum(d, "squared_error", term, tk_count(&c->in[0]), tk_f32(&c->out[0]), false);
}

extern "C" tk_status tk_cuda_squared_error_back(tk_device *d, const tk_call *c)
{
    const int64_t cols = tk_cols(&c->in[0]);
    const squared_error_back work = {tk_f32(&c->in[0]),  tk_f32(&c->in[1]),
                                     tk_f32(&c->in[2]),  tk_f32(&c->dout[0]),
                                     tk_f32(&c->din[0]), cols,
                                     c->add[0]};
    return tk_flat<4>(d, "squared_error, backward", work, tk_count(&c->in[0]),
                      tk_head_of_rows<4>(cols, work.pred, work.target, work.to));
}
