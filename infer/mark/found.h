// SPDX-License-Identifier: Apache-2.0
// What was found of a mark, and how sure that is.
//
// p is a bound, not an estimate: of all keys, at most this part would find as much in the same
// file, whatever is in it, were it not marked under them. For the signs or phases that a key draws
// do not depend on the file: the sum by which a mark is found is one of independent numbers of
// known sizes and random signs, which exceeds z deviations with a chance of at most exp(-z^2 / 2)
// (Hoeffding). That times the places, scales and speeds looked at is p.
#pragma once
#include "infer/mark/code.h"

#define TK_MARK_PRESENT 1e-6 // p up to which a mark is there

typedef struct tk_mark_found {
    bool looked;   // there was something to look at
    double log10p; // at most 0
    double z;      // deviations of the best
    double tries;  // places, scales and speeds looked at
    double scale;  // pictures: the mark's size, 1 where nothing was cut off or put around
    bool mirrored; // pictures: left and right changed places,
    int turned;    // and then they were turned clockwise by so many degrees
    double speed;  // of its clock
    bool said;     // the message's CRC holds; means something only where it is present
    tk_mark_message message;
} tk_mark_found;

// The more certain of two parts of one file, p counting the tries of both.
void tk_mark_better(tk_mark_found *best, const tk_mark_found *other);
bool tk_mark_is_present(const tk_mark_found *f);
