// SPDX-License-Identifier: Apache-2.0
// Which earlier shots a shot is given as memory, and why: a pure function of the storyboard.
//
// Where a storyboard does not say it (shots[].remember), these are taken in turn, as long as they
// fit what the window leaves beside the shot; who does not fit is passed over:
//
//   1. the shot before
//   2. the first shot with each name of the prompt, in the prompt's order; then the first with each
//      of its other words, the rarest first
//   3. the shots that share most with the prompt: first by names, then by the sum over other words
//      of one over how many shots have them; of equal ones the latest
//   4. the last ones, back from the shot before until one does not fit
//
// Names are those of infer/story/prompts.h. Of other words only those of four bytes or more count
// that at most a quarter of all prompts have: what all share tells nothing, nor do "the" and "she".
#pragma once
#include "infer/story/prompts.h"

typedef enum tk_memory_why {
    TK_MEMORY_ASKED, // by the storyboard
    TK_MEMORY_LAST,
    TK_MEMORY_FIRST,  // with a word
    TK_MEMORY_SHARES, // a word, the most telling one
    TK_MEMORY_WHYS
} tk_memory_why;

typedef struct tk_remembered {
    int shot;
    tk_memory_why why;
    const char *word; // of FIRST and SHARES
} tk_remembered;

// For shot i, of the shots before it, whose latent frames `latents` tells and of which `room` fit:
// in the order of the shots. out: room for i of them; words' texts are those of `w`. score:
// scratch, room for i.
int tk_memory_choose(const tk_prompts *w, const int64_t *latents, int i, int64_t room,
                     int64_t *score, tk_remembered *out);

enum { TK_MEMORY_WORDS = 96 };
// "first with Ada"
const char *tk_memory_say(const tk_remembered *m, char out[TK_MEMORY_WORDS]);
