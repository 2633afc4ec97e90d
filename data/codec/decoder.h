// SPDX-License-Identifier: Apache-2.0
// Latent rows as media, decoded a window at a time: memory is that of one window and of the rows it
// is decoded from, however long the clip is. What it gives is what a decoding of the whole gives,
// bit for bit.
#pragma once
#include "data/codec/latents.h"

typedef struct tk_decoder {
    tk_media_source source; // the first member
    const tk_codec *codec;
    tk_latent_source *rows; // of the clip; the caller's
    tk_grid grid;
    int64_t window;   // latent frames decoded together where they are asked for in order, else one
    int64_t first, n; // those that `rgb` holds
    uint8_t *rgb;     // (window * patch_frames, height, width, 3)
} tk_decoder;

// window: most latent frames; TK_DECODER_WINDOW = as many as suit the codec.
enum { TK_DECODER_WINDOW = 0 };
tk_status tk_decoder_open(tk_decoder *d, const tk_codec *codec, const tk_grid *grid,
                          tk_latent_source *rows, int64_t window);
void tk_decoder_close(tk_decoder *d);
