// SPDX-License-Identifier: Apache-2.0
// Rows shared out to teams of threads: what kernels that reduce over a row have in common.
//
// A row of n elements is n / V packs (kernel.cuh). A team is the lanes that take a row: a power of
// two within a warp, several teams to a block, or, where rows are wide, a whole block. A lane takes
// the packs lane, lane + team, lane + 2 * team ... For the second look that a norm needs, each lane
// keeps its packs in shared memory, where that is large enough, so that memory is read once.
#pragma once
#include "core/device/cuda/kernels/kernel.cuh"

typedef struct tk_teams {
    int team, teams, threads; // lanes of a row; rows that a block takes at a time; team * teams
} tk_teams;

enum {
    TK_LANE_ELEMENTS = 16,     // of a row that is more than a warp's,
    TK_TEAM_THREADS = 256,     // threads of a block with several teams,
    TK_TEAM_MOST = 512,        // and lanes of a team at most
    TK_SHARED_MOST = 96 << 10, // bytes of shared memory that every GPU has
};

static inline tk_teams tk_teams_of(int64_t n, int V)
{
    const int64_t packs = tk_blocks(n, V), each = tk_blocks(n, TK_LANE_ELEMENTS);
    tk_teams t = {1, 1, 0};
    while (t.team < packs && t.team < TK_WARP) t.team *= 2;
    if (each > TK_TEAM_MOST)
        t.team = TK_TEAM_MOST;
    else if (each > TK_WARP)
        t.team = (int)tk_blocks(each, TK_WARP) * TK_WARP;
    else
        t.teams = TK_TEAM_THREADS / t.team;
    t.threads = t.team * t.teams;
    return t;
}

// x[k] become their sums over the team, the same for all its lanes. Every thread of the block
// calls. `space`: K * TK_WARP floats of shared memory, which may be those of the call before.
template <int K> static __device__ inline void tk_team_sum(float (&x)[K], int team, float *space)
{
    const int warp = threadIdx.x / TK_WARP, lane = threadIdx.x % TK_WARP;
    const int warps = blockDim.x / TK_WARP;
    for (int k = 0; k < K; k++)
        for (int far = (team < TK_WARP ? team : TK_WARP) / 2; far; far /= 2)
            x[k] += __shfl_xor_sync(0xffffffffu, x[k], far);
    if (team <= TK_WARP) return;
    __syncthreads(); // of the call before
    for (int k = 0; k < K; k++)
        if (lane == 0) space[k * TK_WARP + warp] = x[k];
    __syncthreads();
    for (int k = 0; k < K; k++) x[k] = tk_warp_sum(lane < warps ? space[k * TK_WARP + lane] : 0.0f);
}

// A weight vector, f32 or bf16; absent: ones.
typedef struct tk_vector {
    const void *data;
    bool half;
} tk_vector;

static inline tk_vector tk_vector_of(const tk_tensor *w)
{
    const tk_vector v = {w->data, w->dtype == TK_BF16};
    return v;
}

template <int V>
static __device__ inline void tk_load_vector(tk_vector w, int64_t at, float (&to)[V])
{
    for (int j = 0; j < V; j++) to[j] = 1.0f;
    if (!w.data) return;
    if (w.half)
        tk_read<V>((const tk_bf16 *)w.data + at, to);
    else
        tk_read<V>((const float *)w.data + at, to);
}
