// SPDX-License-Identifier: Apache-2.0
// The dialect that kernels are written in, a small part of CUDA C++: what is not named here or
// below under "may be used" is not used, so that the same files also compile for the host, where
// tests run them thread by thread (tests/cuda/standin/dialect.h, given to the compiler ahead of
// this file).
//
// May be used: threadIdx, blockIdx, blockDim, gridDim; __syncthreads, __syncwarp,
// __shfl_xor_sync, __shfl_down_sync, __shfl_sync, __ballot_sync, __any_sync, __all_sync; the math
// functions of C in fp32, and sqrt in double; memcpy; the types of cuda_bf16.h. Shared memory is
// tk_shared() alone, of the size the launch gave. Warps have 32 threads, blocks a multiple of 32
// along x.
//
// A kernel is `static __global__ void`, a template over its types where it knows several, and is
// launched by tk_launch:
//
//     template <class T> static __global__ void halve(const T *x, T *y, int64_t n) { ... }
//     return tk_launch(d, "halve", halve<float>, tk_grid(n, 256), 256, 0, x, y, n);
#pragma once
extern "C" {
#include "core/device/cuda/cuda.h"
}
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

typedef __nv_bfloat16 tk_bf16;
enum { TK_WARP = 32 };

#ifndef TK_DIALECT
// The block's shared memory; one pointer, aligned to 16 bytes, whatever it is used as.
template <class T> static __device__ inline T *tk_shared()
{
    extern __shared__ uint4 tk_shared_memory[];
    return reinterpret_cast<T *>(tk_shared_memory);
}

template <class... P>
static cudaError_t tk_start(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                            size_t shared, cudaStream_t stream, P... args)
{
    (void)name;
    void *list[] = {(void *)&args...};
    const void *f = reinterpret_cast<const void *>(kernel);
    enum { ALWAYS_THERE = 48 << 10 };
    if (shared > ALWAYS_THERE) {
        cudaError_t e =
            cudaFuncSetAttribute(f, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
        if (e != cudaSuccess) return e;
    }
    return cudaLaunchKernel(f, grid, block, list, shared, stream);
}

// An access of so many bytes, at a multiple of that: the hardware sees to it.
static __device__ inline void tk_check_address(const void *, size_t) {}
#endif

template <class T> struct tk_type {
    typedef T type;
};

// Launches on the queue of the moment; a grid without blocks is nothing. `name` is for people.
template <class... P>
static tk_status tk_launch(tk_device *d, const char *name, void (*kernel)(P...), dim3 grid,
                           dim3 block, size_t shared, typename tk_type<P>::type... args)
{
    if (!grid.x || !grid.y || !grid.z) return TK_OK;
    return tk_cuda_check(
        d, tk_start<P...>(name, kernel, grid, block, shared, tk_cuda_stream(d), args...), name);
}

// Blocks of `block` threads for n things: one each, up to what a grid along x may have.
static inline unsigned tk_grid(int64_t n, int64_t block)
{
    const int64_t blocks = tk_blocks(n, block), most = INT32_MAX;
    return (unsigned)(blocks < most ? blocks : most);
}

// ---- numbers -----------------------------------------------------------------------------------

static __device__ inline float tk_widen(float x)
{
    return x;
}
static __device__ inline float tk_widen(tk_bf16 x)
{
    return __bfloat162float(x);
}
template <class T> static __device__ inline T tk_round(float x);
template <> __device__ inline float tk_round<float>(float x)
{
    return x;
}
template <> __device__ inline tk_bf16 tk_round<tk_bf16>(float x)
{
    return __float2bfloat16_rn(x);
}

// V neighbours of an array, loaded and stored as one: where V * sizeof(T) is 16, in one access of
// 16 bytes. Their address is a multiple of their size.
template <class T, int V> struct alignas(V * sizeof(T)) tk_pack {
    T x[V];
};
template <int V, class T> static __device__ inline tk_pack<T, V> tk_load(const T *from)
{
    tk_check_address(from, sizeof(tk_pack<T, V>));
    return *reinterpret_cast<const tk_pack<T, V> *>(from);
}
template <int V, class T> static __device__ inline void tk_store(T *to, tk_pack<T, V> x)
{
    tk_check_address(to, sizeof(tk_pack<T, V>));
    *reinterpret_cast<tk_pack<T, V> *>(to) = x;
}
// Elements of 16 bytes.
template <class T> __host__ __device__ constexpr int tk_wide()
{
    return 16 / (int)sizeof(T);
}
// V neighbours as fp32, whatever they are kept as, and back, rounded once each: in accesses of 16
// bytes, or of all V where these are less. Their address is a multiple of that.
template <int V, class T> static __device__ inline void tk_read(const T *from, float (&x)[V])
{
    constexpr int W = V < tk_wide<T>() ? V : tk_wide<T>();
    for (int i = 0; i < V; i += W) {
        const tk_pack<T, W> part = tk_load<W>(from + i);
        for (int j = 0; j < W; j++) x[i + j] = tk_widen(part.x[j]);
    }
}
template <int V, class T> static __device__ inline void tk_write(T *to, const float (&x)[V])
{
    constexpr int W = V < tk_wide<T>() ? V : tk_wide<T>();
    for (int i = 0; i < V; i += W) {
        tk_pack<T, W> part;
        for (int j = 0; j < W; j++) part.x[j] = tk_round<T>(x[i + j]);
        tk_store<W>(to + i, part);
    }
}
// A gradient: written, or added to what is there.
template <int V, class T>
static __device__ inline void tk_give(T *to, const float (&x)[V], bool add)
{
    float sum[V];
    for (int j = 0; j < V; j++) sum[j] = 0.0f;
    if (add) tk_read<V>(to, sum);
    for (int j = 0; j < V; j++) sum[j] = add ? sum[j] + x[j] : x[j];
    tk_write<V>(to, sum);
}
// Whether rows of n elements of size `size` from x on can be read 16 bytes at a time.
static inline bool tk_aligned(const void *x, int64_t n, size_t size)
{
    return ((uintptr_t)x | (size_t)n * size) % 16 == 0;
}

// ---- sums, in an order that the block's size alone decides --------------------------------------

template <class T> static __device__ inline T tk_warp_sum(T x)
{
    for (int far = TK_WARP / 2; far; far /= 2) x += __shfl_xor_sync(0xffffffffu, x, far);
    return x;
}

// Over the block, the same for all threads. `space`: TK_WARP of shared memory, which may be
// those of the call before. Blocks of one dimension, of at most 1024 threads.
template <class T> static __device__ inline T tk_block_sum(T x, T *space)
{
    const int warp = threadIdx.x / TK_WARP, lane = threadIdx.x % TK_WARP;
    const int warps = blockDim.x / TK_WARP;
    x = tk_warp_sum(x);
    __syncthreads(); // of the call before
    if (lane == 0) space[warp] = x;
    __syncthreads();
    return tk_warp_sum(lane < warps ? space[lane] : T(0));
}
