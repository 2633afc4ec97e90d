// SPDX-License-Identifier: Apache-2.0
// The linear codec's insides, shared by its fit (fit.c) and its use (linear.c).
#pragma once
#include "core/config/codec.h"
#include "data/codec/kind.h"

// Bounds of what a codec may be, for configs and for files alike.
enum {
    TK_CODEC_PATCH = 6144,   // most numbers of a video patch: 2 x 32 x 32 x 3
    TK_CODEC_CHANNELS = 512, // most components kept
    TK_CODEC_HOP = 4096
};

// N = audio_hop, P = numbers of a patch, C and Ca = components kept.
typedef struct tk_linear {
    tk_codec codec; // the first member: a codec of this kind is one of these
    tk_arena arena;
    // stored
    float *video_mean;  // (P)
    float *video_basis; // (C, P) orthonormal rows
    float *video_scale; // (C) component -> row
    float *audio_basis; // (Ca, N) orthonormal rows
    float *audio_scale; // (Ca)
    // derived
    float *video_in;  // (C, P): rows = (patch - mean) video_in^T
    float *video_out; // (C, P): patch = rows video_out + mean
    float *audio_in;  // (Ca, 2N): rows = frame audio_in^T, a frame being 2N samples
    float *audio_out; // (Ca, 2N): frame = rows audio_out, frames overlapped and added
} tk_linear;

static inline int64_t tk_codec_patch(const tk_codec_info *i)
{
    return tk_patch_numbers(i->patch_frames, i->patch_size);
}

// Checks a codec's numbers against the bounds; `where` for the message.
tk_status tk_codec_check_info(const tk_codec_info *i, const char *where);
extern const tk_codec_kind tk_linear_kind;
// An empty codec of that shape: stored arrays zeroed, derived ones not yet there.
tk_status tk_linear_new(const tk_codec_info *info, tk_linear **out);

// (2N) x (N) orthonormal lapped transform: row k is the windowed cosine k of a frame. (N, 2N).
void tk_mdct_basis(int64_t n, float *basis);
// Patches [first, first + n) of a clip taken every `step`, as numbers in [-1, 1]: x (n, P).
void tk_codec_gather(const tk_codec_info *i, const tk_media *m, int64_t first, int64_t step,
                     int64_t n, float *x);
// Frames [first, first + n) of one channel of a track, zero outside it: x (n, 2N).
void tk_codec_frames(int64_t hop, const tk_media *m, int64_t channel, int64_t first, int64_t n,
                     float *x);

// The `keep` leading eigenvectors of a symmetric positive semidefinite matrix (n, n):
// vectors (keep, n) orthonormal rows by falling value, values (keep).
tk_status tk_pca(const float *matrix, int64_t n, int64_t keep, float *vectors, double *values);
