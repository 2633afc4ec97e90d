// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/cudnn/calls.h"
#include "core/base/library.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

tk_cudnn_calls tk_cudnn;
static char fault[512]; // why they are not there

// The interface is that of a major version.
static const char NAME[] = "libcudnn.so.9";

static void load_calls(void)
{
    static const tk_library_call call[] = {
#define CALL_ROW(name) {#name, &tk_cudnn.name},
        TK_CUDNN_CALLS(CALL_ROW)
#undef CALL_ROW
    };
    tk_library_load(NAME, sizeof call / sizeof *call, call, fault, sizeof fault);
    if (!*fault && tk_cudnn_version() < TK_CUDNN_LEAST)
        snprintf(fault, sizeof fault, "%s is of version %lld.%lld", NAME,
                 (long long)(tk_cudnn_version() / 10000),
                 (long long)(tk_cudnn_version() / 100 % 100));
}

tk_status tk_cudnn_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_calls);
    if (!*fault) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "attention=cudnn needs cuDNN %d.%d or a later 9: %s. Install cuDNN for CUDA %d, "
                   "or name its folder in LD_LIBRARY_PATH; attention=own needs none",
                   TK_CUDNN_LEAST / 10000, TK_CUDNN_LEAST / 100 % 100, fault,
                   CUDART_VERSION / 1000);
}

int64_t tk_cudnn_version(void)
{
    return (int64_t)tk_cudnn.cudnnGetVersion();
}

tk_status tk_cudnn_check(const tk_device *d, cudnnStatus_t s, const char *what)
{
    char more[512] = "", words[640];
    if (s == CUDNN_STATUS_SUCCESS) return TK_OK;
    tk_cudnn.cudnnGetLastErrorString(more, sizeof more);
    snprintf(words, sizeof words, "%s (%s)", tk_cudnn.cudnnGetErrorString(s), more);
    return tk_cuda_library_failed(d, "cuDNN", what, words,
                                  s == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                                      s == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED);
}

// ---- descriptors -------------------------------------------------------------------------------

cudnnBackendDescriptor_t tk_cudnn_new(tk_cudnn_parts *p, cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t x = NULL;
    tk_assert(p->n < TK_CUDNN_PARTS);
    if (p->status) return NULL;
    p->status = tk_cudnn.cudnnBackendCreateDescriptor(type, &x);
    if (!p->status) p->part[p->n++] = x;
    return x;
}

void tk_cudnn_set(tk_cudnn_parts *p, cudnnBackendDescriptor_t x, cudnnBackendAttributeName_t name,
                  cudnnBackendAttributeType_t type, int64_t n, const void *values)
{
    if (!p->status) p->status = tk_cudnn.cudnnBackendSetAttribute(x, name, type, n, values);
}

void tk_cudnn_join(tk_cudnn_parts *p, cudnnBackendDescriptor_t x, cudnnBackendAttributeName_t name,
                   cudnnBackendDescriptor_t other)
{
    if (other) tk_cudnn_set(p, x, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &other);
}

void tk_cudnn_finish(tk_cudnn_parts *p, cudnnBackendDescriptor_t x)
{
    if (!p->status) p->status = tk_cudnn.cudnnBackendFinalize(x);
}

void tk_cudnn_end(tk_cudnn_parts *p)
{
    while (p->n > 0) (void)tk_cudnn.cudnnBackendDestroyDescriptor(p->part[--p->n]);
}
