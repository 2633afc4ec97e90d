// SPDX-License-Identifier: Apache-2.0
// pocketsphinx, the recognizer: which word of a list is spoken in some samples, and how much worse
// that explains them than any row of sounds would. Internal to infer/judges.
//
// Its library is loaded when it is first opened, and says nothing on stderr. One thread at a time
// uses a recognizer. What is heard before changes nothing of what is heard after.
#pragma once
#include "core/base/mem.h"

enum { TK_SPHINX_RATE = 16000 }; // samples a second, which its model has been trained on

typedef struct tk_sphinx tk_sphinx;

// Recognizes these n words. TK_INPUT where one is not in its dictionary, where library or model is
// missing, or where this build has no speech.
tk_status tk_sphinx_open(const char *const *words, int n, tk_sphinx **out);

typedef struct tk_sphinx_heard {
    int word;          // of the list; -1: nothing that begins and ends
    double begin, end; // seconds
    double score;      // of the word's log likelihood a frame less that of free phones; near 0 and
                       // below for words that were spoken, in units of pocketsphinx
} tk_sphinx_heard;
// In n samples with one word and some silence around it.
tk_status tk_sphinx_hear(tk_sphinx *s, const int16_t *x, int64_t n, tk_sphinx_heard *out);
void tk_sphinx_close(tk_sphinx *s); // NULL is fine
