// SPDX-License-Identifier: Apache-2.0
// Whether words are of one voice. A word's timbre is its pitch and the shape of its spectrum, the
// harmonics smoothed out; much of both is the word's own. So it is told from how that very word
// sounds by several known voices, on average: what remains is the speaker's. How much that differs
// between words of one speaker is learned of the same voices, who need not be among those judged.
//
//     for each word of each known voice: TK_TRY(tk_timbre_of(x, n, rate, arena, &timbre[i]));
//     TK_TRY(tk_timbres_learn(timbre, word, voice, i, words, voices, arena, &known));
//     TK_TRY(tk_timbre_of(...)); ...                    // of a phrase whose words are known
//     apart = tk_timbres_apart(known, timbre, word, n); // the larger, the less it is one voice
#pragma once
#include "infer/judges/metric.h"

enum { TK_TIMBRE_SHAPES = 12, TK_TIMBRE = 1 + TK_TIMBRE_SHAPES, TK_TIMBRE_RATE = 16000 };

typedef struct tk_timbre {
    int voiced;           // frames of a hundredth of a second; 0: nothing is known
    double of[TK_TIMBRE]; // pitch in octaves, cosines of the spectrum in nepers over mel bands
} tk_timbre;

// Of a word in n samples of one channel, TK_TIMBRE_RATE a second.
tk_status tk_timbre_of(const float *x, int64_t n, tk_arena *a, tk_timbre *out);

typedef struct tk_timbres {
    tk_metric word;   // its means are how each word sounds
    tk_metric within; // a voice, of what remains of its words
} tk_timbres;

// From n of them, each of word[i] by voice[i]. TK_INPUT where a word or a voice has none.
tk_status tk_timbres_learn(const tk_timbre *t, const int *word, const int *voice, int n, int words,
                           int voices, tk_arena *a, tk_timbres *out);
enum { TK_TIMBRES_COMPARED = 8 };
// Between n words, at most TK_TIMBRES_COMPARED: parted into two in each way there is, how far the
// means of both parts are apart, the farthest; about 1 times the root of TK_TIMBRE for one voice.
// INFINITY where one word has no voice.
double tk_timbres_apart(const tk_timbres *known, const tk_timbre *t, const int *word, int n);
