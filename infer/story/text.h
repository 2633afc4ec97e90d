// SPDX-License-Identifier: Apache-2.0
// The text of a storyboard as its model reads it: the bytes of prompts, or text features of an
// encoder outside, which shots name.
#pragma once
#include "core/config/wrong.h"
#include "core/store/npy.h"
#include "infer/sampler/session.h"

typedef struct tk_story_text {
    tk_text_form form;
    int n_shots;
    tk_npy *shot,
        empty;   // files of the shots' (n_shots), and of an empty caption's; path NULL: none
    float *rows; // of all shots, in turn, (rows, channels); NULL: not read
} tk_story_text;

// What the files say of their sizes. A line of *w each where storyboard and model do not go
// together: a model of bytes reads no features, one of features needs those of each shot, of its
// width; and, where it is not known which ones it was trained with, those of an empty caption for
// guidance.
tk_status tk_story_text_check(tk_wrong *w, const tk_config *c, const tk_trained *t, tk_arena *a,
                              tk_story_text *out);
// The same of a storyboard that was checked: TK_INPUT with the lines.
tk_status tk_story_text_look(const tk_config *c, const tk_trained *t, tk_arena *a,
                             tk_story_text *out);
// Their numbers.
tk_status tk_story_text_read(tk_story_text *x, tk_arena *a);
