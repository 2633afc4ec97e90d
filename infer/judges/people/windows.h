// SPDX-License-Identifier: Apache-2.0
// Means of a picture's cells of any size at any place, in a few additions each: what judges of
// people look through. Internal to infer/judges/people.
#pragma once
#include "core/base/mem.h"
#include <stdint.h>

typedef struct tk_sums { // of all pixels above and left, the picture's edges continued outwards
    int64_t high, wide, margin;
    double *at; // (high + 1, wide + 1, 3)
} tk_sums;

// The caller frees s->at. rgb: (height, width, 3).
tk_status tk_sums_of(const uint8_t *rgb, int64_t height, int64_t width, tk_sums *s);
// Means, 0 to 1, of high x wide square cells of side d from (x, y) on: out (high, wide, 3).
void tk_sums_cells(const tk_sums *s, double x, double y, double d, int high, int wide, float *out);
