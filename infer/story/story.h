// SPDX-License-Identifier: Apache-2.0
// A storyboard's latents: window after window through the sampler, then back to media.
#pragma once
#include "infer/reel/reel.h"
#include "infer/sampler/session.h"
#include "infer/story/window.h"

// The latent timeline of a storyboard: video (latents, high, wide, channels) and audio (audio_rows,
// audio channels, channels) rows. Held by the ranks of the first pipeline stage.
typedef struct tk_latents {
    float *rows[TK_MODALITIES];
} tk_latents;

// The parts of its reel: one a window, the last with the tail. Memory comes from `a`.
tk_status tk_story_reel(const tk_story *s, const tk_codec_info *k, tk_arena *a, tk_reel_shape *out);

// Collective over the mesh's replica: of each part, what its window is made of, as a number: the
// text, the noise, the schedule, the rows that are given, what the windows that it is given shots
// of are made of, and `common`, which stands for the model and whatever else is no storyboard's.
// Windows of one number come out as the same bits, so that those that are there need not be made
// again when the storyboard is another. Known to the ranks of the first pipeline stage.
tk_status tk_story_tell_windows(tk_mesh *mesh, const tk_story_task *t, const tk_codec_info *k,
                                uint64_t common, tk_reel_shape *s);

// Collective over the mesh's replica: samples the windows that the reel does not have. A rank that
// fails alone within a window takes the others down.
tk_status tk_story_make(tk_session *s, const tk_story_task *t, tk_reel *reel);

// A window of a storyboard that is to be made.
typedef struct tk_story_part {
    const tk_story_task *task;
    int window;
    tk_reel *reel;
} tk_story_part;
// Collective: makes the parts, the first and those of the others that may be with it as documents
// of one stream; taken[i]: it was made. Steps are told by the first one's step_done, once for all.
tk_status tk_story_make_together(tk_session *s, int n, const tk_story_part *part, bool *taken);

// The same, all in memory, which comes from `a`.
tk_status tk_story_sample(tk_session *s, const tk_story_task *t, tk_arena *a, tk_latents *out);

// The whole clip in memory, until tk_media_free.
tk_status tk_story_decode(const tk_story *story, const tk_codec *codec, const tk_latents *x,
                          tk_media *out);
