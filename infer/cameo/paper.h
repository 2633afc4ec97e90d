// SPDX-License-Identifier: Apache-2.0
// Signed papers: text of lines "key: value" in one order, and a last one, "signature: ...", over
// all bytes before it. A paper is known by its hash, the signature included. Internal to
// infer/cameo.
#pragma once
#include "infer/cameo/seal.h"

enum { TK_PAPER_BYTES = 8192, TK_PAPER_VALUE = 2048 };
enum { TK_PAPER_HASH = 2 * TK_SEAL_HASH + 1 }; // hexadecimal digits, and a NUL

// `text` with its signature, in `a`.
tk_status tk_paper_sign(const char *text, const tk_seal_pair *by, tk_arena *a, char **out);
// Whether it is signed by whom this key belongs to, and nothing follows.
bool tk_paper_holds(const char *text, const unsigned char by[TK_SEAL_PUBLIC]);
void tk_paper_hash(const char *text, size_t bytes, char hash[TK_PAPER_HASH]);

// The value of the next line, which must be key's; *at goes on to the one after it.
bool tk_paper_next(const char **at, const char *key, char value[TK_PAPER_VALUE]);
// The same for a whole number of at least 0.
bool tk_paper_number(const char **at, const char *key, int64_t *value);
