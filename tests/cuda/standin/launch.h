// SPDX-License-Identifier: Apache-2.0
// A launch of an emulated kernel, from the dialect (dialect.h) to the stand-in for the CUDA runtime
// (cudart.c), which runs it when its stream's turn comes.
#pragma once
#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif
typedef struct tk_emulated_launch {
    const char *name; // lives as long as the program
    dim3 grid, block;
    size_t shared;                 // bytes
    void (*body)(const void *all); // one thread, to its end
    const void *arguments;         // what body is given: `bytes` bytes that may be copied as they
    size_t bytes;                  // are, to any address that is a multiple of 16
} tk_emulated_launch;

// cudart.c's: the launch is checked as the runtime would, its arguments are copied.
cudaError_t tk_emulated_start(const tk_emulated_launch *l, cudaStream_t stream);
// dialect.cc's: runs all of its blocks now. What a kernel must not do ends the process with words
// on stderr.
void tk_emulated_run(const tk_emulated_launch *l);
// A kernel has touched what it must not: ends the process where that lies beside its block's shared
// memory.
void tk_emulated_touched(const void *at);
#ifdef __cplusplus
}
#endif
