// SPDX-License-Identifier: Apache-2.0
// The mark in sound: a tile of 64 slots of 0.1 seconds by 16 bands of a sixth of an octave, from
// 520 to 3400 Hz, that repeats; each of its cells is a little louder or softer, by the key's sign.
// A third of them say nothing: by them the mark is found. The others carry the signs of a message,
// or of a clip that is too short for one none, and help to find it.
#pragma once
#include "infer/mark/code.h"
#include "infer/mark/key.h"

enum {
    TK_MARK_SLOTS = 64,
    TK_MARK_BANDS = 16,
    TK_MARK_HOPS = 5, // of 20 ms in a slot
    TK_MARK_CELLS = TK_MARK_SLOTS * TK_MARK_BANDS
};
#define TK_MARK_HOP 0.02         // seconds
#define TK_MARK_SPEAKS_FROM 15.0 // seconds of a clip whose sound carries a message

typedef struct tk_mark_chip {
    int8_t sign;  // the key's
    int16_t says; // the message's sign that it carries; -1: none
} tk_mark_chip;

// (SLOTS, BANDS)
void tk_mark_chips(tk_mark_key key, tk_mark_chip chip[TK_MARK_CELLS]);
double tk_mark_band_edge(int band); // Hz; of 0 to TK_MARK_BANDS
