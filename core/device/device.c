// SPDX-License-Identifier: Apache-2.0
// Devices in host memory: "ref", "cpu", and "dry", which has none.
#include "core/device/device.h"
#include "core/device/ops_impl.h"
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
    (void)d;
}

// Address space only: pages cost memory when they are first written.
static tk_status host_reserve(tk_device *d, size_t bytes, void **base)
{
    (void)d;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        return TK_FAIL(TK_MEMORY, "cannot reserve %zu bytes for device %s: %s", bytes, d->ops->name,
                       strerror(errno));
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

static tk_status host_sync(tk_device *d)
{
    (void)d;
    return TK_OK;
}

// Dry: addresses that nobody follows, from 64 KiB on so that none of them is NULL.
static tk_status dry_reserve(tk_device *d, size_t bytes, void **base)
{
    (void)d, (void)bytes;
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

const tk_device_ops tk_device_ref = {
    .name = "ref",
    .computes = true,
    .open = host_open,
    .close = host_close,
    .reserve = host_reserve,
    .release = host_release,
    .upload = host_move,
    .download = host_move,
    .copy = host_move,
    .copy_2d = host_copy_2d,
    .zero = host_zero,
    .sync = host_sync,
    .kernels = tk_ref_kernels,
};

const tk_device_ops tk_device_cpu = {
    .name = "cpu",
    .computes = true,
    .open = cpu_open,
    .close = host_close,
    .reserve = host_reserve,
    .release = host_release,
    .upload = host_move,
    .download = host_move,
    .copy = host_move,
    .copy_2d = host_copy_2d,
    .zero = host_zero,
    .sync = host_sync,
    .kernels = tk_cpu_kernels,
};

// Asks the cpu backend for its scratch (and never calls its kernels): what it counts is what the
// cpu backend takes.
const tk_device_ops tk_device_dry = {
    .name = "dry",
    .computes = false,
    .open = host_open,
    .close = host_close,
    .reserve = dry_reserve,
    .release = dry_release,
    .upload = dry_move,
    .download = dry_download,
    .copy = dry_move,
    .copy_2d = dry_copy_2d,
    .zero = dry_zero,
    .sync = host_sync,
    .kernels = tk_cpu_kernels,
};

size_t tk_device_pool_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    const size_t least = (size_t)64 << 30;
    const size_t memory = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
    return memory * 2 > least ? memory * 2 : least;
}

tk_status tk_device_open(tk_device *d, const tk_device_ops *ops, int threads, size_t bytes)
{
    *d = (tk_device){.ops = ops};
    TK_TRY(ops->open(d, threads));
    void *base = NULL;
    tk_status st = TK_OK;
    TK_TRY_TO(st, close, ops->reserve(d, bytes, &base));
    TK_TRY_TO(st, release, tk_pool_init(&d->pool, base, bytes));
    return TK_OK;
release:
    ops->release(d, base, bytes);
close:
    ops->close(d);
    *d = (tk_device){0};
    return st;
}

void tk_device_close(tk_device *d)
{
    if (!d->ops) return;
    void *base = d->pool.base;
    size_t bytes = d->pool.bytes;
    (void)tk_device_sync(d);
    tk_pool_done(&d->pool);
    d->ops->release(d, base, bytes);
    d->ops->close(d);
    *d = (tk_device){0};
}

tk_status tk_device_new(tk_device *d, tk_dtype t, int64_t rows, int64_t cols, tk_tensor *out)
{
    int64_t count, bytes;
    TK_TRY(tk_mul_size(rows, cols, &count));
    TK_TRY(tk_mul_size(count, (int64_t)tk_dtype_size(t), &bytes));
    void *data;
    TK_TRY(tk_pool_new(&d->pool, (size_t)bytes, &data));
    *out = tk_tensor_2d(data, t, rows, cols);
    return TK_OK;
}

void tk_device_free(tk_device *d, tk_tensor *t)
{
    if (t->data) tk_pool_free(&d->pool, t->data);
    *t = (tk_tensor){0};
}

// ---- moving bytes ------------------------------------------------------------------------------

static tk_status check_device(const tk_device *d, const char *what, const void *x, size_t bytes)
{
    const uintptr_t begin = (uintptr_t)d->pool.base, at = (uintptr_t)x;
    if (at >= begin && at - begin <= d->pool.bytes && bytes <= d->pool.bytes - (at - begin))
        return TK_OK;
    return TK_FAIL(TK_INTERNAL, "%s: %zu bytes at %p do not lie in the pool of device %s", what,
                   bytes, x, d->ops->name);
}

static tk_status check_host(const char *what, const void *x, size_t bytes)
{
    if (x) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "%s: %zu bytes of host memory at NULL", what, bytes);
}

