// SPDX-License-Identifier: Apache-2.0
// Latent rows of a clip that need not lie in memory as a whole, as media need not
// (tk_media_source). Whoever has them puts a source first in a struct of its own.
#pragma once
#include "data/codec/codec.h"

typedef struct tk_latent_source tk_latent_source;
struct tk_latent_source {
    // Rows of latent frames, or of audio rows of all channels, [first, first + n), within the clip;
    // there until the next call for that side.
    tk_status (*rows)(tk_latent_source *s, tk_codec_side side, int64_t first, int64_t n,
                      tk_row_part *out);
};

// Rows in memory as a source; they stay the caller's.
typedef struct tk_latents_whole {
    tk_latent_source source; // the first member
    const float *rows[TK_CODEC_SIDES];
} tk_latents_whole;
tk_latents_whole tk_latents_whole_of(const float *video, const float *audio);
