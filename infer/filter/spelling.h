// SPDX-License-Identifier: Apache-2.0
// The ways in which a text may be read, each a row of letters with gaps: signs and digits as what
// they are or as letters, pairs that look like one letter as that, masked letters as each one.
// Internal to infer/filter.
//
//     tk_spellings t;
//     TK_TRY(tk_spellings_begin(n, letter, arena, &t));
//     while (tk_spellings_next(&t)) ... t.one
#pragma once
#include "infer/filter/fold.h"

typedef struct tk_spelling_letter {
    uint32_t same; // as of a tk_letter
    uint64_t is;
    int at, end; // bytes of the text
    bool alone;
    bool first, last; // of a word of the text
    bool gap;         // one stands before it
} tk_spelling_letter;

typedef struct tk_spelling {
    int n;
    tk_spelling_letter *letter;
    int n_runs; // of letters that may be the same
    int *run;   // (n_runs + 1) letter that each begins with
} tk_spelling;

typedef struct tk_spellings {
    tk_spelling one; // the way it is read now
    int n;
    const tk_letter *letter;
    bool *within;             // (n) letters stand before it and behind
    bool signs, masks, pairs; // it has some
    int next;                 // way
} tk_spellings;

// Memory of all ways is in `a`; the letters stay the caller's.
tk_status tk_spellings_begin(int n, const tk_letter *letter, tk_arena *a, tk_spellings *t);
// The next way that differs; false: there are no more.
bool tk_spellings_next(tk_spellings *t);
