// SPDX-License-Identifier: Apache-2.0
// Pictures as coefficients that know no seams: an orthonormal transform whose waves lap over the
// edges between patches, so that what is left of a picture when coefficients are dropped has no
// steps there. Across each edge half a patch on either side is mixed by the prefilter of the
// time-domain lapped transform, which keeps what is flat flat; then each patch goes through a
// cosine transform along its frames, lines and columns. Colours become light and two differences.
// Nothing laps over the sides of a picture, nor from one latent frame to the next.
//
// A latent frame of coefficients: (3, patch_frames, height, width), those of a patch where it lies:
// its coefficient k = ((colour * patch_frames + t) * patch_size + y) * patch_size + x.
#pragma once
#include "core/base/mem.h"
#include <stdint.h>

enum { TK_LAP_BEFORE = 1, TK_LAP_AFTER = 2 }; // sides on which a patch has another beside it

typedef struct tk_lap {
    int64_t frames, size, reach; // of a patch; samples it takes of those beside it, size / 2
    float *time;                 // (frames, frames)
    float *side[4]; // (size, reach + size + reach), by the sides on which there is another
} tk_lap;

tk_status tk_lap_new(tk_lap *l, tk_arena *a, int64_t frames, int64_t size);
// One latent frame, rgb (frames, height, width, 3). The other buffers are as large.
tk_status tk_lap_forward(const tk_lap *l, const uint8_t *rgb, int64_t height, int64_t width,
                         float *scratch, float *coefficients);
// The way back, rounded and clamped; the coefficients are gone then.
tk_status tk_lap_inverse(const tk_lap *l, float *coefficients, int64_t height, int64_t width,
                         float *scratch, uint8_t *rgb);
