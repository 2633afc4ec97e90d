// SPDX-License-Identifier: Apache-2.0
// Sums over ranks, for the transport that brings their parts together (parallel/nccl).
#pragma once
#ifdef __cplusplus
extern "C" {
#endif
#include "core/device/device.h"

// out[i] = part(0)[i] op part(1)[i] op ..., in this order, bf16 in fp32 and rounded once: the same
// bits as tk_mpi_fold. The part of `rank` is `own` (n); those of the others lie in `others`, in the
// order of ranks without it, `stride` elements apart. Where `rank` is `size`, all parts lie in
// `others`. `out` may be `own`.
typedef struct tk_cuda_parts {
    void *out;
    const void *own, *others;
    int64_t n, stride;
    int rank, size;
    tk_dtype type; // TK_F32, TK_BF16, TK_I32
    bool sums;     // else the greatest; NaN is greater than all
} tk_cuda_parts;
tk_status tk_cuda_fold(tk_device *d, const tk_cuda_parts *p); // on the queue of the moment
#ifdef __cplusplus
}
#endif
