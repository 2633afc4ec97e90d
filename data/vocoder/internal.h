// SPDX-License-Identifier: Apache-2.0
// What analysis and making share.
#pragma once
#include "data/vocoder/vocoder.h"

#define TK_VOCODER_FLOOR 1e-7f // power added before the logarithm: what is 70 dB down is silence
#define TK_VOCODER_LOWEST 60.0 // Hz, of a pitch
#define TK_VOCODER_HIGHEST 360.0

typedef struct tk_frame {           // memory for one frame's transforms
    float *x, *power;               // (size), (size / 2 + 1)
    tk_complex *spectrum, *scratch; // (size / 2 + 1), (size / 2)
} tk_frame;
tk_status tk_frame_new(const tk_vocoder *s, tk_arena *a, tk_frame *f);
// The middle of frame k, in samples.
static inline double tk_frame_middle(const tk_vocoder *s, int64_t k)
{
    return ((double)k + 0.5) * s->step;
}
// The first sample of the window around frame k.
int64_t tk_frame_start(const tk_vocoder *s, int64_t k);
void tk_frame_transform(const tk_vocoder *s, tk_frame *f); // f->x to f->power
// The power spectrum of the window around frame k under Hann's window, into f->power; the samples'
// own power, per sample.
double tk_frame_power(const tk_vocoder *s, const float *x, int64_t samples, int64_t k, tk_frame *f);

// The pitch of each of n frames in Hz, and how sure it is (0 to 1): unsure ones are filled in
// between sure ones. a: scratch.
tk_status tk_vocoder_track(const tk_vocoder *s, const float *x, int64_t samples, int64_t n,
                           tk_arena *a, float *pitch, float *sure);