tk_status tk_device_upload(tk_device *d, void *to, const void *host, size_t bytes)
{
    if (!bytes) return TK_OK;
    TK_TRY(check_device(d, "upload", to, bytes));
    TK_TRY(check_host("upload", host, bytes));
    return d->ops->upload(d, to, host, bytes);
}

tk_status tk_device_download(tk_device *d, void *host, const void *from, size_t bytes)
{
    if (!bytes) return TK_OK;
    TK_TRY(check_host("download", host, bytes));
    TK_TRY(check_device(d, "download", from, bytes));
    return d->ops->download(d, host, from, bytes);
}

// Rows of `bytes` bytes at multiples of a stride: the bytes from the first to the last of them.
static tk_status extent(const char *what, size_t stride, size_t rows, size_t bytes, size_t *all)
{
    if (stride >= bytes && rows - 1 <= (SIZE_MAX - bytes) / stride) {
        *all = (rows - 1) * stride + bytes;
        return TK_OK;
    }
    return TK_FAIL(TK_INTERNAL, "%s: %zu rows of %zu bytes cannot lie %zu bytes apart", what, rows,
                   bytes, stride);
}

// Whether two sides share a byte. Those of one stride may lie between each other, as columns.
static bool overlap(const void *to, size_t to_stride, size_t to_all, const void *from,
                    size_t from_stride, size_t from_all, size_t bytes)
{
    const uintptr_t a = (uintptr_t)to, b = (uintptr_t)from;
    if (a >= b + from_all || b >= a + to_all) return false;
    if (to_stride != from_stride) return true;
    const size_t shift = (a > b ? a - b : b - a) % to_stride;
    return shift < bytes || to_stride - shift < bytes;
}

static tk_status check_copy(const tk_device *d, const void *to, size_t to_stride, const void *from,
                            size_t from_stride, size_t rows, size_t bytes)
{
    size_t to_all = 0, from_all = 0;
    TK_TRY(extent("copy to", to_stride, rows, bytes, &to_all));
    TK_TRY(extent("copy from", from_stride, rows, bytes, &from_all));
    TK_TRY(check_device(d, "copy to", to, to_all));
    TK_TRY(check_device(d, "copy from", from, from_all));
    if (!overlap(to, to_stride, to_all, from, from_stride, from_all, bytes)) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "copy: %zu bytes at %p and %zu bytes at %p overlap", to_all, to,
                   from_all, from);
}

tk_status tk_device_copy(tk_device *d, void *to, const void *from, size_t bytes)
{
    if (!bytes) return TK_OK;
    TK_TRY(check_copy(d, to, bytes, from, bytes, 1, bytes));
    return d->ops->copy(d, to, from, bytes);
}

tk_status tk_device_copy_2d(tk_device *d, void *to, size_t to_stride, const void *from,
                            size_t from_stride, size_t rows, size_t bytes)
{
    if (!rows || !bytes) return TK_OK;
    TK_TRY(check_copy(d, to, to_stride, from, from_stride, rows, bytes));
    return d->ops->copy_2d(d, to, to_stride, from, from_stride, rows, bytes);
}

tk_status tk_device_zero(tk_device *d, void *to, size_t bytes)
{
    if (!bytes) return TK_OK;
    TK_TRY(check_device(d, "zero", to, bytes));
    return d->ops->zero(d, to, bytes);
}

tk_status tk_device_sync(tk_device *d)
{
    return d->ops->sync(d);
}

bool tk_device_computes(const tk_device *d)
{
    return d->ops->computes;
}

tk_status tk_device_put(tk_device *d, const void *host, tk_dtype t, int64_t rows, int64_t cols,
                        tk_tensor *out)
{
    tk_tensor x;
    TK_TRY(tk_device_new(d, t, rows, cols, &x));
    tk_status st = tk_device_upload(d, x.data, host, tk_bytes(&x));
    if (st != TK_OK) tk_device_free(d, &x);
    TK_TRY(st);
    *out = x;
    return TK_OK;
}

tk_status tk_device_get(tk_device *d, const tk_tensor *t, void *host)
{
    TK_TRY(tk_device_download(d, host, t->data, tk_bytes(t)));
    TK_TRY(tk_device_sync(d));
    return TK_OK;
}
