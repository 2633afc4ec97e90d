// SPDX-License-Identifier: Apache-2.0
// Devices in host memory: "ref", "cpu", and "dry", which has none.
#include "core/device/event.h"
#include "core/device/late.h"
#include "core/device/ledger.h"
#include "core/device/ops/gemm.h"
#include "core/device/ops/impl.h"
#include <errno.h>
#include <omp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static tk_status host_open(tk_device *d, int threads)
{
    d->threads = threads > 0 ? threads : omp_get_num_procs();
    return TK_OK;
}

static tk_status cpu_open(tk_device *d, int threads)
{
    TK_TRY(host_open(d, threads));
    omp_set_num_threads(d->threads);
    return TK_OK;
}

static void host_close(tk_device *d)
{
    tk_late_close(d);
}

static tk_status host_memory(tk_device *d, size_t *available, size_t *total)
{
    const long page = sysconf(_SC_PAGESIZE);
    const long all = sysconf(_SC_PHYS_PAGES), left = sysconf(_SC_AVPHYS_PAGES);
    if (page < 1 || all < 1 || left < 0)
        return TK_FAIL(TK_IO, "device %s: the system does not tell how much memory there is",
                       d->ops->name);
    *total = (size_t)all * (size_t)page;
    *available = (size_t)left * (size_t)page;
    return TK_OK;
}

// More than the machine has memory.
static size_t plenty(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    const size_t least = (size_t)64 << 30;
    const size_t memory = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
    return memory * 2 > least ? memory * 2 : least;
}

