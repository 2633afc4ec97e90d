// SPDX-License-Identifier: Apache-2.0
// Sums and activations of single elements: ADD, SILU.
#include "core/device/cuda/kernels/activation.cuh"
#include "core/device/cuda/kernels/flat.cuh"
#include "core/device/cuda/table.h"

// ---- sum ---------------------------------------------------------------------------------------

namespace
{
template <class T> struct add {
    const T *a, *b;
    T *out; // may be a or b
    template <int V> __device__ void at(int64_t i) const
    {
        float x[V], y[V];
        tk_read<V>(a + i, x);
        tk_read<V>(b + i, y);
        for (int j = 0; j < V; j++) x[j] += y[j];
        tk_write<V>(out + i, x);
    }
};

// Both gradients are that of the sum. They may be one array, where a value is added to itself: the
// second is given after the first.
template <class T> struct add_back {
    const T *up;
    T *to[2]; // NULL: not wanted
    bool more[2];
    template <int V> __device__ void at(int64_t i) const
    {
        float g[V];
        tk_read<V>(up + i, g);
        for (int k = 0; k < 2; k++)
            if (to[k]) tk_give<V>(to[k] + i, g, more[k]);
    }
};
} // namespace

template <class T> static tk_status add_as(tk_device *d, const tk_call *c)
{
    const add<T> work = {(const T *)c->in[0].data, (const T *)c->in[1].data, (T *)c->out[0].data};
    return tk_flat<tk_wide<T>()>(d, "add", work, tk_count(&c->out[0]),
                                 tk_head(work.a, work.b, work.out));
}

template <class T> static tk_status add_back_as(tk_device *d, const tk_call *c)
{
    const add_back<T> work = {(const T *)c->dout[0].data,
                              {(T *)c->din[0].data, (T *)c->din[1].data},
                              {c->add[0], c->add[1]}};
    return tk_flat<tk_wide<T>()>(d, "add, backward", work, tk_count(&c->dout[0]),
                                 tk_head(work.up, work.to[0], work.to[1]));
}

extern "C" tk_status tk_cuda_add(tk_device *d, const tk_call *c)
{
    return c->out[0].dtype == TK_BF16 ? add_as<tk_bf16>(d, c) : add_as<float>(d, c);
}

extern "C" tk_status tk_cuda_add_back(tk_device *d, const tk_call *c)
{
    return c->dout[0].dtype == TK_BF16 ? add_back_as<tk_bf16>(d, c) : add_back_as<float>(d, c);
}

// ---- SiLU --------------------------------------------------------------------------------------

namespace
{
template <class T> struct silu {
    const T *from;
    T *out;
    template <int V> __device__ void at(int64_t i) const
    {
        float x[V];
        tk_read<V>(from + i, x);
        for (int j = 0; j < V; j++) x[j] *= tk_sigmoid(x[j]);
        tk_write<V>(out + i, x);
    }
};

template <class T> struct silu_back {
    const T *from, *up;
    T *to;
    bool more;
    template <int V> __device__ void at(int64_t i) const
    {
        float x[V], g[V];
        tk_read<V>(from + i, x);
        tk_read<V>(up + i, g);
        for (int j = 0; j < V; j++) g[j] *= tk_silu_slope(x[j]);
        tk_give<V>(to + i, g, more);
    }
};
} // namespace

template <class T> static tk_status silu_as(tk_device *d, const tk_call *c)
{
    const silu<T> work = {(const T *)c->in[0].data, (T *)c->out[0].data};
    return tk_flat<tk_wide<T>()>(d, "silu", work, tk_count(&c->out[0]),
                                 tk_head(work.from, work.out));
}

template <class T> static tk_status silu_back_as(tk_device *d, const tk_call *c)
{
    const silu_back<T> work = {(const T *)c->in[0].data, (const T *)c->dout[0].data,
                               (T *)c->din[0].data, c->add[0]};
    return tk_flat<tk_wide<T>()>(d, "silu, backward", work, tk_count(&c->dout[0]),
                                 tk_head(work.from, work.up, work.to));
}

extern "C" tk_status tk_cuda_silu(tk_device *d, const tk_call *c)
{
    return c->out[0].dtype == TK_BF16 ? silu_as<tk_bf16>(d, c) : silu_as<float>(d, c);
}

extern "C" tk_status tk_cuda_silu_back(tk_device *d, const tk_call *c)
{
    return c->dout[0].dtype == TK_BF16 ? silu_back_as<tk_bf16>(d, c) : silu_back_as<float>(d, c);
}
