// SPDX-License-Identifier: Apache-2.0
// Whether a codec's patches show: how much pictures step from pixel to pixel across the edges
// between patches, over how much they do elsewhere. About 1 where none can be seen, if pictures
// have no edges of their own just there; where the pictures before the codec are at hand, what
// counts is how much larger it has become.
#pragma once
#include <stdint.h>

typedef struct tk_seams { // sums of absolute steps, and how many: across edges, elsewhere
    double step[2];
    double count[2];
} tk_seams;

// Adds pictures rgb (frames, height, width, 3) of square patches of so many pixels, the steps from
// left to right and from top to bottom.
void tk_seams_add(tk_seams *s, const uint8_t *rgb, int64_t frames, int64_t height, int64_t width,
                  int64_t patch_size);
// The mean step across edges over the mean step elsewhere; NaN where there are no edges, or no
// steps elsewhere.
double tk_seams_blockiness(const tk_seams *s);
