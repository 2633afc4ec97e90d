// SPDX-License-Identifier: Apache-2.0
// Sums over arrays into one number, in an order that their length alone decides: each thread adds
// up packs of PACK elements in double, then blocks do, in trees, then one block adds up those of
// all blocks. What is summed is a struct of addresses and numbers with
//
//     template <int V> __device__ double of(int64_t i) const; // sum over elements [i, i + V)
//
// in a namespace without a name. d->scratch holds tk_sum_bytes(n).
#pragma once
#include "core/device/cuda/kernels/kernel.cuh"

enum { TK_SUM_PACK = 4, TK_SUM_THREADS = 256, TK_SUM_BLOCKS = 1024 };

// V elements, in one access where `wide`, which changes nothing else.
template <int V>
static __device__ inline void tk_read_any(const float *from, float (&x)[V], bool wide)
{
    if (wide)
        tk_read<V>(from, x);
    else
        for (int j = 0; j < V; j++) x[j] = from[j];
}

template <class Term> static __global__ void tk_sum_kernel(Term term, int64_t n, double *part)
{
    const int64_t packs = n / TK_SUM_PACK, step = (int64_t)gridDim.x * blockDim.x;
    const int64_t thread = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    double s = 0;
    for (int64_t i = thread; i < packs; i += step)
        s += term.template of<TK_SUM_PACK>(i * TK_SUM_PACK);
    if (thread < n % TK_SUM_PACK) s += term.template of<1>(packs * TK_SUM_PACK + thread);
    s = tk_block_sum(s, tk_shared<double>());
    if (threadIdx.x == 0) part[blockIdx.x] = s;
}

// *out (more: +)= sum of the parts, rounded once.
static __global__ void tk_total_kernel(const double *part, int parts, float *out, bool more)
{
    double s = 0;
    for (int i = threadIdx.x; i < parts; i += blockDim.x) s += part[i];
    s = tk_block_sum(s, tk_shared<double>());
    if (threadIdx.x == 0) *out = (float)(more ? *out + s : s);
}

static inline int tk_sum_blocks(int64_t n)
{
    const int64_t blocks = tk_blocks(n, (int64_t)TK_SUM_PACK * TK_SUM_THREADS);
    return (int)(blocks < 1 ? 1 : blocks < TK_SUM_BLOCKS ? blocks : (int64_t)TK_SUM_BLOCKS);
}

static inline size_t tk_sum_bytes(int64_t n)
{
    return (size_t)tk_sum_blocks(n) * sizeof(double);
}

template <class Term>
static tk_status tk_sum(tk_device *d, const char *name, const Term &term, int64_t n, float *out,
                        bool more)
{
    const int blocks = tk_sum_blocks(n);
    const size_t space = TK_WARP * sizeof(double);
    double *part = (double *)d->scratch;
    TK_TRY(tk_launch(d, name, tk_sum_kernel<Term>, blocks, TK_SUM_THREADS, space, term, n, part));
    return tk_launch(d, name, tk_total_kernel, 1, TK_SUM_THREADS, space, part, blocks, out, more);
}
