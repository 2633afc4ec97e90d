// SPDX-License-Identifier: Apache-2.0
// The device "cuda": a stream for each queue, moves of bytes on them, events between them.
#include "core/device/cuda/cuda.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/device/cuda/beat.h"
#include "core/device/cuda/blas.h"
#include "core/device/cuda/cudnn/attention.h"
#include "core/device/cuda/table.h"
#include "core/device/event.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// After one of these every call of the process fails.
static bool is_lasting(cudaError_t e)
{
    switch (e) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorExternalDevice:
    case cudaErrorDevicesUnavailable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorMpsClientTerminated:
    case cudaErrorMpsRpcFailure:
    case cudaErrorUnknown:
        return true;
    default:
        return false;
    }
}

tk_status tk_cuda_check(const tk_device *d, cudaError_t e, const char *what)
{
    const tk_cuda *c = tk_cuda_of(d);
    if (e == cudaSuccess) return TK_OK;
    if (is_lasting(e))
        return TK_FAIL(TK_DEVICE,
                       "GPU %d (%s) has failed, as %s tells, or work asked for before it: %s (%s). "
                       "Run again to go on from the last checkpoint; where it fails again, "
                       "compute-sanitizer and the kernel's log (dmesg) tell more",
                       c->device, c->name, what, cudaGetErrorName(e), cudaGetErrorString(e));
    return TK_FAIL(e == cudaErrorMemoryAllocation ? TK_MEMORY : TK_INTERNAL,
                   "GPU %d (%s): %s: %s (%s)", c->device, c->name, what, cudaGetErrorName(e),
                   cudaGetErrorString(e));
}

// A recording on the stream may end by being asked in between; it has failed in any case.
tk_status tk_cuda_library_failed(const tk_device *d, const char *library, const char *what,
                                 const char *words, bool full)
{
    const tk_cuda *c = tk_cuda_of(d);
    const cudaError_t e = cudaStreamQuery(tk_cuda_stream(d));
    if (is_lasting(e)) return tk_cuda_check(d, e, what);
    return TK_FAIL(full ? TK_MEMORY : TK_INTERNAL, "GPU %d (%s): %s: %s: %s", c->device, c->name,
                   library, what, words);
}

// ---- opening -----------------------------------------------------------------------------------

static void cuda_close(tk_device *d)
{
    tk_cuda *c = tk_cuda_of(d);
    tk_cudnn_close(c);
    tk_cuda_blas_close(c);
    for (int q = 0; q < TK_QUEUES; q++)
        if (c->stream[q]) (void)cudaStreamDestroy(c->stream[q]);
    tk_free(c);
    d->impl = NULL;
}

// What there is to say of cards, as an answer to device=cuda.
static tk_status with_the_option(tk_status st)
{
    char why[512];
    if (st == TK_OK) return TK_OK;
    snprintf(why, sizeof why, "%s", tk_status_message());
    return TK_FAIL(st, "device=cuda: %s. device=cpu computes without a GPU", why);
}

// Work of the other queues is small, and somebody waits for it: its blocks go before those of a
// product that has many to go.
enum { FIRST = -1 };

static tk_status cuda_start(tk_device *d)
{
    tk_cuda *c = tk_cuda_of(d);
    const char *poison = getenv("TALKIE_POISON");
    TK_TRY(with_the_option(tk_cuda_find(c, d->card)));
    c->poison = poison && *poison;
    TK_TRY(tk_cuda_check(d, cudaSetDevice(c->device), "opening it"));
    for (int q = 0; q < TK_QUEUES; q++)
        TK_TRY(tk_cuda_check(d,
                             cudaStreamCreateWithPriority(&c->stream[q], cudaStreamNonBlocking,
                                                          q == TK_QUEUE_COMPUTE ? 0 : FIRST),
                             "making a stream"));
    return TK_OK;
}

