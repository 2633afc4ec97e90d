// SPDX-License-Identifier: Apache-2.0
// Samples at another rate, band-limited: what lies above half of the lower rate is gone, what lies
// below 0.86 of that stays (within 0.02 dB).
//
// A pure function: each sample is one sum over its neighbours in a fixed order. Beyond the ends
// lies silence. Any two rates, up to an hour of samples.
#pragma once
#include "core/base/mem.h"

// Samples of the same duration, rounded up.
int64_t tk_resample_count(int64_t n, int64_t from, int64_t to);
// x (n) at `from` samples a second into out (tk_resample_count(n, from, to)) at `to`. Sample 0 of
// both is the same instant. TK_INPUT for rates below 1.
tk_status tk_resample(const float *x, int64_t n, int64_t from, int64_t to, float *out);
