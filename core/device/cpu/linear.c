// SPDX-License-Identifier: Apache-2.0
// Fast CPU backend: the linear operator, and transposing.
#include "core/device/cpu/cpu.h"
#include "core/device/ops/gemm.h"

typedef float lanes __attribute__((vector_size(32), aligned(4), may_alias));

// Which of the sixteen elements of two rows are taken.
#define LOW_1 0, 8, 1, 9, 4, 12, 5, 13
#define HIGH_1 2, 10, 3, 11, 6, 14, 7, 15
#define LOW_2 0, 1, 8, 9, 4, 5, 12, 13
#define HIGH_2 2, 3, 10, 11, 6, 7, 14, 15
#define LOW_4 0, 1, 2, 3, 8, 9, 10, 11
#define HIGH_4 4, 5, 6, 7, 12, 13, 14, 15
#define TAKE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)

// An 8 x 8 block: pairs of rows are interleaved by elements, then by pairs, then by halves.
TK_LOOP transpose_block(const float *from, int64_t ld_from, float *to, int64_t ld_to)
{
    lanes a[8], b[8];
    for (int i = 0; i < 8; i++) a[i] = *(const lanes *)(from + i * ld_from);
    for (int i = 0; i < 8; i += 2) {
        b[i] = TAKE(a[i], a[i + 1], LOW_1);
        b[i + 1] = TAKE(a[i], a[i + 1], HIGH_1);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            a[i + 2 * j] = TAKE(b[i + j], b[i + j + 2], LOW_2);
            a[i + 2 * j + 1] = TAKE(b[i + j], b[i + j + 2], HIGH_2);
        }
    for (int i = 0; i < 4; i++) {
        *(lanes *)(to + i * ld_to) = TAKE(a[i], a[i + 4], LOW_4);
        *(lanes *)(to + (i + 4) * ld_to) = TAKE(a[i], a[i + 4], HIGH_4);
    }
}

void tk_transpose(const float *from, int64_t ld_from, int64_t rows, int64_t cols, float *to,
                  int64_t ld_to)
{
    enum { SIDE = 64 }; // columns at a time: what is written stays in the nearest cache
    int64_t even = rows / 8 * 8;
    for (int64_t col = 0; col < cols; col += SIDE) {
        int64_t end = tk_least(cols, col + SIDE);
        for (int64_t i = 0; i < even; i += 8) {
            int64_t j = col;
            for (; j + 8 <= end; j += 8)
                transpose_block(from + i * ld_from + j, ld_from, to + j * ld_to + i, ld_to);
            for (; j < end; j++)
                for (int64_t p = i; p < i + 8; p++) to[j * ld_to + p] = from[p * ld_from + j];
        }
        for (int64_t i = even; i < rows; i++)
            for (int64_t j = col; j < end; j++) to[j * ld_to + i] = from[i * ld_from + j];
    }
}

// to (cols, ld_to), from (rows, cols), by all threads.
static void transpose_all(const tk_device *d, const float *from, int64_t ld_from, int64_t rows,
                          int64_t cols, float *to, int64_t ld_to)
{
    enum { SIDE = 64 };
    int threads = tk_cpu_threads(d, rows * cols);
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < rows; i += SIDE)
        tk_transpose(from + i * ld_from, ld_from, tk_least(SIDE, rows - i), cols, to + i, ld_to);
}

// ---- linear: y (N,M) = x (N,C) @ w (M,C)^T + b -------------------------------------------------
//
// The library is slower on a transposed right operand than on a plain one where the operand is
// small, and on a transposed left one whose rows lie a multiple of 4 KiB apart (they share few
// cache sets). So small weights are transposed first (forward), and dy where its rows lie so and
// few columns of x do not hide it (gradient of w): block by block of its columns. SPEED.md has the
// ratios.
enum {
    WORTH_ROWS = 128,        // rows from which transposing weights pays
    SMALL_WEIGHTS = 1 << 17, // elements up to which it does
    FEW_COLUMNS = 256,       // columns of x up to which transposing dy does
    BLOCK_FLOATS = 1 << 20,  // of dy at a time
    ALIAS_FLOATS = 4096 / 4,
};

// Columns of dy whose transpose, of n floats each, makes a block.
static int64_t block_columns(int64_t columns, int64_t n)
{
    int64_t fit = BLOCK_FLOATS / (n ? n : 1);
    return tk_least(columns, fit < TK_GEMM_TILE ? TK_GEMM_TILE : fit);
}

