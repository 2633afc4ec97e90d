// SPDX-License-Identifier: Apache-2.0
// Rows sorted by the entry of a table that they use, and the second half of sums over them.
#include "core/device/cuda/kernels/segments.cuh"

enum {
    CHUNKS = 512,  // wanted: enough to fill a GPU, few enough that partial sums are little to move
    THREADS = 512, // of each kernel here
    WARPS = THREADS / TK_WARP,
    EACH = 8 // rows that a thread of the sort looks at in one go
};
static const int64_t LEAST = 8; // rows of a chunk for each team

static size_t lined(int64_t n, size_t size)
{
    return ((size_t)n * size + 15) / 16 * 16;
}

tk_segments tk_segments_none(int64_t rows, int64_t chunk)
{
    tk_segments s = {};
    s.rows = rows;
    s.entries = 1;
    s.chunk = chunk;
    s.chunks = tk_blocks(rows, chunk);
    return s;
}

tk_segments tk_segments_lay(void *scratch, int64_t rows, int64_t entries, int64_t n, int sums,
                            int teams, size_t *bytes)
{
    const int64_t each = tk_blocks(rows, (int64_t)CHUNKS * teams);
    tk_segments s = tk_segments_none(rows, (each < LEAST ? LEAST : each) * teams);
    s.n = n;
    s.sums = sums;
    uintptr_t at = (uintptr_t)scratch;
    if (entries) {
        s.entries = entries;
        s.order = (int32_t *)at;
        at += lined(rows, sizeof *s.order);
        s.begin = (int32_t *)at;
        at += lined(entries + 1, sizeof *s.begin);
        s.total = (float *)at;
        at += lined(entries * n, sizeof *s.total);
    }
    s.part = (float *)at;
    at += lined((s.chunks + s.entries) * sums * n, sizeof *s.part);
    *bytes = at - (uintptr_t)scratch;
    return s;
}

// ---- sorting -----------------------------------------------------------------------------------

// The sum over the threads before this one, and over all, of small counts. `space`: WARPS ints,
// which may be those of the call before.
static __device__ inline int before_me(int x, int *all, int *space)
{
    const int warp = threadIdx.x / TK_WARP, lane = threadIdx.x % TK_WARP;
    int upto = x, ahead = 0;
    for (int far = 1; far < TK_WARP; far *= 2) {
        const int other = __shfl_sync(0xffffffffu, upto, lane - far < 0 ? 0 : lane - far);
        if (lane >= far) upto += other;
    }
    __syncthreads(); // of the call before
    if (lane == TK_WARP - 1) space[warp] = upto;
    __syncthreads();
    *all = 0;
    for (int w = 0; w < WARPS; w++) {
        if (w < warp) ahead += space[w];
        *all += space[w];
    }
    return ahead + upto - x;
}

// A block for each entry looks at all rows: those of entries before its own it counts, its own it
// writes down in their order. (The index is small beside the rows it stands for, and stays in L2.)
static __global__ void sort_kernel(const int32_t *index, int64_t rows, int64_t entries,
                                   int32_t *order, int32_t *begin)
{
    int *const space = tk_shared<int>();
    for (int64_t entry = blockIdx.x; entry < entries; entry += gridDim.x) {
        int smaller = 0, here;
        for (int64_t i = threadIdx.x; i < rows; i += THREADS) smaller += index[i] < entry;
        (void)before_me(smaller, &here, space);
        if (threadIdx.x == 0) begin[entry] = here;
        if (threadIdx.x == 0 && entry == entries - 1) begin[entries] = (int32_t)rows;
        for (int64_t first = 0; first < rows; first += THREADS * EACH) {
            const int64_t mine = first + threadIdx.x * EACH;
            int count = 0, all;
            bool is[EACH];
            for (int j = 0; j < EACH; j++) {
                is[j] = mine + j < rows && index[mine + j] == entry;
                count += is[j];
            }
            int to = here + before_me(count, &all, space);
            for (int j = 0; j < EACH; j++)
                if (is[j]) order[to++] = (int32_t)(mine + j);
            here += all;
        }
    }
}

tk_status tk_segments_sort(tk_device *d, const tk_segments *s, const int32_t *index)
{
    return tk_launch(d, "sort rows by entry", sort_kernel, tk_grid(s->entries, 1), THREADS,
                     WARPS * sizeof(int), index, s->rows, s->entries, s->order, s->begin);
}

// ---- totals ------------------------------------------------------------------------------------

// Of 32 columns, a lane each, what the block's warps have summed up; for the first warp.
static __device__ inline float over_warps(float x, float *space)
{
    const int warp = threadIdx.x / TK_WARP, lane = threadIdx.x % TK_WARP;
    __syncthreads(); // of the call before
    space[warp * TK_WARP + lane] = x;
    __syncthreads();
    float sum = 0;
    for (int w = 0; warp == 0 && w < WARPS; w++) sum += space[w * TK_WARP + lane];
    return sum;
}

static __global__ void total_kernel(tk_segments s, int which, tk_segment_to to)
{
    float *const space = tk_shared<float>();
    const int warp = threadIdx.x / TK_WARP;
    const int64_t c = (int64_t)blockIdx.x * TK_WARP + threadIdx.x % TK_WARP;
    for (int64_t entry = blockIdx.y; entry < s.entries; entry += gridDim.y) {
        const int64_t from = s.begin ? s.begin[entry] : 0;
        const int64_t end = s.begin ? s.begin[entry + 1] : s.rows;
        const int64_t last = end > from ? (end - 1) / s.chunk : -1;
        float sum = 0;
        for (int64_t b = from / s.chunk + warp; c < s.n && b <= last; b += WARPS)
            sum += tk_segments_part(&s, b, entry)[which * s.n + c];
        sum = over_warps(sum, space);
        if (warp || c >= s.n) continue;
        if (to.keep) s.total[entry * s.n + c] = sum;
        if (!to.to) continue;
        float *const at = to.to + entry * to.pitch + c;
        float times[1];
        tk_load_vector<1>(to.times, c, times);
        sum *= times[0];
        *at = to.add ? *at + sum : sum;
    }
}

tk_status tk_segments_total(tk_device *d, const tk_segments *s, int which, tk_segment_to to)
{
    const int64_t most = 65535; // blocks along y
    const dim3 grid(tk_grid(s->n, TK_WARP), (unsigned)(s->entries < most ? s->entries : most));
    return tk_launch(d, "sums of entries", total_kernel, grid, THREADS, THREADS * sizeof(float), *s,
                     which, to);
}

static __global__ void weigh_kernel(const float *total, const float *scale, int64_t pitch,
                                    int64_t entries, int64_t n, float *to, bool add)
{
    const int warp = threadIdx.x / TK_WARP;
    const int64_t c = (int64_t)blockIdx.x * TK_WARP + threadIdx.x % TK_WARP;
    float sum = 0;
    for (int64_t entry = warp; c < n && entry < entries; entry += WARPS)
        sum += total[entry * n + c] * (1.0f + scale[entry * pitch + c]);
    sum = over_warps(sum, tk_shared<float>());
    if (warp == 0 && c < n) to[c] = add ? to[c] + sum : sum;
}

tk_status tk_segments_weigh(tk_device *d, const tk_segments *s, const float *scale, int64_t pitch,
                            float *to, bool add)
{
    return tk_launch(d, "sum over entries", weigh_kernel, tk_grid(s->n, TK_WARP), THREADS,
                     THREADS * sizeof(float), (const float *)s->total, scale, pitch, s->entries,
                     s->n, to, add);
}
