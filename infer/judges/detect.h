// SPDX-License-Identifier: Apache-2.0
// Detectors: what is to be seen and heard in a clip, from its pictures and samples alone. No
// learned judge: objects are saturated colours on a dull set, their physics is gravity, sounds
// begin at contacts. Judges know nothing of how the world is made (they may not include it): they
// have names, hues and shapes of their own.
#pragma once
#include "core/base/mem.h"
#include <stdbool.h>

// The object of a shot. Coordinates are pixels, y down, the centre of the top left pixel being
// (0.5, 0.5).
typedef struct tk_seen {
    int64_t frames;
    double *x, *y;      // (frames) centroid; NaN where nothing is seen
    bool present;       // seen in most frames, compact, of a size objects have
    const char *colour; // red, yellow, green, cyan, blue, pink
    const char *kind;   // ball, crate
} tk_seen;
tk_status tk_detect_object(const uint8_t *rgb, int64_t frames, int64_t height, int64_t width,
                           tk_arena *a, tk_seen *out);
