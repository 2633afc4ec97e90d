// SPDX-License-Identifier: Apache-2.0
// Who is in a film or a sound by its mark, whatever was taken away of it, where the key of marks
// and the store of cameos are at hand.
#pragma once
#include "infer/cameo/store.h"

typedef struct tk_stripped {
    bool knows;           // the key is there
    bool is_film;         // it has pictures that move, or sound alone: a still bears no mark
    bool bears;           // a mark of this key
    const char *says;     // its digits; NULL: they cannot be read
    const tk_handle *who; // (n) where there is a store
    int n;
} tk_stripped;

// Looks at the first `seconds` of it. What is no media bears none. TK_INPUT where what is media
// cannot be looked at, and for a key or a store that is none.
tk_status tk_stripped_look(const tk_config *c, const char *file, double seconds, tk_arena *a,
                           tk_stripped *out);
