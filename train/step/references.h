// SPDX-License-Identifier: Apache-2.0
// References on the clock: clean rows at times before a document's media begin, the same for
// training and for sampling.
//
// They lie one after the other, in order, and the last ends where media time begins. Those whose
// tags end in the same number ("face 1" and "voice 1") are of one thing and lie at the same time.
#pragma once
#include "core/model/stream.h"
#include "data/clip/clip.h"

typedef struct tk_reference_rows {
    const char *tag; // "": none
    int64_t latent_frames, high, wide, audio_rows;
} tk_reference_rows;

// Their shots of a document, (n).
void tk_lay_references(int64_t n, const tk_reference_rows *r, const tk_codec_info *k,
                       tk_shot_rows *out);

// The clip's shots with captions in which its references are named by their tags: each word that
// tags stand for is replaced, where it stands alone, by those: "Ada waves" -> "<face 1> <voice 1>
// waves". Captions live in the arena, or are the clip's.
tk_status tk_cite_captions(const tk_clip_info *info, tk_arena *a, const tk_clip_shot **out);
