// SPDX-License-Identifier: Apache-2.0
// The judge of words: which words of a list are spoken in some samples, and when. It knows the list
// and the samples, nothing of who made them.
//
//     tk_ear *ear;
//     TK_TRY(tk_ear_open(words, n, &ear));
//     TK_TRY(tk_ear_hear(ear, pcm, samples, 1, 16000, arena, &heard));
//     tk_ear_close(ear);
//
// Pieces of sound are cut out where a voice stands out of the noise around it (two words need
// TK_EAR_GAP between them, else they are one piece). A piece is a word where it is as long as words
// are, has a voice and more than one sound, and where the best word of the list explains it nearly
// as well as any row of sounds would (TK_EAR_SCORE, fixed on four voices that are in no figure): so
// silence, noises, tones and most other words are nothing, instead of the word that they are least
// unlike. docs/speech.md says how often.
//
// Speech needs samples up to 6 kHz: below 12000 samples a second hardly anything is recognized of
// what people understand, and to ask then is refused.
#pragma once
#include "core/base/mem.h"

enum { TK_EAR_RATE = 12000 }; // samples a second, at least
#define TK_EAR_GAP 0.14       // seconds
#define TK_EAR_SHORTEST 0.08  // seconds, of a word
#define TK_EAR_LONGEST 1.4
#define TK_EAR_SCORE -24.0 // see tk_heard_word

typedef struct tk_heard_word {
    int word;          // of the list
    double begin, end; // seconds
    double score;      // log likelihood a frame less that of free sounds, in the recognizer's units
} tk_heard_word;

typedef struct tk_heard {
    int words, others;   // others: pieces that are no word
    tk_heard_word *word; // (words) in order
} tk_heard;

typedef struct tk_ear tk_ear; // of one thread; any number of them

// TK_INPUT where a word is not in the recognizer's dictionary, where the recognizer is not
// installed, and in a build without speech. Takes a fifth of a second and 50 MB.
tk_status tk_ear_open(const char *const *words, int n, tk_ear **out);
// In pcm (samples, channels) of any length, channels taken together, in `a`; the same for the same
// samples whatever was heard before. TK_INPUT for rates below TK_EAR_RATE and samples that are no
// numbers.
tk_status tk_ear_hear(tk_ear *e, const float *pcm, int64_t samples, int64_t channels, int64_t rate,
                      tk_arena *a, tk_heard *out);
void tk_ear_close(tk_ear *e); // NULL is fine

// How many of the n words that were to be spoken are heard, in their order.
int tk_heard_match(const tk_heard *h, const int *want, int n);
