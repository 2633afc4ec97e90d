// SPDX-License-Identifier: Apache-2.0
// What a mark says, as signs to be hidden, and signs that were found, each as sure as it is, back
// to what they say: a convolutional code of rate 1/3 (constraint length 9, decoded by libfec),
// behind a CRC of 16 bits.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { TK_MARK_SIGNS = 264 };

// 64 bits where a clip has room for them, else the 16 lowest of them, each said more often.
typedef struct tk_mark_message {
    uint64_t payload;
    bool small; // 16 bits; the others are 0
} tk_mark_message;

// As digits, 16 or 4 of them.
enum { TK_MARK_DIGITS = 17 };
const char *tk_mark_say(const tk_mark_message *m, char digits[TK_MARK_DIGITS]);

void tk_mark_encode(tk_mark_message m, int8_t sign[TK_MARK_SIGNS]); // -1 or 1
// `soft`: each sign with noise of deviation 1, times how large it is, above 0 where it is 1. Tries
// 64 bits, then 16. False: no message whose CRC holds (one of 65,536 of no mark does, so the
// message counts only where a mark was found).
bool tk_mark_decode(const float soft[TK_MARK_SIGNS], tk_mark_message *m);
