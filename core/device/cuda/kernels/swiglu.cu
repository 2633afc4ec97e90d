// SPDX-License-Identifier: Apache-2.0
// SWIGLU: y (N,F) = value * silu(gate), x (N,2F) = [value | gate].
#include "core/device/cuda/kernels/activation.cuh"
#include "core/device/cuda/kernels/flat.cuh"
#include "core/device/cuda/table.h"

namespace
{
// Where element i of (N,F) has its value in (N,2F); its gate lies F further.
__device__ inline int64_t value_of(int64_t i, int64_t cols)
{
    return i + i / cols * cols;
}

template <class T> struct swiglu {
    const T *x;
    T *out;
    int64_t cols; // F
    template <int V> __device__ void at(int64_t i) const
    {
        const T *from = x + value_of(i, cols);
        float value[V], gate[V];
        tk_read<V>(from, value);
        tk_read<V>(from + cols, gate);
        for (int j = 0; j < V; j++) value[j] *= gate[j] * tk_sigmoid(gate[j]);
        tk_write<V>(out + i, value);
    }
};

template <class T> struct swiglu_back {
    const T *x, *up;
    T *to;
    int64_t cols;
    bool more;
    template <int V> __device__ void at(int64_t i) const
    {
        const int64_t k = value_of(i, cols);
        float value[V], gate[V], g[V];
        tk_read<V>(x + k, value);
        tk_read<V>(x + k + cols, gate);
        tk_read<V>(up + i, g);
        for (int j = 0; j < V; j++) {
            value[j] *= g[j] * tk_silu_slope(gate[j]);
            gate[j] *= g[j] * tk_sigmoid(gate[j]);
        }
        tk_give<V>(to + k, gate, more);
        tk_give<V>(to + k + cols, value, more);
    }
};
} // namespace

template <class T> static tk_status swiglu_as(tk_device *d, const tk_call *c)
{
    constexpr int V = tk_wide<T>();
    const int64_t cols = tk_cols(&c->out[0]);
    const swiglu<T> work = {(const T *)c->in[0].data, (T *)c->out[0].data, cols};
    return tk_flat<V>(d, "swiglu", work, tk_count(&c->out[0]),
                      tk_head_of_rows<V>(cols, work.x, work.out));
}

template <class T> static tk_status swiglu_back_as(tk_device *d, const tk_call *c)
{
    constexpr int V = tk_wide<T>();
    const int64_t cols = tk_cols(&c->dout[0]);
    const swiglu_back<T> work = {(const T *)c->in[0].data, (const T *)c->dout[0].data,
                                 (T *)c->din[0].data, cols, c->add[0]};
    return tk_flat<V>(d, "swiglu, backward", work, tk_count(&c->dout[0]),
                      tk_head_of_rows<V>(cols, work.x, work.up, work.to));
}

extern "C" tk_status tk_cuda_swiglu(tk_device *d, const tk_call *c)
{
    return c->out[0].dtype == TK_BF16 ? swiglu_as<tk_bf16>(d, c) : swiglu_as<float>(d, c);
}

extern "C" tk_status tk_cuda_swiglu_back(tk_device *d, const tk_call *c)
{
    return c->dout[0].dtype == TK_BF16 ? swiglu_back_as<tk_bf16>(d, c)
                                       : swiglu_back_as<float>(d, c);
}
