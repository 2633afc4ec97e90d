// SPDX-License-Identifier: Apache-2.0
// Wishes: how the owner of a cameo revokes it who can reach neither the store nor its keys. The
// owner signs a paper by a key of its own (Ed25519), which the store was told of while it was
// enrolled, and drops it, or has it dropped by anybody, in the store's folder of wishes:
//
//     talkie wish: 1
//     handle: ada
//     wish: revoke
//     at: 1764200000
//     until: 1766792000
//     once: c0ffee...             a random number: no two wishes are the same
//     signature: ...
//
// Whoever next works with the store takes it up: workers between windows and while they wait,
// `talkie sample`, `talkie cameo`. What is forged, expired, of an earlier enrolment or no wish at
// all is refused, warned of and removed; one that is not whole yet is left for an hour, and one of
// a cameo whose log does not hold, by which nobody can tell, until that does.
#pragma once
#include "infer/cameo/store.h"

// Seconds by which the owner's clock may be ahead; for which a wish counts unless it says so; for
// which half of one is left.
enum { TK_WISH_AHEAD = 300, TK_WISH_SECONDS = 30 * 24 * 3600, TK_WISH_WHOLE = 3600 };
enum { TK_WISHES = 10000 }; // that are looked at, at once

typedef struct tk_wish {
    tk_handle who;
    int64_t at,
        until;        // seconds since 1970, UTC; until: the first second in which it counts no more
    const char *text; // as it is signed
    char hash[TK_PAPER_HASH];
} tk_wish;

// That this cameo be revoked; signed, in `a`.
tk_status tk_wish_sign(const tk_handle *who, int64_t at, int64_t until, const tk_seal_pair *by,
                       tk_arena *a, char **out);
// What it says; whether it is signed, and by whom, is not looked at. False: it is no wish.
bool tk_wish_read(const char *text, tk_wish *out);

// Whether it was signed by the key of the owner of this cameo, of this enrolment, and counts now;
// TK_INPUT, saying why, where not.
tk_status tk_wish_counts(const tk_wish *w, const tk_lender *p);
