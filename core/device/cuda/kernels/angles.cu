// SPDX-License-Identifier: Apache-2.0
// Tables of angles: SINUSOID, ROPE_TABLE. Each step is rounded to fp32 as the specification says
// (core/device/ref/step.c). Frequencies multiply positions of thousands, so that a last bit of one
// would show: they are made in double and rounded, as good as exactly.
#include "core/device/cuda/kernels/kernel.cuh"
#include "core/device/cuda/table.h"

enum { THREADS = 256 };

static __global__ void sinusoid_kernel(const float *t, float *out, int64_t rows, int64_t half)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < rows * half; i += step) {
        const int64_t row = i / half, j = i % half;
        const float power = -9.21034037f * (float)j / (float)half; // ln(10000)
        const float angle = t[row] * (float)exp((double)power);
        out[row * 2 * half + j] = cosf(angle);
        out[row * 2 * half + half + j] = sinf(angle);
    }
}

extern "C" tk_status tk_cuda_sinusoid(tk_device *d, const tk_call *c)
{
    const int64_t rows = tk_rows(&c->out[0]), half = c->i[0] / 2;
    return tk_launch(d, "sinusoid", sinusoid_kernel, tk_grid(rows * half, THREADS), THREADS, 0,
                     (const float *)c->in[0].data, (float *)c->out[0].data, rows, half);
}

// (rows, 3, n) angles.
static __global__ void rope_table_kernel(const float *position, float *cosines, float *sines,
                                         int64_t rows, int64_t n, float theta)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < rows * 3 * n; i += step) {
        const float power = (float)(i % n) / (float)n;
        const float inv_freq = 1.0f / (float)pow((double)theta, (double)power);
        const float angle = position[i / n] * inv_freq;
        cosines[i] = cosf(angle);
        sines[i] = sinf(angle);
    }
}

extern "C" tk_status tk_cuda_rope_table(tk_device *d, const tk_call *c)
{
    const int64_t rows = tk_rows(&c->in[0]), n = c->i[0];
    return tk_launch(d, "rope_table", rope_table_kernel, tk_grid(rows * 3 * n, THREADS), THREADS, 0,
                     (const float *)c->in[0].data, (float *)c->out[0].data, (float *)c->out[1].data,
                     rows, n, (float)c->f[0]);
}
