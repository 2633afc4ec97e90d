// SPDX-License-Identifier: Apache-2.0
// ATTENTION by cuDNN, and whether a call is its.
#pragma once
#include "core/device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

// attention.cu: where documents begin, for cuDNN. Of docs documents those in which some ask and
// some are asked, in their order: their first rows times `width` elements (of q, of k) and `heads`
// (of lse), and how many rows they have. at[0..2] (docs + 1) i64: the last is the end; count[0..1]
// (docs).
typedef struct tk_cuda_documents {
    const int32_t *ask, *asked; // offsets of all (docs + 1)
    int64_t docs, width, heads;
    int64_t *at[3];
    int32_t *count[2];
} tk_cuda_documents;
tk_status tk_cuda_find_documents(tk_device *d, const tk_cuda_documents *x);
// x (rows, width), zero in rows of documents that have none opposite. own, other: their offsets.
tk_status tk_cuda_zero_alone(tk_device *d, void *x, tk_dtype t, int64_t width, const int32_t *own,
                             const int32_t *other, int64_t docs);

#ifdef TK_CUDNN
// Whether cuDNN does the call: where the device's way is AUTO and it cannot, our own kernels do,
// which is said once; where it is CUDNN that is TK_INPUT, in words. A rank without heads has
// nothing to do, which our own kernels do in either way. Asked before the two below.
tk_status tk_cudnn_takes(const tk_device *d, const tk_call *c, bool back, bool *takes);
size_t tk_cudnn_scratch(const tk_device *d, const tk_call *c, bool back);
tk_status tk_cudnn_attention(tk_device *d, const tk_call *c);
tk_status tk_cudnn_attention_back(tk_device *d, const tk_call *c);
#endif
// Of tk_device_ops: the version of the cuDNN that there is; TK_INPUT in words where there is none.
tk_status tk_cuda_attends(tk_device *d, int64_t *version);
void tk_cudnn_close(tk_cuda *c); // fine without

#ifdef __cplusplus
}
#endif
