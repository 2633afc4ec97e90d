// SPDX-License-Identifier: Apache-2.0
// Text as a reader takes it: letters as the eye sees them, whatever code points they were written
// by, with what may stand between them. Normal forms, case, what is not seen and which characters
// look like which come from ICU; what it does not list (digits and signs in the place of letters)
// from two small tables here.
//
//     tk_fold *f;
//     TK_TRY(tk_fold_open(&f));
//     TK_TRY(tk_fold_text(f, text, bytes, arena, &n, &letter));
#pragma once
#include "core/base/mem.h"

typedef enum tk_letter_kind {
    TK_LETTER_GAP,   // neither of these: spaces, punctuation, pictures
    TK_LETTER_PLAIN, // a letter
    TK_LETTER_DIGIT,
    TK_LETTER_SIGN // of punctuation, but may stand for a letter: @ $ !
} tk_letter_kind;

typedef struct tk_letter {
    uint32_t same; // one of those that may be mistaken for each other stands for all of them
    uint64_t is;   // what it may be, bits TK_LETTER_BIT; 0: no letter of a to z and no digit
    tk_letter_kind kind;
    bool alone; // of a script that is written without spaces: a word may begin and end anywhere
    bool masks; // it may be put in the place of a letter that is left out: * # _, bullets, pictures
    uint32_t written; // code point
    int at, end;      // bytes of the text
} tk_letter;

// Bit of a character among a to z and 0 to 9; 0 of others.
uint64_t tk_letter_bit(char c);
// What stands for c, of a to z and 0 to 9, and all that it may be mistaken for.
uint32_t tk_letter_same(char c);

typedef struct tk_fold tk_fold;        // one thread at a time
tk_status tk_fold_open(tk_fold **out); // TK_INPUT in a build without ICU
void tk_fold_close(tk_fold *f);        // NULL is fine

// What is not seen (zero-width characters, marks, controls) is left out; the rest in order, at most
// as many as there are bytes, twice. Bytes that are no UTF-8 are gaps.
tk_status tk_fold_text(tk_fold *f, const char *text, size_t bytes, tk_arena *a, int *n,
                       tk_letter **out);
// The same as plain text, for patterns: letters as they are most likely meant, in lower case, a
// space for each run of space, other signs as they are. `at` (bytes of it, and one more): where in
// the text each of its bytes comes from.
tk_status tk_fold_plain(size_t bytes, int n, const tk_letter *letter, tk_arena *a, char **plain,
                        int **at);
