// SPDX-License-Identifier: Apache-2.0
// How far examples are apart, measured by how much examples of one group differ: the covariance
// within groups, drawn a little towards its diagonal (Mahalanobis 1936).
//
//     TK_TRY(tk_metric_learn(x, group, n, d, groups, arena, &m));
//     apart = tk_metric_length(&m, y); // of a difference y (d), which it changes
#pragma once
#include "core/base/mem.h"

typedef struct tk_metric {
    int d, groups;
    double *mean; // (groups, d)
    int *shown;   // (groups) examples
    double *root; // (d, d) lower: Cholesky's factor of the covariance
} tk_metric;

// Means of the groups alone, from examples x (n, d), each in group[i], -1: left out.
tk_status tk_metric_means(const double *x, const int *group, int n, int d, int groups, tk_arena *a,
                          tk_metric *out);
// And the covariance around them. TK_NUMERIC where examples do not differ within groups.
tk_status tk_metric_learn(const double *x, const int *group, int n, int d, int groups, tk_arena *a,
                          tk_metric *out);
double tk_metric_length(const tk_metric *m, double *y);
