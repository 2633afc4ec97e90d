// SPDX-License-Identifier: Apache-2.0
// What the files of the device "cuda" share.
//
// open.c finds a GPU that this program can run on; cuda.c is the device: queues (a stream each),
// moves, events; range.c the memory of its pool. Every .cu file is one idea: kernels, and the
// functions of the operator table that launch them; table.c lists those. blas.c is matrix products,
// by cuBLASLt; attention.c is attention, by our own kernels or by cuDNN (cudnn_*.c). All that
// touches the device does so on tk_cuda_stream(d).
//
// Kernels are deterministic: no atomics on floats, sums in an order that shapes alone decide. They
// read and write activations in fp32 or bf16 themselves, sum in fp32, and round each result once.
#pragma once
#include "core/device/ops/impl.h"
#include <cuda_runtime_api.h>

typedef struct tk_cuda_blas tk_cuda_blas; // blas.c's

typedef struct tk_cuda { // d->impl
    cudaStream_t stream[TK_QUEUES];
    int device;                  // ordinal among those visible
    char name[80];               // of it
    int multiprocessors;         // of it
    size_t shared_most;          // bytes of shared memory that a block may ask for
    size_t bytes;                // of its memory
    bool poison;                 // memory given back is overwritten
    struct tk_cuda_range *range; // range.c's
    tk_cuda_blas *blas;          // NULL until it is open
    struct tk_cudnn *cudnn;      // cudnn/attention.c's; NULL: attention is our own
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
// TK_MEMORY where its memory is full; TK_DEVICE where the device is of no use to this process from
// now on; else TK_INTERNAL. Work is done late, so what failed may be other work than `what`.
tk_status tk_cuda_check(const tk_device *d, cudaError_t e, const char *what);
// The same of a library that has failed at `what`, for which it has `words`; `full`: it got no
// memory. A library's codes do not tell whether the device itself has failed: that is asked for
// here.
tk_status tk_cuda_library_failed(const tk_device *d, const char *library, const char *what,
                                 const char *words, bool full);

// From now on `look` is called again and again while the host waits for a device of this process,
// which may wait for other ranks: the asked-th time in this wait, from 0. NULL: nothing is.
void tk_cuda_wait_by(void (*look)(int asked));

// open.c: the functions of tk_device_ops of that name; and what is known of a card, into `c`:
// TK_INPUT in words where there is none or this program cannot run on it.
tk_status tk_cuda_cards(int *n);
tk_status tk_cuda_card(int i, tk_card *out);
tk_status tk_cuda_find(tk_cuda *c, int card);
// Whether code built for `arches` ("90a 100a") runs on a GPU of this compute capability.
bool tk_cuda_fits(const char *arches, int major, int minor);

// range.c: the functions of tk_device_ops of that name.
tk_status tk_cuda_reserve(tk_device *d, size_t *bytes, void **base);
tk_status tk_cuda_grow(tk_device *d, size_t bytes);
void tk_cuda_release(tk_device *d, void *base, size_t bytes);

extern const tk_device_graph_ops tk_cuda_graph_ops; // graph.c

// Whether all activations of a call may be read and written as bf16: kernels that know both.
bool tk_cuda_knows_bf16(const tk_call *c, bool back);
