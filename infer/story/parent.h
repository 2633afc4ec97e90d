// SPDX-License-Identifier: Apache-2.0
// A clip that a storyboard goes on from, as it lies there: its film, its description, its latents.
//
// A clip of talkie's has OUTPUT.json beside it, which names it by its digest: where that is the
// film's, the clip is known, and so are its shots, what it was made from, and the digest of
// OUTPUT.latents, from which it is gone on to the bit. Any other film, and one that was changed
// since, is decoded and encoded.
#pragma once
#include "core/config/wrong.h"
#include "data/codec/codec.h"
#include "infer/reel/latents.h"
#include <jansson.h>

typedef struct tk_parent {
    const char *clip, *option; // the film; what names it first, "remix.clip"
    bool wrong;                // something is, with it: a line was added
    json_t *told;              // its description; NULL: it is no clip of talkie's, or not as it was
    int64_t length;            // latent frames
    // What its description tells of shots: seconds, prompt and remember of each; 0: nothing.
    tk_shot_config *shot;
    int64_t n_shots;
    int64_t *begin; // (n_shots + 1) latent frames; NULL: where they lie in it is not known
    // Beside it; NULL: the film is encoded.
    const char *latents;
    tk_latents_form form;
    uint64_t digest; // of the file
} tk_parent;

// Looks at p->clip; all else of *p is filled in. Where the storyboard of *c says no size, that
// becomes the clip's; sized: the clip that it became already, NULL: none. What is wrong with it is
// a line of *w each, under p->option. To be closed, also where it fails.
tk_status tk_parent_look(tk_wrong *w, tk_config *c, const tk_codec_info *k, const char *sized,
                         tk_arena *a, tk_parent *p);
void tk_parent_close(tk_parent *p); // of one that is zero: fine

// A file beside a clip: its path with another suffix, ".json". NULL: out of memory.
char *tk_parent_beside(const char *clip, const char *suffix, tk_arena *a);
