// SPDX-License-Identifier: Apache-2.0
// The witness: whether a film shows one person who says the words of a challenge, lips and voice
// together. It looks through the judges (infer/judges), which it is shown examples of the world
// first: faces are those of the world's figures, and a film of anybody else has none for it.
//
// A word of the challenge competes with all others of the vocabulary and with free phones, so that
// the row of words competes with more than two million.
#pragma once
#include "infer/enroll/challenge.h"
#include "infer/enroll/timbre.h"
#include "infer/eval/learn/learn.h"

enum { TK_WITNESS_SIDE = 96, TK_WITNESS_FPS = 12, TK_WITNESS_RATE = 16000 }; // of what it looks at
#define TK_WITNESS_SECONDS 20.0                                              // that a film may last

typedef struct tk_witness {
    tk_config config;
    tk_speech *speech;
    tk_learned learned;
    tk_timbres voices; // how the words sound by those of the world
    tk_arena arena;
} tk_witness;

// Takes some seconds. The caller closes it also after a failure.
tk_status tk_witness_open(tk_witness *w);
void tk_witness_close(tk_witness *w);

typedef struct tk_testimony {
    int looks, faces, crowds; // frames looked at; with a face; with more than one
    tk_lips lips;
    int words, others; // pieces of sound that are words, that are not
    int beside;        // hundredths of a second of a voice beside the words
    bool said;         // the words are those of the challenge, in their order
    double apart;      // how far voices are apart between words (infer/enroll/timbre.h), at most
    int64_t frame;     // in which the face is seen best,
    tk_head head;      // ... and where
    double begin[TK_CHALLENGE_WORDS], end[TK_CHALLENGE_WORDS]; // seconds, of the words
    char fault[160];                                           // why it is not believed; "": it is
} tk_testimony;

// A film (TK_WITNESS_SIDE square, _FPS, _RATE, one channel).
tk_status tk_witness_watch(const tk_witness *w, const tk_media *film, const tk_challenge *c,
                           tk_testimony *out);
