// SPDX-License-Identifier: Apache-2.0
// A string that grows in an arena. Once memory runs out, s is NULL and
// stays so, whatever is added.
#pragma once
#include "core/base/mem.h"

typedef struct tk_text {
    tk_arena *arena;
    char *s; // ends with a NUL
    size_t used, room;
} tk_text;

tk_text tk_text_in(tk_arena *a); // ""
void tk_text_add(tk_text *t, const char *s);
void tk_text_add_bytes(tk_text *t, const char *s, size_t n);
// At most 255 bytes.
void tk_text_addf(tk_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
