// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sound/pitch.h"
#include "core/numbers/resample.h"
#include <math.h>

enum {
    RATE = 8000,
    HOP = RATE / TK_PITCH_HOP,
    WINDOW = 320,
    FIRST = RATE / TK_PITCH_HIGH, // periods, in samples
    LAST = RATE / TK_PITCH_LOW + 1
};
#define VOICED 0.55
#define SILENT 1e-3
#define KEEP 0.95 // of the best correlation: a shorter period as good as this is the period

// One pole below 150 Hz: wind and hum are no voices.
static void cut_low(float *x, int64_t n)
{
    const float c = expf(-2 * (float)M_PI * 150 / RATE);
    float last = 0, y = 0;
    for (int64_t i = 0; i < n; i++) {
        y = c * (y + x[i] - last);
        last = x[i];
        x[i] = y;
    }
}

// Correlation of a window with the one `lag` later, their energies apart.
static double correlation(const float *x, int lag)
{
    double xy = 0, xx = 1e-9, yy = 1e-9;
#pragma omp simd reduction(+ : xy, xx, yy)
    for (int i = 0; i < WINDOW; i++) {
        xy += (double)x[i] * x[i + lag];
        xx += (double)x[i] * x[i];
        yy += (double)x[i + lag] * x[i + lag];
    }
    return xy / sqrt(xx * yy);
}

// The period of what is around x[0 .. WINDOW + LAST), in samples; 0 where there is none.
static double period(const float *x)
{
    double r[LAST + 2], best = 0;
    for (int lag = FIRST - 1; lag <= LAST + 1; lag++) r[lag] = correlation(x, lag);
    for (int lag = FIRST; lag <= LAST; lag++)
        if (r[lag] >= r[lag - 1] && r[lag] >= r[lag + 1]) best = fmax(best, r[lag]);
    if (best < VOICED) return 0;
    for (int lag = FIRST; lag <= LAST; lag++) {
        if (r[lag] < KEEP * best || r[lag] < r[lag - 1] || r[lag] < r[lag + 1]) continue;
        const double bend = r[lag - 1] - 2 * r[lag] + r[lag + 1];
        return lag + (bend < 0 ? 0.5 * (r[lag - 1] - r[lag + 1]) / bend : 0);
    }
    return 0;
}

tk_status tk_pitch_of(const float *x, int64_t n, int64_t rate, tk_arena *a, tk_pitch *out)
{
    const int64_t m = rate > 0 ? tk_resample_count(n, rate, RATE) : 0, before = (WINDOW + LAST) / 2;
    float *y; // with silence before and after, so that each frame has a window around it
    TK_ARENA_NEW(y, a, m + 4 * before);
    TK_TRY(tk_resample(x, n, rate, RATE, y + before));
    cut_low(y + before, m);
    out->frames = m / HOP;
    TK_ARENA_NEW(out->hz, a, out->frames);
    TK_ARENA_NEW(out->level, a, out->frames);
    for (int64_t f = 0; f < out->frames; f++) {
        double sum = 0;
        for (int64_t i = 0; i < HOP; i++) {
            const double v = y[before + f * HOP + i];
            sum += v * v;
        }
        out->level[f] = (float)sqrt(sum / HOP);
        if (out->level[f] < SILENT) continue;
        const double p = period(y + f * HOP + HOP / 2);
        out->hz[f] = p > 0 ? (float)(RATE / p) : 0;
    }
    return TK_OK;
}
