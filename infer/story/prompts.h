// SPDX-License-Identifier: Apache-2.0
// What prompts name: their words, and which shots have them.
//
// A word is letters, digits and signs beyond ASCII, two bytes or more and no digit first; what
// stands in quotes is spoken, and no word. Ada, ADA and ada are one. A
// name is a tag (<face 1>, as it stands between the brackets), or a word that begins with a capital
// wherever the storyboard has it, so that a word at the head of a sentence is none once it comes
// within another one. No word is known beforehand.
#pragma once
#include "core/base/mem.h"

typedef struct tk_prompt_word {
    const char *text; // as it is written first
    bool name;
    int n;           // shots that have it,
    const int *shot; // ... in order
} tk_prompt_word;

typedef struct tk_prompts {
    int n_shots;
    tk_prompt_word *word;
    int *begin; // (n_shots + 1): where a shot's words begin
    int *of;    // the words of all shots, each of a shot once, as its prompt has them
} tk_prompts;

enum { TK_WORD_BYTES = 64 }; // longer ones are passed over

// Of n prompts, UTF-8. All lies in `a`, and needs the prompts no more.
tk_status tk_prompts_read(int n, const char *const *prompt, tk_arena *a, tk_prompts *out);
bool tk_prompt_word_in(const tk_prompt_word *w, int shot);
// What is spoken in a prompt, between its quotes, from *at on, which is moved behind it; false: no
// more.
bool tk_prompt_spoken(const char **at, const char **text, size_t *bytes);
