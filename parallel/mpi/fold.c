// SPDX-License-Identifier: Apache-2.0
// Sums and maxima of several arrays in a fixed order.
#include "core/numbers/half.h"
#include "parallel/mpi/internal.h"
#include <string.h>

enum { BLOCK = 1024 }; // elements folded at a time: the accumulator stays in the first cache

static void load(float *to, const void *x, int64_t at, int64_t n, tk_dtype t)
{
    if (t == TK_F32) {
        memcpy(to, (const float *)x + at, (size_t)n * sizeof *to);
    } else {
        for (int64_t i = 0; i < n; i++) to[i] = tk_bf16_to_float(((const uint16_t *)x)[at + i]);
    }
}

static void store(void *x, int64_t at, const float *from, int64_t n, tk_dtype t)
{
    if (t == TK_F32) {
        memcpy((float *)x + at, from, (size_t)n * sizeof *from);
    } else {
        for (int64_t i = 0; i < n; i++) ((uint16_t *)x)[at + i] = tk_bf16_from_float(from[i]);
    }
}

// A NaN on any rank is the maximum.
static void accumulate(float *acc, const float *x, int64_t n, tk_reduce r)
{
    if (r == TK_SUM) {
        for (int64_t i = 0; i < n; i++) acc[i] += x[i];
    } else {
        for (int64_t i = 0; i < n; i++) acc[i] = x[i] > acc[i] || x[i] != x[i] ? x[i] : acc[i];
    }
}

static void fold_float(void *out, const void *const *x, int parts, int64_t n, tk_dtype t,
                       tk_reduce r)
{
    float acc[BLOCK], next[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t m = n - at < BLOCK ? n - at : BLOCK;
        load(acc, x[0], at, m, t);
        for (int p = 1; p < parts; p++) {
            if (t == TK_F32) {
                accumulate(acc, (const float *)x[p] + at, m, r);
            } else {
                load(next, x[p], at, m, t);
                accumulate(acc, next, m, r);
            }
        }
        store(out, at, acc, m, t);
    }
}

static void fold_int(int32_t *out, const void *const *x, int parts, int64_t n, tk_reduce r)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t acc = ((const int32_t *)x[0])[i];
        for (int p = 1; p < parts; p++) {
            int32_t v = ((const int32_t *)x[p])[i];
            if (r == TK_SUM)
                acc = (int32_t)((uint32_t)acc + (uint32_t)v);
            else if (v > acc)
                acc = v;
        }
        out[i] = acc;
    }
}

void tk_mpi_fold(void *out, const void *const *x, int parts, int64_t n, tk_dtype t, tk_reduce r)
{
    if (t == TK_I32)
        fold_int(out, x, parts, n, r);
    else
        fold_float(out, x, parts, n, t, r);
}
