// SPDX-License-Identifier: Apache-2.0
// The memory of the pool: one range of addresses, into which memory of the device is mapped from
// its begin on as the pool grows, in large pieces, so that no address ever changes. By the driver's
// functions, which the runtime finds: nothing is linked that a machine without a driver lacks.
#include "core/base/mem.h"
#include "core/device/cuda/cuda.h"
#include <cudaTypedefs.h>
#include <string.h>

enum { PIECES = 1024 }; // at most; each but the last is at least a 512th of the device's memory

typedef struct tk_cuda_range {
    CUdeviceptr base;
    size_t bytes, mapped, unit; // of addresses, of memory, and what both are multiples of
    int n;
    size_t piece[PIECES]; // bytes
    PFN_cuMemAddressReserve_v10020 reserve;
    PFN_cuMemAddressFree_v10020 unreserve;
    PFN_cuMemCreate_v10020 create;
    PFN_cuMemRelease_v10020 release;
    PFN_cuMemMap_v10020 map;
    PFN_cuMemUnmap_v10020 unmap;
    PFN_cuMemSetAccess_v10020 set_access;
    PFN_cuMemGetAllocationGranularity_v10020 granularity;
} tk_cuda_range;

// The driver's errors have the runtime's numbers.
static tk_status check(const tk_device *d, CUresult e, const char *what)
{
    return tk_cuda_check(d, (cudaError_t)e, what);
}

static tk_status find_driver(const tk_device *d, const char *name, void *to)
{
    enum { CUDA_10_2 = 10020 };
    enum cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    void *f = NULL;
    TK_TRY(tk_cuda_check(
        d, cudaGetDriverEntryPointByVersion(name, &f, CUDA_10_2, cudaEnableDefault, &found), name));
    if (found != cudaDriverEntryPointSuccess || !f)
        return TK_FAIL(TK_INPUT, "device=cuda: the NVIDIA driver has no %s: update it", name);
    memcpy(to, &f, sizeof f);
    return TK_OK;
}

static tk_status find_drivers(const tk_device *d, tk_cuda_range *r)
{
    TK_TRY(find_driver(d, "cuMemAddressReserve", &r->reserve));
    TK_TRY(find_driver(d, "cuMemAddressFree", &r->unreserve));
    TK_TRY(find_driver(d, "cuMemCreate", &r->create));
    TK_TRY(find_driver(d, "cuMemRelease", &r->release));
    TK_TRY(find_driver(d, "cuMemMap", &r->map));
    TK_TRY(find_driver(d, "cuMemUnmap", &r->unmap));
    TK_TRY(find_driver(d, "cuMemSetAccess", &r->set_access));
    TK_TRY(find_driver(d, "cuMemGetAllocationGranularity", &r->granularity));
    return TK_OK;
}

static CUmemAllocationProp properties(const tk_device *d)
{
    return (CUmemAllocationProp){
        .type = CU_MEM_ALLOCATION_TYPE_PINNED,
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = tk_cuda_of(d)->device}};
}