static tk_status cuda_open(tk_device *d, int threads)
{
    d->threads = threads > 0 ? threads : 1; // of the host, which computes nothing
    d->impl = tk_alloc(sizeof(tk_cuda));
    if (!d->impl) return TK_FAIL(TK_MEMORY, "out of memory for device %s", d->ops->name);
    const tk_status st = cuda_start(d);
    if (st != TK_OK) cuda_close(d);
    TK_TRY(st);
    return TK_OK;
}

// What is free once the library of products has its own: a pool that took all would leave it none.
static tk_status cuda_memory(tk_device *d, size_t *available, size_t *total)
{
    TK_TRY(tk_cuda_blas_open(d));
    return tk_cuda_check(d, cudaMemGetInfo(available, total), "asking for its memory");
}

// The kernel module's version is a word of digits and dots in the first line of its file.
static void module_version(char out[32])
{
    char line[256];
    FILE *f = fopen("/proc/driver/nvidia/version", "r");
    strcpy(out, "?");
    if (f && fgets(line, sizeof line, f))
        for (char *rest, *word = strtok_r(line, " \t\n", &rest); word;
             word = strtok_r(NULL, " \t\n", &rest))
            if (strchr(word, '.') && strspn(word, "0123456789.") == strlen(word))
                snprintf(out, 32, "%s", word);
    if (f) fclose(f);
}

static void cuda_software(tk_device *d, char *out, size_t size)
{
    char module[32];
    int driver = 0;
    (void)cudaDriverGetVersion(&driver);
    module_version(module);
    snprintf(out, size, "driver %s for CUDA %d.%d, cuBLASLt %zu", module, driver / 1000,
             driver % 1000 / 10, tk_cuda_blas_version(d));
}

static void *cuda_host_new(tk_device *d, size_t bytes)
{
    void *x = NULL;
    (void)d;
    if (cudaHostAlloc(&x, bytes ? bytes : 1, cudaHostAllocDefault) != cudaSuccess) return NULL;
    memset(x, 0, bytes);
    return x;
}

static void cuda_host_free(tk_device *d, void *x)
{
    (void)d;
    (void)cudaFreeHost(x);
}

// ---- moving bytes ------------------------------------------------------------------------------

static tk_status cuda_upload(tk_device *d, void *to, const void *host, size_t bytes)
{
    return tk_cuda_check(
        d, cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, tk_cuda_stream(d)), "upload");
}

static tk_status cuda_download(tk_device *d, void *host, const void *from, size_t bytes)
{
    return tk_cuda_check(
        d, cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, tk_cuda_stream(d)),
        "download");
}

static tk_status cuda_copy(tk_device *d, void *to, const void *from, size_t bytes)
{
    return tk_cuda_check(
        d, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, tk_cuda_stream(d)), "copy");
}

static tk_status cuda_copy_2d(tk_device *d, void *to, size_t to_stride, const void *from,
                              size_t from_stride, size_t rows, size_t bytes)
{
    return tk_cuda_check(d,
                         cudaMemcpy2DAsync(to, to_stride, from, from_stride, bytes, rows,
                                           cudaMemcpyDeviceToDevice, tk_cuda_stream(d)),
                         "copy of rows");
}

static tk_status cuda_zero(tk_device *d, void *to, size_t bytes)
{
    return tk_cuda_check(d, cudaMemsetAsync(to, 0, bytes, tk_cuda_stream(d)), "zero");
}

// With TALKIE_POISON in the environment memory given back is NaN in fp32 and in bf16, and -1 as an
// index, so that whoever reads it later shows.
static void cuda_freed(tk_device *d, void *x, size_t bytes)
{
    if (tk_cuda_of(d)->poison) (void)cudaMemsetAsync(x, 0xff, bytes, tk_cuda_stream(d));
}

// ---- events ------------------------------------------------------------------------------------

static cudaEvent_t event_of(const tk_event *e)
{
    return (cudaEvent_t)e->impl;
}

static tk_status cuda_event_open(tk_event *e)
{
    cudaEvent_t event = NULL;
    TK_TRY(tk_cuda_check(e->device, cudaEventCreateWithFlags(&event, cudaEventDefault),
                         "making an event"));
    e->impl = event;
    return TK_OK;
}

