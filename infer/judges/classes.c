// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/classes.h"
#include <lapacke.h>
#include <math.h>
#include <string.h>

static tk_status new_classes(int64_t d, int64_t classes, tk_arena *a, tk_classes *c)
{
    *c = (tk_classes){.classes = classes, .d = d};
    TK_ARENA_NEW(c->weight, a, classes * d);
    TK_ARENA_NEW(c->bias, a, classes);
    TK_ARENA_NEW(c->middle, a, d);
    TK_ARENA_NEW(c->spread, a, d);
    TK_ARENA_NEW(c->shown, a, classes);
    return TK_OK;
}

static tk_status find_scale(int64_t n, const double *x, tk_classes *c)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c->d; k++) {
            if (!isfinite(x[i * c->d + k]))
                return TK_FAIL(TK_NUMERIC, "feature %lld of example %lld is not finite",
                               (long long)k, (long long)i);
            c->middle[k] += x[i * c->d + k] / (double)n;
        }
    for (int64_t k = 0; k < c->d; k++) {
        double square = 0;
        for (int64_t i = 0; i < n; i++) square += pow(x[i * c->d + k] - c->middle[k], 2);
        c->spread[k] = square > 0 ? sqrt(square / (double)n) : 1;
    }
    return TK_OK;
}

static void scale(const tk_classes *c, const double *x, double *z)
{
    for (int64_t k = 0; k < c->d; k++) z[k] = (x[k] - c->middle[k]) / c->spread[k];
}

// Means of the classes into c->weight, and the covariance within classes (d, d), its lower half.
static void find_moments(int64_t n, const double *x, const int *label, tk_classes *c, double *z,
                         double *covariance)
{
    const int64_t d = c->d;
    for (int64_t i = 0; i < n; i++) c->shown[label[i]]++;
    for (int64_t i = 0; i < n; i++) {
        scale(c, x + i * d, z);
        double *mean = c->weight + label[i] * d;
        for (int64_t k = 0; k < d; k++) mean[k] += z[k] / (double)c->shown[label[i]];
    }
    for (int64_t i = 0; i < n; i++) {
        scale(c, x + i * d, z);
        for (int64_t k = 0; k < d; k++) z[k] -= c->weight[label[i] * d + k];
        for (int64_t r = 0; r < d; r++)
            for (int64_t k = 0; k <= r; k++) covariance[r * d + k] += z[r] / (double)n * z[k];
    }
}

// Weights S^-1 m and biases -m S^-1 m / 2 of the means m in c->weight.
static tk_status solve(tk_classes *c, double *covariance, double *mean)
{
    const int64_t d = c->d;
    memcpy(mean, c->weight, (size_t)(c->classes * d) * sizeof *mean);
    const int code =
        LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', (int)d, 1, covariance, (int)d, c->weight, 1);
    if (code) return TK_FAIL(TK_NUMERIC, "examples cannot be told apart: dposv says %d", code);
    for (int64_t q = 1; q < c->classes; q++)
        LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', (int)d, 1, covariance, (int)d, c->weight + q * d, 1);
    for (int64_t q = 0; q < c->classes; q++)
        for (int64_t k = 0; k < d; k++) c->bias[q] -= 0.5 * mean[q * d + k] * c->weight[q * d + k];
    return TK_OK;
}

tk_status tk_classes_learn(int64_t n, int64_t d, int64_t classes, const double *x, const int *label,
                           double ridge, tk_arena *a, tk_classes *out)
{
    double *covariance, *z, *mean;
    TK_TRY(new_classes(d, classes, a, out));
    if (n == 0) return TK_OK;
    TK_ARENA_NEW(covariance, a, d * d);
    TK_ARENA_NEW(z, a, d);
    TK_ARENA_NEW(mean, a, classes * d);
    TK_TRY(find_scale(n, x, out));
    find_moments(n, x, label, out, z, covariance);
    for (int64_t k = 0; k < d; k++) covariance[k * d + k] += ridge;
    return solve(out, covariance, mean);
}

int tk_classes_find(const tk_classes *c, const double *x, double *odds)
{
    int best = -1;
    double most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < c->d; k++)
        if (!isfinite(x[k])) return -1;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t q = 0; q < c->classes; q++) {
            double score = c->bias[q];
            for (int64_t k = 0; k < c->d; k++)
                score += c->weight[q * c->d + k] * (x[k] - c->middle[k]) / c->spread[k];
            if (!c->shown[q]) score = -INFINITY;
            if (pass == 0 && score > most) most = score, best = (int)q;
            if (pass == 1) sum += exp(score - most);
            if (pass == 1 && odds) odds[q] = exp(score - most);
        }
    for (int64_t q = 0; q < c->classes && odds && best >= 0; q++) odds[q] /= sum;
    return best;
}

tk_status tk_confusion_new(int64_t classes, tk_arena *a, tk_confusion *out)
{
    *out = (tk_confusion){.classes = classes};
    TK_ARENA_NEW(out->n, a, classes * (classes + 1));
    return TK_OK;
}

void tk_confusion_add(tk_confusion *c, int there, int found)
{
    c->n[there * (c->classes + 1) + (found < 0 ? c->classes : found)]++;
}

int64_t tk_confusion_right(const tk_confusion *c)
{
    int64_t n = 0;
    for (int64_t k = 0; k < c->classes; k++) n += c->n[k * (c->classes + 1) + k];
    return n;
}

int64_t tk_confusion_all(const tk_confusion *c)
{
    int64_t n = 0;
    for (int64_t k = 0; k < c->classes * (c->classes + 1); k++) n += c->n[k];
    return n;
}

double tk_confusion_chance(const tk_confusion *c)
{
    int64_t most = 0;
    for (int64_t k = 0; k < c->classes; k++) {
        int64_t row = 0;
        for (int64_t q = 0; q <= c->classes; q++) row += c->n[k * (c->classes + 1) + q];
        if (row > most) most = row;
    }
    const int64_t all = tk_confusion_all(c);
    return all ? (double)most / (double)all : 0;
}
