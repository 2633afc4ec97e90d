// SPDX-License-Identifier: Apache-2.0
// What is wrong with a config, of its options and of what they name: gathered, a line each with the
// place where the option was given, so that one message tells all of it.
//
//     tk_wrong w = tk_wrong_of(&c, "", &a);
//     TK_TRY(tk_config_gather(&w, &c, TK_CMD_TRAIN, file, n, overrides));
//     if (access(c.data.files[0], R_OK)) tk_wrong_add(&w, "data.files[0]", "cannot open ...");
//     return tk_wrong_end(&w);
#pragma once
#include "core/config/config.h"
#include "core/config/text.h"

typedef struct tk_wrong_line {
    const char *place, *words; // words: "option: what is wrong"
    int file, line, column;    // of the place, for the order
    int number;                // in which it was found
} tk_wrong_line;

typedef struct tk_wrong_option { // that was read and is wrong
    const char *name;
    struct tk_wrong_option *next;
} tk_wrong_option;

typedef struct tk_wrong {
    const tk_config *config; // that was read; NULL: its places are not known
    const char *file;        // its name, for what was given nowhere; "": none
    bool listed;             // it is one of several: lines about other files' options name it
    bool partial;            // a file was not read to its end: nobody knows what it lacks
    tk_arena *arena;
    tk_wrong_line *line; // (n)
    int n, room;
    tk_wrong_option *doubt; // values that nobody knows
    bool lost;              // a line, for want of memory
} tk_wrong;

#define TK_COMMAND_LINE "command line" // the place of what was given there

// Lines live in `a`; file may be "".
tk_wrong tk_wrong_of(const tk_config *c, const char *file, tk_arena *a);
// As tk_config_load, but what is wrong with the options is lines of w, which is about *c from then
// on. *c can be asked further: an option that is wrong has the value that it had before, of a list
// of strings a wrong item is "", and tk_wrong_doubts tells which these are. Fails where the file
// cannot be read at all, and for want of memory; *c is then fit for tk_config_free only.
tk_status tk_config_gather(tk_wrong *w, tk_config *c, unsigned command, const char *file, int n,
                           char *const *overrides);
// Whether it is not known what an option, or one of what it holds, is to be: it was read and is
// wrong, or may stand where nobody read. What depends on it is not to be asked.
bool tk_wrong_doubts(const tk_wrong *w, const char *option);
// "file:line:column: option: words". An option that was not given itself, as "keyframes[1].at", has
// the place of its item, or of the list; one that was not given at all that of the file. Of an
// option whose own value is not known nothing more is said.
void tk_wrong_add(tk_wrong *w, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// A line where the file that an option names cannot be read; whether that is so.
bool tk_wrong_unread(tk_wrong *w, const char *option, const char *path);
// The same where neither a folder is at `path` in which can be written, nor one can be made there.
bool tk_wrong_unmade(tk_wrong *w, const char *option, const char *path);
// As tk_wrong_add, of a TK_INPUT's message, which is then no failure any more; any other status
// stays one.
tk_status tk_wrong_with(tk_wrong *w, const char *option, tk_status st);
// TK_INPUT with all lines, if there are any, in the order of the files: what was given on the
// command line comes after them, what was given nowhere last. So many at most.
enum { TK_WRONG_LINES = 50 }; // more help nobody
tk_status tk_wrong_end(const tk_wrong *w);

// Lines about what files say that is no job's to say in a spool: options that are its worker's, and
// those by which no clip is made. One that stands there with the value that it has anyway says
// nothing.
tk_status tk_wrong_ask_job(tk_wrong *w);

// ---- for those who read ----

// A line about an option ("": none) with a place of its own.
tk_status tk_wrong_at(tk_wrong *w, const char *place, const char *option, const char *words);
// From here on it is not known what the option is to be.
tk_status tk_wrong_doubt(tk_wrong *w, const char *option);
