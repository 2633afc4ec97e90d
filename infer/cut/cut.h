// SPDX-License-Identifier: Apache-2.0
// Where the shots of a storyboard lie in the film that is delivered.
#pragma once
#include "infer/story/shots.h"

typedef struct tk_cut_shot {
    int64_t from, frames; // of the clip as it is made
    int64_t at;           // first frame in the film
    const char *prompt;   // what is asked for in it; the storyboard's
} tk_cut_shot;

typedef struct tk_cut {
    int n;
    tk_cut_shot *shot;
    int64_t frames, fps, channels;
} tk_cut;

// Memory comes from `a`.
tk_status tk_cut_plan(const tk_storyboard *b, const tk_story *s, const tk_codec_info *k,
                      tk_arena *a, tk_cut *out);
