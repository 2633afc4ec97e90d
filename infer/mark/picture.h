// SPDX-License-Identifier: Apache-2.0
// The mark put into pictures, one by one, as they go to the encoder: a pure function of key,
// message, size, rate and the frame's number, added to its brightness: 1.3 of 219 steps (root mean
// square) where nothing goes on, more where the picture is busy, 1.65 all over, which as shown
// (RGB) is 42.3 dB, at most. `strength`, 0 to 1, takes part of that.
#pragma once
#include "core/base/mem.h"
#include "infer/mark/lines.h"

typedef struct tk_mark_picture {
    int64_t width, height;
    double fps;
    float strength;
    float *tile;    // (FINE, FINE) of unit variance
    float *pattern; // (height, width) of the present frame
    float *busy;    // (blocks_y + 1, blocks_x + 1) weights, of blocks of `block` pixels
    int *at;        // (width) column of the tile
    float *part;    // (width) how far behind it
    int64_t block, blocks_x, blocks_y;
} tk_mark_picture;

tk_status tk_mark_picture_open(tk_mark_picture *m, tk_arena *a, tk_mark_key key,
                               tk_mark_message message, int64_t width, int64_t height, double fps,
                               double strength);
// luma (height, stride) of video range, 16 to 235, in place.
void tk_mark_picture_put(tk_mark_picture *m, uint8_t *luma, int64_t stride, int64_t frame);
