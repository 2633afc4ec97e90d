// SPDX-License-Identifier: Apache-2.0
// Mouths: how lips, teeth and tongue stand at any time of a spoken line.
//
// Each phone has a shape, a diphthong two; between them the mouth moves smoothly, and it holds each
// in the middle of its phone: lips are closed in m, b and p and in silence (which they leave and
// reach within TK_MOUTH_REST of the word).
#pragma once
#include "data/speech/speak.h"

#define TK_MOUTH_REST 0.05 // seconds

typedef struct tk_mouth { // all 0 to 1
    float opening;        // of the lips: 0 closed, 1 as wide as in "father"
    float width;          // 0 rounded ("who"), 1 spread ("see"), 0.5 at rest
    float teeth;          // how much of them shows
    float tongue;         // behind or between the teeth: "think", "look"
} tk_mouth;

// Seconds from the line's first sample; before and after the line the mouth is closed.
tk_mouth tk_mouth_at(const tk_line *line, double seconds);
