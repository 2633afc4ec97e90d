// SPDX-License-Identifier: Apache-2.0
// The mark put into sound: cells of time and frequency are 2 dB louder or softer, 2.5 in clips
// below 15 seconds and 3.5 below 5, or the part of that which is `strength`. A pure function of
// key, message, samples and rate, whatever pieces are asked for; memory is that of three hops.
#pragma once
#include "data/codec/media.h"
#include "data/vocoder/fft.h"
#include "infer/mark/chips.h"

typedef struct tk_mark_sound {
    tk_media_source *of;
    int64_t hop;                    // samples
    float gain[TK_MARK_CELLS];      // (SLOTS, BANDS)
    int *band;                      // (hop + 1) of each frequency; -1: none
    float *window;                  // (2 hop)
    float *in, *out;                // (2 hop, channels): what came last; its sum with what follows
    int64_t block;                  // hop whose samples lie at the beginning of `out`
    float *x;                       // (2 hop)
    tk_complex *spectrum, *scratch; // (hop + 1), (hop)
    tk_fft fft;
} tk_mark_sound;

// Samples of `of`, which stays the caller's.
tk_status tk_mark_sound_open(tk_mark_sound *m, tk_arena *a, tk_mark_key key,
                             tk_mark_message message, double strength, tk_media_source *of);
// As tk_media_source's. What is asked for in order costs least.
tk_status tk_mark_sound_get(tk_mark_sound *m, int64_t first, int64_t n, float *pcm);
