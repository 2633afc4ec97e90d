// SPDX-License-Identifier: Apache-2.0
// Private keys and other secrets: read from files that are their user's alone, and kept in pages of
// their own, which no core dump has and which are overwritten before they are given back.
//
//     tk_secret key;
//     TK_TRY(tk_secret_read("consent.sign", path, 4096, &key));  // before any work
//     ... key.x, key.bytes ...
//     tk_secret_forget(&key);
//
// What is computed from a secret elsewhere (another library's copies, registers) is not looked
// after here, and stacks only where tk_secret_forget_stack is called; docs/keys.md says what holds.
#pragma once
#include "core/base/mem.h"

typedef struct tk_secret {
    char *x;             // whole pages; ended by a NUL that `bytes` does not count
    size_t bytes, pages; // pages: bytes of those
    void *block;         // that they lie in
} tk_secret;

// Zeroed. TK_MEMORY: there is nothing to forget.
tk_status tk_secret_new(size_t bytes, tk_secret *out);
void tk_secret_forget(tk_secret *s); // of one that is zero: fine
// What a library left of a secret on this thread's stack, below the caller, when it returned: the
// next 64 KiB of it are overwritten.
void tk_secret_forget_stack(void);

// A regular file of at most `most` bytes. TK_INPUT, naming `option` (what asks for it), with the
// file's mode and the command that mends it, unless it is who runs this who owns it (root's is
// anybody's, and root may read everybody's) and neither group nor others may read or write it (but
// for a group that root, who owns it, lets read it: else nobody but root could).
tk_status tk_secret_read(const char *option, const char *path, int64_t most, tk_secret *out);
// The same of a file that is open for reading. fd stays open.
tk_status tk_secret_take(int fd, const char *option, const char *path, int64_t most,
                         tk_secret *out);
