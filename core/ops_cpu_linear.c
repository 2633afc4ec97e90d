// SPDX-License-Identifier: Apache-2.0
// Fast CPU backend: matrix products by oneDNN's sgemm, and the linear operator.
#include "core/ops_cpu.h"
#include <oneapi/dnnl/dnnl.h>
#include <omp.h>

// A product is cut into tiles of C, each one call of the library on one thread: so the library
// never splits the inner dimension between threads, which would make sums depend on their number.
enum { TILE_ROWS = 256, TILE_COLUMNS = 256 };

void tk_gemm_one(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                 int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    if (m == 0 || n == 0) return;
    if (k == 0) {
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
        return;
    }
    // Outside a parallel region the library would start threads of its own.
    int threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (threads > 1) omp_set_num_threads(1);
    dnnl_sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (threads > 1) omp_set_num_threads(threads);
}

void tk_gemm(const tk_device *d, char ta, char tb, int64_t m, int64_t n, int64_t k, const float *a,
             int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    int64_t rows = tk_blocks(m, TILE_ROWS), columns = tk_blocks(n, TILE_COLUMNS);
    int threads = tk_cpu_threads(d, m * n * k / 8);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            int64_t row = tk_split_begin(m, rows, i), height = tk_split_count(m, rows, i);
            int64_t col = tk_split_begin(n, columns, j), width = tk_split_count(n, columns, j);
            tk_gemm_one(ta, tb, height, width, k, 1, a + (ta == 'N' ? row * lda : row), lda,
                        b + (tb == 'N' ? col : col * ldb), ldb, beta, c + row * ldc + col, ldc);
        }
}

void tk_transpose(const float *from, int64_t ld_from, int64_t rows, int64_t cols, float *to,
                  int64_t ld_to)
{
    enum { SIDE = 16 };
    for (int64_t i = 0; i < rows; i += SIDE)
        for (int64_t j = 0; j < cols; j += SIDE) {
            int64_t height = tk_least(SIDE, rows - i), width = tk_least(SIDE, cols - j);
            for (int64_t q = 0; q < width; q++)
                for (int64_t p = 0; p < height; p++)
                    to[(j + q) * ld_to + i + p] = from[(i + p) * ld_from + j + q];
        }
}

// ---- linear: y (N,M) = x (N,C) @ w (M,C)^T + b -------------------------------------------------

// Weights stored in bf16 are widened before use: (M,C) floats of scratch.
size_t tk_cpu_linear_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    bool used = !back || tk_wants(c, 0);
    return used && c->in[1].dtype == TK_BF16 ? (size_t)tk_count(&c->in[1]) * sizeof(float) : 0;
}

static const float *weights(tk_device *d, const tk_call *c)
{
    const tk_tensor *w = &c->in[1];
    if (w->dtype != TK_BF16) return tk_f32(w);
    const uint16_t *from = w->data;
    uint32_t *to = d->scratch;
    int64_t n = tk_count(w);
    int threads = tk_cpu_threads(d, n);
#pragma omp parallel for simd num_threads(threads)
    for (int64_t i = 0; i < n; i++) to[i] = (uint32_t)from[i] << 16;
    return d->scratch;
}

tk_status tk_cpu_linear(tk_device *d, const tk_call *c)
{
    int64_t n = tk_rows(&c->out[0]), m = tk_cols(&c->out[0]), k = tk_cols(&c->in[0]);
    float *y = tk_f32(&c->out[0]);
    const float *b = tk_f32(&c->in[2]);
    if (b) { // the product is added to rows that begin as the bias
        int threads = tk_cpu_threads(d, n * m);
#pragma omp parallel for num_threads(threads)
        for (int64_t i = 0; i < n; i++) memcpy(y + i * m, b, (size_t)m * sizeof *y);
    }
    tk_gemm(d, 'N', 'T', n, m, k, tk_f32(&c->in[0]), k, weights(d, c), k, b ? 1 : 0, y, m);
    return TK_OK;
}

// to (m) (+)= sums of the columns of x (n,m), each in row order.
static void column_sums(const tk_device *d, const float *x, int64_t n, int64_t m, float *to,
                        bool add)
{
    int threads = tk_cpu_threads(d, n * m);
#pragma omp parallel for num_threads(threads)
    for (int64_t col = 0; col < m; col += TK_CPU_COLUMNS) {
        float sum[TK_CPU_COLUMNS] = {0};
        int64_t width = tk_least(TK_CPU_COLUMNS, m - col);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < width; j++) sum[j] += x[i * m + col + j];
        for (int64_t j = 0; j < width; j++) to[col + j] = (add ? to[col + j] : 0) + sum[j];
    }
}

tk_status tk_cpu_linear_back(tk_device *d, const tk_call *c)
{
    const tk_tensor *w = c->in[1].ndim ? &c->in[1] : &c->din[1];
    int64_t n = tk_rows(&c->dout[0]), m = tk_cols(&c->dout[0]), k = tk_cols(w);
    const float *dy = tk_f32(&c->dout[0]);
    if (tk_wants(c, 0))
        tk_gemm(d, 'N', 'N', n, k, m, dy, m, weights(d, c), k, c->add[0], tk_f32(&c->din[0]), k);
    if (tk_wants(c, 1))
        tk_gemm(d, 'T', 'N', m, k, n, dy, m, tk_f32(&c->in[0]), k, c->add[1], tk_f32(&c->din[1]),
                k);
    if (tk_wants(c, 2)) column_sums(d, dy, n, m, tk_f32(&c->din[2]), c->add[2]);
    return TK_OK;
}
