// SPDX-License-Identifier: Apache-2.0
// What a kind of codec has to give: its numbers as named arrays, and the way from media to rows and
// back. Files, broadcasts and digests are made of the arrays and the info, the same for all kinds.
#pragma once
#include "data/codec/codec.h"

typedef struct tk_codec_array { // stored: (rows, cols), or (cols) where rows is 0
    const char *name;
    float *x;
    int64_t rows, cols;
    bool positive; // every number must be
} tk_codec_array;
enum { TK_CODEC_ARRAYS = 16 }; // at most

typedef struct tk_codec_kind {
    const char *name;      // as files call it
    uint64_t salt;         // of the digest, so that kinds never share one; linear has 0
    int64_t video_context; // latent frames on either side that a latent frame's pictures depend on
    // A codec of that shape, which is within bounds; its arrays zeroed. It may correct info's tail.
    tk_status (*create)(const tk_codec_info *info, tk_codec **out);
    void (*free)(tk_codec *c);
    int (*arrays)(const tk_codec *c, tk_codec_array list[TK_CODEC_ARRAYS]); // how many
    tk_status (*derive)(tk_codec *c); // what follows from the arrays, once they are filled in
    // As in codec.h. Pictures have been checked to divide into patches.
    tk_status (*encode_video)(const tk_codec *c, const tk_media *m, float *rows);
    tk_status (*decode_video)(const tk_codec *c, const float *rows, const tk_grid *g, int64_t first,
                              int64_t n, uint8_t *rgb);
    tk_status (*encode_audio)(const tk_codec *c, const tk_media *m, float *rows);
    tk_status (*decode_audio)(const tk_codec *c, const float *rows, int64_t audio_rows,
                              int64_t channels, int64_t first, int64_t n, float *pcm);
} tk_codec_kind;

struct tk_codec { // heads every kind's own struct
    const tk_codec_kind *kind;
    tk_codec_info info;
};

// Makes a kind known to files and broadcasts, on every rank in the same order, before any is read.
tk_status tk_codec_register(const tk_codec_kind *kind);
// Number of a kind, and the kind of a number or name (NULL: not known).
int tk_codec_kind_number(const tk_codec_kind *kind);
const tk_codec_kind *tk_codec_kind_of(int number);
const tk_codec_kind *tk_codec_kind_named(const char *name);
// Derives what follows from the arrays, and the digest.
tk_status tk_codec_complete(tk_codec *c);
