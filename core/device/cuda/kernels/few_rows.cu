// SPDX-License-Identifier: Apache-2.0
// Products of few rows of one type with weights of another, as they lie: reading the weights, once
// for every ROWS rows, is all the work.
#include "core/device/cuda/kernels/kernel.cuh"

#include "core/device/cuda/blas.h"

enum { ROWS = 8, WARPS = 8, THREADS = WARPS * TK_WARP };

// V numbers from x on, widened.
template <int V, class T> static __device__ inline void widen(const T *x, float *to)
{
    constexpr int P = V < tk_wide<T>() ? V : tk_wide<T>();
    for (int i = 0; i < V; i += P) {
        const tk_pack<T, P> pack = tk_load<P>(x + i);
        for (int j = 0; j < P; j++) to[i + j] = tk_widen(pack.x[j]);
    }
}

// y (rows, cols) = x (rows, depth) @ w + bias; w is (cols, depth) or, backward, (depth, cols).
template <class X, class W> struct few {
    const X *x;
    const W *w;
    const float *bias;
    const tk_bf16 *half_bias;
    X *y;
    float *part;
    int64_t rows, cols, depth, each;
    bool add;
};

// Of a block's row `top`: how many rows it works on.
static __device__ inline int rows_from(int64_t top, int64_t rows)
{
    return rows - top < ROWS ? (int)(rows - top) : (int)ROWS;
}

// ---- forward ------------------------------------------------------------------------------------

enum { COLS = 4 }; // of a warp, which reads x once for all of them

// Lanes walk along the depth, V neighbours at a time; the warp adds up their sums.
template <class X, class W, int V> static __global__ void forward_kernel(few<X, W> p)
{
    const int lane = threadIdx.x % TK_WARP;
    const int64_t col = ((int64_t)blockIdx.x * WARPS + threadIdx.x / TK_WARP) * COLS;
    const int64_t top = (int64_t)blockIdx.y * ROWS;
    const int rows = rows_from(top, p.rows);
    float sum[ROWS][COLS] = {};
    for (int64_t k = lane * V; k < p.depth; k += TK_WARP * V) {
        float w[COLS][V] = {}, x[V];
#pragma unroll
        for (int c = 0; c < COLS; c++)
            if (col + c < p.cols) widen<V>(p.w + (col + c) * p.depth + k, w[c]);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (r >= rows) continue;
            widen<V>(p.x + (top + r) * p.depth + k, x);
#pragma unroll
            for (int c = 0; c < COLS; c++)
                for (int j = 0; j < V; j++) sum[r][c] += x[j] * w[c][j];
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int c = 0; c < COLS; c++) {
            float all = tk_warp_sum(sum[r][c]);
            if (lane || r >= rows || col + c >= p.cols) continue;
            if (p.bias) all += p.bias[col + c];
            if (p.half_bias) all += tk_widen(p.half_bias[col + c]);
            p.y[(top + r) * p.cols + col + c] = tk_round<X>(all);
        }
}

// ---- backward -----------------------------------------------------------------------------------
//
// In two stages: the depth is cut into parts by its length alone. A block sums a part for
// TK_WARP * V columns, its warps every eighth line of it.

enum { MOST_PARTS = 64, PART = 64 };

static int64_t part_depth(int64_t depth)
{
    const int64_t each = tk_blocks(depth, (int64_t)MOST_PARTS);
    return each > PART ? each : (int64_t)PART;
}

extern "C" size_t tk_cuda_few_rows_scratch(int64_t rows, int64_t cols, int64_t depth)
{
    return (size_t)(tk_blocks(depth, part_depth(depth)) * rows * cols) * sizeof(float);
}

