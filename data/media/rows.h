// SPDX-License-Identifier: Apache-2.0
// A media file as rows of a codec: a reference. Whole latent frames of its pictures, at least one
// where it has any, the last one repeated where the file ends too soon; its sound as long as they
// are, or all of it where there are none. The tail of the sound is left out: something follows.
//
// A single picture (no film, or a silent one of no more than a latent frame) that captions name by
// a tag is a portrait: a square of tk_grid_portrait pixels, which is what faces are learned from.
// Films, and what nobody names, have the size of the frame.
#pragma once
#include "data/codec/codec.h"
#include "data/media/media.h"

typedef struct tk_media_rows {
    int64_t latents;      // latent frames; 0 where the file has no pictures
    int64_t high, wide;   // rows of each
    int64_t audio_rows;   // audio latents; 0 where it has no sound
    float *video, *audio; // rows
    double seconds;       // of the file, where it has pictures
} tk_media_rows;

typedef struct tk_media_rows_want {
    tk_media_config size; // of the frame, and rates
    int64_t most;         // latent frames, or as long a sound, at most
    bool tagged;          // captions name it
} tk_media_rows_want;

// Rows live in `a`.
tk_status tk_media_rows_read(const char *path, const tk_media_rows_want *want,
                             const tk_codec *codec, tk_arena *a, tk_media_rows *out);
// The same of their sizes alone, without rows and without reading all of a film.
tk_status tk_media_rows_measure(const char *path, const tk_media_rows_want *want,
                                const tk_codec_info *k, tk_media_rows *out);
