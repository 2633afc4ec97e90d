// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/kernels/kernel.cuh"
#include "tests/cuda/planted.h"
#include "tests/cuda/standin/fiber.h"

static const unsigned ALL = 0xffffffffu;

template <int WHAT> static __global__ void reverse_kernel(const float *x, float *y, int n)
{
    float *s = tk_shared<float>();
    const int t = (int)threadIdx.x, first = (int)(blockIdx.x * blockDim.x), i = first + t;
    const int rows = n - first < (int)blockDim.x ? n - first : (int)blockDim.x;
    if (i < n && !(WHAT == PLANTED_UNWRITTEN && t == 0)) s[t] = x[i];
    if (WHAT == PLANTED_OVERRUN && t == 5) s[blockDim.x] = 1;
    if (WHAT == PLANTED_UNDERRUN && t == 5) s[-1] = 1;
    if (WHAT == PLANTED_READ_BEHIND && t == 5) (void)((volatile float *)s)[blockDim.x];
    if (WHAT == PLANTED_READ_BEFORE && t == 5) (void)((volatile float *)s)[-1];
    if (WHAT == PLANTED_ENDED_THREAD && i == 1) return;
    if (WHAT == PLANTED_TWO_BARRIERS && t == 7)
        __syncthreads();
    else if (WHAT != PLANTED_NO_BARRIER)
        __syncthreads();
    if (WHAT == PLANTED_MISPLACED_LOAD && t == 5) s[0] = tk_load<2>(x + 1).x[0];
    if (WHAT == PLANTED_MISPLACED_STORE && t == 5) tk_store<2>(y + 1, tk_load<2>(x));
    if (WHAT == PLANTED_NO_STORE && i == n - 1) return;
    if (i < n + (WHAT == PLANTED_TAIL)) y[i] = i < n ? s[rows - 1 - t] : 0;
}

// The sum of a block by way of its shared memory, which the call before may have used.
template <bool BARRIER> static __device__ float sum(float x, float *space)
{
    const int warp = (int)threadIdx.x / TK_WARP, lane = (int)threadIdx.x % TK_WARP;
    x = tk_warp_sum(x);
    if (BARRIER) __syncthreads();
    if (lane == 0) space[warp] = x;
    __syncthreads();
    return tk_warp_sum(lane < (int)blockDim.x / TK_WARP ? space[lane] : 0.0f);
}

template <bool BARRIER> static __global__ void sums_kernel(const float *x, float *y, int n)
{
    float *space = tk_shared<float>(), a = 0;
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) a += x[i];
    const float once = sum<true>(a, space), twice = sum<BARRIER>(a * 2, space);
    if (threadIdx.x == 0) y[0] = once;
    if (threadIdx.x == blockDim.x - 1) y[1] = twice;
}

static __global__ void lanes_kernel(const float *x, float *y, int n)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), lane = (int)threadIdx.x % TK_WARP;
    const float mine = i < n ? x[i] : 0;
    float got[8];
    got[0] = __shfl_xor_sync(ALL, mine, 5);
    got[1] = __shfl_down_sync(ALL, mine, 3);
    got[2] = __shfl_sync(ALL, mine, lane / 2);
    got[3] = __shfl_xor_sync(ALL, mine, 9, 8);
    got[4] = __shfl_down_sync(ALL, mine, 3, 8);
    got[5] = (float)__ballot_sync(ALL, lane < 11);
    got[6] = (float)(__any_sync(ALL, lane == 3) + 10 * __any_sync(ALL, lane > 31));
    got[7] = (float)(__all_sync(ALL, lane < 32) + 10 * __all_sync(ALL, lane != 3));
    if (lane < 16) got[2] += __shfl_xor_sync(0xffffu, mine, 1);
    __syncwarp();
    for (int k = 0; i < n && k < 8; k++) y[i * 8 + k] = got[k];
}

template <int WHAT> static __global__ void mask_kernel(const float *x, float *y, int n)
{
    const int t = (int)threadIdx.x, lane = t % TK_WARP;
    float got = 0;
    if (WHAT == PLANTED_HALF_MASK) got = __shfl_xor_sync(0xffffu, x[t], 1);
    if (WHAT == PLANTED_OTHER_MASK)
        got = __shfl_xor_sync(lane == 1 || lane == 2 ? ALL : ALL ^ 2u, x[t], 0);
    if (WHAT == PLANTED_FOREIGN_LANE && lane < 16) got = __shfl_xor_sync(0xffffu, x[t], 16);
    if (WHAT == PLANTED_ENDED_LANE && lane == 4) return;
    if (WHAT == PLANTED_ENDED_LANE) got = __shfl_xor_sync(ALL, x[t], 1);
    if (t < n) y[t] = got;
}

static __global__ void deep_kernel(const float *x, float *y, int n)
{
    volatile float deep[TK_FIBER_STACK / sizeof(float)];
    for (int i = 0; i < (int)(sizeof deep / sizeof *deep); i++) deep[i] = x[i % n];
    if (threadIdx.x == 0) y[0] = deep[n / 2];
}

typedef void planted_kernel(const float *x, float *y, int n);
static planted_kernel *const kernels[PLANTED_KINDS] = {
    reverse_kernel<PLANTED_REVERSE>,
    sums_kernel<true>,
    lanes_kernel,
    reverse_kernel<PLANTED_NO_BARRIER>,
    sums_kernel<false>,
    reverse_kernel<PLANTED_TAIL>,
    reverse_kernel<PLANTED_NO_STORE>,
    reverse_kernel<PLANTED_UNWRITTEN>,
    mask_kernel<PLANTED_HALF_MASK>,
    mask_kernel<PLANTED_OTHER_MASK>,
    mask_kernel<PLANTED_FOREIGN_LANE>,
    mask_kernel<PLANTED_ENDED_LANE>,
    reverse_kernel<PLANTED_ENDED_THREAD>,
    reverse_kernel<PLANTED_TWO_BARRIERS>,
    reverse_kernel<PLANTED_OVERRUN>,
    reverse_kernel<PLANTED_UNDERRUN>,
    reverse_kernel<PLANTED_READ_BEHIND>,
    reverse_kernel<PLANTED_READ_BEFORE>,
    deep_kernel,
    reverse_kernel<PLANTED_MISPLACED_LOAD>,
    reverse_kernel<PLANTED_MISPLACED_STORE>,
};

extern "C" int planted_run(planted what, const float *x, float *y, int n, int threads)
{
    const bool whole = what == PLANTED_SUMS || what == PLANTED_NO_SECOND_BARRIER;
    const size_t shared = (size_t)(whole ? TK_WARP : threads) * sizeof(float);
    const unsigned blocks = whole ? 1 : tk_grid(n, threads);
    cudaStream_t s = NULL;
    if (cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking) != cudaSuccess) return 0;
    cudaError_t e = tk_start<const float *, float *, int>("planted", kernels[what], blocks,
                                                          (unsigned)threads, shared, s, x, y, n);
    if (e == cudaSuccess) e = cudaStreamSynchronize(s);
    cudaStreamDestroy(s);
    return e == cudaSuccess;
}
