// SPDX-License-Identifier: Apache-2.0
// Pictures drawn by cairo: what contact sheets and plots share. Internal to data/media.
//
// Coordinates are pixels, (0, 0) the upper left corner of the upper left pixel. A failure stays in
// the cairo_t, and what is drawn after it is void, until tk_draw_write reports it. The same calls
// make the same bytes on one machine; another one may have other fonts.
#pragma once
#include "core/base/files.h"
#include <cairo.h>

typedef struct tk_ink { // a colour and how much of it covers what is there
    uint8_t r, g, b;
    float alpha;
} tk_ink;

// A picture of one colour. The caller destroys it (cairo_destroy), after a failure too.
cairo_t *tk_draw_new(int64_t width, int64_t height, tk_ink background);
tk_status tk_draw_write(cairo_t *cr, const tk_file *f); // as PNG

void tk_draw_ink(cairo_t *cr, tk_ink ink); // what is filled and stroked with from here on
void tk_draw_fill(cairo_t *cr, double x, double y, double w, double h, tk_ink ink);
// A picture (height, width, 3) scaled smoothly into a rectangle.
typedef struct tk_box {
    double x, y, w, h;
} tk_box;
void tk_draw_picture(cairo_t *cr, tk_box box, const uint8_t *rgb, int64_t height, int64_t width);

// Text is UTF-8 in any script that has a font here, its letters one after the other from the left.
// What is no character is drawn as U+FFFD. `size` is the height of a capital, (x, y) the upper left
// corner of the first one.
typedef enum tk_align { TK_LEFT, TK_CENTRE, TK_RIGHT } tk_align; // what of the text is at x
void tk_draw_text(cairo_t *cr, double x, double y, double size, tk_align align, tk_ink ink,
                  const char *text);
double tk_draw_text_width(cairo_t *cr, double size, const char *text);
// Text in at most `most` lines of at most `width`, broken after words where that is possible, each
// `step` below the one before; an ellipsis ends what is cut short. Lines; 0 for an empty text.
typedef struct tk_column {
    double x, y, size, step, width;
    int most;
    tk_ink ink;
} tk_column;
int tk_draw_lines(cairo_t *cr, const tk_column *column, const char *text);
