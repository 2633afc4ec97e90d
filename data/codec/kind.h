// SPDX-License-Identifier: Apache-2.0
// What a kind of codec has to give. A codec has two halves, one for pictures and one for sound,
// each of a kind of its own: its numbers as named arrays, its fit, and the way from media to rows
// and back. Files, broadcasts and digests are made of the arrays and the info, the same for all
// kinds.
#pragma once
#include "data/codec/codec.h"

typedef struct tk_codec_array { // stored: (rows, cols), or (cols) where rows is 0
    const char *name;
    float *x;
    int64_t rows, cols;
    bool positive; // every number must be
} tk_codec_array;
enum { TK_CODEC_ARRAYS = 16 }; // at most, of a half

typedef struct tk_half tk_half;

typedef struct tk_half_kind {
    tk_codec_side side;
    const char *name; // as options and files call it; of that side's kinds, the only one
    uint32_t salt;    // of the digest, so that kinds never share one; patch and mdct have 0
    int64_t tail;     // audio rows a track has beyond its samples
    // Whether such a codec can be, beyond the bounds of all kinds. `where` for the message.
    tk_status (*check)(const tk_codec_info *i, const char *where);
    // A half of that shape, which has been checked; its arrays zeroed.
    tk_status (*create)(const tk_codec_info *info, tk_half **out);
    void (*free)(tk_half *h);
    int (*arrays)(const tk_half *h, tk_codec_array list[TK_CODEC_ARRAYS]); // how many
    tk_status (*derive)(tk_half *h); // what follows from the arrays, once they are filled in
    // The fit: begun, shown each of n clips once in order, ended, when the arrays are filled in.
    // What it has to keep in between lies in `a`.
    tk_status (*fit_begin)(tk_half *h, int64_t n, tk_arena *a, void **fit);
    tk_status (*fit_clip)(void *fit, int64_t k, const tk_media *clip, const tk_grid *g);
    tk_status (*fit_end)(void *fit);
    // As in codec.h; of encoders and decoders those of its side. Pictures have been checked to
    // divide into patches; those of a kind without steps are all there are.
    tk_status (*encode_video)(const tk_half *h, const tk_media *m, int64_t first, int64_t all,
                              float *rows);
    tk_status (*encode_audio)(const tk_half *h, const tk_media *m, float *rows);
    // As tk_codec_step in codec.h; NULL: 0.
    int64_t (*step)(const tk_half *h, int64_t high, int64_t wide);
    tk_status (*decode_video)(const tk_half *h, tk_row_part rows, const tk_grid *g, int64_t first,
                              int64_t n, uint8_t *rgb);
    tk_status (*decode_audio)(const tk_half *h, tk_row_part rows, int64_t audio_rows,
                              int64_t channels, int64_t first, int64_t n, float *pcm);
    // Sound that does not keep the wave: how far what came back (like m->pcm) is from m, in dB,
    // added up and counted. NULL: its figure is signal to noise.
    tk_status (*distance)(const tk_half *h, const tk_media *m, const float *pcm, double *sum,
                          double *count);
    // As tk_codec_encode_track in codec.h, of sound; NULL: it is encoded as a whole.
    tk_status (*encode_track)(const tk_half *h, tk_media_source *track, tk_codec_rows_made made,
                              void *ctx);
} tk_half_kind;

struct tk_half { // heads every kind's own struct
    const tk_half_kind *kind;
    tk_codec_info info; // as far as it is known before the fit
    int64_t context;    // latent frames, or audio rows, on either side that media depend on
};

struct tk_codec {
    tk_codec_info info;
    tk_half *half[TK_CODEC_SIDES];
};

// Makes a kind known to files and broadcasts, on every rank in the same order, before any is read.
tk_status tk_codec_register(const tk_half_kind *kind);
// Number of a kind, and the kind of a number or name (NULL: not known).
int tk_codec_kind_number(const tk_half_kind *kind);
const tk_half_kind *tk_codec_kind_of(tk_codec_side side, int number);
const tk_half_kind *tk_codec_kind_named(tk_codec_side side, const char *name);
// The names of a side's kinds, as in a sentence.
const char *tk_codec_kind_names(tk_codec_side side, char *words, size_t size);

// An empty codec of these kinds, checked against all bounds (`where` for the message): its arrays
// zeroed, nothing derived.
tk_status tk_codec_new(const tk_codec_info *info, const tk_half_kind *const kind[TK_CODEC_SIDES],
                       const char *where, tk_codec **out);
// The stored arrays of both halves, the pictures' first: how many.
int tk_codec_arrays(const tk_codec *c, tk_codec_array list[2 * TK_CODEC_ARRAYS]);
// Derives what follows from the arrays, and the digest.
tk_status tk_codec_complete(tk_codec *c);
