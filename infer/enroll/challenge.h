// SPDX-License-Identifier: Apache-2.0
// Challenges: words that whoever enrolls is to say, drawn when they are asked for, good for some
// minutes and for one try. Who has a film of somebody from before does not have these words in it:
// there are more than two million rows of them.
#pragma once
#include "infer/cameo/store.h"

enum { TK_CHALLENGE_WORDS = 4, TK_CHALLENGE_SECONDS = 600 };

typedef struct tk_challenge {
    int word[TK_CHALLENGE_WORDS]; // of data/speech's vocabulary, no two alike
    int64_t until;                // seconds since 1970, UTC
} tk_challenge;

// In the place of one that was asked for before.
tk_status tk_challenge_ask(const tk_cameo_store *s, const tk_handle *who, tk_challenge *out);
// The one that was asked for, which from then on is used up, whatever comes of it. TK_INPUT where
// there is none, or where it is not as the server signed it, or too old.
tk_status tk_challenge_take(const tk_cameo_store *s, const tk_handle *who, tk_challenge *out);
// "why never yes ball".
enum { TK_CHALLENGE_TEXT = 128 };
const char *tk_challenge_say(const tk_challenge *c, char text[TK_CHALLENGE_TEXT]);
