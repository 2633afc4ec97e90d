// SPDX-License-Identifier: Apache-2.0
#include "core/device/gemm.h"
#include "core/base/log.h"
#include "core/numbers/tensor.h"
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

// Tiles are few and large, because every tile packs its operands anew.
enum {
    TILE_LEAST = 96,
    SMALL_PRODUCT = 1 << 17, // elements of C below which two tiles are enough
    ALONE = 1 << 18          // multiplications below which threads cost more than they bring
};

typedef struct tiles {
    int64_t rows, columns; // how many
} tiles;

// By shape alone: 4 tiles or more (2 of a small C), the longer side halved first.
static tiles tiles_of(int64_t m, int64_t n)
{
    tiles t = {tk_blocks(m, TK_GEMM_TILE), tk_blocks(n, TK_GEMM_TILE)};
    int64_t wanted = m * n < SMALL_PRODUCT ? 2 : 4;
    while (t.rows * t.columns < wanted) {
        int64_t height = m / t.rows, width = n / t.columns;
        if ((height > width ? height : width) < 2 * TILE_LEAST) break;
        if (height > width)
            t.rows *= 2;
        else
            t.columns *= 2;
    }
    return t;
}

tk_status tk_gemm_one(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
                      const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                      float *c, int64_t ldc)
{
    if (m == 0 || n == 0) return TK_OK;
    if (k == 0) {
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
        return TK_OK;
    }
    // Outside a parallel region, or in one of a single thread, the library would start its own.
    int threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (threads > 1) omp_set_num_threads(1);
    dnnl_status_t st = dnnl_sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (threads > 1) omp_set_num_threads(threads);
    if (st == dnnl_success) return TK_OK;
    return TK_FAIL(st == dnnl_out_of_memory ? TK_MEMORY : TK_INTERNAL,
                   "dnnl_sgemm %c%c of (%lld, %lld, %lld), row strides %lld, %lld and %lld: %s", ta,
                   tb, (long long)m, (long long)n, (long long)k, (long long)lda, (long long)ldb,
                   (long long)ldc, st == dnnl_out_of_memory ? "out of memory" : "refused");
}

tk_status tk_gemm(int threads, char ta, char tb, int64_t m, int64_t n, int64_t k, const float *a,
                  int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    if (m == 0 || n == 0) return TK_OK;
    const tiles t = tiles_of(m, n);
    tk_team team = {TK_OK, ""};
    if (threads == 0) threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (m * n * k < ALONE) threads = 1;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t j = 0; j < t.columns; j++) {
            int64_t row = tk_split_begin(m, t.rows, i), height = tk_split_count(m, t.rows, i);
            int64_t col = tk_split_begin(n, t.columns, j), width = tk_split_count(n, t.columns, j);
            tk_team_report(&team, tk_gemm_one(ta, tb, height, width, k, 1,
                                              a + (ta == 'N' ? row * lda : row), lda,
                                              b + (tb == 'N' ? col : col * ldb), ldb, beta,
                                              c + row * ldc + col, ldc));
        }
    tk_alive();
    return tk_team_result(&team);
}
