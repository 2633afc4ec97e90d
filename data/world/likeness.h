// SPDX-License-Identifier: Apache-2.0
// Likenesses: a picture of a character's face or a sample of the voice, as rows that clips and
// storyboards may be given. A face is a portrait (tk_grid_portrait) of one latent frame in the
// natural style, whatever the style of the clip; a voice says a word or two.
#pragma once
#include "core/base/mem.h"
#include "data/codec/codec.h"
#include "data/scene/draws.h"

#define TK_VOICE_SECONDS 1.2 // of a sample of a voice

typedef struct tk_likeness {
    tk_character who;
    bool voice;     // a sample of the voice, else the face
    tk_draws words; // that the voice says
} tk_likeness;

typedef struct tk_likeness_rows {
    int64_t latents, high, wide, audio_rows; // those of the other medium are 0
} tk_likeness_rows;
tk_likeness_rows tk_likeness_size(bool voice, const tk_codec_info *k, const tk_media_config *m);

// Rows of such a size in `a`. `speech` was opened at the codec's rate; faces need none (NULL).
tk_status tk_likeness_make(const tk_likeness *l, const tk_codec *codec, const tk_media_config *m,
                           tk_speech *speech, tk_arena *a, float **rows);