template <class X, class W, int V> static __global__ void part_kernel(few<X, W> p)
{
    float *space = tk_shared<float>(); // (WARPS, TK_WARP * V)
    const int lane = threadIdx.x % TK_WARP, warp = threadIdx.x / TK_WARP;
    const int64_t first = (int64_t)blockIdx.x * TK_WARP * V, col = first + lane * V;
    const int64_t top = (int64_t)blockIdx.z * ROWS, begin = blockIdx.y * p.each;
    const int64_t end = begin + p.each < p.depth ? begin + p.each : p.depth;
    const int rows = rows_from(top, p.rows);
    float sum[ROWS][V] = {};
    for (int64_t k = begin + warp; k < end && col < p.cols; k += WARPS) {
        float w[V];
        widen<V>(p.w + k * p.cols + col, w);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float x = r < rows ? tk_widen(p.x[(top + r) * p.depth + k]) : 0.0f;
            for (int j = 0; j < V; j++) sum[r][j] += x * w[j];
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        if (r >= rows) continue; // the same for all threads
        __syncthreads();         // of the row before
        for (int j = 0; j < V; j++) space[(warp * TK_WARP + lane) * V + j] = sum[r][j];
        __syncthreads();
        for (int i = threadIdx.x; i < TK_WARP * V; i += THREADS) {
            float all = 0;
            for (int l = 0; l < WARPS; l++) all += space[l * TK_WARP * V + i];
            if (first + i < p.cols)
                p.part[(blockIdx.y * p.rows + top + r) * p.cols + first + i] = all;
        }
    }
}

template <class X, class W> static __global__ void whole_kernel(few<X, W> p, int64_t parts)
{
    const int64_t n = p.rows * p.cols, i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum = p.add ? tk_widen(p.y[i]) : 0.0f;
    for (int64_t part = 0; part < parts; part++) sum += p.part[part * n + i];
    p.y[i] = tk_round<X>(sum);
}

// ---- launching ----------------------------------------------------------------------------------

template <class X, class W, int V> static tk_status run(tk_device *d, const few<X, W> &p, bool back)
{
    if (!back) {
        const dim3 grid(tk_grid(p.cols, WARPS * COLS), tk_grid(p.rows, ROWS));
        return tk_launch(d, "few rows", forward_kernel<X, W, V>, grid, THREADS, 0, p);
    }
    const int64_t parts = tk_blocks(p.depth, p.each);
    const dim3 grid(tk_grid(p.cols, TK_WARP * V), (unsigned)parts, tk_grid(p.rows, ROWS));
    TK_TRY(tk_launch(d, "few rows, parts", part_kernel<X, W, V>, grid, THREADS,
                     THREADS * V * sizeof(float), p));
    return tk_launch(d, "few rows, whole", whole_kernel<X, W>, tk_grid(p.rows * p.cols, THREADS),
                     THREADS, 0, p, parts);
}

template <class X, class W> static tk_status run_as(tk_device *d, const tk_cuda_product *c)
{
    constexpr int V = tk_wide<W>() > tk_wide<X>() ? tk_wide<W>() : tk_wide<X>();
    const bool half = c->bias_type == TK_BF16, back = !c->b.transposed;
    const int64_t line = back ? c->cols : c->depth; // of w
    few<X, W> p;
    p.x = (const X *)c->a.data, p.w = (const W *)c->b.data, p.y = (X *)c->d.data;
    p.bias = half ? NULL : (const float *)c->bias;
    p.half_bias = half ? (const tk_bf16 *)c->bias : NULL;
    p.part = (float *)d->scratch;
    p.rows = c->rows, p.cols = c->cols, p.depth = c->depth, p.each = part_depth(c->depth);
    p.add = c->add;
    const bool wide = line % V == 0 && tk_aligned(p.w, line, sizeof(W)) &&
                      (back || tk_aligned(p.x, line, sizeof(X)));
    return wide ? run<X, W, V>(d, p, back) : run<X, W, 1>(d, p, back);
}

extern "C" tk_status tk_cuda_multiply_few_rows(tk_device *d, const tk_cuda_product *c)
{
    const bool half_a = c->a.type == TK_BF16, half_b = c->b.type == TK_BF16;
    if (half_a) return half_b ? run_as<tk_bf16, tk_bf16>(d, c) : run_as<tk_bf16, float>(d, c);
    return half_b ? run_as<float, tk_bf16>(d, c) : run_as<float, float>(d, c);
}
