// SPDX-License-Identifier: Apache-2.0
// The clips that a gallery must not show, as its keeper lists them:
//
//     takedown:
//       - clip: urn:c2pa:0d9f...   # label of its manifest, its number in the gallery, or its file
//         claim: 7c0f...             # digits of its manifest's claim: that one is meant, and no
//                                    # other clip of that label, which whoever signs may choose
//         reason: asked for by the person shown
//
// What a report of the page looks like, so that one is pasted below "takedown:".
#pragma once
#include "core/base/mem.h"

typedef struct tk_takedown_entry {
    char *clip, *claim, *reason; // claim: "" = of any
    char *from, *date;           // of a report: what its writer said, which decides nothing
} tk_takedown_entry;

typedef struct tk_takedown {
    tk_takedown_entry *entry;
    int64_t n;
    int64_t *met; // (n) clips that each left out
} tk_takedown;

// Into `a`; path "" gives an empty list. TK_INPUT naming file and line for all that is wrong: a
// list that is not understood leaves nothing out, so nothing is built.
tk_status tk_takedown_load(const char *path, tk_arena *a, tk_takedown *out);
// The first entry that names this of a manifest of this claim, and counts it; NULL: none does.
const tk_takedown_entry *tk_takedown_find(tk_takedown *t, const char *name, const char *claim);
