// SPDX-License-Identifier: Apache-2.0
// Tensor cores and asynchronous copies of the dialect (core/device/cuda/kernels/mma.cuh says what
// they do), on the host. Lanes meet once for each: what a lane brings lies in one of two places in
// turn, so that nobody writes over what another still reads.
#pragma once
#include <cuda_bf16.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tk_emulated_fragments {
    unsigned a[4], b[2];
    const __nv_bfloat16 *row;
} tk_emulated_fragments;

// What the 32 lanes of this thread's warp bring to the meeting at hand; *mine is this lane's.
static inline tk_emulated_fragments *tk_emulated_warp(tk_emulated_fragments **mine)
{
    enum { THREADS = 1024 };
    static __thread tk_emulated_fragments brought[2][THREADS];
    static __thread unsigned char turn[THREADS];
    const unsigned me = threadIdx.x;
    tk_emulated_fragments *all = brought[turn[me]];
    turn[me] ^= 1;
    *mine = &all[me];
    return &all[me / 32 * 32];
}

static inline float tk_emulated_half(const unsigned *x, int which)
{
    const unsigned bits = which % 2 ? x[which / 2] & 0xffff0000u : x[which / 2] << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

static inline void tk_mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, TK_HERE)
{
    tk_emulated_fragments *mine, *warp = tk_emulated_warp(&mine);
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4 * 2;
    memcpy(mine->a, a, sizeof mine->a);
    mine->b[0] = b0, mine->b[1] = b1;
    __syncwarp(0xffffffffu, file, line);
    for (int half = 0; half < 2; half++)
        for (int k = 0; k < 8; k++) // k and k + 8 of a row of a: two registers of lane
            for (int i = 0; i < 4;
                 i++) { // 4 * row + k / 2; of a column of b: of 4 * column + k / 2
                const tk_emulated_fragments *row = &warp[4 * g + k / 2];
                const tk_emulated_fragments *column = &warp[4 * (t + i % 2) + k / 2];
                const unsigned x = row->a[i / 2 + 2 * half], y = column->b[half];
                c[i] += tk_emulated_half(&x, k % 2) * tk_emulated_half(&y, k % 2);
            }
}

static inline void tk_emulated_matrices(unsigned (&x)[4], const __nv_bfloat16 *row, bool turned,
                                        const char *file, int line)
{
    tk_emulated_fragments *mine, *warp = tk_emulated_warp(&mine);
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4 * 2;
    mine->row = row;
    if ((uintptr_t)row % 16) {
        fprintf(stderr, "%s:%d: a row of a matrix is not at a multiple of 16 bytes\n", file, line);
        abort();
    }
    __syncwarp(0xffffffffu, file, line);
    for (int i = 0; i < 4; i++) {
        __nv_bfloat16 two[2];
        for (int j = 0; j < 2; j++)
            two[j] = turned ? warp[8 * i + t + j].row[g] : warp[8 * i + g].row[t + j];
        memcpy(&x[i], two, sizeof x[i]);
    }
}
static inline void tk_matrices(unsigned (&x)[4], const __nv_bfloat16 *row, TK_HERE)
{
    tk_emulated_matrices(x, row, false, file, line);
}
static inline void tk_matrices_turned(unsigned (&x)[4], const __nv_bfloat16 *row, TK_HERE)
{
    tk_emulated_matrices(x, row, true, file, line);
}

// Nothing is copied before it is waited for.
struct tk_copies {
    enum { MOST = 256 };
    struct {
        void *to;
        const void *from;
        unsigned bytes, batch;
        bool there;
    } pending[MOST];
    int count = 0;
    unsigned batch = 0; // the one that copies now belong to

    void copy(void *to, const void *from, unsigned bytes, bool there)
    {
        if (((uintptr_t)to | (there ? (uintptr_t)from : 0)) % bytes || count == MOST) {
            fprintf(stderr,
                    "a copy of %u bytes from %p to %p: not multiples of that, or more than "
                    "%d at once\n",
                    bytes, from, to, MOST);
            abort();
        }
        pending[count].to = to, pending[count].from = from, pending[count].bytes = bytes;
        pending[count].batch = batch, pending[count].there = there;
        count++;
    }
    void copy_16(void *to, const void *from, bool there) { copy(to, from, 16, there); }
    void copy_4(void *to, const void *from, bool there) { copy(to, from, 4, there); }
    void end() { batch++; }
    template <int BUT> void wait()
    {
        int left = 0;
        for (int i = 0; i < count; i++) {
            if (pending[i].batch + BUT >= batch)
                pending[left++] = pending[i];
            else if (pending[i].there)
                memcpy(pending[i].to, pending[i].from, pending[i].bytes);
            else
                memset(pending[i].to, 0, pending[i].bytes);
        }
        count = left;
    }
};

static inline float tk_exp2(float x)
{
    return exp2f(x);
}
