// SPDX-License-Identifier: Apache-2.0
// A window of a storyboard as the document that the sampler makes.
#pragma once
#include "infer/sampler/sampler.h"
#include "infer/story/given.h"
#include "infer/story/references.h"
#include "infer/story/text.h"

typedef struct tk_story_task { // what is sampled
    const tk_config *config;   // resolved, of the storyboard (sample.*, seed)
    const tk_story *story;
    const tk_references *refs;
    const tk_story_text *text; // NULL: bytes
    // After each step, with how many of its window are left; after the last one once the reel has
    // the window. A failure of it, which all ranks of the replica have to share, ends the sampling.
    // NULL: nothing.
    tk_status (*step_done)(void *ctx, int64_t left);
    void *ctx;
    const tk_story_given *given; // of what is to be made; NULL: nothing
} tk_story_task;

// Steps of each of its windows: fewer where rows begin as what was there with some noise.
int64_t tk_story_steps(const tk_config *c);

// Window i: its references, which end where media time begins, then memory and targets. All but the
// given rows, which the references need not have. features: of its shots, where the model reads
// text features (tk_story_text_of); NULL: zeros. Memory comes from `a`.
tk_status tk_window_task(const tk_story_task *t, const tk_codec_info *k, int i,
                         const float *features, tk_arena *a, tk_sample_task *out);
