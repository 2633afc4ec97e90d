// SPDX-License-Identifier: Apache-2.0
// Sorting by key, eight bits of it at a time from the lowest on. A block takes a chunk of things;
// how many of it have each digit, summed up over digits and chunks before, says where each goes.
#include "core/device/cuda/kernels/kernel.cuh"
#include "core/device/cuda/kernels/order.h"

enum { WIDTH = 8, DIGITS = 1 << WIDTH }; // of a pass
enum { THREADS = DIGITS, ROUNDS = 4, CHUNK = THREADS * ROUNDS };
enum { WARPS = THREADS / TK_WARP, SCANNERS = 1024 };
enum { SPACE = (1 + WARPS) * DIGITS * (int)sizeof(int) }; // shared: running, then count

// ---- a pass ------------------------------------------------------------------------------------

// The place of this thread's thing among those of its digit: after the running[digit] before this
// round, and in the order of threads. running goes on. digit -1: there is no thing. count is
// (WARPS, DIGITS).
static __device__ int rank_of(int digit, int *running, int *count)
{
    const int warp = threadIdx.x / TK_WARP, lane = threadIdx.x % TK_WARP;
    for (int i = lane; i < DIGITS; i += TK_WARP) count[warp * DIGITS + i] = 0;
    __syncwarp();
    unsigned alike = __ballot_sync(0xffffffffu, digit >= 0); // lanes of the same digit
    for (int bit = 0; bit < WIDTH; bit++) {
        const unsigned set = __ballot_sync(0xffffffffu, digit >> bit & 1);
        alike &= digit >> bit & 1 ? set : ~set;
    }
    const int before = __builtin_popcount(alike & ((1u << lane) - 1));
    if (digit >= 0 && before == 0) count[warp * DIGITS + digit] = __builtin_popcount(alike);
    __syncthreads();
    int rank = before, all = 0;
    if (digit >= 0) rank += running[digit];
    for (int w = 0; w < warp && digit >= 0; w++) rank += count[w * DIGITS + digit];
    for (int w = 0; w < WARPS; w++) all += count[w * DIGITS + threadIdx.x];
    __syncthreads();
    running[threadIdx.x] += all; // which nobody reads before the next round's barrier
    return rank;
}

static __device__ inline int digit_of(const int32_t *key, int64_t i, int64_t n, int shift)
{
    return i < n ? key[i] >> shift & (DIGITS - 1) : -1;
}

// counts (DIGITS, chunks): how many of the chunk have the digit.
static __global__ void count_kernel(const int32_t *key, int64_t n, int shift, int *counts)
{
    int *running = tk_shared<int>();
    int64_t i = (int64_t)blockIdx.x * CHUNK + threadIdx.x;
    running[threadIdx.x] = 0;
    for (int round = 0; round < ROUNDS; round++, i += THREADS)
        rank_of(digit_of(key, i, n, shift), running, running + DIGITS);
    counts[(int64_t)threadIdx.x * gridDim.x + blockIdx.x] = running[threadIdx.x];
}

// Each of n numbers becomes the sum of those before it. One block of SCANNERS threads.
static __global__ void scan_kernel(int *x, int64_t n)
{
    int *space = tk_shared<int>();
    const int64_t share = (n + SCANNERS - 1) / SCANNERS, begin = threadIdx.x * share;
    const int64_t end = begin + share < n ? begin + share : n;
    int sum = 0;
    for (int64_t i = begin; i < end; i++) sum += x[i];
    space[threadIdx.x] = sum;
    __syncthreads();
    for (int far = 1; far < SCANNERS; far *= 2) {
        const int left = (int)threadIdx.x >= far ? space[threadIdx.x - far] : 0;
        __syncthreads();
        space[threadIdx.x] += left;
        __syncthreads();
    }
    int before = space[threadIdx.x] - sum;
    for (int64_t i = begin; i < end; i++) {
        const int own = x[i];
        x[i] = before;
        before += own;
    }
}

// place NULL: things are still where they were. counts as scan_kernel leaves them.
static __global__ void place_kernel(const int32_t *key, const int32_t *place, int64_t n, int shift,
                                    const int *counts, int32_t *key_to, int32_t *place_to)
{
    int *running = tk_shared<int>();
    int64_t i = (int64_t)blockIdx.x * CHUNK + threadIdx.x;
    running[threadIdx.x] = counts[(int64_t)threadIdx.x * gridDim.x + blockIdx.x];
    for (int round = 0; round < ROUNDS; round++, i += THREADS) {
        const int to = rank_of(digit_of(key, i, n, shift), running, running + DIGITS);
        if (i >= n) continue;
        key_to[to] = key[i];
        place_to[to] = place ? place[i] : (int32_t)i;
    }
}

// begin (keys + 1), from n sorted keys.
static __global__ void begin_kernel(const int32_t *key, int64_t n, int64_t keys, int32_t *begin)
{
    const int64_t k = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k > keys) return;
    int64_t low = 0, high = n; // the first key of at least k lies in [low, high]
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (key[middle] < k)
            low = middle + 1;
        else
            high = middle;
    }
    begin[k] = (int32_t)low;
}

// ---- all passes --------------------------------------------------------------------------------

extern "C" size_t tk_cuda_sort_bytes(int64_t n, int64_t keys)
{
    return (size_t)(4 * n + DIGITS * tk_blocks(n, CHUNK) + keys + 1) * sizeof(int32_t);
}

static tk_status sort_pass(tk_device *d, const int32_t *key, const int32_t *place, int64_t n,
                           int shift, int *counts, int32_t *key_to, int32_t *place_to)
{
    const unsigned chunks = (unsigned)tk_blocks(n, CHUNK);
    TK_TRY(
        tk_launch(d, "sort, count", count_kernel, chunks, THREADS, SPACE, key, n, shift, counts));
    TK_TRY(tk_launch(d, "sort, scan", scan_kernel, 1, SCANNERS, SCANNERS * sizeof(int), counts,
                     (int64_t)DIGITS * chunks));
    return tk_launch(d, "sort, place", place_kernel, chunks, THREADS, SPACE, key, place, n, shift,
                     counts, key_to, place_to);
}

extern "C" tk_status tk_cuda_sort(tk_device *d, const int32_t *key, int64_t n, int64_t keys,
                                  void *scratch, tk_cuda_order *out)
{
    int32_t *const keep = (int32_t *)scratch, *counts = keep + 4 * n;
    int32_t *begin = counts + DIGITS * tk_blocks(n, CHUNK), *place = NULL;
    int turn = 0;
    for (int shift = 0; shift == 0 || (keys - 1) >> shift; shift += WIDTH, turn ^= 1) {
        int32_t *key_to = keep + 2 * turn * n, *place_to = key_to + n;
        TK_TRY(sort_pass(d, key, place, n, shift, counts, key_to, place_to));
        key = key_to;
        place = place_to;
    }
    TK_TRY(tk_launch(d, "sort, begin", begin_kernel, tk_grid(keys + 1, THREADS), THREADS, 0, key, n,
                     keys, begin));
    *out = (tk_cuda_order){place, begin};
    return TK_OK;
}
