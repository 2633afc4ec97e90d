// SPDX-License-Identifier: Apache-2.0
// What attention by cuDNN is told of documents, and the rows that it is not shown.
#include "core/device/cuda/kernels/kernel.cuh"

#include "core/device/cuda/cudnn/attention.h"

enum { THREADS = 256 };

static __device__ bool is_filled(const int32_t *own, const int32_t *other, int64_t i)
{
    return own[i + 1] > own[i] && other[i + 1] > other[i];
}

// A thread for each document counts those before it: there are few.
static __global__ void documents_kernel(tk_cuda_documents x)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i > x.docs || (i < x.docs && !is_filled(x.ask, x.asked, i))) return;
    int64_t place = 0;
    for (int64_t before = 0; before < i; before++) place += is_filled(x.ask, x.asked, before);
    x.at[0][place] = x.ask[i] * x.width;
    x.at[1][place] = x.asked[i] * x.width;
    x.at[2][place] = x.ask[i] * x.heads;
    if (i == x.docs) return; // the end
    x.count[0][place] = x.ask[i + 1] - x.ask[i];
    x.count[1][place] = x.asked[i + 1] - x.asked[i];
}

// A block for each document.
template <class T>
static __global__ void alone_kernel(T *x, const int32_t *own, const int32_t *other, int64_t width)
{
    const int64_t d = blockIdx.x;
    if (other[d + 1] > other[d]) return;
    const int64_t end = own[d + 1] * width;
    for (int64_t i = own[d] * width + threadIdx.x; i < end; i += THREADS) x[i] = tk_round<T>(0.0f);
}

extern "C" tk_status tk_cuda_find_documents(tk_device *d, const tk_cuda_documents *x)
{
    return tk_launch(d, "attention documents", documents_kernel, tk_grid(x->docs + 1, THREADS),
                     THREADS, 0, *x);
}

extern "C" tk_status tk_cuda_zero_alone(tk_device *d, void *x, tk_dtype t, int64_t width,
                                        const int32_t *own, const int32_t *other, int64_t docs)
{
    const unsigned blocks = (unsigned)docs;
    if (t == TK_BF16)
        return tk_launch(d, "attention of none", alone_kernel<tk_bf16>, blocks, THREADS, 0,
                         (tk_bf16 *)x, own, other, width);
    return tk_launch(d, "attention of none", alone_kernel<float>, blocks, THREADS, 0, (float *)x,
                     own, other, width);
}
