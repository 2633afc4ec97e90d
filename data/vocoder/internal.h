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

// What is there of a track's samples, around where it is looked at.
typedef struct tk_vocoder_heard {
    const tk_vocoder_sound *track;
    float *x; // samples [first, first + n)
    int64_t first, n, room;
} tk_vocoder_heard;
tk_status tk_heard_new(const tk_vocoder *s, const tk_vocoder_sound *track, tk_arena *a,
                       tk_vocoder_heard *h);
// Sees to it that the window around frame k is there; frames that follow each other cost least.
tk_status tk_heard_frame(const tk_vocoder *s, int64_t k, tk_vocoder_heard *h);
// Sample `at`, within that window; 0 beyond the track.
static inline float tk_heard_sample(const tk_vocoder_heard *h, int64_t at)
{
    return at >= 0 && at < h->track->samples ? h->x[at - h->first] : 0;
}

// The power spectrum of the window around frame k, which is there, under Hann's window, into
// f->power; the samples' own power, per sample.
double tk_frame_power(const tk_vocoder *s, const tk_vocoder_heard *h, int64_t k, tk_frame *f);