static void cuda_event_close(tk_event *e)
{
    (void)cudaEventDestroy(event_of(e));
}

static tk_status cuda_event_record(tk_event *e, tk_queue q)
{
    TK_TRY(tk_cuda_beat(e->device, q));
    return tk_cuda_check(e->device, cudaEventRecord(event_of(e), tk_cuda_of(e->device)->stream[q]),
                         "recording an event");
}

static tk_status cuda_event_wait(tk_event *e, tk_queue q)
{
    return tk_cuda_check(e->device,
                         cudaStreamWaitEvent(tk_cuda_of(e->device)->stream[q], event_of(e), 0),
                         "a queue's wait for an event");
}

static void (*waits_by)(int asked);

void tk_cuda_wait_by(void (*look)(int asked))
{
    waits_by = look;
}

// The host waits by asking, so that it goes on answering the ranks that wait for it.
static void rest(int asked)
{
    enum { SPINS = 1000, NAP = 20 * 1000 }; // nanoseconds
    const struct timespec nap = {.tv_nsec = NAP};
    if (waits_by)
        waits_by(asked);
    else
        tk_alive();
    if (asked > SPINS) nanosleep(&nap, NULL);
}

static tk_status cuda_event_sync(tk_event *e)
{
    cudaError_t error;
    for (int asked = 0; (error = cudaEventQuery(event_of(e))) == cudaErrorNotReady;)
        rest(asked < INT32_MAX ? asked++ : asked);
    return tk_cuda_check(e->device, error, "waiting for an event");
}

static tk_status cuda_event_done(tk_event *e, bool *done)
{
    const cudaError_t error = cudaEventQuery(event_of(e));
    *done = error != cudaErrorNotReady;
    return *done ? tk_cuda_check(e->device, error, "asking for an event") : TK_OK;
}

static tk_status cuda_event_seconds(tk_event *from, tk_event *to, double *seconds)
{
    float milliseconds = 0;
    TK_TRY(tk_cuda_check(from->device,
                         cudaEventElapsedTime(&milliseconds, event_of(from), event_of(to)),
                         "the time between events"));
    *seconds = 1e-3 * (double)milliseconds;
    return TK_OK;
}

static tk_status cuda_sync(tk_device *d)
{
    for (int q = 0; q < TK_QUEUES; q++) {
        cudaError_t error;
        for (int asked = 0;
             (error = cudaStreamQuery(tk_cuda_of(d)->stream[q])) == cudaErrorNotReady;)
            rest(asked < INT32_MAX ? asked++ : asked);
        TK_TRY(tk_cuda_check(d, error, "waiting for it"));
    }
    return TK_OK;
}

const tk_device_ops tk_device_cuda = {
    .name = "cuda",
    .cards = tk_cuda_cards,
    .card = tk_cuda_card,
    .software = cuda_software,
    .computes = true,
    .open = cuda_open,
    .close = cuda_close,
    .memory = cuda_memory,
    .reserve = tk_cuda_reserve,
    .grow = tk_cuda_grow,
    .release = tk_cuda_release,
    .host_new = cuda_host_new,
    .host_free = cuda_host_free,
    .upload = cuda_upload,
    .download = cuda_download,
    .copy = cuda_copy,
    .copy_2d = cuda_copy_2d,
    .zero = cuda_zero,
    .freed = cuda_freed,
    .event_open = cuda_event_open,
    .event_close = cuda_event_close,
    .event_record = cuda_event_record,
    .event_wait = cuda_event_wait,
    .event_sync = cuda_event_sync,
    .event_done = cuda_event_done,
    .event_seconds = cuda_event_seconds,
    .sync = cuda_sync,
    .kernels = tk_cuda_kernels,
    .choices = &tk_cuda_choice_ops,
    .attends = tk_cuda_attends,
    .graphs = &tk_cuda_graph_ops,
};
