// SPDX-License-Identifier: Apache-2.0
// flite, the synthesizer: a text by a voice to samples and phones. Internal to data/speech.
//
// A pure function of text and voice, on any thread: calls wait for each other (flite's voices are
// shared and changed by each call), and the noise that flite's voices breathe with, which it takes
// from the C library's rand(), comes from a stream that begins anew in each call.
#pragma once
#include "core/base/mem.h"
#include "data/speech/voices.h"

// A phone of flite's US English set: "p", "ey", ...; "pau" is silence.
typedef struct tk_phone {
    char name[4];
    double begin, end; // seconds
} tk_phone;

typedef struct tk_utterance { // from the first phone that is no silence to the end of the last
    int64_t samples, rate;    // samples a second: 16000 x the voice's size
    float *pcm;               // full scale 1, as loud as flite has it
    int phones;
    tk_phone *phone; // back to back
} tk_utterance;

// TK_INPUT where this build has no flite.
tk_status tk_flite_open(void);
// In `a`, for good. TK_INPUT where flite finds nothing to say.
tk_status tk_flite_say(const tk_voice *v, const char *text, tk_arena *a, tk_utterance *out);
