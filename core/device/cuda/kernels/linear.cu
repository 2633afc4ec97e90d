// SPDX-License-Identifier: Apache-2.0
// Of the linear operator, what cuBLASLt leaves: a plain matrix product, and sums of columns.
#include "core/device/cuda/kernels/kernel.cuh"

#include "core/device/cuda/blas.h"

enum { TILE = 32, LINES = 8, THREADS = TILE * LINES };

// ---- a plain product ----------------------------------------------------------------------------

// Element (i, k) of a lies at i * a_i + k * a_k, element (k, j) of b at j * b_j + k * b_k.
template <class T, class D> struct product {
    const T *a, *b;
    D *d;
    const D *bias;
    int64_t rows, cols, depth, a_i, a_k, b_j, b_k, d_i;
    bool add;
};

// tile[i][k] = element (first + i, from + k) of a matrix of `n` by `depth`, 0 outside. Threads run
// along the way that neighbours lie.
template <class T>
static __device__ inline void fetch(float (*tile)[TILE + 1], const T *x, int64_t first, int64_t n,
                                    int64_t by_i, int64_t from, int64_t depth, int64_t by_k)
{
    const int lane = threadIdx.x % TILE, line = threadIdx.x / TILE;
    for (int r = line; r < TILE; r += LINES) {
        const int i = by_k == 1 ? r : lane, k = by_k == 1 ? lane : r;
        const bool inside = first + i < n && from + k < depth;
        tile[i][k] = inside ? tk_widen(x[(first + i) * by_i + (from + k) * by_k]) : 0.0f;
    }
}

// A block makes tiles of TILE x TILE, a thread TILE / LINES elements of each, in order of depth.
template <class T, class D> static __global__ void product_kernel(product<T, D> p)
{
    float(*of_a)[TILE + 1] = tk_shared<float[TILE + 1]>();
    float(*of_b)[TILE + 1] = of_a + TILE;
    const int lane = threadIdx.x % TILE, line = threadIdx.x / TILE;
    const int64_t col = (int64_t)blockIdx.x * TILE + lane;
    for (int64_t top = (int64_t)blockIdx.y * TILE; top < p.rows; top += (int64_t)gridDim.y * TILE) {
        float sum[TILE / LINES] = {};
        for (int64_t from = 0; from < p.depth; from += TILE) {
            fetch(of_a, p.a, top, p.rows, p.a_i, from, p.depth, p.a_k);
            fetch(of_b, p.b, col - lane, p.cols, p.b_j, from, p.depth, p.b_k);
            __syncthreads();
            for (int k = 0; k < TILE; k++)
                for (int r = 0; r < TILE / LINES; r++)
                    sum[r] += of_a[line + r * LINES][k] * of_b[lane][k];
            __syncthreads();
        }
        const float bias = col < p.cols && p.bias ? tk_widen(p.bias[col]) : 0.0f;
        for (int r = 0; r < TILE / LINES; r++) {
            const int64_t row = top + line + r * LINES;
            if (row >= p.rows || col >= p.cols) continue;
            D *to = p.d + row * p.d_i + col;
            *to = tk_round<D>(sum[r] + bias + (p.add ? tk_widen(*to) : 0.0f));
        }
    }
}

template <class T, class D> static tk_status multiply_as(tk_device *d, const tk_cuda_product *c)
{
    enum { MOST = 65535 }; // blocks along y
    const int64_t tiles = tk_blocks(c->rows, (int64_t)TILE);
    product<T, D> p;
    p.a = (const T *)c->a.data, p.b = (const T *)c->b.data, p.d = (D *)c->d.data;
    p.bias = (const D *)c->bias;
    p.rows = c->rows, p.cols = c->cols, p.depth = c->depth;
    p.a_i = c->a.transposed ? 1 : c->a.ld, p.a_k = c->a.transposed ? c->a.ld : 1;
    p.b_j = c->b.transposed ? c->b.ld : 1, p.b_k = c->b.transposed ? 1 : c->b.ld;
    p.d_i = c->d.ld;
    p.add = c->add;
    const dim3 grid(tk_grid(c->cols, TILE), tiles < MOST ? (unsigned)tiles : (unsigned)MOST);
    return tk_launch(d, "product", product_kernel<T, D>, grid, THREADS,
                     2 * TILE * (TILE + 1) * sizeof(float), p);
}

extern "C" tk_status tk_cuda_multiply_plain(tk_device *d, const tk_cuda_product *c)
{
    if (c->a.type == TK_F32) return multiply_as<float, float>(d, c);
    return c->d.type == TK_BF16 ? multiply_as<tk_bf16, tk_bf16>(d, c)
                                : multiply_as<tk_bf16, float>(d, c);
}

// ---- sums of columns ----------------------------------------------------------------------------
//
// In two stages: rows are cut into parts by their number alone; a block sums TILE columns of a
// part, LINES rows at a time.

enum { PART_ROWS = 512, MOST_PARTS = 256 };

static int64_t part_rows(int64_t rows)
{
    const int64_t each = tk_blocks(rows, (int64_t)MOST_PARTS);
    return each > PART_ROWS ? each : (int64_t)PART_ROWS;
}

extern "C" size_t tk_cuda_column_scratch(int64_t rows, int64_t cols)
{
    return (size_t)(tk_blocks(rows, part_rows(rows)) * cols) * sizeof(float);
}

template <class T>
static __global__ void part_kernel(const T *x, int64_t rows, int64_t cols, int64_t each,
                                   float *part)
{
    float *space = tk_shared<float>();
    const int lane = threadIdx.x % TILE, line = threadIdx.x / TILE;
    const int64_t col = (int64_t)blockIdx.x * TILE + lane, begin = blockIdx.y * each;
    const int64_t end = begin + each < rows ? begin + each : rows;
    float sum = 0;
    for (int64_t row = begin + line; row < end && col < cols; row += LINES)
        sum += tk_widen(x[row * cols + col]);
    space[threadIdx.x] = sum;
    __syncthreads();
    if (line || col >= cols) return;
    for (int l = 1; l < LINES; l++) sum += space[l * TILE + lane];
    part[blockIdx.y * cols + col] = sum;
}

static __global__ void whole_kernel(const float *part, int64_t parts, int64_t cols, float *to,
                                    bool add)
{
    const int64_t col = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (col >= cols) return;
    float sum = 0;
    for (int64_t i = 0; i < parts; i++) sum += part[i * cols + col];
    to[col] = add ? to[col] + sum : sum;
}

template <class T>
static tk_status part_sums(tk_device *d, const tk_tensor *x, int64_t each, int64_t parts)
{
    const int64_t cols = tk_cols(x);
    const dim3 grid(tk_grid(cols, TILE), (unsigned)parts);
    return tk_launch(d, "column sums", part_kernel<T>, grid, THREADS, THREADS * sizeof(float),
                     (const T *)x->data, tk_rows(x), cols, each, (float *)d->scratch);
}

extern "C" tk_status tk_cuda_column_sums(tk_device *d, const tk_tensor *x, float *to, bool add)
{
    const int64_t rows = tk_rows(x), cols = tk_cols(x), each = part_rows(rows);
    const int64_t parts = tk_blocks(rows, each);
    if (x->dtype == TK_BF16)
        TK_TRY(part_sums<tk_bf16>(d, x, each, parts));
    else
        TK_TRY(part_sums<float>(d, x, each, parts));
    return tk_launch(d, "column sums", whole_kernel, tk_grid(cols, THREADS), THREADS, 0,
                     (const float *)d->scratch, parts, cols, to, add);
}
