// SPDX-License-Identifier: Apache-2.0
// The vocabulary of characters: words that a synthesizer says and a recognizer tells apart
// (docs/speech.md has how well, word by word). A word is its number in the table.
#pragma once
#include "core/base/mem.h"

enum { TK_WORDS = 40 };

const char *tk_word_text(int word); // in lower case
// The word that n bytes spell, in any case. TK_INPUT for others, naming the nearest ones.
tk_status tk_word_find(const char *text, size_t n, int *word);

// The words of a text, which is words between anything that is no letter: "Why? No, never!".
// At most `room` of them; TK_INPUT where there is none, one that is unknown, or more.
tk_status tk_words_of(const char *text, int room, int *word, int *n);
