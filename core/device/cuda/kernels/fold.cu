// SPDX-License-Identifier: Apache-2.0
// Sums and maxima over ranks, a thread for each element: it goes through the ranks in their order.
#include "core/device/cuda/kernels/fold.h"
#include "core/device/cuda/kernels/kernel.cuh"

enum { THREADS = 256 };

// What a sum is held in, and how a type becomes it and is rounded to from it.
template <class T> struct held {
    typedef float type;
    static __device__ inline float load(T x) { return tk_widen(x); }
    static __device__ inline T store(float x) { return tk_round<T>(x); }
};
template <> struct held<int32_t> { // wraps around, as two's complement does
    typedef uint32_t type;
    static __device__ inline uint32_t load(int32_t x) { return (uint32_t)x; }
    static __device__ inline int32_t store(uint32_t x) { return (int32_t)x; }
};

static __device__ inline float greater(float a, float b)
{
    return b > a || b != b ? b : a;
}
static __device__ inline uint32_t greater(uint32_t a, uint32_t b)
{
    return (int32_t)b > (int32_t)a ? b : a;
}

template <class T, int V, bool SUMS>
static __global__ void fold_kernel(T *out, const T *own, const T *others, int64_t packs,
                                   int64_t stride, int rank, int size)
{
    typedef typename held<T>::type H;
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < packs; i += step) {
        H sum[V] = {};
        tk_pack<T, V> z;
        for (int r = 0; r < size; r++) {
            const T *part = r == rank ? own : others + (r < rank ? r : r - 1) * stride;
            const tk_pack<T, V> x = tk_load<V>(part + i * V);
            for (int j = 0; j < V; j++) {
                const H y = held<T>::load(x.x[j]);
                sum[j] = r == 0 ? y : SUMS ? sum[j] + y : greater(sum[j], y);
            }
        }
        for (int j = 0; j < V; j++) z.x[j] = held<T>::store(sum[j]);
        tk_store<V>(out + i * V, z);
    }
}

template <class T, int V> static tk_status fold_packs(tk_device *d, const tk_cuda_parts *p)
{
    T *out = (T *)p->out;
    const T *own = (const T *)p->own, *others = (const T *)p->others;
    const int64_t packs = p->n / V;
    const unsigned grid = tk_grid(packs, THREADS);
    if (p->sums)
        return tk_launch(d, "fold", fold_kernel<T, V, true>, grid, THREADS, 0, out, own, others,
                         packs, p->stride, p->rank, p->size);
    return tk_launch(d, "fold", fold_kernel<T, V, false>, grid, THREADS, 0, out, own, others, packs,
                     p->stride, p->rank, p->size);
}

template <class T> static tk_status fold_as(tk_device *d, const tk_cuda_parts *p)
{
    constexpr int V = tk_wide<T>();
    if (p->stride % V == 0 && tk_aligned(p->out, p->n, sizeof(T)) &&
        tk_aligned(p->own, p->n, sizeof(T)) && tk_aligned(p->others, p->n, sizeof(T)))
        return fold_packs<T, V>(d, p);
    return fold_packs<T, 1>(d, p);
}

extern "C" tk_status tk_cuda_fold(tk_device *d, const tk_cuda_parts *p)
{
    switch (p->type) {
    case TK_BF16:
        return fold_as<tk_bf16>(d, p);
    case TK_I32:
        return fold_as<int32_t>(d, p);
    default:
        return fold_as<float>(d, p);
    }
}
