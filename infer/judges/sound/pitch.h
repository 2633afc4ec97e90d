// SPDX-License-Identifier: Apache-2.0
// The pitch of a voice over time, by the autocorrelation of its samples: what tells voices from
// noise, and one voice from another.
#pragma once
#include "core/base/mem.h"

enum { TK_PITCH_HOP = 100 }; // frames a second: frame i is centred at (i + 0.5) / TK_PITCH_HOP
enum { TK_PITCH_LOW = 60, TK_PITCH_HIGH = 340 }; // Hz

typedef struct tk_pitch {
    int64_t frames;
    float *hz;    // (frames) 0: not voiced
    float *level; // (frames) root mean square above 150 Hz
} tk_pitch;

// Of n samples of one channel at `rate`, in `a`. A frame is voiced where the samples repeat
// themselves (correlation above 0.55) and are not silent (-60 dB).
tk_status tk_pitch_of(const float *x, int64_t n, int64_t rate, tk_arena *a, tk_pitch *out);
