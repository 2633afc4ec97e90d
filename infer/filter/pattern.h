// SPDX-License-Identifier: Apache-2.0
// Regular expressions, in ICU's syntax, of bounded cost: one that works too long on a text says so
// instead of going on.
#pragma once
#include "core/base/mem.h"

enum { TK_PATTERN_BYTES = 256 }; // of a pattern at most

typedef struct tk_pattern tk_pattern; // of one thread

// TK_INPUT, with the place, for what is no pattern.
tk_status tk_pattern_open(const char *text, tk_pattern **out);
void tk_pattern_close(tk_pattern *p); // NULL is fine

typedef enum tk_pattern_end {
    TK_PATTERN_FOUND,
    TK_PATTERN_NONE,
    TK_PATTERN_TOO_LONG
} tk_pattern_end;
// The first match at or behind byte `from` of UTF-8 text: bytes [*begin, *end). TK_PATTERN_TOO_LONG
// after some 50 ms, or where it would need more than a mebibyte.
tk_pattern_end tk_pattern_find(tk_pattern *p, const char *text, int bytes, int from, int *begin,
                               int *end);
