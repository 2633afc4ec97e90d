// SPDX-License-Identifier: Apache-2.0
// Sums and activations of single elements: ADD, SILU.
#include "core/device/cuda/kernel.cuh"
#include "core/device/cuda/table.h"

enum { THREADS = 256 };

template <class T, int V>
static __global__ void add_kernel(const T *a, const T *b, T *out, int64_t packs)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < packs; i += step) {
        const tk_pack<T, V> x = tk_load<V>(a + i * V), y = tk_load<V>(b + i * V);
        tk_pack<T, V> z;
        for (int j = 0; j < V; j++) z.x[j] = tk_round<T>(tk_widen(x.x[j]) + tk_widen(y.x[j]));
        tk_store<V>(out + i * V, z);
    }
}

template <class T> static tk_status add_as(tk_device *d, const tk_call *c)
{
    const T *a = (const T *)c->in[0].data, *b = (const T *)c->in[1].data;
    T *out = (T *)c->out[0].data;
    const int64_t n = tk_count(&c->out[0]);
    constexpr int V = tk_wide<T>();
    if (tk_aligned(a, n, sizeof(T)) && tk_aligned(b, n, sizeof(T)) && tk_aligned(out, n, sizeof(T)))
        return tk_launch(d, "add", add_kernel<T, V>, tk_grid(n / V, THREADS), THREADS, 0, a, b, out,
                         n / V);
    return tk_launch(d, "add", add_kernel<T, 1>, tk_grid(n, THREADS), THREADS, 0, a, b, out, n);
}

extern "C" tk_status tk_cuda_add(tk_device *d, const tk_call *c)
{
    return c->out[0].dtype == TK_BF16 ? add_as<tk_bf16>(d, c) : add_as<float>(d, c);
}
