// SPDX-License-Identifier: Apache-2.0
// Noise and its way out, in fp32: NORMAL, NOISE, EULER. This file is compiled without contraction
// to fused multiply-adds (Makefile), as core/numbers/rng.c is: normals are the same bits as there.
#include "core/device/cuda/kernels/flat.cuh"
#include "core/device/cuda/table.h"
#include "core/numbers/philox.h"

namespace
{
// A thread makes the four normals of a block of Philox, those of them that are of its row. Where
// rows are not of whole blocks, a block is made anew for each row that it lies in.
struct normal {
    const int32_t *rows; // (N, 2): step, first index in rows
    float *out;
    int64_t cols, blocks; // blocks that a row may lie in
    uint64_t seed;
    uint32_t purpose;
    template <int V> __device__ void at(int64_t i) const
    {
        const int64_t row = i / blocks;
        const uint64_t first = (uint64_t)(uint32_t)rows[2 * row + 1] * (uint64_t)cols;
        const uint64_t block = first / 4 + (uint64_t)(i % blocks);
        const int64_t col = (int64_t)(4 * block - first); // of its first normal, from -3 on
        uint32_t x[4] = {(uint32_t)block, (uint32_t)(block >> 32), purpose,
                         (uint32_t)rows[2 * row]};
        float y[4], *to = out + row * cols + col;
        tk_philox_rounds((uint32_t)seed, (uint32_t)(seed >> 32), x);
        tk_box_muller(x[0], x[1], &y[0], &y[1]);
        tk_box_muller(x[2], x[3], &y[2], &y[3]);
        if (col >= 0 && col + 4 <= cols && (uintptr_t)to % 16 == 0)
            tk_write<4>(to, y);
        else
            for (int j = 0; j < 4; j++)
                if (col + j >= 0 && col + j < cols) to[j] = y[j];
    }
};

struct noise {
    const float *x, *noise, *t;
    float *mixed, *v;
    int64_t cols;
    template <int V> __device__ void at(int64_t i) const
    {
        const float level = t[i / cols], rest = 1.0f - level;
        float a[V], b[V], y[V];
        tk_read<V>(x + i, a);
        tk_read<V>(noise + i, b);
        for (int j = 0; j < V; j++) y[j] = level * a[j] + rest * b[j];
        for (int j = 0; j < V; j++) a[j] -= b[j];
        tk_write<V>(mixed + i, y);
        tk_write<V>(v + i, a);
    }
};

struct euler {
    const float *u, *cond, *down; // cond may be NULL
    float *x;
    int64_t cols;
    float guidance;
    template <int V> __device__ void at(int64_t i) const
    {
        const float by = down[i / cols];
        float a[V], b[V], y[V];
        tk_read<V>(u + i, a);
        tk_read<V>(x + i, y);
        if (cond) {
            tk_read<V>(cond + i, b);
            for (int j = 0; j < V; j++) a[j] += guidance * (b[j] - a[j]);
        }
        for (int j = 0; j < V; j++) y[j] += by * a[j];
        tk_write<V>(x + i, y);
    }
};
} // namespace

extern "C" tk_status tk_cuda_normal(tk_device *d, const tk_call *c)
{
    const int64_t cols = tk_cols(&c->out[0]);
    const normal work = {
        tk_i32(&c->in[0]), tk_f32(&c->out[0]), cols, cols % 4 ? (cols + 6) / 4 : cols / 4,
        (uint64_t)c->i[0], (uint32_t)c->i[1]};
    return tk_flat<1>(d, "normal", work, tk_rows(&c->out[0]) * work.blocks, 0);
}

extern "C" tk_status tk_cuda_noise(tk_device *d, const tk_call *c)
{
    const int64_t cols = tk_cols(&c->in[0]);
    const noise work = {tk_f32(&c->in[0]),  tk_f32(&c->in[1]),  tk_f32(&c->in[2]),
                        tk_f32(&c->out[0]), tk_f32(&c->out[1]), cols};
    return tk_flat<4>(d, "noise", work, tk_count(&c->in[0]),
                      tk_head_of_rows<4>(cols, work.x, work.noise, work.mixed, work.v));
}

extern "C" tk_status tk_cuda_euler(tk_device *d, const tk_call *c)
{
    const int64_t cols = tk_cols(&c->in[0]);
    const euler work = {
        tk_f32(&c->in[0]), tk_f32(&c->in[1]), tk_f32(&c->in[2]), tk_f32(&c->out[0]), cols,
        (float)c->f[0]};
    return tk_flat<4>(d, "euler", work, tk_count(&c->in[0]),
                      tk_head_of_rows<4>(cols, work.u, work.cond, work.x));
}
