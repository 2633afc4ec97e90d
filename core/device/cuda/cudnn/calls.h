// SPDX-License-Identifier: Apache-2.0
// cuDNN's backend interface, loaded when attention by it is first asked for, and its descriptors.
//
//     tk_cudnn_parts p = {0};
//     cudnnBackendDescriptor_t x = tk_cudnn_new(&p, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
//     tk_cudnn_set(&p, x, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
//     tk_cudnn_finish(&p, x);
//     ... p.status tells whether all that worked ...
//     tk_cudnn_end(&p);
#pragma once
#include "core/device/cuda/cuda.h"
#include <cudnn.h>

// The first version whose attention takes documents of any lengths, and the first whose backward
// needs no zeroed workspace for them on Hopper.
enum { TK_CUDNN_LEAST = 91500, TK_CUDNN_UNZEROED = 91800 };

// X(function): those that are used.
#define TK_CUDNN_CALLS(X)            \
    X(cudnnGetVersion)               \
    X(cudnnGetErrorString)           \
    X(cudnnGetLastErrorString)       \
    X(cudnnCreate)                   \
    X(cudnnDestroy)                  \
    X(cudnnSetStream)                \
    X(cudnnBackendCreateDescriptor)  \
    X(cudnnBackendDestroyDescriptor) \
    X(cudnnBackendSetAttribute)      \
    X(cudnnBackendGetAttribute)      \
    X(cudnnBackendFinalize)          \
    X(cudnnBackendExecute)

typedef struct tk_cudnn_calls {
#define TK_CUDNN_ROW(name) __typeof__(name) *name;
    TK_CUDNN_CALLS(TK_CUDNN_ROW)
#undef TK_CUDNN_ROW
} tk_cudnn_calls;
extern tk_cudnn_calls tk_cudnn; // there once tk_cudnn_load was TK_OK

// TK_INPUT where it is not there or too old, in words that say what would be right.
tk_status tk_cudnn_load(void);
int64_t tk_cudnn_version(void); // of what is loaded: 91900 is 9.19.0
// TK_OK, or what failed on the device, with cuDNN's own words (tk_cuda_library_failed).
tk_status tk_cudnn_check(const tk_device *d, cudnnStatus_t s, const char *what);

// Descriptors that live and end together. The first failure stays in `status`; nothing is done
// after it.
enum { TK_CUDNN_PARTS = 160 };
typedef struct tk_cudnn_parts {
    cudnnBackendDescriptor_t part[TK_CUDNN_PARTS];
    int n;
    cudnnStatus_t status;
} tk_cudnn_parts;

cudnnBackendDescriptor_t tk_cudnn_new(tk_cudnn_parts *p, cudnnBackendDescriptorType_t type);
void tk_cudnn_set(tk_cudnn_parts *p, cudnnBackendDescriptor_t x, cudnnBackendAttributeName_t name,
                  cudnnBackendAttributeType_t type, int64_t n, const void *values);
// An attribute that is another descriptor; NULL: it is left out.
void tk_cudnn_join(tk_cudnn_parts *p, cudnnBackendDescriptor_t x, cudnnBackendAttributeName_t name,
                   cudnnBackendDescriptor_t other);
void tk_cudnn_finish(tk_cudnn_parts *p, cudnnBackendDescriptor_t x);
void tk_cudnn_end(tk_cudnn_parts *p);
