// SPDX-License-Identifier: Apache-2.0
// The device, its errors, and which of them a test wants (standin.h).
#include "tests/cuda/standin/cudart.h"
#include "tests/cuda/standin/launch.h"
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MULTIPROCESSORS = 132, SHARED_ALWAYS = 48 << 10 };

standin_counts cudart_counts;
static struct {
    cudaError_t lasting, last;
    char said[96]; // in the environment
    char fails[64];
    int64_t fail_in;
    cudaError_t fail_with;
    int current;
} state;

void standin_fault(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("stand-in: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    signal(SIGABRT, SIG_DFL);
    abort();
}

int64_t cudart_number(const char *variable, int64_t otherwise)
{
    const char *said = getenv(variable);
    if (!said || !*said) return otherwise;
    char *end;
    const int64_t n = strtoll(said, &end, 10);
    if (*end) standin_fault("%s=%s is no number", variable, said);
    return n;
}

// ---- errors ------------------------------------------------------------------------------------

static bool is_lasting(cudaError_t e)
{
    return e == cudaErrorIllegalAddress || e == cudaErrorMisalignedAddress ||
           e == cudaErrorIllegalInstruction || e == cudaErrorLaunchFailure ||
           e == cudaErrorLaunchTimeout || e == cudaErrorAssert || e == cudaErrorECCUncorrectable ||
           e == cudaErrorNvlinkUncorrectable || e == cudaErrorDevicesUnavailable;
}

cudaError_t cudart_error(cudaError_t e)
{
    if (e != cudaSuccess) state.last = e;
    if (is_lasting(e)) state.lasting = e;
    return e;
}

void standin_fail(cudaError_t e)
{
    cudart_error(e);
}

cudaError_t cudart_lasting(void)
{
    return state.lasting;
}

// TK_CUDA_FAIL=call:nth:error, anew whenever it has changed.
static void read_failure(void)
{
    const char *said = getenv("TK_CUDA_FAIL");
    int error, end = 0;
    if (!said) said = "";
    if (strcmp(said, state.said) == 0) return;
    snprintf(state.said, sizeof state.said, "%s", said);
    state.fail_in = 0;
    if (!*said) return;
    if (sscanf(said, "%63[^:]:%ld:%d%n", state.fails, &state.fail_in, &error, &end) != 3 ||
        said[end])
        standin_fault("TK_CUDA_FAIL=%s is not call:nth:error", said);
    state.fail_with = (cudaError_t)error;
}

static bool is_wanted(const char *name)
{
    read_failure();
    if (state.fail_in <= 0) return false;
    const bool work = strcmp(name, "work") == 0, any = strcmp(state.fails, "any") == 0;
    if (strcmp(state.fails, name) != 0 && (!any || work)) return false;
    return --state.fail_in == 0;
}

cudaError_t cudart_enter(const char *name)
{
    static pthread_t owner;
    if (!cudart_counts.calls++) owner = pthread_self();
    if (!pthread_equal(owner, pthread_self()))
        standin_fault("%s is called by another thread than the one that began", name);
    if (cudart_runs() && strcmp(name, "work") != 0)
        standin_fault("%s is called by work of the device (%s)", name, cudart_runs());
    if (is_wanted(name)) return state.fail_with;
    return state.lasting;
}

static const struct {
    cudaError_t e;
    const char *name, *words;
} errors[] = {
#define ERROR(name, words) \
    {                      \
        name, #name, words \
    }
    ERROR(cudaSuccess, "no error"),
    ERROR(cudaErrorInvalidValue, "invalid argument"),
    ERROR(cudaErrorMemoryAllocation, "out of memory"),
    ERROR(cudaErrorInitializationError, "initialization error"),
    ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR(cudaErrorInsufficientDriver,
          "CUDA driver version is insufficient for CUDA runtime version"),
    ERROR(cudaErrorDevicesUnavailable, "CUDA-capable device(s) is/are busy or unavailable"),
    ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR(cudaErrorNoKernelImageForDevice,
          "no kernel image is available for execution on the device"),
    ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    ERROR(cudaErrorNvlinkUncorrectable, "uncorrectable NVLink error detected during the execution"),
    ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR(cudaErrorNotReady, "device not ready"),
    ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    ERROR(cudaErrorAssert, "device-side assert triggered"),
    ERROR(cudaErrorIllegalInstruction, "an illegal instruction was encountered"),
    ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    ERROR(cudaErrorStreamCaptureInvalidated,
          "operation failed due to a previous error during capture"),
    ERROR(cudaErrorStreamCaptureMerge,
          "operation would result in a merge of separate capture sequences"),
    ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    ERROR(cudaErrorStreamCaptureIsolation,
          "dependency created on uncaptured work in another stream"),
    ERROR(cudaErrorCapturedEvent,
          "operation not permitted on an event last recorded in a capturing stream"),
#undef ERROR
};

static int error_index(cudaError_t e)
{
    for (int i = 0; i < (int)(sizeof errors / sizeof *errors); i++)
        if (errors[i].e == e) return i;
    return -1;
}

const char *cudaGetErrorName(cudaError_t e)
{
    const int i = error_index(e);
    return i < 0 ? "unrecognized error code" : errors[i].name;
}

const char *cudaGetErrorString(cudaError_t e)
{
    const int i = error_index(e);
    return i < 0 ? "unrecognized error code" : errors[i].words;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t e = state.last;
    state.last = state.lasting;
    return e;
}

cudaError_t cudaPeekAtLastError(void)
{
    return state.last;
}

standin_counts standin_count(void)
{
    return cudart_counts;
}

// ---- the device --------------------------------------------------------------------------------

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = (int)cudart_number("TK_CUDA_DRIVER", CUDART_VERSION);
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

// The GPUs that CUDA_VISIBLE_DEVICES names, by ordinals: up to the first that is not there. One
// that is named twice hides all.
static int visible(int *ordinals, int room)
{
    const char *said = getenv("CUDA_VISIBLE_DEVICES");
    const int all = (int)cudart_number("TK_CUDA_GPUS", 1);
    int n = 0;
    for (int i = 0; !said && i < all && i < room; i++) ordinals[n++] = i;
    while (said && *said && n < room) {
        char *end;
        const long k = strtol(said, &end, 10);
        if (end == said || (*end && *end != ',') || k < 0 || k >= all) break;
        for (int i = 0; i < n; i++)
            if (ordinals[i] == (int)k) return 0;
        ordinals[n++] = (int)k;
        said = *end ? end + 1 : end;
    }
    return n;
}

enum { GPUS = 16 };

cudaError_t cudaGetDeviceCount(int *n)
{
    int ordinals[GPUS], driver;
    CUDART_ENTER();
    cudaDriverGetVersion(&driver);
    *n = 0;
    if (driver / 1000 < CUDART_VERSION / 1000) return cudart_error(cudaErrorInsufficientDriver);
    *n = visible(ordinals, GPUS);
    return cudart_error(*n ? cudaSuccess : cudaErrorNoDevice);
}

int cudart_device(void)
{
    return state.current;
}

cudaError_t cudaGetDevice(int *device)
{
    CUDART_ENTER();
    *device = state.current;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    int ordinals[GPUS];
    CUDART_ENTER();
    if (device < 0 || device >= visible(ordinals, GPUS))
        return cudart_error(cudaErrorInvalidDevice);
    state.current = device;
    return cudaSuccess;
}

static size_t shared_most(void)
{
    return (size_t)cudart_number("TK_CUDA_SHARED", 227) << 10;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    int ordinals[GPUS];
    CUDART_ENTER();
    if (device < 0 || device >= visible(ordinals, GPUS))
        return cudart_error(cudaErrorInvalidDevice);
    const int64_t arch = cudart_number("TK_CUDA_ARCH", 90);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated GPU");
    p->uuid.bytes[15] = (char)(ordinals[device] + 1);
    p->major = (int)(arch / 10);
    p->minor = (int)(arch % 10);
    p->multiProcessorCount = MULTIPROCESSORS;
    p->sharedMemPerBlock = SHARED_ALWAYS;
    p->sharedMemPerBlockOptin = shared_most();
    p->totalGlobalMem = (size_t)cudart_number("TK_CUDA_MEMORY", 2048) << 20;
    p->warpSize = 32;
    return cudaSuccess;
}

// ---- launches of kernels -----------------------------------------------------------------------

// What lies in a work: the launch, and behind it its arguments.
static size_t arguments_at(void)
{
    return (sizeof(tk_emulated_launch) + 15) / 16 * 16;
}

static standin_turn run_kernel(void *what)
{
    tk_emulated_launch *l = what;
    l->arguments = (const char *)what + arguments_at();
    cudart_raise_walls(true);
    tk_emulated_run(l);
    cudart_raise_walls(false);
    return STANDIN_DONE;
}

cudaError_t tk_emulated_start(const tk_emulated_launch *l, cudaStream_t stream)
{
    CUDART_ENTER();
    const dim3 g = l->grid, b = l->block;
    const unsigned long long threads = (unsigned long long)b.x * b.y * b.z;
    if (!g.x || !g.y || !g.z || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535)
        return cudart_error(cudaErrorInvalidConfiguration);
    if (!threads || threads > 1024 || b.z > 64 || b.x % 32)
        return cudart_error(cudaErrorInvalidConfiguration);
    if (l->shared > shared_most()) return cudart_error(cudaErrorInvalidValue);
    cudart_watch();
    cudart_work *w = cudart_new_work(l->name, run_kernel, NULL, arguments_at() + l->bytes);
    memcpy(w->what, l, sizeof *l);
    memcpy(w->what + arguments_at(), l->arguments, l->bytes);
    cudart_counts.launches++;
    return cudart_push(stream, w);
}
