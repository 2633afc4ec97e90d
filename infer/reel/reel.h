// SPDX-License-Identifier: Apache-2.0
// The latents of a clip while it is made: parts, each made at once, one after the other in time.
// They lie in memory, or each in a file of its own (infer/reel/files.h), so that memory is that of
// a part and what is made outlives who makes it.
//
// Ranks that make a clip together hold one reel each; all calls are collective over them. Those
// that hold rows (of the first pipeline stage) give and get them, the others none.
#pragma once
#include "data/codec/latents.h"

typedef struct tk_reel_part {
    int64_t end[TK_CODEC_SIDES]; // latent frame and audio row after its last ones
    uint64_t of;                 // digest of all that it is made of
} tk_reel_part;

typedef struct tk_reel_shape {
    int64_t n;
    tk_reel_part *part;              // (n)
    int64_t numbers[TK_CODEC_SIDES]; // of a latent frame; of an audio row of all channels
} tk_reel_shape;

// Where part i begins; i may be n: the end.
int64_t tk_reel_begin(const tk_reel_shape *s, int64_t i, tk_codec_side side);
int64_t tk_reel_most(const tk_reel_shape *s); // numbers of the largest part, both sides

typedef struct tk_reel tk_reel;
struct tk_reel {
    tk_reel_shape shape;
    bool (*has)(const tk_reel *r, int64_t part); // the same on all ranks
    // All rows of a part. NULL: this rank holds none.
    tk_status (*put)(tk_reel *r, int64_t part, const float *const rows[TK_CODEC_SIDES]);
    // Rows [first, first + n) of parts that are there. `to` NULL: this rank holds none.
    tk_status (*get)(tk_reel *r, tk_codec_side side, int64_t first, int64_t n, float *to);
};

// A reel in memory, that holds rows where `holds`; they live in the arena.
typedef struct tk_reel_memory {
    tk_reel reel; // the first member
    float *rows[TK_CODEC_SIDES];
} tk_reel_memory;
tk_status tk_reel_in_memory(const tk_reel_shape *s, bool holds, tk_arena *a, tk_reel_memory *out);
