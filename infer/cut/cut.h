// SPDX-License-Identifier: Apache-2.0
// Where the shots of a storyboard lie in the film that is delivered. A shot that dissolves into
// the next one overlaps it.
#pragma once
#include "core/config/wrong.h"
#include "infer/story/shots.h"

typedef struct tk_cut_shot {
    int64_t from, frames; // of the clip as it is made
    int64_t at;           // first frame in the film
    int64_t dissolve;     // of its first frames are mixed with the last ones of the shot before
    int64_t fade_in, fade_out;
    const char *prompt; // what is asked for in it; the storyboard's
} tk_cut_shot;

typedef struct tk_cut {
    int n;
    tk_cut_shot *shot;
    int64_t frames, samples; // of the film
    int64_t fps, channels;
} tk_cut;

// Memory comes from `a`. What does not fit a shot is a line of *w each.
tk_status tk_cut_plan(tk_wrong *w, const tk_storyboard *b, const tk_story *s,
                      const tk_codec_info *k, tk_arena *a, tk_cut *out);
