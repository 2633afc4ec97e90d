// SPDX-License-Identifier: Apache-2.0
// Rows of heads that are turned by angles: what ROPE and what is fused with it have in common.
//
// Shared memory of a block: cosines, then sines of its rows, then buffers of a head's n channels,
// in fp32, for each team. Element j lies at j + j / V: lanes that ask for the same element of their
// packs ask for different banks.
#pragma once
#include "core/device/cuda/kernels/rows.cuh"

typedef struct tk_heads {
    int64_t rows;
    int heads, n, r;        // heads of a row, channels of a head, angles of a row
    int team, teams;        // as in rows.cuh; a team is within a warp
    int block_rows;         // rows of a block
    const float *cos, *sin; // (rows, r)
} tk_heads;

enum {
    TK_HEADS_OF_TEAM = 4,      // that a team has at least, one after the other,
    TK_HEADS_ROWS = 16,        // rows of a block at most,
    TK_HEADS_ANGLES = 16 << 10 // bytes of their angles at most, if there are two rows
};

template <int V> static __host__ __device__ inline int tk_heads_at(int j)
{
    return V == 1 ? j : j + j / V;
}
template <int V> static __host__ __device__ inline int tk_heads_width(int n)
{
    return tk_heads_at<V>(n) + 1;
}

// Shared memory with `buffers` buffers for each team.
template <int V> static size_t tk_heads_bytes(const tk_heads *h, int buffers)
{
    const size_t angles = (size_t)(2 * h->block_rows * tk_heads_width<V>(h->r));
    return (angles + (size_t)(buffers * h->teams * tk_heads_width<V>(h->n))) * sizeof(float);
}

// Heads of c->i[0] channels in the rows of x, turned by a call's inputs `cos` and cos + 1.
template <int V>
static tk_heads tk_heads_of(const tk_call *c, const tk_tensor *x, int cos, int buffers)
{
    tk_heads h = {};
    h.n = (int)c->i[0];
    h.rows = tk_rows(x);
    h.heads = (int)(tk_cols(x) / h.n);
    h.r = (int)tk_cols(&c->in[cos]);
    h.cos = (const float *)c->in[cos].data;
    h.sin = (const float *)c->in[cos + 1].data;
    h.team = 1;
    while (h.team < tk_blocks(h.n, V) && h.team < TK_WARP) h.team *= 2;
    h.teams = TK_TEAM_THREADS / h.team;
    h.block_rows = TK_HEADS_ROWS;
    while (h.block_rows > 1 && (h.block_rows / 2 * h.heads >= h.teams * TK_HEADS_OF_TEAM ||
                                tk_heads_bytes<V>(&h, 0) > TK_HEADS_ANGLES))
        h.block_rows /= 2;
    while (h.team * h.teams > TK_WARP && tk_heads_bytes<V>(&h, buffers) > TK_SHARED_MOST)
        h.teams /= 2;
    return h;
}

// ---- on the device -----------------------------------------------------------------------------

template <int V> static __device__ inline float *tk_heads_sines(const tk_heads *h)
{
    return tk_shared<float>() + h->block_rows * tk_heads_width<V>(h->r);
}
template <int V> static __device__ inline float *tk_heads_buffers(const tk_heads *h)
{
    return tk_shared<float>() + 2 * h->block_rows * tk_heads_width<V>(h->r);
}

// The angles of `rows` rows from `first` on: by all threads, none of which reads them before a
// barrier.
template <int V>
static __device__ inline void tk_heads_angles(const tk_heads *h, int64_t first, int rows)
{
    float *const cos = tk_shared<float>(), *const sin = tk_heads_sines<V>(h);
    for (int i = threadIdx.x; i < rows * h->r; i += blockDim.x) {
        const int to = i / h->r * tk_heads_width<V>(h->r) + tk_heads_at<V>(i % h->r);
        cos[to] = h->cos[first * h->r + i];
        sin[to] = h->sin[first * h->r + i];
    }
}

// Pack p of a head in a buffer.
template <int V>
static __device__ inline void tk_heads_put(float *buffer, int p, const float (&x)[V])
{
    for (int j = 0; j < V; j++) buffer[tk_heads_at<V>(p * V + j)] = x[j];
}
template <int V>
static __device__ inline void tk_heads_get(const float *buffer, int p, float (&x)[V])
{
    for (int j = 0; j < V; j++) x[j] = buffer[tk_heads_at<V>(p * V + j)];
}

// Pack p of the head in `buffer`, turned by the angles of the block's row `row` times `sign`.
template <int V>
static __device__ inline void tk_heads_turn(const tk_heads *h, const float *buffer, int row, int p,
                                            float sign, float (&x)[V])
{
    const float *const cos = tk_shared<float>() + row * tk_heads_width<V>(h->r);
    const float *const sin = tk_heads_sines<V>(h) + row * tk_heads_width<V>(h->r);
    for (int j = 0; j < V; j++) {
        const int at = p * V + j;
        const bool low = at < h->r;
        x[j] = buffer[tk_heads_at<V>(at)];
        if (at >= 2 * h->r) continue;
        const int angle = tk_heads_at<V>(low ? at : at - h->r);
        const float other = buffer[tk_heads_at<V>(low ? at + h->r : at - h->r)];
        x[j] = x[j] * cos[angle] + (low ? -sign : sign) * sin[angle] * other;
    }
}
