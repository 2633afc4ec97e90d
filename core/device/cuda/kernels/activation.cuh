// SPDX-License-Identifier: Apache-2.0
// SiLU of a number, for the kernels that have one.
#pragma once
#include "core/device/cuda/kernels/kernel.cuh"

static __device__ inline float tk_sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

// The derivative of x * sigmoid(x).
static __device__ inline float tk_silu_slope(float x)
{
    const float s = tk_sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}
