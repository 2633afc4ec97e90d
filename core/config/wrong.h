// SPDX-License-Identifier: Apache-2.0
// What is wrong with a config and was found after its options were read: gathered, a line
// each with the place where the option was given, so that one message tells all of it.
#pragma once
#include "core/config/config.h"
#include "core/config/text.h"

typedef struct tk_wrong_line {
    const char *place, *words; // words: "option: what is wrong"
    int file, line, column;    // of the place, for the order
    int number;                // in which it was found
} tk_wrong_line;

typedef struct tk_wrong {
    const tk_config *config; // that was read; NULL: its places are not known
    const char *file;        // its name, for what was given nowhere; "": none
    bool listed;             // it is one of several: lines about other files' options name it
    tk_arena *arena;
    tk_wrong_line *line; // (n)
    int n, room;
    bool lost; // a line, for want of memory
} tk_wrong;

// Lines live in `a`; file may be "".
tk_wrong tk_wrong_of(const tk_config *c, const char *file, tk_arena *a);
// "file:line:column: option: words". An option that was not given itself, as "keyframes[1].at", has
// the place of its item, or of the list; one that was not given at all that of the file.
void tk_wrong_add(tk_wrong *w, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// The same of a TK_INPUT's message, which is then no failure any more; any other status stays one.
tk_status tk_wrong_with(tk_wrong *w, const char *option, tk_status st);
// TK_INPUT with all lines, if there are any, in the order of the files: what was given on the
// command line comes after them, what was given nowhere last. So many at most.
enum { TK_WRONG_LINES = 50 }; // more help nobody
tk_status tk_wrong_end(const tk_wrong *w);
