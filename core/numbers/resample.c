// SPDX-License-Identifier: Apache-2.0
// The kernel is a sinc under a Kaiser window, looked up between FINE points per zero crossing.
#include "core/numbers/resample.h"
#include <math.h>
#include <string.h>

enum { CROSSINGS = 40, FINE = 512 };
#define CUTOFF 0.95 // of the lower Nyquist frequency: the middle of the transition
#define BETA 8.0    // of the window: 80 dB below

// Modified Bessel function of order 0.
static double bessel(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 40; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

// kernel[i] at i / FINE zero crossings from the middle; the last one is zero.
static void make_kernel(float kernel[CROSSINGS * FINE + 1])
{
    const double whole = bessel(BETA);
    for (int i = 0; i < CROSSINGS * FINE; i++) {
        const double t = (double)i / FINE, u = t / CROSSINGS;
        const double sinc = i ? sin(M_PI * t) / (M_PI * t) : 1;
        kernel[i] = (float)(sinc * bessel(BETA * sqrt(1 - u * u)) / whole);
    }
    kernel[CROSSINGS * FINE] = 0;
}

int64_t tk_resample_count(int64_t n, int64_t from, int64_t to)
{
    return (n * to + from - 1) / from;
}

tk_status tk_resample(const float *x, int64_t n, int64_t from, int64_t to, float *out)
{
    if (from < 1 || to < 1)
        return TK_FAIL(TK_INPUT, "%lld samples a second cannot become %lld", (long long)from,
                       (long long)to);
    if (from == to) {
        memcpy(out, x, (size_t)n * sizeof *x);
        return TK_OK;
    }
    float *kernel;
    TK_NEW(kernel, CROSSINGS * FINE + 1);
    make_kernel(kernel);
    // zero crossings of the kernel per sample of x
    const double scale = CUTOFF * (to < from ? (double)to / (double)from : 1);
    const int64_t m = tk_resample_count(n, from, to), reach = (int64_t)(CROSSINGS / scale);
    for (int64_t i = 0; i < m; i++) {
        const int64_t at = i * from / to;
        const double rest = (double)(i * from % to) / (double)to;
        const int64_t first = at - reach < 0 ? 0 : at - reach,
                      end = at + reach + 2 > n ? n : at + reach + 2;
        double sum = 0;
        for (int64_t k = first; k < end; k++) {
            const double t = fabs((double)(k - at) - rest) * scale * FINE;
            if (t >= CROSSINGS * FINE) continue;
            const int64_t j = (int64_t)t;
            const double f = t - (double)j;
            sum += x[k] * (kernel[j] + f * (kernel[j + 1] - kernel[j]));
        }
        out[i] = (float)(sum * scale);
    }
    tk_free(kernel);
    return TK_OK;
}
