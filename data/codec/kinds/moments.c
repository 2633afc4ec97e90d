// SPDX-License-Identifier: Apache-2.0
#include "core/device/ops/gemm.h"
#include "data/codec/kinds/axes.h"
#include <math.h>

enum { WAITING = 1024 }; // rows a product

tk_status tk_moments_new(tk_moments *s, tk_arena *a, int64_t n)
{
    *s = (tk_moments){.n = n};
    TK_ARENA_NEW(s->sum, a, n);
    TK_ARENA_NEW(s->square, a, n * n);
    TK_ARENA_NEW(s->x, a, WAITING * n);
    TK_ARENA_NEW(s->product, a, n * n);
    return TK_OK;
}

static tk_status flush_moments(tk_moments *s)
{
    int64_t n = s->n, m = s->waiting;
    if (!m) return TK_OK;
    TK_TRY(tk_gemm(0, 'T', 'N', n, n, m, s->x, n, s->x, n, 0, s->product, n));
    for (int64_t i = 0; i < n * n; i++) s->square[i] += (double)s->product[i];
    for (int64_t r = 0; r < m; r++)
        for (int64_t i = 0; i < n; i++) s->sum[i] += (double)s->x[r * n + i];
    s->rows += m;
    s->waiting = 0;
    return TK_OK;
}

float *tk_moments_row(tk_moments *s)
{
    return s->x + s->waiting * s->n;
}

tk_status tk_moments_add(tk_moments *s)
{
    return ++s->waiting == WAITING ? flush_moments(s) : TK_OK;
}

tk_status tk_moments_axes(tk_moments *s, bool centred, int64_t keep, float *mean, float *basis,
                          double *variance)
{
    int64_t n = s->n;
    TK_TRY(flush_moments(s));
    double count = s->rows ? (double)s->rows : 1;
    for (int64_t i = 0; i < n; i++) s->sum[i] = centred ? s->sum[i] / count : 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            s->product[i * n + j] = (float)(s->square[i * n + j] / count - s->sum[i] * s->sum[j]);
    for (int64_t i = 0; mean && i < n; i++) mean[i] = (float)s->sum[i];
    return tk_pca(s->product, n, keep, basis, variance);
}

void tk_root_scales(const double *variance, int64_t keep, float *scale)
{
    double least = 1e-4 * sqrt(variance[0]), total = 0;
    if (!(least > 1e-7)) least = 1e-7;
    for (int64_t c = 0; c < keep; c++) {
        double deviation = fmax(sqrt(variance[c]), least);
        scale[c] = (float)(1 / sqrt(deviation));
        total += variance[c] / deviation / (double)keep;
    }
    double unit = total > 0 ? 1 / sqrt(total) : 1;
    for (int64_t c = 0; c < keep; c++) scale[c] *= (float)unit;
}
