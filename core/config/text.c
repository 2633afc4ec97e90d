// SPDX-License-Identifier: Apache-2.0
#include "core/config/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

tk_text tk_text_in(tk_arena *a)
{
    return (tk_text){.arena = a, .s = tk_arena_alloc(a, 1024), .room = 1024};
}

void tk_text_add_bytes(tk_text *t, const char *s, size_t n)
{
    if (!t->s) return;
    if (t->used + n + 1 > t->room) {
        const size_t room = 2 * (t->used + n + 1);
        char *grown = tk_arena_alloc(t->arena, room);
        if (grown) memcpy(grown, t->s, t->used);
        t->s = grown;
        t->room = room;
        if (!grown) return;
    }
    memcpy(t->s + t->used, s, n);
    t->used += n;
    t->s[t->used] = 0;
}

void tk_text_add(tk_text *t, const char *s)
{
    tk_text_add_bytes(t, s, strlen(s));
}

void tk_text_addf(tk_text *t, const char *fmt, ...)
{
    char buf[256];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    tk_text_add_bytes(t, buf, n < (int)sizeof buf ? (size_t)n : sizeof buf - 1);
}
