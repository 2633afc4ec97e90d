// SPDX-License-Identifier: Apache-2.0
// Digests by which files are known again: XXH3, which finds damage and no forgery.
#pragma once
#include "core/base/status.h"
#include <stdint.h>

enum { TK_HEX_DIGEST = 17 }; // bytes of one in words, with its NUL

// Of all bytes of a regular file; *bytes (may be NULL) is how many. TK_INPUT for one that cannot be
// read.
tk_status tk_file_digest(const char *path, uint64_t *out, int64_t *bytes);
// Two digits a byte, and a NUL; returns `out`.
const char *tk_bytes_hex(const uint8_t *x, size_t bytes, char *out);
// Sixteen digits; returns `out`.
const char *tk_digest_hex(uint64_t x, char out[TK_HEX_DIGEST]);
