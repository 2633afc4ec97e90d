// SPDX-License-Identifier: Apache-2.0
// Whether there is a GPU that this program can run on, and if not, why, in words that say what
// would be right. Nothing here needs a driver to be there.
#include "core/device/cuda/cuda.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// CUDA's versions are 1000 * major + 10 * minor.
static tk_status old_driver(int has)
{
    if (has == 0)
        return TK_FAIL(TK_INPUT, "this machine has no NVIDIA driver (no libcuda.so.1 "
                                 "was found)");
    return TK_FAIL(TK_INPUT,
                   "the NVIDIA driver knows CUDA up to %d.%d, and this talkie was "
                   "built with CUDA %d.%d: update the driver, or build with an older CUDA (make "
                   "CUDA_HOME=...)",
                   has / 1000, has % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
}

static tk_status none_visible(void)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (!visible)
        return TK_FAIL(TK_INPUT, "the driver finds no GPU (nvidia-smi says what it "
                                 "sees; a Slurm job asks for GPUs by --gpus-per-node)");
    if (!*visible)
        return TK_FAIL(TK_INPUT, "CUDA_VISIBLE_DEVICES is empty, which hides every GPU "
                                 "from this process: unset it, or name some");
    return TK_FAIL(TK_INPUT,
                   "CUDA_VISIBLE_DEVICES=%s names no GPU of this machine: ordinals "
                   "from 0, or UUIDs as nvidia-smi -L lists them, each once",
                   visible);
}

static tk_status cannot_start(cudaError_t e)
{
    return TK_FAIL(TK_INPUT, "CUDA does not start: %s (%s)", cudaGetErrorName(e),
                   cudaGetErrorString(e));
}

tk_status tk_cuda_cards(int *n)
{
    int driver = 0;
    *n = 0;
    const cudaError_t e = cudaGetDeviceCount(n);
    if (e == cudaErrorInsufficientDriver) {
        if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
        return old_driver(driver);
    }
    if (e == cudaErrorNoDevice || (e == cudaSuccess && *n == 0)) return none_visible();
    return e == cudaSuccess ? TK_OK : cannot_start(e);
}

// "90" runs on 9.0 and later 9.x, "100f" on its family likewise, "90a" on 9.0 alone.
bool tk_cuda_fits(const char *arches, int major, int minor)
{
    while (*arches) {
        char *end;
        const long arch = strtol(arches, &end, 10);
        if (end == arches) return false;
        const bool exact = *end == 'a', same = arch / 10 == major;
        if (same && (exact ? arch % 10 == minor : arch % 10 <= minor)) return true;
        arches = end + strcspn(end, " ");
        arches += strspn(arches, " ");
    }
    return false;
}

tk_status tk_cuda_card(int i, tk_card *out)
{
    struct cudaDeviceProp p;
    const cudaError_t e = cudaGetDeviceProperties(&p, i);
    if (e != cudaSuccess) return cannot_start(e);
    snprintf(out->name, sizeof out->name, "%s", p.name);
    memcpy(out->id, p.uuid.bytes, sizeof out->id);
    return TK_OK;
}

enum { LEAST_MAJOR = 8 }; // from which on memory is copied beside the work of a block

tk_status tk_cuda_find(tk_cuda *c, int card)
{
    struct cudaDeviceProp p;
    int n;
    TK_TRY(tk_cuda_cards(&n));
    c->device = card;
    const cudaError_t e = cudaGetDeviceProperties(&p, card);
    if (e != cudaSuccess) return cannot_start(e);
    snprintf(c->name, sizeof c->name, "%s", p.name);
    c->multiprocessors = p.multiProcessorCount;
    c->shared_most = p.sharedMemPerBlockOptin;
    c->bytes = p.totalGlobalMem;
    if (tk_cuda_fits(TK_CUDA_ARCHES, p.major, p.minor)) return TK_OK;
    if (p.major < LEAST_MAJOR)
        return TK_FAIL(TK_INPUT,
                       "GPU %d (%s) is of compute capability %d.%d, and talkie's kernels need %d.0 "
                       "or later, whatever they are built for",
                       c->device, c->name, p.major, p.minor, LEAST_MAJOR);
    return TK_FAIL(TK_INPUT,
                   "GPU %d (%s) is of compute capability %d.%d, and this talkie was "
                   "built for %s: build it with make ARCHES=\"%s %d%d\"",
                   c->device, c->name, p.major, p.minor, TK_CUDA_ARCHES, TK_CUDA_ARCHES, p.major,
                   p.minor);
}
