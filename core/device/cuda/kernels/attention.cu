// SPDX-License-Identifier: Apache-2.0
// ATTENTION by our own kernels: which run a call, and the sums of do * o that backward begins with.
#include "core/device/cuda/kernels/attention.cuh"
#include "core/device/cuda/table.h"

enum { THREADS = 256, WARPS = THREADS / TK_WARP };

// across (rows, heads) = sum over a head's channels of up * o. A warp each.
template <class T>
static __global__ void across_kernel(const T *up, const T *o, float *across, int64_t all, int dim)
{
    const int lane = threadIdx.x % TK_WARP;
    const int64_t first = (int64_t)blockIdx.x * WARPS + threadIdx.x / TK_WARP;
    for (int64_t i = first; i < all; i += (int64_t)gridDim.x * WARPS) {
        float sum = 0;
        for (int j = lane; j < dim; j += TK_WARP)
            sum += tk_widen(up[i * dim + j]) * tk_widen(o[i * dim + j]);
        sum = tk_warp_sum(sum);
        if (lane == 0) across[i] = sum;
    }
}

template <class T> static tk_status across_as(tk_device *d, const tk_call *c)
{
    const int64_t all = tk_count(&c->out[1]);
    return tk_launch(d, "attention sums", across_kernel<T>, tk_grid(all, WARPS), THREADS, 0,
                     (const T *)c->dout[0].data, (const T *)c->out[0].data, (float *)d->scratch,
                     all, (int)c->i[0]);
}

extern "C" tk_status tk_cuda_attention_own_check(const tk_device *d, const tk_call *c, bool back)
{
    (void)d, (void)back;
    if (c->i[0] <= ATTENTION_DIM) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "device cuda: attention knows heads of at most %d channels, these have %lld "
                   "(model.head_dim)",
                   ATTENTION_DIM, (long long)c->i[0]);
}

extern "C" tk_status tk_cuda_attention_own(tk_device *d, const tk_call *c)
{
    return tk_cuda_attention_tensor_knows(c) ? tk_cuda_attention_tensor(d, c)
                                             : tk_cuda_attention_plain(d, c);
}

extern "C" tk_status tk_cuda_attention_own_back(tk_device *d, const tk_call *c)
{
    TK_TRY(c->dout[0].dtype == TK_BF16 ? across_as<tk_bf16>(d, c) : across_as<float>(d, c));
    return tk_cuda_attention_tensor_knows(c) ? tk_cuda_attention_tensor_back(d, c)
                                             : tk_cuda_attention_plain_back(d, c);
}

extern "C" size_t tk_cuda_attention_own_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    return back ? (size_t)tk_count(&c->out[1]) * sizeof(float) : 0;
}
