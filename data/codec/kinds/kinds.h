// SPDX-License-Identifier: Apache-2.0
// The kinds that talkie has, in the order of their options, and what they share.
#pragma once
#include "core/config/codec.h"
#include "data/codec/kind.h"

// Bounds of what a codec may be, for configs and for files alike.
enum {
    TK_CODEC_PATCH = 6144,   // most numbers of a video patch: 2 x 32 x 32 x 3
    TK_CODEC_CHANNELS = 512, // most components kept
    TK_CODEC_HOP = 4096
};

extern const tk_half_kind tk_patch_kind, tk_lapped_kind, tk_mdct_kind, tk_vocoder_kind;

static inline int64_t tk_codec_patch(const tk_codec_info *i)
{
    return tk_patch_numbers(i->patch_frames, i->patch_size);
}

// (2N) x (N) orthonormal lapped transform: row k is the windowed cosine k of a frame. (N, 2N).
void tk_mdct_basis(int64_t n, float *basis);
// Frames [first, first + n) of one channel of a track, zero outside it: x (n, 2N).
void tk_codec_frames(int64_t hop, const tk_media *m, int64_t channel, int64_t first, int64_t n,
                     float *x);
