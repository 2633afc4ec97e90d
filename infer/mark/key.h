// SPDX-License-Identifier: Apache-2.0
// The key under which clips are marked: a file of 16 to 4096 bytes that nobody can guess. All of a
// mark that is secret is drawn from it. It is as strong as 64 bits and a hash that is not
// cryptographic: who has the key can write and wipe marks.
#pragma once
#include "core/base/status.h"
#include <stdint.h>

typedef struct tk_mark_key {
    uint64_t picture, sound; // seeds of what is drawn
} tk_mark_key;

// TK_INPUT for no regular file, one that cannot be read or that others may read (tk_secret_read),
// is too short or long, or plainly no key.
tk_status tk_mark_key_read(const char *path, tk_mark_key *out);
