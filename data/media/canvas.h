// SPDX-License-Identifier: Apache-2.0
// A picture to draw on: rectangles, smooth lines, text. Internal to data/media/media*.c.
#pragma once
#include "core/base/mem.h"

typedef struct tk_ink { // a colour and how much of it covers what is there
    uint8_t r, g, b;
    float alpha;
} tk_ink;

typedef struct tk_canvas {
    int64_t width, height;
    uint8_t *rgb;           // (height, width, 3)
    uint8_t *mask;          // (height, width) coverage of strokes not yet inked
    int64_t x0, y0, x1, y1; // part of the mask that is not zero
} tk_canvas;

tk_status tk_canvas_init(tk_canvas *c, int64_t width, int64_t height, tk_ink background);
void tk_canvas_free(tk_canvas *c);

// Coordinates are pixels, (0, 0) the upper left corner of the upper left pixel. All clip.
void tk_canvas_fill(tk_canvas *c, double x, double y, double w, double h, tk_ink ink);
// Strokes are round-ended and gather until they are inked together, so that joints are as dark as
// the rest.
void tk_canvas_stroke(tk_canvas *c, double x0, double y0, double x1, double y1, double thickness);
void tk_canvas_ink(tk_canvas *c, tk_ink ink);
void tk_canvas_dashed(tk_canvas *c, double x, double y0, double y1, double thickness, tk_ink ink);
// A picture (height, width, 3) scaled smoothly into a rectangle of whole pixels.
tk_status tk_canvas_picture(tk_canvas *c, int64_t x, int64_t y, int64_t w, int64_t h,
                            const uint8_t *rgb, int64_t height, int64_t width);

// Text in one line, UTF-8 (ASCII is drawn, other characters as small boxes). `size` is the height
// of a capital in pixels, (x, y) the upper left corner of the first one. Negative `align` ends at
// x, zero centres on it, positive begins there.
void tk_canvas_text(tk_canvas *c, double x, double y, double size, int align, tk_ink ink,
                    const char *text);
double tk_text_width(double size, const char *text);
// Bytes of `text` that fit into `width`, broken after a word where there is one.
size_t tk_text_fit(double size, double width, const char *text);
