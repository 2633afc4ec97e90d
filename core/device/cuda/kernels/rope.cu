// SPDX-License-Identifier: Apache-2.0
// Rotary embedding: ROPE, each head by its row's angles. Rotation backward is the same by minus the
// angle.
//
// A block takes a few rows, whose angles it keeps in shared memory; its teams take their heads. A
// head goes through shared memory too, since the channel that another turns with lies anywhere
// (R need not be a multiple of anything).
#include "core/device/cuda/kernels/heads.cuh"
#include "core/device/cuda/table.h"

template <class T, int V>
static __global__ void turn_kernel(tk_heads h, const T *x, T *y, float sign, bool add)
{
    const int team = threadIdx.x / h.team, lane = threadIdx.x % h.team;
    float *const stage = tk_heads_buffers<V>(&h) + team * tk_heads_width<V>(h.n);
    const int64_t first = (int64_t)blockIdx.x * h.block_rows;
    const int rows = (int)(h.rows - first < h.block_rows ? h.rows - first : h.block_rows);
    tk_heads_angles<V>(&h, first, rows);
    __syncthreads();
    for (int i = team; i - team < rows * h.heads; i += h.teams) {
        const bool on = i < rows * h.heads;
        const int64_t at = (first * h.heads + i) * h.n;
        float out[V];
        for (int p = lane; on && p < h.n / V; p += h.team) {
            tk_read<V>(x + at + p * V, out);
            tk_heads_put<V>(stage, p, out);
        }
        __syncwarp();
        for (int p = lane; on && p < h.n / V; p += h.team) {
            tk_heads_turn<V>(&h, stage, i / h.heads, p, sign, out);
            tk_give<V>(y + at + p * V, out, add);
        }
        __syncwarp(); // before the next head
    }
}

template <class T, int V>
static tk_status launch_turn(tk_device *d, const tk_call *c, const tk_tensor *from, T *y,
                             float sign, bool add)
{
    const T *const x = (const T *)from->data;
    const tk_heads h = tk_heads_of<V>(c, from, 1, 1);
    return tk_launch(d, "rope", turn_kernel<T, V>, tk_grid(h.rows, h.block_rows), h.team * h.teams,
                     tk_heads_bytes<V>(&h, 1), h, x, y, sign, add);
}

template <class T>
static tk_status turn_as(tk_device *d, const tk_call *c, const tk_tensor *from, const tk_tensor *to,
                         float sign, bool add)
{
    T *const y = (T *)to->data;
    if (tk_aligned(from->data, c->i[0], sizeof(T)) && tk_aligned(y, c->i[0], sizeof(T)))
        return launch_turn<T, tk_wide<T>()>(d, c, from, y, sign, add);
    return launch_turn<T, 1>(d, c, from, y, sign, add);
}

static tk_status turn(tk_device *d, const tk_call *c, const tk_tensor *from, const tk_tensor *to,
                      float sign, bool add)
{
    return to->dtype == TK_BF16 ? turn_as<tk_bf16>(d, c, from, to, sign, add)
                                : turn_as<float>(d, c, from, to, sign, add);
}

extern "C" tk_status tk_cuda_rope(tk_device *d, const tk_call *c)
{
    return turn(d, c, &c->in[0], &c->out[0], 1, false);
}

extern "C" tk_status tk_cuda_rope_back(tk_device *d, const tk_call *c)
{
    return turn(d, c, &c->dout[0], &c->din[0], -1, c->add[0]);
}
