// SPDX-License-Identifier: Apache-2.0
// The text of a storyboard as its model reads it: the bytes of prompts, or text features of an
// encoder outside, which shots name.
#pragma once
#include "core/config/wrong.h"
#include "core/store/npy.h"
#include "infer/sampler/session.h"
#include "infer/story/shots.h"

typedef struct tk_story_text {
    tk_text_form form;
    int n_shots;
    tk_npy *shot,
        empty; // files of the shots' (n_shots), and of an empty caption's; path NULL: none
    // Once they are read: who makes the clip. The first of them has the numbers of all shots, in
    // turn, (rows, channels), in a file without a name; path NULL: no file.
    tk_comm *makers;
    const char *path;
    int fd;
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
// Collective over those who make the clip: the same, with all numbers, which are read once: an
// hour's are more than memory should hold, so the shots' come to lie in a file beside `beside`.
// TK_INPUT also where one is not finite. To be closed, also where it fails.
tk_status tk_story_text_read(const tk_config *c, const tk_trained *t, const char *beside,
                             tk_comm *makers, tk_arena *a, tk_story_text *out);
// Collective over them: the text features of a window's shots, in turn, in `a`; *out NULL: the
// model reads bytes.
tk_status tk_story_text_of(const tk_story_text *x, const tk_window *w, tk_arena *a, float **out);
void tk_story_text_close(tk_story_text *x); // of one that is zero: fine
