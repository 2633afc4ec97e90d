// SPDX-License-Identifier: Apache-2.0
// The judge of voices: who speaks in some samples, by the pitch and the long-term spectrum of what
// is voiced. It knows voices from labelled samples that it is given first, and nothing else.
//
//     for each labelled sample: TK_TRY(tk_voiceprint_of(pcm, n, rate, arena, &print[i]));
//     TK_TRY(tk_speakers_learn(print, label, i, speakers, arena, &known));
//     TK_TRY(tk_voiceprint_of(pcm, n, rate, arena, &print));
//     who = tk_speakers_who(known, &print);
//
// A print stands for one speaker who speaks alone for a second or so; what sounds below the voice,
// as loud as in the pauses, is taken out. docs/speech.md says how often it is right.
#pragma once
#include "core/base/mem.h"

enum { TK_PRINT_BANDS = 20, TK_PRINT = TK_PRINT_BANDS + 2, TK_PRINT_RATE = 12000 };

typedef struct tk_voiceprint {
    int voiced;          // frames of a hundredth of a second; of fewer than TK_PRINT_LEAST nothing
                         // is known
    double hz, spread;   // pitch: geometric mean; standard deviation, octaves
    double of[TK_PRINT]; // pitch in octaves, spread, bands from 200 to 5000 Hz in nepers
} tk_voiceprint;
enum { TK_PRINT_LEAST = 10 };
#define TK_PRINT_AROUND 0.2 // seconds before and after what is said: they tell what sounds below it

// Of n samples of one channel. TK_INPUT for rates below TK_PRINT_RATE and samples that are no
// numbers.
tk_status tk_voiceprint_of(const float *x, int64_t n, int64_t rate, tk_arena *a,
                           tk_voiceprint *out);

typedef struct tk_speakers tk_speakers;

// Prints of known speakers: label[i] in [0, speakers). Each speaker needs at least two of
// TK_PRINT_LEAST voiced frames: TK_INPUT, naming the first who has not. In `a`.
tk_status tk_speakers_learn(const tk_voiceprint *prints, const int *label, int n, int speakers,
                            tk_arena *a, tk_speakers **out);
// The speaker whose prints are like this one; -1 where nobody's voice is in it.
int tk_speakers_who(const tk_speakers *s, const tk_voiceprint *p);