// Address space only: pages cost memory when they are first written.
static tk_status host_reserve(tk_device *d, size_t *bytes, void **base)
{
    if (!*bytes) *bytes = plenty();
    void *p = mmap(NULL, *bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return TK_FAIL(TK_MEMORY, "cannot reserve %zu bytes for device %s: %s", *bytes,
                       d->ops->name, strerror(errno));
    *base = p;
    return TK_OK;
}

static void host_release(tk_device *d, void *base, size_t bytes)
{
    (void)d;
    munmap(base, bytes);
}

static tk_status host_move(tk_device *d, void *to, const void *from, size_t bytes)
{
    (void)d;
    memcpy(to, from, bytes);
    return TK_OK;
}

static tk_status host_copy_2d(tk_device *d, void *to, size_t to_stride, const void *from,
                              size_t from_stride, size_t rows, size_t bytes)
{
    (void)d;
    for (size_t r = 0; r < rows; r++)
        memcpy((char *)to + r * to_stride, (const char *)from + r * from_stride, bytes);
    return TK_OK;
}

static tk_status host_zero(tk_device *d, void *to, size_t bytes)
{
    (void)d;
    memset(to, 0, bytes);
    return TK_OK;
}

static void *host_new(tk_device *d, size_t bytes)
{
    (void)d;
    return tk_alloc(bytes);
}

static void host_free(tk_device *d, void *x)
{
    (void)d;
    tk_free(x);
}

// ---- dry ---------------------------------------------------------------------------------------

// Addresses that nobody follows, from 64 KiB on so that none of them is NULL.
static tk_status dry_reserve(tk_device *d, size_t *bytes, void **base)
{
    (void)d;
    if (!*bytes) *bytes = plenty();
    *base = (void *)((uintptr_t)1 << 16);
    return TK_OK;
}

static void dry_release(tk_device *d, void *base, size_t bytes)
{
    (void)d, (void)base, (void)bytes;
}

static tk_status dry_move(tk_device *d, void *to, const void *from, size_t bytes)
{
    (void)d, (void)to, (void)from, (void)bytes;
    return TK_OK;
}

static tk_status dry_download(tk_device *d, void *host, const void *from, size_t bytes)
{
    (void)d, (void)from;
    memset(host, 0, bytes);
    return TK_OK;
}

static tk_status dry_copy_2d(tk_device *d, void *to, size_t to_stride, const void *from,
                             size_t from_stride, size_t rows, size_t bytes)
{
    (void)d, (void)to, (void)to_stride, (void)from, (void)from_stride, (void)rows, (void)bytes;
    return TK_OK;
}

static tk_status dry_zero(tk_device *d, void *to, size_t bytes)
{
    (void)d, (void)to, (void)bytes;
    return TK_OK;
}

static tk_status dry_sync(tk_device *d)
{
    (void)d;
    return TK_OK;
}

// Events carry the clocks of the ledger, where there is one.
static tk_status dry_event_open(tk_event *e)
{
    (void)e;
    return TK_OK;
}

static void dry_event_close(tk_event *e)
{
    (void)e;
}

static tk_status dry_event_record(tk_event *e, tk_queue q)
{
    tk_ledger *l = e->device->ledger;
    e->impl = l ? &l->clock[q] : NULL; // whose the time is
    e->at = l ? l->clock[q] : 0;
    return TK_OK;
}

static tk_status dry_event_wait(tk_event *e, tk_queue q)
{
    tk_ledger *l = e->device->ledger;
    if (l && e->impl) tk_ledger_wait(l, q, (tk_queue)((double *)e->impl - l->clock), e->at);
    return TK_OK;
}

static tk_status dry_event_sync(tk_event *e)
{
    (void)e;
    return TK_OK;
}

static tk_status dry_event_done(tk_event *e, bool *done)
{
    (void)e;
    *done = true;
    return TK_OK;
}

static tk_status dry_event_seconds(tk_event *from, tk_event *to, double *seconds)
{
    *seconds = to->at - from->at;
    return TK_OK;
}

// ---- the tables --------------------------------------------------------------------------------

#define IN_HOST_MEMORY                                                                      \
    .computes = true, .close = host_close, .memory = host_memory, .reserve = host_reserve,  \
    .release = host_release, .upload = host_move, .download = host_move, .copy = host_move, \
    .copy_2d = host_copy_2d, .zero = host_zero
#define WHEN_ASKED                                                                  \
    .host_new = host_new, .host_free = host_free, .event_open = tk_late_event_open, \
    .event_close = tk_late_event_close, .event_record = tk_late_event_record,       \
    .event_wait = tk_late_event_wait, .event_sync = tk_late_event_sync,             \
    .event_done = tk_late_event_done, .event_seconds = tk_late_event_seconds,       \
    .sync = tk_late_sync, .post = tk_late_post, .reach = tk_late_reach

const tk_device_ops tk_device_ref = {
    .name = "ref", .open = host_open, .kernels = tk_ref_kernels, IN_HOST_MEMORY, WHEN_ASKED};

static void cpu_software(tk_device *d, char *out, size_t size)
{
    (void)d;
    tk_gemm_library(out, size);
}

const tk_device_ops tk_device_cpu = {.name = "cpu",
                                     .open = cpu_open,
                                     .software = cpu_software,
                                     .kernels = tk_cpu_kernels,
                                     IN_HOST_MEMORY,
                                     WHEN_ASKED};

const tk_device_ops *tk_device_find(int64_t kind)
{
    static const tk_device_ops *const devices[] = {[TK_DEVICE_AUTO] = &tk_device_cpu,
                                                   [TK_DEVICE_CPU] = &tk_device_cpu,
                                                   [TK_DEVICE_REF] = &tk_device_ref,
#ifdef TK_CUDA
                                                   [TK_DEVICE_CUDA] = &tk_device_cuda
#else
                                                   [TK_DEVICE_CUDA] = NULL
#endif
    };
    tk_assert(kind >= 0 && kind < (int64_t)(sizeof devices / sizeof *devices));
    return devices[kind];
}

const tk_device_ops tk_device_dry = {
    .name = "dry",
    .open = host_open,
    .close = host_close,
    .memory = host_memory,
    .reserve = dry_reserve,
    .release = dry_release,
    .upload = dry_move,
    .download = dry_download,
    .copy = dry_move,
    .copy_2d = dry_copy_2d,
    .zero = dry_zero,
    .host_new = host_new,
    .host_free = host_free,
    .event_open = dry_event_open,
    .event_close = dry_event_close,
    .event_record = dry_event_record,
    .event_wait = dry_event_wait,
    .event_sync = dry_event_sync,
    .event_done = dry_event_done,
    .event_seconds = dry_event_seconds,
    .sync = dry_sync,
};
