// SPDX-License-Identifier: Apache-2.0
// What the files of the device "cuda" share.
//
// cuda.c is the device: driver, pool, queues (a stream each), events. Every .cu file is one idea:
// kernels, and the functions of the operator table that launch them; table.c lists those. blas.c
// is matrix products, by cuBLASLt. All that touches the device does so on tk_cuda_stream(d).
//
// Kernels are deterministic: no atomics on floats, sums in an order that shapes alone decide. They
// read and write activations in fp32 or bf16 themselves, sum in fp32, and round each result once.
#pragma once
#include "core/device/ops_impl.h"
#include <cuda_runtime_api.h>

typedef struct tk_cuda_blas tk_cuda_blas; // blas.c's

typedef struct tk_cuda { // d->impl
    cudaStream_t stream[TK_QUEUES];
    int device;          // ordinal among those visible
    int multiprocessors; // of it
    size_t shared_most;  // bytes of shared memory that a block may ask for
    tk_cuda_blas *blas;  // NULL until the first product
} tk_cuda;

static inline tk_cuda *tk_cuda_of(const tk_device *d)
{
    return (tk_cuda *)d->impl;
}

// Of the queue of the moment.
static inline cudaStream_t tk_cuda_stream(const tk_device *d)
{
    return tk_cuda_of(d)->stream[d->queue];
}

// TK_OK, or what failed in words: the call or kernel, the device, CUDA's own name for the error.
tk_status tk_cuda_check(const tk_device *d, cudaError_t e, const char *what);

// Whether all activations of a call may be read and written as bf16: kernels that know both.
bool tk_cuda_knows_bf16(const tk_call *c, bool back);
