// SPDX-License-Identifier: Apache-2.0
// What people lend to a clip (storyboard `cameo`), and who is in clips that it goes on from
// (people.h): asked for before any work, told before sampling begins, asked again between windows,
// since who lends may end it at any time. When that happens, what is kept of the clip goes.
#pragma once
#include "infer/mark/code.h"
#include "infer/output/people.h"

typedef struct tk_lent {
    tk_cameo_store store;
    tk_cameo_ask ask; // people who are named
    tk_cameo *cameo;  // (ask.n)
    int *fd;          // of references, (n), in memory alone
    int n;
    tk_cameo_ask inherited;    // people in files that are gone on from; those named too come last
    tk_cameo *heir;            // (inherited.n)
    const tk_person_in *shown; // the same: in which file
    int untold;                // of them those who are not named, in whose logs it is told for this
    char mark[TK_MARK_DIGITS]; // what the clip's says, which is told; "": it bears none
    tk_people_in people; // in files of the storyboard, also where nobody is asked for anything
    char *clip; // output, without suffix, as an absolute path; NULL: nobody is asked for anything
} tk_lent;

// Fills in c->story.lent and .inherited for a storyboard's file, which `top`, the file on the
// command line, may name; memory of all comes from `a`. The clip is made for the owners of these
// files, as the kernel says, and for who runs this, unless that is whose store it is; `asker`, of
// whom a spool's worker asks (NULL: it is none), stands in the place of its own files' owner. Who
// is named consents to face and voice, who is in a file that is gone on from to a remix. All that
// is missing is a line of *w; what is kept of the clip is then removed. Where *w has lines already,
// nobody is looked for in files and nothing is removed: who is named is asked for alone. Every rank
// opens it, for the references; `acts`: the one that removes. With lines there is nothing to close.
tk_status tk_lent_open(tk_lent *l, tk_wrong *w, tk_config *c, const char *file, const char *top,
                       const int64_t *asker, const char *output, bool acts, tk_arena *a);
void tk_lent_close(tk_lent *l); // of one that is zero: fine

// One rank: TK_INPUT, and what is kept is gone, where it is lent no longer.
tk_status tk_lent_stands(tk_lent *l);
// One rank: a line in the log of each, and the hook. Before the clip is begun (used) what is lent
// is asked for once more; once it is whole (made), before any of it is there, so that nothing is
// there that was not told; unmade where that came to nothing after all, in vain or not, which
// leaves the status as it was. clip: its output, where that is not to stay where it is made; NULL:
// it is.
tk_status tk_lent_tell(tk_lent *l, tk_cameo_event event, const char *clip);
void tk_lent_tell_unmade(tk_lent *l, const char *clip, tk_status st);
// Once it is there: who was revoked meanwhile is warned of, and what could be gone on from goes.
tk_status tk_lent_look(tk_lent *l);
