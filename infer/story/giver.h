// SPDX-License-Identifier: Apache-2.0
// Films, sounds and pictures as rows of a storyboard's timeline: read and encoded window by window,
// so that memory does not grow with what is given, and the same bits as of the whole. Sound of
// codecs that take it as a whole (tk_codec_step) lies on disk until it is.
#pragma once
#include "data/codec/codec.h"
#include "infer/reel/latents.h"
#include "infer/story/shots.h"

typedef struct tk_giver {
    const tk_story *story;
    const tk_codec *codec;
    const tk_latents_file *to; // the timeline's rows
} tk_giver;

typedef struct tk_given_media {
    const char *key, *path; // what of the storyboard names it; a file
    int64_t first, n;       // latent frames of the timeline, of which the first shows its beginning
    bool picture, sound;    // what of it is given
    bool short_too;         // else TK_INPUT where it does not last as long
} tk_given_media;

// Of a file with pictures, of a still as much as is wanted. Where it ends before, its last picture
// is held and silence follows. TK_INPUT naming the file: it cannot be read, is damaged or too
// short, or has no sound where that alone is given.
tk_status tk_give_film(const tk_giver *g, const tk_given_media *m);
// Of one without.
tk_status tk_give_sound(const tk_giver *g, const tk_given_media *m);
// The first picture of a file, held for latent frame `at`.
tk_status tk_give_still(const tk_giver *g, const char *path, int64_t at);
