// SPDX-License-Identifier: Apache-2.0
// A limiter with a look ahead: see data/media/limiter.h.
//
// The gain is the largest curve that brings every sample to full scale or below and never falls by
// more than TK_LIMITER_MOST within ATTACK seconds or rises by as much within RELEASE. Falling is
// found from behind, rising from the front; what lies further ahead than ATTACK cannot matter.
#include "data/media/limiter.h"
#include <math.h>

#define ATTACK 0.005
#define RELEASE 0.1

int64_t tk_limiter_ahead(const tk_limiter *l)
{
    return (int64_t)ceil(ATTACK * (double)l->rate);
}

// What a gain may change by from one sample to the next, at least.
static double slope(const tk_limiter *l, double seconds)
{
    return pow(TK_LIMITER_MOST, 1 / (seconds * (double)l->rate));
}

static double loudest(const float *x, int64_t channels)
{
    double most = 0;
    for (int64_t c = 0; c < channels; c++) most = fmax(most, fabs((double)x[c]));
    return fmin(most, TK_LIMITER_MOST);
}

tk_status tk_limiter_run(tk_limiter *l, const float *x, int64_t have, int64_t n, float *out)
{
    const int64_t seen = have < n + tk_limiter_ahead(l) ? have : n + tk_limiter_ahead(l);
    if (seen > l->cap) {
        tk_free(l->curve);
        l->cap = 0;
        TK_NEW(l->curve, seen);
        l->cap = seen;
    }
    const double fall = slope(l, ATTACK), rise = slope(l, RELEASE);
    double g = 1;
    for (int64_t i = seen - 1; i >= 0; i--) {
        g = fmin(g * fall, 1 / fmax(loudest(x + i * l->channels, l->channels), 1));
        l->curve[i] = (float)g;
    }
    for (int64_t i = 0; i < n; i++) {
        l->gain = fmin((double)l->curve[i], l->gain * rise);
        l->least = fmin(l->least, l->gain);
        for (int64_t c = 0; c < l->channels; c++) {
            const float y = (float)l->gain * x[i * l->channels + c];
            out[i * l->channels + c] = fminf(fmaxf(y, -1), 1);
        }
    }
    return TK_OK;
}

void tk_limiter_free(tk_limiter *l)
{
    tk_free(l->curve);
    l->curve = NULL;
    l->cap = 0;
}
