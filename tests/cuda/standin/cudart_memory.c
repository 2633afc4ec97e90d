// SPDX-License-Identifier: Apache-2.0
// Memory of the device: ranges of addresses, and pages mapped there by the driver's functions,
// which nobody may touch but work that runs. It is NaN before it is written, in fp32 and in bf16.
// Pinned memory of the host.
#include "tests/cuda/standin/cudart.h"
#include "tests/cuda/standin/launch.h"
#include <cudaTypedefs.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { UNIT = 64 << 10, HUGE = 2 << 20, RANGES = 64, PIECES = 4096, BLOCKS = 4096, WALLS = 64 };
enum { PAGE = 4096 };
static const uint32_t poison = 0x7fff7fffu;

typedef struct span {
    uintptr_t at;
    size_t bytes;
} span;

static struct {
    span range[RANGES], piece[PIECES]; // addresses; memory there, of which `open` has access
    bool access[PIECES];
    int ranges, pieces;
    size_t created; // bytes that have been made and not been given back
    span pinned[BLOCKS], wall[WALLS];
    int n_pinned, n_walls, open;
    struct sigaction before;
} state;

static bool holds(const span *s, const void *x, size_t bytes)
{
    const uintptr_t at = (uintptr_t)x;
    return at >= s->at && at - s->at <= s->bytes && bytes <= s->bytes - (at - s->at);
}

// ---- who touches it ----------------------------------------------------------------------------

// Pieces that lie side by side at once.
static void set_all(int protection)
{
    for (int i = 0, next; i < state.pieces; i = next) {
        span s = state.piece[i];
        for (next = i + 1; next < state.pieces && state.access[next] == state.access[i] &&
                           state.piece[next].at == s.at + s.bytes;
             next++)
            s.bytes += state.piece[next].bytes;
        if (state.access[i] && mprotect((void *)s.at, s.bytes, protection))
            standin_fault("mprotect: %s", strerror(errno));
    }
}

void cudart_open_memory(void)
{
    if (!state.open++) set_all(PROT_READ | PROT_WRITE);
}

void cudart_close_memory(void)
{
    if (!--state.open) set_all(PROT_NONE);
}

void standin_wall(const void *at, size_t bytes)
{
    if (!at) state.n_walls = 0;
    if (!at) return;
    standin_needs_device("standin_wall", at, bytes);
    if ((uintptr_t)at % PAGE || bytes % PAGE || state.n_walls == WALLS)
        standin_fault("standin_wall: not of whole pages, or too many");
    state.wall[state.n_walls++] = (span){(uintptr_t)at, bytes};
}

void cudart_raise_walls(bool up)
{
    for (int i = 0; i < state.n_walls; i++)
        if (mprotect((void *)state.wall[i].at, state.wall[i].bytes,
                     up ? PROT_NONE : PROT_READ | PROT_WRITE))
            standin_fault("mprotect: %s", strerror(errno));
}

// Whoever was interrupted does not go on, so it may be told with stdio.
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    const uintptr_t at = (uintptr_t)info->si_addr;
    const span *r = state.range;
    if (cudart_runs()) tk_emulated_touched(info->si_addr);
    while (r < state.range + state.ranges && !holds(r, info->si_addr, 1)) r++;
    for (int i = 0; i < state.n_walls && cudart_runs(); i++)
        if (holds(&state.wall[i], info->si_addr, 1))
            standin_fault("%s touches %p, which a test keeps from kernels", cudart_runs(),
                          info->si_addr);
    if (cudart_runs())
        standin_fault("%s touches %p, which is not memory of the device", cudart_runs(),
                      info->si_addr);
    if (r < state.range + state.ranges)
        standin_fault("host code touches device memory (byte %zu)", (size_t)(at - r->at));
    sigaction(number, &state.before, NULL); // not ours: it happens again
}

