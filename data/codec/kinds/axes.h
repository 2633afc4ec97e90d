// SPDX-License-Identifier: Apache-2.0
// Principal axes, in closed form: moments of rows, and the leading eigenvectors of a covariance.
#pragma once
#include "core/base/mem.h"
#include <stdbool.h>

typedef struct tk_moments { // of rows of n numbers
    int64_t n, rows;
    double *sum, *square; // (n), (n, n)
    float *x, *product;   // rows not yet added; scratch (n, n)
    int64_t waiting;
} tk_moments;

tk_status tk_moments_new(tk_moments *s, tk_arena *a, int64_t n);
// Where the next row's n numbers go; it counts once they are added.
float *tk_moments_row(tk_moments *s);
tk_status tk_moments_add(tk_moments *s);
// The `keep` leading axes of what was added: basis (keep, n) orthonormal rows, variance (keep)
// falling, mean (n) or NULL. Not centred: about zero. The moments are gone then.
tk_status tk_moments_axes(tk_moments *s, bool centred, int64_t keep, float *mean, float *basis,
                          double *variance);
// A scale for each axis: the inverse root of its deviation, all times what makes the variance of
// the rows one on average. An axis that hardly varies is scaled as if it did a little, so that it
// is not blown up.
void tk_root_scales(const double *variance, int64_t keep, float *scale);

// The `keep` leading eigenvectors of a symmetric positive semidefinite matrix (n, n):
// vectors (keep, n) orthonormal rows by falling value, values (keep).
tk_status tk_pca(const float *matrix, int64_t n, int64_t keep, float *vectors, double *values);
// Summed in double, always in the same order.
double tk_dot_product(const float *a, const float *b, int64_t n);
// LAPACKE's codes in words; the numbers come from media and are finite.
tk_status tk_lapack_status(int code, const char *what);
