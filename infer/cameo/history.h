// SPDX-License-Identifier: Apache-2.0
// The history of a cameo: what was done with it, a line of JSON each, in a file that is only ever
// made longer. Each line holds the hash of the one before, and a paper signed by the server says
// how many there are and what the last one's hash is: none can be changed, left out, put in or
// moved without that being seen by anybody who has the server's public key.
//
//     {"n":2,"time":1764200000,"event":"used","user":1001,"what":"/clips/a","paper":"5f..","before":"9c.."}
//
// ("mark" comes before "before" where the clip is marked: its digits.)
//
// A log has an end: once it has 64 MiB (some 120,000 clips of two lines) nothing more is begun on
// it. What was begun is told to its end, and revoking always is; a person goes on by another
// handle.
//
// What nobody sees from the files alone is that all of them were put back to what they once were:
// an owner who has seen n lines knows that fewer are too few.
#pragma once
#include "infer/cameo/folder.h"
#include "infer/cameo/paper.h"

typedef enum tk_cameo_event {
    TK_CAMEO_ENROLLED,
    TK_CAMEO_GRANTED, // a consent, in the place of the one before
    TK_CAMEO_USED,    // before a clip is begun
    TK_CAMEO_MADE,    // the clip is whole, and goes into its place now
    TK_CAMEO_REVOKED,
    TK_CAMEO_KEYED,  // a key of the owner's, whose signature ends it; `what` has its digits
    TK_CAMEO_UNMADE, // what the last line `made` of that clip says did not come to be
    TK_CAMEO_EVENTS
} tk_cameo_event;
extern const char *const tk_cameo_event_name[TK_CAMEO_EVENTS];

typedef struct tk_cameo_line {
    tk_cameo_event event;
    int64_t time; // seconds since 1970, UTC
    int64_t user; // uid
    const char *what;
    char paper[TK_PAPER_HASH]; // that it stands on; "": none
    char mark[17]; // what the mark of a clip says, hexadecimal digits; "": it bears none
} tk_cameo_line;

typedef struct tk_history {
    int64_t n;
    tk_cameo_line *line;
    int64_t bytes;            // of these lines
    int64_t beyond;           // bytes behind them that nobody signed: of a run that died, or forged
    char last[TK_PAPER_HASH]; // hash of the last line
} tk_history;

// Of the cameo whose folder this is. TK_INPUT, naming the line, where it does not hold; *out then
// has the lines before. A folder without a history has none of length 0.
tk_status tk_history_read(const tk_folder *f, const char *handle,
                          const unsigned char server[TK_SEAL_PUBLIC], tk_arena *a, tk_history *out);
// TK_INPUT where the log is too full for a line of this event.
tk_status tk_history_takes(const tk_history *h, const char *handle, tk_cameo_event event);
// On disk when this returns; lines are readable by the server and, where that is root, by who
// enrolled first, and by nobody else. The paper stays the server's: who owns a file may put an
// older one back. The folder is locked for writing, *h was read since. TK_INPUT as above.
tk_status tk_history_add(const tk_folder *f, const char *handle, const tk_seal_pair *server,
                         const tk_history *h, const tk_cameo_line *line, tk_arena *a);