static size_t up_to(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static tk_status reserve(const tk_device *d, tk_cuda_range *r, size_t bytes)
{
    const CUmemAllocationProp p = properties(d);
    TK_TRY(find_drivers(d, r));
    TK_TRY(check(d, r->granularity(&r->unit, &p, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED),
                 "cuMemGetAllocationGranularity"));
    r->bytes = up_to(bytes, r->unit);
    return check(d, r->reserve(&r->base, r->bytes, 0, 0, 0), "cuMemAddressReserve");
}

// A pool of given size has its memory at once; another has more addresses than there is memory, so
// that it is memory that runs out.
tk_status tk_cuda_reserve(tk_device *d, size_t *bytes, void **base)
{
    tk_cuda *c = tk_cuda_of(d);
    const size_t wanted = *bytes;
    if (!wanted) *bytes = 2 * c->bytes;
    c->range = tk_alloc(sizeof *c->range);
    if (!c->range) return TK_FAIL(TK_MEMORY, "out of memory for device %s", d->ops->name);
    tk_status st = reserve(d, c->range, *bytes);
    *base = (void *)(uintptr_t)c->range->base;
    if (st == TK_OK && wanted) st = tk_cuda_grow(d, wanted);
    if (st != TK_OK) tk_cuda_release(d, *base, *bytes);
    TK_TRY(st);
    return TK_OK;
}

// Memory for the next `bytes`, a multiple of the unit.
static CUresult add_piece(const tk_device *d, tk_cuda_range *r, size_t bytes)
{
    const CUmemAllocationProp p = properties(d);
    const CUmemAccessDesc access = {.location = p.location,
                                    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemGenericAllocationHandle handle;
    const CUdeviceptr at = r->base + r->mapped;
    CUresult e = r->create(&handle, bytes, &p, 0);
    if (e != CUDA_SUCCESS) return e;
    e = r->map(at, bytes, 0, handle, 0);
    r->release(handle); // it lives as long as it is mapped
    if (e != CUDA_SUCCESS) return e;
    e = r->set_access(at, bytes, &access, 1);
    if (e != CUDA_SUCCESS) {
        r->unmap(at, bytes);
        return e;
    }
    r->piece[r->n++] = bytes;
    r->mapped += bytes;
    return CUDA_SUCCESS;
}

static tk_status full(const tk_device *d, const tk_cuda_range *r, size_t bytes)
{
    const tk_cuda *c = tk_cuda_of(d);
    size_t available = 0, total = 0;
    (void)cudaMemGetInfo(&available, &total);
    return TK_FAIL(
        TK_MEMORY,
        "GPU %d (%s) is out of memory: the pool would grow to %.1f MiB, it has %.1f MiB, "
        "and %.1f of the GPU's %.1f MiB are free (more ranks, fewer rows at once or "
        "train.recompute need less; talkie plan tells how much)",
        c->device, c->name, (double)bytes / 0x1p20, (double)r->mapped / 0x1p20,
        (double)available / 0x1p20, (double)total / 0x1p20);
}

static tk_status grow(tk_device *d, size_t bytes)
{
    const tk_cuda *c = tk_cuda_of(d);
    tk_cuda_range *r = c->range;
    const size_t left = r->bytes - r->mapped, need = up_to(bytes - r->mapped, r->unit);
    size_t step = up_to(c->bytes / (PIECES / 2), r->unit);
    if (step < need) step = need;
    if (step > left) step = left;
    CUresult e = r->n < PIECES ? add_piece(d, r, step) : CUDA_ERROR_OUT_OF_MEMORY;
    if (e == CUDA_ERROR_OUT_OF_MEMORY && step > need) e = add_piece(d, r, need);
    if (e == CUDA_ERROR_OUT_OF_MEMORY) return full(d, r, bytes);
    return check(d, e, "mapping memory into the pool");
}

// Mapping waits for nothing, so it may be done while work is recorded.
tk_status tk_cuda_grow(tk_device *d, size_t bytes)
{
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    if (bytes <= tk_cuda_of(d)->range->mapped) return TK_OK;
    TK_TRY(tk_cuda_check(d, cudaThreadExchangeStreamCaptureMode(&mode), "mapping memory"));
    const tk_status st = grow(d, bytes);
    (void)cudaThreadExchangeStreamCaptureMode(&mode);
    return st;
}

void tk_cuda_release(tk_device *d, void *base, size_t bytes)
{
    tk_cuda *c = tk_cuda_of(d);
    tk_cuda_range *r = c->range;
    (void)base, (void)bytes;
    while (r->n > 0) {
        r->mapped -= r->piece[--r->n];
        r->unmap(r->base + r->mapped, r->piece[r->n]);
    }
    if (r->base) r->unreserve(r->base, r->bytes);
    tk_free(r);
    c->range = NULL;
}
