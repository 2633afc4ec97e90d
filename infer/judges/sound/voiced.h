// SPDX-License-Identifier: Apache-2.0
// What of a recording is a voice: the frames that are voiced and loud enough to say much, their
// pitch, and the power in mel bands around any frame. Who speaks (voice.h) and the timbre of a word
// (infer/enroll/timbre.h) are told from it.
//
//     TK_TRY(tk_voiced_of(x, n, arena, &v));
//     for each frame f with v.heard[f]: tk_voiced_add_bands(&v, f, harmonics, power);
#pragma once
#include "infer/judges/sound/pitch.h"

enum {
    TK_VOICED_RATE = 16000,
    TK_VOICED_BANDS = 20,
    TK_VOICED_BINS = 154 // of 31.25 Hz, 190 to 5000 Hz
};

typedef struct tk_voiced {
    const float *x; // (n) the caller's
    int64_t n;
    tk_pitch pitch;
    bool *heard;       // (pitch.frames)
    int count;         // of those heard
    double hz, spread; // pitch of those: geometric mean, and deviation in octaves, strays left out;
                       // 0 where none is
    struct kiss_fftr_state *fft;
    const float *window;                             // of a frame
    int band[TK_VOICED_BINS], bins[TK_VOICED_BANDS]; // of each bin; in each band
} tk_voiced;

// Of n samples of one channel, TK_VOICED_RATE a second; all in `a`.
tk_status tk_voiced_of(const float *x, int64_t n, tk_arena *a, tk_voiced *out);
// Adds the mean power of each band's bins around frame f. Each bin is the mean over `hz` around it:
// with a voice's pitch it matters little where the harmonics lie; 0: each by itself.
void tk_voiced_add_bands(const tk_voiced *v, int64_t f, double hz, double power[TK_VOICED_BANDS]);
