// SPDX-License-Identifier: Apache-2.0
// Shots on the latent timeline, and the windows they are sampled in.
//
// A storyboard is one timeline of latent frames and audio rows, cut into shots as a clip file's
// clips are. A window is what one document of the model spans: shots already made, given as memory,
// then the shots to make. If all fits one window there is one; otherwise the first window takes as
// many shots as fit, and each later one makes one shot after earlier ones that infer/story/memory.h
// chooses. A shot that says itself what it remembers is made alone, after just that. On a window's
// clock its shots follow each other, whatever was between them.
#pragma once
#include "core/config/wrong.h"
#include "data/codec/codec.h"
#include "infer/story/memory.h"

typedef struct tk_story_shot {
    double asked, start, seconds;    // start and seconds after rounding to latent frames
    int64_t first_latent, latents;   // latent frames
    int64_t first_audio, audio_rows; // audio latents, without the tail of a track's end
    char *caption;                   // style and prompt
    char **references;               // of the storyboard's memory
    int64_t n_references;
} tk_story_shot;

typedef struct tk_window {
    int target, end;             // shots [target, end) are made
    int n_memory;                // earlier ones that are given,
    const tk_remembered *memory; // ... in order
} tk_window;

static inline int tk_window_shots(const tk_window *w)
{
    return w->n_memory + w->end - w->target;
}

// Its k-th shot, memory first.
static inline int tk_window_shot(const tk_window *w, int k)
{
    return k < w->n_memory ? w->memory[k].shot : w->target + k - w->n_memory;
}

typedef struct tk_story {
    tk_grid grid; // of the whole clip
    int64_t fps, channels, sample_rate;
    int64_t tail;  // audio latents a track has beyond its shots' rows
    double tick;   // seconds of a latent frame
    double window; // seconds a document may span
    int n_shots, n_windows;
    tk_story_shot *shot;
    tk_window *windows;
} tk_story;

double tk_story_end(const tk_story *s); // seconds of all shots
// The latent frame in which that second lies, or begins as near as seconds can be told.
int64_t tk_story_latent_at(const tk_story *s, double second);
// Lays out the storyboard of `c` (c->story; c->media has what the model was trained on) for a
// codec. Memory comes from `a`. window: seconds; from sample.window. Sizes, rates and lengths that
// cannot be are a line of *w each, with the remedy, and it is laid out as if that had been given;
// where that cannot be either, or nobody knows how long its shots are to be, it has no windows.
tk_status tk_story_lay(tk_wrong *w, const tk_config *c, const tk_codec *codec, tk_arena *a,
                       tk_story *out);
// The same of one that nothing else is to be told of: TK_INPUT with the lines.
tk_status tk_story_plan(const tk_config *c, const tk_codec *codec, tk_arena *a, tk_story *out);
