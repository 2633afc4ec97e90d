// SPDX-License-Identifier: Apache-2.0
// Handles: what people who lend their likeness are called, "@ada". A handle is a name of a folder
// as well, so nothing is taken that could be another path.
#pragma once
#include "core/base/mem.h"

enum { TK_HANDLE = 32 }; // bytes, at most

typedef struct tk_handle {
    char name[TK_HANDLE + 1]; // without the @
} tk_handle;

// "@ada" or "ada": 1 to 32 of a-z, 0-9 and _. TK_INPUT for anything else, and for "server", whose
// key is the server's (KEYS/server.key).
tk_status tk_handle_read(const char *word, tk_handle *out);
