// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/metric.h"
#include <lapacke.h>
#include <math.h>

#define DRAWN 0.2  // of what is beside the diagonal
#define ROUND 1e-6 // added to the diagonal

tk_status tk_metric_means(const double *x, const int *group, int n, int d, int groups, tk_arena *a,
                          tk_metric *out)
{
    *out = (tk_metric){.d = d, .groups = groups};
    TK_ARENA_NEW(out->mean, a, groups * d);
    TK_ARENA_NEW(out->shown, a, groups);
    for (int i = 0; i < n; i++) {
        if (group[i] < 0) continue;
        out->shown[group[i]]++;
        for (int k = 0; k < d; k++) out->mean[group[i] * d + k] += x[i * d + k];
    }
    for (int g = 0; g < groups; g++)
        for (int k = 0; k < d && out->shown[g]; k++) out->mean[g * d + k] /= out->shown[g];
    return TK_OK;
}

tk_status tk_metric_learn(const double *x, const int *group, int n, int d, int groups, tk_arena *a,
                          tk_metric *out)
{
    int used = 0;
    TK_TRY(tk_metric_means(x, group, n, d, groups, a, out));
    TK_ARENA_NEW(out->root, a, d * d);
    for (int i = 0; i < n; i++) {
        if (group[i] < 0) continue;
        const double *mean = out->mean + group[i] * d, *at = x + i * d;
        used++;
        for (int j = 0; j < d; j++)
            for (int k = 0; k <= j; k++)
                out->root[j * d + k] += (at[j] - mean[j]) * (at[k] - mean[k]);
    }
    for (int j = 0; j < d; j++) {
        for (int k = 0; k < j; k++) out->root[j * d + k] *= (1 - DRAWN) / used;
        out->root[j * d + j] = out->root[j * d + j] / used + ROUND;
    }
    const int code = LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', d, out->root, d);
    return code ? TK_FAIL(TK_NUMERIC, "examples do not differ at all: dpotrf says %d", code)
                : TK_OK;
}

double tk_metric_length(const tk_metric *m, double *y)
{
    double sum = 0;
    for (int k = 0; k < m->d; k++) {
        for (int j = 0; j < k; j++) y[k] -= m->root[k * m->d + j] * y[j];
        y[k] /= m->root[k * m->d + k];
        sum += y[k] * y[k];
    }
    return sqrt(sum);
}
