// SPDX-License-Identifier: Apache-2.0
// pocketsphinx, the recognizer: which word of a list is spoken in some samples, and how much worse
// that explains them than any row of sounds would; or what is said in them, by its model of
// English. Internal to infer/judges.
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

// Recognizes English as it is spoken, by its dictionary of 134,000 words and its model of which
// ones follow each other. TK_INPUT as above.
tk_status tk_sphinx_open_english(tk_sphinx **out);
// TK_INPUT, without the work of opening, where the last one would be.
tk_status tk_sphinx_knows_english(void);

typedef struct tk_sphinx_heard {
    int word;          // of the list; -1: nothing that begins and ends
    double begin, end; // seconds
    double score;      // of the word's log likelihood a frame less that of free phones; near 0 and
                       // below for words that were spoken, in units of pocketsphinx
} tk_sphinx_heard;
// In n samples with one word and some silence around it.
tk_status tk_sphinx_hear(tk_sphinx *s, const int16_t *x, int64_t n, tk_sphinx_heard *out);
// By one that knows English: what is said in n samples, in words of lower case with a space
// between, in `a`; "" where nothing is.
tk_status tk_sphinx_write(tk_sphinx *s, const int16_t *x, int64_t n, tk_arena *a, char **said);
void tk_sphinx_close(tk_sphinx *s); // NULL is fine
