// SPDX-License-Identifier: Apache-2.0
// Leading eigenvectors of a covariance by subspace iteration: the subspace is multiplied by the
// matrix and orthonormalized until the variance in it stops growing, then a small eigenproblem
// (cyclic Jacobi) turns it to the principal axes. All heavy work is matrix products; only the
// components that are kept are ever computed.
#include "core/base/log.h"
#include "core/device/gemm.h"
#include "core/numbers/rng.h"
#include "data/codec/internal.h"
#include <math.h>
#include <string.h>

enum { SPARE = 32, ROUNDS = 60, SWEEPS = 30 };

static double dot(const float *a, const float *b, int64_t n)
{
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (int64_t i = 0; i < n; i++) s += (double)a[i] * (double)b[i];
    return s;
}

// Takes from row x what lies along the i rows before it, twice; true if something is left.
static bool clear(const float *q, int64_t i, int64_t n, float *x)
{
    double size = sqrt(dot(x, x, n));
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < i; j++) {
            const float *y = q + j * n;
            float d = (float)dot(x, y, n);
            for (int64_t k = 0; k < n; k++) x[k] -= d * y[k];
        }
    double rest = sqrt(dot(x, x, n));
    if (!(rest > 1e-5 * size)) return false;
    for (int64_t k = 0; k < n; k++) x[k] = (float)(x[k] / rest);
    return true;
}

// Orthonormalizes the m <= n rows of q (m, n). A row that vanishes, the matrix being of lower rank
// than m, starts anew at random, so that the basis is whole whatever the matrix.
static void orthonormalize(float *q, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        for (uint64_t attempt = 1; !clear(q, i, n, q + i * n); attempt++)
            tk_rng_fill_normal(tk_rng_key(0, TK_RNG_WEIGHTS, attempt), (uint64_t)(i * n), q + i * n,
                               n, 1);
}

// One rotation of the Jacobi method: zeroes a[p][q], adds it to the rotations in v.
static void rotate(double *a, double *v, int64_t m, int64_t p, int64_t q)
{
    double theta = (a[q * m + q] - a[p * m + p]) / (2 * a[p * m + q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int64_t k = 0; k < m; k++) {
        double x = a[k * m + p], y = a[k * m + q];
        a[k * m + p] = c * x - s * y, a[k * m + q] = s * x + c * y;
    }
    for (int64_t k = 0; k < m; k++) {
        double x = a[p * m + k], y = a[q * m + k];
        a[p * m + k] = c * x - s * y, a[q * m + k] = s * x + c * y;
        x = v[p * m + k], y = v[q * m + k];
        v[p * m + k] = c * x - s * y, v[q * m + k] = s * x + c * y;
    }
}

// Eigenvectors of a (m, m) as rows of v, values on a's diagonal; a is destroyed.
static void jacobi(double *a, double *v, int64_t m)
{
    memset(v, 0, (size_t)(m * m) * sizeof *v);
    double all = 0;
    for (int64_t i = 0; i < m; i++) v[i * m + i] = 1;
    for (int64_t i = 0; i < m * m; i++) all += a[i] * a[i];
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double off = 0;
        for (int64_t p = 0; p < m; p++)
            for (int64_t q = p + 1; q < m; q++) off += a[p * m + q] * a[p * m + q];
        if (off <= 1e-22 * all) return;
        for (int64_t p = 0; p < m; p++) {
            tk_alive();
            for (int64_t q = p + 1; q < m; q++)
                if (a[p * m + q] * a[p * m + q] > 1e-26 * all / (double)(m * m))
                    rotate(a, v, m, p, q);
        }
    }
}

// The rows of q turned to the axes of the matrix seen in their span, the `keep` largest first.
static tk_status turn(const float *q, const float *image, int64_t m, int64_t n, int64_t keep,
                      tk_arena *scratch, float *vectors, double *values)
{
    double *a, *v;
    float *picked;
    TK_ARENA_NEW(a, scratch, m * m);
    TK_ARENA_NEW(v, scratch, m * m);
    TK_ARENA_NEW(picked, scratch, keep * m);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j <= i; j++)
            a[i * m + j] = a[j * m + i] = dot(q + i * n, image + j * n, n);
    jacobi(a, v, m);
    for (int64_t c = 0; c < keep; c++) { // selection by value; a taken one is marked
        int64_t best = 0;
        for (int64_t i = 1; i < m; i++)
            if (a[i * m + i] > a[best * m + best]) best = i;
        values[c] = a[best * m + best] > 0 ? a[best * m + best] : 0;
        a[best * m + best] = -HUGE_VAL;
        for (int64_t k = 0; k < m; k++) picked[c * m + k] = (float)v[best * m + k];
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
    float *q, *image;
    TK_ARENA_NEW(q, scratch, m * n);
    TK_ARENA_NEW(image, scratch, m * n);
    tk_rng_fill_normal(tk_rng_key(0, TK_RNG_WEIGHTS, 0), 0, q, m * n, 1);
    double before = 0;
    for (int round = 0; round < ROUNDS; round++) {
        tk_alive();
        orthonormalize(q, m, n);
        TK_TRY(tk_gemm(0, 'N', 'N', m, n, n, q, n, matrix, n, 0, image, n));
        double held = 0;
        for (int64_t i = 0; i < m; i++) held += dot(q + i * n, image + i * n, n);
        if (m == n || (round && held - before <= 1e-6 * held)) break;
        before = held;
        if (round + 1 < ROUNDS) memcpy(q, image, (size_t)(m * n) * sizeof *q);
    }
    return turn(q, image, m, n, keep, scratch, vectors, values);
}

tk_status tk_pca(const float *matrix, int64_t n, int64_t keep, float *vectors, double *values)
{
    tk_arena scratch;
    tk_arena_init(&scratch, 0);
    tk_status st = pca(matrix, n, keep, &scratch, vectors, values);
    tk_arena_free(&scratch);
    return st;
}