void cudart_watch(void)
{
    const struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction now;
    sigaction(SIGSEGV, NULL, &now);
    if (now.sa_sigaction == on_fault) return;
    state.before = now;
    sigaction(SIGSEGV, &a, NULL);
}

bool cudart_is_device(const void *x, size_t bytes)
{
    const uintptr_t at = (uintptr_t)x;
    if (!bytes) bytes = 1;
    for (int i = 0; i < state.pieces; i++) {
        const span *p = &state.piece[i];
        if (!state.access[i] || at < p->at || at - p->at >= p->bytes) continue;
        const size_t here = p->bytes - (at - p->at);
        return bytes <= here || cudart_is_device((const char *)x + here, bytes - here);
    }
    return false;
}

void standin_needs_device(const char *who, const void *x, size_t bytes)
{
    if (bytes && !cudart_is_device(x, bytes))
        standin_fault("%s: %zu bytes at %p are not memory of the device", who, bytes, x);
}

// ---- the driver's functions --------------------------------------------------------------------

static CUresult driver_reserve(CUdeviceptr *at, size_t bytes, size_t alignment, CUdeviceptr wish,
                               unsigned long long flags)
{
    if (alignment || wish || flags) CUDART_REFUSE("cuMemAddressReserve with a wish is not known");
    if (!bytes || bytes % UNIT) return CUDA_ERROR_INVALID_VALUE;
    cudart_watch();
    void *p =
        mmap(NULL, bytes + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || state.ranges == RANGES) return CUDA_ERROR_OUT_OF_MEMORY;
    *at = ((uintptr_t)p + HUGE - 1) / HUGE * HUGE;
    (void)madvise((void *)*at, bytes, MADV_HUGEPAGE); // which are quickly opened and closed
    state.range[state.ranges++] = (span){*at, bytes};
    return CUDA_SUCCESS;
}

static CUresult driver_unreserve(CUdeviceptr at, size_t bytes)
{
    for (int i = 0; i < state.pieces; i++)
        if (state.piece[i].at >= at && state.piece[i].at < at + bytes)
            return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < state.ranges; i++) {
        if (state.range[i].at != at || state.range[i].bytes != bytes) continue;
        munmap((void *)at, bytes);
        state.range[i] = state.range[--state.ranges];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

static size_t total(void)
{
    return (size_t)cudart_number("TK_CUDA_MEMORY", 2048) << 20;
}

static void check_place(const char *who, const CUmemLocation *l)
{
    if (l->type != CU_MEM_LOCATION_TYPE_DEVICE || l->id != cudart_device())
        standin_fault("%s: not of the current device", who);
}

static CUresult driver_create(CUmemGenericAllocationHandle *h, size_t bytes,
                              const CUmemAllocationProp *p, unsigned long long flags)
{
    const cudaError_t e = cudart_capture_forbids(NULL, NULL);
    check_place("cuMemCreate", &p->location);
    if (e != cudaSuccess) return (CUresult)e;
    if (p->type != CU_MEM_ALLOCATION_TYPE_PINNED || flags)
        CUDART_REFUSE("cuMemCreate of this type is not known");
    if (!bytes || bytes % UNIT) return CUDA_ERROR_INVALID_VALUE;
    if (bytes > total() - state.created) return CUDA_ERROR_OUT_OF_MEMORY;
    state.created += bytes;
    cudart_counts.allocations++;
    *h = bytes;
    return CUDA_SUCCESS;
}

// It lives as long as it is mapped; one that never was is not modelled.
static CUresult driver_release(CUmemGenericAllocationHandle h)
{
    (void)h;
    return CUDA_SUCCESS;
}

static CUresult driver_map(CUdeviceptr at, size_t bytes, size_t offset,
                           CUmemGenericAllocationHandle h, unsigned long long flags)
{
    bool reserved = false;
    if (offset || flags || bytes != h) CUDART_REFUSE("cuMemMap of a part is not known");
    if (at % UNIT || state.pieces == PIECES) return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < state.ranges; i++) reserved |= holds(&state.range[i], (void *)at, bytes);
    for (int i = 0; i < state.pieces; i++)
        if (at < state.piece[i].at + state.piece[i].bytes && state.piece[i].at < at + bytes)
            return CUDA_ERROR_INVALID_VALUE;
    if (!reserved) return CUDA_ERROR_INVALID_VALUE;
    state.access[state.pieces] = false;
    state.piece[state.pieces++] = (span){at, bytes};
    return CUDA_SUCCESS;
}

