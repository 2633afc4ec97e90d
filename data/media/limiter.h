// SPDX-License-Identifier: Apache-2.0
// A limiter: loud places are turned down smoothly instead of being cut off. Internal to
// data/media/*.c.
#pragma once
#include "core/base/mem.h"

#define TK_LIMITER_MOST 4.0F // times full scale that are limited smoothly; what is louder is cut

typedef struct tk_limiter {
    int64_t rate, channels;
    double gain;  // of the sample before the next; 1 at the beginning
    double least; // gain so far; 1 at the beginning
    float *curve;
    int64_t cap; // of curve
} tk_limiter;

// Samples after the wanted ones that the limiter has to see.
int64_t tk_limiter_ahead(const tk_limiter *l);
// x (have, channels) are the samples from here on, n <= have of them wanted; out (n, channels) is
// within [-1, 1], and what never was louder comes out as it was.
tk_status tk_limiter_run(tk_limiter *l, const float *x, int64_t have, int64_t n, float *out);
void tk_limiter_free(tk_limiter *l);
