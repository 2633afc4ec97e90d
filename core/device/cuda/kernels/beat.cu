// SPDX-License-Identifier: Apache-2.0
// A beat: a number in the host's memory goes up by one. A queue's beats come one after another.
#include "core/device/cuda/beat.h"
#include "core/device/cuda/kernels/kernel.cuh"

static __global__ void beat_kernel(volatile uint32_t *number)
{
    if (threadIdx.x == 0) *number = *number + 1;
}

extern "C" tk_status tk_cuda_beat_once(tk_device *d, volatile uint32_t *number)
{
    return tk_launch(d, "beat", beat_kernel, 1, TK_WARP, 0, number);
}
