// SPDX-License-Identifier: Apache-2.0
// Pictures made ready to be read: letters stand out, dark on light, large enough.
//
// Letters on film lie on what is light here and dark there, where no one threshold parts them from
// it. But their strokes are thin: what is brighter than all that is within so many pixels around it
// (a picture less its opening, a "top hat") holds the strokes and nothing of what is wide; darker
// ones likewise. And letters have one colour, mostly without a hue: what is near one grey holds
// them and little of what they lie on. Internal to infer/judges.
#pragma once
#include "core/base/mem.h"

enum { TK_LEGIBLE_WAYS = 20 }; // in which a picture is shown

typedef struct tk_legible {
    uint8_t *grey; // (height, width), the caller's arena's; NULL: nothing stands out
    int64_t height, width;
} tk_legible;

// Picture rgb (height, width, 3) shown in one way, the first being as it is; its sides are whole
// multiples of the picture's.
tk_status tk_legible_make(const uint8_t *rgb, int64_t height, int64_t width, int way, tk_arena *a,
                          tk_legible *out);
