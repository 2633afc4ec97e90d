// SPDX-License-Identifier: Apache-2.0
// The mark in pictures as a spectrum: a tile of 64 x 64 points that repeats over the picture, and
// is the sum of 264 waves ("lines") whose phases are the key's. Half of them say nothing: by them
// the mark is found. The other half carry two signs each. Of a picture whose shorter side is 144
// rows a tile takes 64; waves are 4.6 to 12 rows long. The tile drifts: where it lies at a time
// tells the two apart, mark and picture, however still the picture is.
#pragma once
#include "infer/mark/code.h"
#include "infer/mark/key.h"

enum {
    TK_MARK_TILE = 64,  // points
    TK_MARK_ROWS = 144, // of a picture's shorter side
    TK_MARK_LOOK_FPS = 10,
    TK_MARK_LINES = 264,
    TK_MARK_PILOTS = TK_MARK_LINES - TK_MARK_SIGNS / 2, // the first of them
    TK_MARK_TURN = 15                                   // kx and ky are within -TURN .. TURN
};
#define TK_MARK_DRIFT_X 4.0 // points a second
#define TK_MARK_DRIFT_Y 1.5

typedef struct tk_mark_line {
    int kx, ky;   // turns a tile; ky >= 0, one of each pair of opposites
    float re, im; // of length 1
    int wave;     // its number among the waves, which no key changes
} tk_mark_line;

void tk_mark_lines(tk_mark_key key, tk_mark_line line[TK_MARK_LINES]);
