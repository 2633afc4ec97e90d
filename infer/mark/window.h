// SPDX-License-Identifier: Apache-2.0
// A minute of pictures at most, as what they add up to at the mark's waves: in each of eight views
// (upright, turned, mirrored), both ways to look at a picture, at each scale, and in blocks of so
// many pictures, between which speeds are told apart; and the search for the mark in that. Internal
// to infer/mark/look.c.
#pragma once
#include "core/base/mem.h"
#include "infer/mark/found.h"
#include "infer/mark/lines.h"
#include <kiss_fftr.h>

enum {
    TK_MARK_SCALES = 86,
    TK_MARK_WAYS = 2,  // to look at a picture: what it shows, and what changed since the one before
    TK_MARK_PAIRS = 4, // of views: where one has a number, the opposite one has its conjugate
    TK_MARK_BLOCK = 25,  // pictures
    TK_MARK_BLOCKS = 24, // of a window
    TK_MARK_OF_VIEW = TK_MARK_SCALES * TK_MARK_LINES
};

typedef struct tk_mark_window {
    tk_mark_line line[TK_MARK_LINES];
    double drift[TK_MARK_LINES]; // of waves: turns a second by which the tile's drift takes them
    kiss_fft_cfg row;            // of the plane of places: its rows,
    kiss_fftr_cfg column;        // and its columns, of which the real part is wanted
    kiss_fft_cpx *sums;          // (BLOCKS, PAIRS, 2, WAYS, SCALES, LINES), by wave
    int64_t pictures;
    tk_mark_found upright, others; // views: the best of each in all windows
    float soft[TK_MARK_SIGNS];     // what all windows say
} tk_mark_window;

// In the arena.
tk_status tk_mark_window_open(tk_arena *a, tk_mark_key key, tk_mark_window *out);
double tk_mark_scale(int i); // number i of TK_MARK_SCALES
// Where a wave of the mark is in a picture's transform, in the first view of a pair: turns a tile.
void tk_mark_seen_at(int pair, const tk_mark_line *k, int *x, int *y);
// Adds a picture: what both ways show of it, (PAIRS, SCALES, LINES, WAYS), by wave, in the first
// view of each pair. A full window is ended.
void tk_mark_window_add(tk_mark_window *w, const kiss_fft_cpx *shown);
// Decides the window, if it has pictures, and begins the next.
void tk_mark_window_end(tk_mark_window *w);
// What this window would be under a key, which counts from here on.
tk_mark_found tk_mark_window_under(tk_mark_window *w, tk_mark_key key);
// Of all windows; what it says is left out.
tk_mark_found tk_mark_window_best(const tk_mark_window *w);