static CUresult driver_set_access(CUdeviceptr at, size_t bytes, const CUmemAccessDesc *d, size_t n)
{
    if (n != 1 || d->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
        CUDART_REFUSE("cuMemSetAccess of this kind is not known");
    check_place("cuMemSetAccess", &d->location);
    for (int i = 0; i < state.pieces; i++) {
        if (state.piece[i].at != at || state.piece[i].bytes != bytes) continue;
        uint32_t *x = (uint32_t *)at;
        if (mprotect(x, bytes, PROT_READ | PROT_WRITE)) return CUDA_ERROR_OUT_OF_MEMORY;
        for (size_t k = 0; k < bytes / sizeof *x; k++) x[k] = poison;
        if (!state.open) mprotect(x, bytes, PROT_NONE);
        state.access[i] = true;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

static CUresult driver_unmap(CUdeviceptr at, size_t bytes)
{
    for (int i = 0; i < state.pieces; i++) {
        if (state.piece[i].at != at || state.piece[i].bytes != bytes) continue;
        void *p = mmap((void *)at, bytes, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        if (p == MAP_FAILED) return CUDA_ERROR_INVALID_VALUE;
        state.created -= bytes;
        state.piece[i] = state.piece[--state.pieces];
        state.access[i] = state.access[state.pieces];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

static CUresult driver_granularity(size_t *bytes, const CUmemAllocationProp *p,
                                   CUmemAllocationGranularity_flags which)
{
    (void)which;
    check_place("cuMemGetAllocationGranularity", &p->location);
    *bytes = UNIT;
    return CUDA_SUCCESS;
}

// A function of the driver, unless a test wants it to fail: TK_CUDA_FAIL=cuMemCreate:1:2.
#define DRIVER(name, f, parameters, given)               \
    static CUresult f##_entered parameters               \
    {                                                    \
        const cudaError_t e = cudart_enter(name);        \
        return e == cudaSuccess ? f given : (CUresult)e; \
    }
DRIVER("cuMemAddressReserve", driver_reserve,
       (CUdeviceptr * at, size_t n, size_t a, CUdeviceptr w, unsigned long long f),
       (at, n, a, w, f))
DRIVER("cuMemAddressFree", driver_unreserve, (CUdeviceptr at, size_t n), (at, n))
DRIVER("cuMemCreate", driver_create,
       (CUmemGenericAllocationHandle * h, size_t n, const CUmemAllocationProp *p,
        unsigned long long f),
       (h, n, p, f))
DRIVER("cuMemMap", driver_map,
       (CUdeviceptr at, size_t n, size_t o, CUmemGenericAllocationHandle h, unsigned long long f),
       (at, n, o, h, f))
DRIVER("cuMemSetAccess", driver_set_access,
       (CUdeviceptr at, size_t n, const CUmemAccessDesc *d, size_t k), (at, n, d, k))

cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **f, unsigned version,
                                             unsigned long long flags,
                                             enum cudaDriverEntryPointQueryResult *found)
{
    // Typed, so that a function that is not as the header says does not compile.
    const PFN_cuMemAddressReserve_v10020 reserve = driver_reserve_entered;
    const PFN_cuMemAddressFree_v10020 unreserve = driver_unreserve_entered;
    const PFN_cuMemCreate_v10020 create = driver_create_entered;
    const PFN_cuMemRelease_v10020 release = driver_release;
    const PFN_cuMemMap_v10020 map = driver_map_entered;
    const PFN_cuMemUnmap_v10020 unmap = driver_unmap;
    const PFN_cuMemSetAccess_v10020 set_access = driver_set_access_entered;
    const PFN_cuMemGetAllocationGranularity_v10020 granularity = driver_granularity;
    const struct {
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
    CUDART_ENTER();
    if (flags != cudaEnableDefault || version < 10020)
        CUDART_REFUSE("%s of version %u is not known", name, version);
    *f = NULL;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) *f = all[i].f;
    if (found) *found = *f ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *all)
{
    CUDART_ENTER();
    *all = total();
    *available = total() - state.created;
    return cudaSuccess;
}

// ---- for other libraries -----------------------------------------------------------------------

static size_t whole_pages(size_t bytes)
{
    return (bytes + UNIT - 1) / UNIT * UNIT;
}

static CUresult map_new(CUdeviceptr at, size_t bytes, CUmemGenericAllocationHandle h)
{
    const CUmemAccessDesc own = {
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = cudart_device()},
        .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    const CUresult e = driver_map(at, bytes, 0, h, 0);
    return e == CUDA_SUCCESS ? driver_set_access(at, bytes, &own, 1) : e;
}

void *standin_memory_new(size_t bytes)
{
    const CUmemAllocationProp p = {
        .type = CU_MEM_ALLOCATION_TYPE_PINNED,
        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = cudart_device()}};
    CUmemGenericAllocationHandle h = 0;
    CUdeviceptr at = 0;
    bytes = whole_pages(bytes);
    if (driver_create(&h, bytes, &p, 0) != CUDA_SUCCESS) return NULL;
    if (driver_reserve(&at, bytes, 0, 0, 0) != CUDA_SUCCESS) return NULL;
    return map_new(at, bytes, h) == CUDA_SUCCESS ? (void *)(uintptr_t)at : NULL;
}

void standin_memory_free(void *x, size_t bytes)
{
    bytes = whole_pages(bytes);
    if (driver_unmap((CUdeviceptr)(uintptr_t)x, bytes) != CUDA_SUCCESS ||
        driver_unreserve((CUdeviceptr)(uintptr_t)x, bytes) != CUDA_SUCCESS)
        standin_fault("memory at %p is freed, which is not a library's", x);
}

// ---- pinned memory -----------------------------------------------------------------------------

cudaError_t cudaHostAlloc(void **x, size_t bytes, unsigned flags)
{
    CUDART_ENTER();
    if (flags & ~(unsigned)cudaHostAllocPortable)
        CUDART_REFUSE("cudaHostAlloc with flags %#x is not known", flags);
    const cudaError_t e = cudart_capture_forbids(NULL, NULL);
    if (e != cudaSuccess) return cudart_error(e);
    cudart_counts.allocations++;
    *x = bytes ? aligned_alloc(PAGE, (bytes + PAGE - 1) / PAGE * PAGE) : NULL;
    if (!*x || state.n_pinned == BLOCKS) return cudart_error(cudaErrorMemoryAllocation);
    memset(*x, 0xa5, bytes);
    state.pinned[state.n_pinned++] = (span){(uintptr_t)*x, bytes};
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *x)
{
    CUDART_ENTER();
    cudart_counts.allocations++;
    for (int i = 0; i < state.n_pinned; i++) {
        if (state.pinned[i].at != (uintptr_t)x) continue;
        if (cudart_touches(x, state.pinned[i].bytes))
            standin_fault("pinned memory at %p is freed before the device is done with it", x);
        state.pinned[i] = state.pinned[--state.n_pinned];
        free(x);
        return cudaSuccess;
    }
    return cudart_error(cudaErrorInvalidValue);
}

bool cudart_is_pinned(const void *x, size_t bytes)
{
    for (int i = 0; i < state.n_pinned; i++)
        if (holds(&state.pinned[i], x, bytes)) return true;
    return false;
}