// Row stride of a transposed operand: whole cache lines, never a multiple of 4 KiB.
static int64_t pad(int64_t n)
{
    int64_t lines = tk_blocks(n, 16) * 16;
    return lines % ALIAS_FLOATS ? lines : lines + 16;
}

// bf16 by the processor's own products where it has them; else on the dispatcher's fp32 copies.
// Both add up in fp32 and round once, but in another order: not the same bits, as between any
// processors.
bool tk_cpu_linear_bf16(const tk_call *c, bool back)
{
    const tk_tensor *w = c->in[1].ndim ? &c->in[1] : &c->din[1];
    const tk_tensor *y = back ? &c->dout[0] : &c->out[0];
    const bool bias = c->in[2].data && c->in[2].dtype == TK_BF16 && !back;
    const bool all = y->dtype == TK_BF16 && c->in[1].dtype == TK_BF16 && !bias;
    return all && tk_count(y) > 0 && tk_count(w) > 0 && tk_matmul_has(TK_BF16);
}

static bool transposes_weights(const tk_device *d, const tk_call *c)
{
    const tk_tensor *w = &c->in[1];
    const bool rows = d->steady || tk_rows(&c->out[0]) >= WORTH_ROWS;
    return w->dtype == TK_F32 && rows && tk_count(w) <= SMALL_WEIGHTS;
}

static bool transposes_dy(const tk_call *c)
{
    int64_t m = tk_cols(&c->dout[0]);
    return c->dout[0].dtype == TK_F32 && tk_wants(c, 1) && m > 0 && m % ALIAS_FLOATS == 0 &&
           tk_cols(&c->din[1]) <= FEW_COLUMNS;
}

// Forward: w transposed (C,M), and where rows are to be steady the last of x and y. Backward: a
// block of dy transposed (block, N).
size_t tk_cpu_linear_scratch(const tk_device *d, const tk_call *c, bool back)
{
    const tk_tensor *w = c->in[1].ndim ? &c->in[1] : &c->din[1], *y = &c->out[0];
    int64_t floats = 0;
    if (!back && transposes_weights(d, c)) floats = tk_cols(w) * pad(tk_rows(w));
    if (!back && d->steady && y->dtype == TK_F32)
        floats += tk_gemm_steady_room(tk_rows(y), tk_cols(w), tk_rows(w));
    if (back && transposes_dy(c)) {
        int64_t n = tk_rows(&c->dout[0]), block = block_columns(tk_rows(w), n) * pad(n);
        floats = block > floats ? block : floats;
    }
    return (size_t)floats * sizeof(float);
}

// x (rows, cols) as an operand.
static tk_matrix operand_of(const tk_tensor *x, bool transposed)
{
    return (tk_matrix){x->data, x->dtype, tk_cols(x), transposed};
}

// y (n,m), which holds what the product is added to, += x (n,k) @ w^T; wt: w transposed, or NULL.
static tk_status multiply_steadily(tk_device *d, const tk_call *c, const float *wt, float beta)
{
    const int64_t n = tk_rows(&c->out[0]), m = tk_cols(&c->out[0]), k = tk_cols(&c->in[0]);
    const float *x = tk_f32(&c->in[0]), *w = wt ? wt : tk_f32(&c->in[1]);
    float *room = (float *)d->scratch + (wt ? k * pad(m) : 0);
    return tk_gemm_steady(d->threads, wt ? 'N' : 'T', n, m, k, x, k, w, wt ? pad(m) : k, beta,
                          tk_f32(&c->out[0]), m, room);
}

