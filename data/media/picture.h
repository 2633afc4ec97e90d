// SPDX-License-Identifier: Apache-2.0
// Decoded pictures to RGB of our size: colours, aspect, orientation. Internal to
// data/media/media*.c.
#pragma once
#include "data/media/facts.h"
#include "data/media/track.h"
#include <libswscale/swscale.h>

// How a stored picture becomes the shown one: first transposed, then mirrored.
typedef struct tk_orientation {
    bool transpose, flip_x, flip_y;
} tk_orientation;

typedef struct tk_scaler_key { // what a scaling context is made for
    int width, height, format, colours, full_range;
    int out_width, out_height, out_format;
} tk_scaler_key;

typedef struct tk_scaler {
    int64_t width, height; // of the RGB pictures wanted
    struct SwsContext *sws;
    tk_scaler_key key;
    uint8_t *cover; // the picture scaled to cover the wanted size, before the crop
    int64_t cover_stride;
} tk_scaler;

// Scales `f` so that it covers the wanted size as it would be shown (pixel aspect, rotation), crops
// the centre and writes (height, width, 3) RGB. Transparent parts are black. What was done is
// noted.
tk_status tk_scaler_run(tk_scaler *s, const tk_track *t, AVFrame *f, uint8_t *rgb, tk_facts *facts);
// Its size as it would be shown: turned, with square pixels, the longer ones counted.
void tk_picture_shown(const tk_track *t, const AVFrame *f, int64_t *width, int64_t *height);
void tk_scaler_free(tk_scaler *s);
