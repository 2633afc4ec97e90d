// SPDX-License-Identifier: Apache-2.0
// Stands in for the CUDA runtime, and for the driver's functions that it finds: one GPU, whose
// memory is the host's and which does everything at once. Functions that are not here do not link.
#include "tests/cuda/launch.h"
#include <cudaTypedefs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { GRANULE = 2 << 20, MULTIPROCESSORS = 4, SHARED_MOST = 227 << 10 };
static const size_t device_bytes = (size_t)16 << 30;

struct CUstream_st {
    unsigned flags;
};
struct CUevent_st {
    double at; // milliseconds
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

// ---- the device ------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    if (device != 0) return cudaErrorInvalidDevice;
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated GPU");
    p->major = 9;
    p->multiProcessorCount = MULTIPROCESSORS;
    p->sharedMemPerBlock = 48 << 10;
    p->sharedMemPerBlockOptin = SHARED_MOST;
    p->totalGlobalMem = device_bytes;
    p->warpSize = 32;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    *available = *total = device_bytes;
    return cudaSuccess;
}

const char *cudaGetErrorName(cudaError_t e)
{
    return e == cudaSuccess ? "cudaSuccess" : "cudaError";
}

const char *cudaGetErrorString(cudaError_t e)
{
    static char words[32];
    snprintf(words, sizeof words, "error %d", (int)e);
    return words;
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

// ---- streams and events ----------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    *s = (cudaStream_t)malloc(sizeof **s);
    if (!*s) return cudaErrorMemoryAllocation;
    (*s)->flags = flags;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    free(s);
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned)
{
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    *e = (cudaEvent_t)calloc(1, sizeof **e);
    return *e ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    return cudaEventCreateWithFlags(e, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    free(e);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t)
{
    e->at = now();
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t)
{
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t)
{
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to)
{
    *milliseconds = (float)(to->at - from->at);
    return cudaSuccess;
}

// ---- memory ----------------------------------------------------------------------------------

cudaError_t cudaHostAlloc(void **x, size_t bytes, unsigned)
{
    *x = aligned_alloc(64, (bytes + 63) / 64 * 64);
    return *x ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *x)
{
    free(x);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind,
                            cudaStream_t)
{
    memmove(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_stride, const void *from, size_t from_stride,
                              size_t width, size_t rows, enum cudaMemcpyKind, cudaStream_t)
{
    for (size_t r = 0; r < rows; r++)
        memcpy((char *)to + r * to_stride, (const char *)from + r * from_stride, width);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *x, int value, size_t bytes, cudaStream_t)
{
    memset(x, value, bytes);
    return cudaSuccess;
}

// ---- launches --------------------------------------------------------------------------------

cudaError_t tk_emulated_start(const tk_emulated_launch *l, cudaStream_t)
{
    const dim3 g = l->grid, b = l->block;
    const unsigned long long threads = (unsigned long long)b.x * b.y * b.z;
    if (!g.x || !g.y || !g.z || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535)
        return cudaErrorInvalidConfiguration;
    if (!threads || threads > 1024 || b.z > 64 || b.x % 32) return cudaErrorInvalidConfiguration;
    if (l->shared > SHARED_MOST) return cudaErrorInvalidValue;
    tk_emulated_run(l);
    return cudaSuccess;
}

// ---- the driver's virtual memory: addresses, and memory mapped there ---------------------------

static CUresult reserve(CUdeviceptr *at, size_t bytes, size_t, CUdeviceptr, unsigned long long)
{
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *at = (CUdeviceptr)p;
    return p == MAP_FAILED ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

static CUresult unreserve(CUdeviceptr at, size_t bytes)
{
    return munmap((void *)at, bytes) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult create(CUmemGenericAllocationHandle *h, size_t bytes, const CUmemAllocationProp *,
                       unsigned long long)
{
    *h = bytes;
    return bytes % GRANULE ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult release(CUmemGenericAllocationHandle)
{
    return CUDA_SUCCESS;
}

static CUresult map(CUdeviceptr at, size_t bytes, size_t, CUmemGenericAllocationHandle h,
                    unsigned long long)
{
    return at % 4096 || bytes != h ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult set_access(CUdeviceptr at, size_t bytes, const CUmemAccessDesc *, size_t)
{
    return mprotect((void *)at, bytes, PROT_READ | PROT_WRITE) ? CUDA_ERROR_INVALID_VALUE
                                                               : CUDA_SUCCESS;
}

static CUresult unmap(CUdeviceptr at, size_t bytes)
{
    void *p = mmap((void *)at, bytes, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return p == MAP_FAILED ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult granularity(size_t *bytes, const CUmemAllocationProp *,
                            CUmemAllocationGranularity_flags)
{
    *bytes = GRANULE;
    return CUDA_SUCCESS;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **f, unsigned,
                                             unsigned long long,
                                             enum cudaDriverEntryPointQueryResult *found)
{
    static const struct {
        const char *name;
        void *f;
    } all[] = {{"cuMemAddressReserve", (void *)reserve},
               {"cuMemAddressFree", (void *)unreserve},
               {"cuMemCreate", (void *)create},
               {"cuMemRelease", (void *)release},
               {"cuMemMap", (void *)map},
               {"cuMemUnmap", (void *)unmap},
               {"cuMemSetAccess", (void *)set_access},
               {"cuMemGetAllocationGranularity", (void *)granularity}};
    *f = NULL;
    for (const auto &entry : all)
        if (strcmp(entry.name, name) == 0) *f = entry.f;
    if (found) *found = *f ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}
