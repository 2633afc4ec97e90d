// SPDX-License-Identifier: Apache-2.0
// Arrays element by element. What is done to them is a struct of addresses and numbers with
//
//     template <int V> __device__ void at(int64_t i) const;  // to elements [i, i + V)
//
// (in a namespace without a name: another file may have one of that name) and tk_flat does it to
// all of n, V at a time where all arrays allow accesses of 16 bytes:
//
//     return tk_flat<V>(d, "halve", halve<T>{x, y}, n, tk_head(x, y));
#pragma once
#include "core/device/cuda/kernels/kernel.cuh"

// How many elements lie before the first at which all arrays are at a multiple of 16 bytes; -1:
// there is none. Arrays that are not there do not count.
template <class... T> static inline int tk_head(const T *...array)
{
    for (int head = 0; head < 8; head++)
        if (((!array || (uintptr_t)(array + head) % 16 == 0) && ...)) return head;
    return -1;
}

// The same where V elements must be of one row of `cols`.
template <int V, class... T> static inline int tk_head_of_rows(int64_t cols, const T *...array)
{
    return cols % V == 0 && tk_head(array...) == 0 ? 0 : -1;
}

// Elements [head, ...) in packs of V; those before and after, one by one, by the first threads.
template <class Work, int V>
static __global__ void tk_flat_kernel(Work work, int64_t head, int64_t n)
{
    const int64_t packs = (n - head) / V, step = (int64_t)gridDim.x * blockDim.x;
    const int64_t thread = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (int64_t i = thread; i < packs; i += step) work.template at<V>(head + i * V);
    if (V > 1 && thread < n - packs * V)
        work.template at<1>(thread < head ? thread : packs * V + thread);
}

template <int V, class Work>
static tk_status tk_flat(tk_device *d, const char *name, const Work &work, int64_t n, int head)
{
    enum { THREADS = 256 };
    if (head < 0 || head > n)
        return tk_launch(d, name, tk_flat_kernel<Work, 1>, tk_grid(n, THREADS), THREADS, 0, work, 0,
                         n);
    const int64_t packs = (n - head) / V, threads = packs || !n ? packs : 1;
    return tk_launch(d, name, tk_flat_kernel<Work, V>, tk_grid(threads, THREADS), THREADS, 0, work,
                     head, n);
}