tk_status tk_cpu_linear(tk_device *d, const tk_call *c)
{
    int64_t n = tk_rows(&c->out[0]), m = tk_cols(&c->out[0]), k = tk_cols(&c->in[0]);
    if (c->out[0].dtype == TK_BF16)
        return tk_matmul(d->threads, n, m, k, operand_of(&c->in[0], false),
                         operand_of(&c->in[1], true), tk_f32(&c->in[2]), false,
                         operand_of(&c->out[0], false));
    const float *x = tk_f32(&c->in[0]), *b = tk_f32(&c->in[2]);
    float *y = tk_f32(&c->out[0]), beta = b ? 1 : 0;
    if (b) { // the product is added to rows that begin as the bias
        int threads = tk_cpu_threads(d, n * m);
#pragma omp parallel for num_threads(threads)
        for (int64_t i = 0; i < n; i++) memcpy(y + i * m, b, (size_t)m * sizeof *y);
    }
    float *wt = transposes_weights(d, c) ? d->scratch : NULL;
    if (wt) transpose_all(d, tk_f32(&c->in[1]), k, m, k, wt, pad(m));
    if (d->steady) return multiply_steadily(d, c, wt, beta);
    if (!wt) return tk_gemm(d->threads, 'N', 'T', n, m, k, x, k, tk_f32(&c->in[1]), k, beta, y, m);
    return tk_gemm(d->threads, 'N', 'N', n, m, k, x, k, wt, pad(m), beta, y, m);
}

// to (m) (+)= sums of the columns of x (n,m), each in row order.
TK_LOOP column_sums_of(const tk_device *d, const void *x, tk_dtype t, int64_t n, int64_t m,
                       float *to, bool add)
{
    int threads = tk_cpu_threads(d, n * m);
#pragma omp parallel for num_threads(threads)
    for (int64_t col = 0; col < m; col += TK_CPU_COLUMNS) {
        float sum[TK_CPU_COLUMNS] = {0};
        int64_t width = tk_least(TK_CPU_COLUMNS, m - col);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < width; j++) sum[j] += tk_load(x, t, i * m + col + j);
        for (int64_t j = 0; j < width; j++) to[col + j] = (add ? to[col + j] : 0) + sum[j];
    }
}

static void column_sums(const tk_device *d, const tk_tensor *x, int64_t n, int64_t m, float *to,
                        bool add)
{
    if (x->dtype == TK_BF16)
        column_sums_of(d, x->data, TK_BF16, n, m, to, add);
    else
        column_sums_of(d, x->data, TK_F32, n, m, to, add);
}

// dw (m,k) (+)= dy (n,m)^T @ x (n,k)
static tk_status weight_gradient(tk_device *d, const tk_call *c, int64_t n, int64_t m, int64_t k)
{
    const float *dy = tk_f32(&c->dout[0]), *x = tk_f32(&c->in[0]);
    float *dw = tk_f32(&c->din[1]), beta = c->add[1], *dyt = d->scratch;
    if (c->dout[0].dtype == TK_BF16)
        return tk_matmul(d->threads, m, k, n, operand_of(&c->dout[0], true),
                         operand_of(&c->in[0], false), NULL, c->add[1],
                         operand_of(&c->din[1], false));
    if (!transposes_dy(c)) return tk_gemm(d->threads, 'T', 'N', m, k, n, dy, m, x, k, beta, dw, k);
    int64_t block = block_columns(m, n), ld = pad(n);
    for (int64_t at = 0; at < m; at += block) {
        int64_t width = tk_least(block, m - at);
        transpose_all(d, dy + at, m, n, width, dyt, ld);
        TK_TRY(tk_gemm(d->threads, 'N', 'N', width, k, n, dyt, ld, x, k, beta, dw + at * k, k));
    }
    return TK_OK;
}

tk_status tk_cpu_linear_back(tk_device *d, const tk_call *c)
{
    const tk_tensor *w = c->in[1].ndim ? &c->in[1] : &c->din[1];
    int64_t n = tk_rows(&c->dout[0]), m = tk_cols(&c->dout[0]), k = tk_cols(w);
    const float *dy = tk_f32(&c->dout[0]);
    if (tk_wants(c, 0) && c->dout[0].dtype == TK_BF16)
        TK_TRY(tk_matmul(d->threads, n, k, m, operand_of(&c->dout[0], false),
                         operand_of(&c->in[1], false), NULL, c->add[0],
                         operand_of(&c->din[0], false)));
    else if (tk_wants(c, 0))
        TK_TRY(tk_gemm(d->threads, 'N', 'N', n, k, m, dy, m, tk_f32(&c->in[1]), k, c->add[0],
                       tk_f32(&c->din[0]), k));
    if (tk_wants(c, 1)) TK_TRY(weight_gradient(d, c, n, m, k));
    if (tk_wants(c, 2)) column_sums(d, &c->dout[0], n, m, tk_f32(&c->din[2]), c->add[2]);
    return TK_OK;
}
