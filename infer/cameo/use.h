// SPDX-License-Identifier: Apache-2.0
// Using a cameo in a clip: whether everybody named consents, what is told of it, references as
// files that are in memory alone.
//
//     TK_TRY(tk_cameos_ask(store, &ask, arena, cameos));      // before any work, and again between
//     TK_TRY(tk_cameo_reveal(store, &cameos[0], TK_CAMEO_FACE, &fd));               // ... windows
//     TK_TRY(tk_cameos_tell(store, &ask, cameos, TK_CAMEO_USED, clip));
#pragma once
#include "infer/cameo/store.h"

enum {
    TK_CAMEOS = 8,     // in one clip
    TK_INHERITED = 64, // in all that it goes on from
    TK_CAMEO_USERS = 4 // who all must be covered
};

typedef struct tk_cameo_ask {
    int n;
    char *const *names;           // handles, "@ada"; "@ada:face", "@ada:voice" for one of the two
    unsigned also;                // uses beside face and voice: TK_USE_REMIX
    bool inherited;               // they are in a clip that is gone on from: `also` alone is asked
    int64_t user[TK_CAMEO_USERS]; // uids for whom the clip is made
    int users;
    int64_t time;     // seconds since 1970, UTC
    const char *mark; // what the clip's mark says, which is told; NULL: it bears none
} tk_cameo_ask;

typedef struct tk_cameo { // that may be used
    tk_handle who;
    unsigned uses;
    char paper[TK_PAPER_HASH]; // what it stands on: a consent, or the card where all are its owner
    bool vouched;              // a registrar has said whose face and voice it is
    bool gone;                 // told where it may not: it is there no more, it was revoked
} tk_cameo;

// Everybody, for every user, use and now; else TK_INPUT with all that is missing, of all of them.
tk_status tk_cameos_ask(const tk_cameo_store *s, const tk_cameo_ask *x, tk_arena *a, tk_cameo *out);
// A line in the log of each, on disk when this returns; and the hook is told, whose failure is a
// warning. what: the clip's output.
tk_status tk_cameos_tell(const tk_cameo_store *s, const tk_cameo_ask *x, const tk_cameo *cameo,
                         tk_cameo_event event, const char *what);
// A file of memory that nobody writes to, which libraries open as /proc/self/fd/N; the caller
// closes it. TK_INPUT where the person gave none.
tk_status tk_cameo_reveal(const tk_cameo_store *s, const tk_cameo *c, tk_reference_kind kind,
                          int *fd);

// For whom a clip of this file is made: its owner, as the kernel says. TK_INPUT for a file that
// others may have written: a link, one of several names, one that group or others may write to.
tk_status tk_cameo_user_of(const char *path, int64_t *uid);
// The same, and its bytes as they are now in a file of memory, as above: what is looked at is what
// is kept, whatever becomes of the file meanwhile. At most `most`.
tk_status tk_cameo_take(const char *path, int64_t most, int64_t *uid, int *fd);
// "bo (1001)".
enum { TK_USER_WORDS = 80 };
const char *tk_user_say(int64_t uid, char words[TK_USER_WORDS]);
// "2026-11-27 03:07:47 UTC".
enum { TK_TIME_WORDS = 32 };
const char *tk_time_say(int64_t seconds, char words[TK_TIME_WORDS]);
