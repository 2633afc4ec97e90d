// SPDX-License-Identifier: Apache-2.0
// Leading eigenvectors of a covariance by subspace iteration: the subspace is multiplied by the
// matrix and orthonormalized until the variance in it stops growing, then a small eigenproblem
// turns it to the principal axes. The large products are tk_gemm's; the small dense problems are
// LAPACK's. The Makefile links its reference implementation, whatever BLAS the machine runs by
// default: it computes the same bits on any machine and number of threads. OpenBLAS does not (every
// one of dsyev, dsyevd, dsyevr and sgeqrf differs between one thread and two from 96 columns on),
// and here the slower one costs a second at most: 0.3 s for the largest dsyevd (544), 2.7 s for the
// largest sgeqrf with sorgqr (6144 x 544).
#include "core/base/log.h"
#include "core/device/ops/gemm.h"
#include "core/numbers/rng.h"
#include "data/codec/kinds/axes.h"
#include <lapacke.h>
#include <math.h>
#include <string.h>

enum { SPARE = 32, ROUNDS = 60 };

double tk_dot_product(const float *a, const float *b, int64_t n)
{
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (int64_t i = 0; i < n; i++) s += (double)a[i] * (double)b[i];
    return s;
}

tk_status tk_lapack_status(int code, const char *what)
{
    if (code == 0) return TK_OK;
    if (code == LAPACK_WORK_MEMORY_ERROR) return TK_FAIL(TK_MEMORY, "out of memory (%s)", what);
    return TK_FAIL(code < 0 ? TK_INTERNAL : TK_NUMERIC, "%s: LAPACK's code %d", what, code);
}

// Orthonormalizes the m <= n rows of q (m, n), which are columns to LAPACK. By reflections: the
// basis is whole whatever the rank of q.
static tk_status orthonormalize(float *q, int64_t m, int64_t n, float *tau)
{
    const int rows = (int)n, cols = (int)m;
    int code = LAPACKE_sgeqrf(LAPACK_COL_MAJOR, rows, cols, q, rows, tau);
    if (code == 0) code = LAPACKE_sorgqr(LAPACK_COL_MAJOR, rows, cols, cols, q, rows, tau);
    return tk_lapack_status(code, "orthonormal axes");
}

// The rows of q turned to the axes of the matrix seen in their span, the `keep` largest first.
static tk_status turn_to_axes(const float *q, const float *image, int64_t m, int64_t n,
                              int64_t keep, tk_arena *scratch, float *vectors, double *values)
{
    double *a, *value;
    float *picked;
    TK_ARENA_NEW(a, scratch, m * m);
    TK_ARENA_NEW(value, scratch, m);
    TK_ARENA_NEW(picked, scratch, keep * m);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j <= i; j++)
            a[i * m + j] = a[j * m + i] = tk_dot_product(q + i * n, image + j * n, n);
    TK_TRY(tk_lapack_status(LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', (int)m, a, (int)m, value),
                            "principal axes")); // by rising value, row i of `a` being vector i
    for (int64_t c = 0; c < keep; c++) {
        const int64_t from = m - 1 - c;
        values[c] = fmax(value[from], 0);
        for (int64_t k = 0; k < m; k++) picked[c * m + k] = (float)a[from * m + k];
    }
    TK_TRY(tk_gemm(0, 'N', 'N', keep, n, m, picked, m, q, n, 0, vectors, n));
    for (int64_t c = 0; c < keep; c++) { // signs: the largest entry is positive
        float *x = vectors + c * n;
        int64_t top = 0;
        for (int64_t k = 1; k < n; k++)
            if (fabsf(x[k]) > fabsf(x[top])) top = k;
        if (x[top] < 0)
            for (int64_t k = 0; k < n; k++) x[k] = -x[k];
    }
    return TK_OK;
}

static tk_status pca(const float *matrix, int64_t n, int64_t keep, tk_arena *scratch,
                     float *vectors, double *values)
{
    int64_t m = keep + SPARE < n ? keep + SPARE : n;
    float *q, *image, *tau;
    TK_ARENA_NEW(tau, scratch, m);
    TK_ARENA_NEW(q, scratch, m * n);
    TK_ARENA_NEW(image, scratch, m * n);
    tk_rng_fill_normal(tk_rng_key(0, TK_RNG_WEIGHTS, 0), 0, q, m * n, 1);
    double before = 0;
    for (int round = 0; round < ROUNDS; round++) {
        tk_alive();
        TK_TRY(orthonormalize(q, m, n, tau));
        TK_TRY(tk_gemm(0, 'N', 'N', m, n, n, q, n, matrix, n, 0, image, n));
        double held = 0;
        for (int64_t i = 0; i < m; i++) held += tk_dot_product(q + i * n, image + i * n, n);
        if (m == n || (round && held - before <= 1e-6 * held)) break;
        before = held;
        if (round + 1 < ROUNDS) memcpy(q, image, (size_t)(m * n) * sizeof *q);
    }
    return turn_to_axes(q, image, m, n, keep, scratch, vectors, values);
}

tk_status tk_pca(const float *matrix, int64_t n, int64_t keep, float *vectors, double *values)
{
    tk_arena scratch;
    tk_arena_init(&scratch, 0);
    tk_status st = pca(matrix, n, keep, &scratch, vectors, values);
    tk_arena_free(&scratch);
    return st;
}
