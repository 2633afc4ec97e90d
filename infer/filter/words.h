// SPDX-License-Identifier: Apache-2.0
// Many words looked for in a text at once, however they are disguised: one automaton (Aho and
// Corasick's) over what letters may be mistaken for, runs of one letter as one; what it finds is
// then held against the letters themselves. Time grows with the text, not with the number of words.
//
// A word is found where it begins and ends with words of the text, or where it is spelled over
// several ("b o m b"), unless each of these is a common word by itself ("pen is"). With a star at
// an end it may go on there. Signs and digits are read both as what they are and as letters.
#pragma once
#include "infer/filter/fold.h"

enum {
    TK_WORD_LETTERS = 64, // of a word at most
    TK_WORDS_MOST = 100000
};

typedef struct tk_words tk_words;

// Begins without words. All lies in `a`.
tk_status tk_words_new(tk_fold *f, tk_arena *a, tk_words **out);
// A word, or several in a row, UTF-8; *number: counted from 0. TK_INPUT, with what is wrong, where
// nothing could be found by it: no letter, too many, a star within it.
tk_status tk_words_add(tk_words *w, const char *word, int *number);
// A word that is none spelled over others.
tk_status tk_words_add_common(tk_words *w, const char *word);
// After the last one, before any search.
tk_status tk_words_close(tk_words *w);

typedef struct tk_found {
    int word;
    int begin, end;  // bytes of the text
    bool as_written; // in as many words and letters as it has itself
} tk_found;
// All places of all words, each word and place once, by place; in `a`.
tk_status tk_words_find(const tk_words *w, int n, const tk_letter *letter, tk_arena *a, int *found,
                        tk_found **out);
