// SPDX-License-Identifier: Apache-2.0
// Facts about a media file: see data/media/facts.h.
#include "data/media/facts.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void tk_facts_note(tk_facts *f, tk_fact fact, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(f->of[fact].detail, sizeof f->of[fact].detail, fmt, args);
    va_end(args);
    f->of[fact].is = true;
}

void tk_facts_words(const tk_facts *f, char *to, size_t n)
{
    static const char *const words[] = {
#define X(fact, words) words,
        TK_FACT_MAP(X)
#undef X
    };
    to[0] = 0;
    for (int i = 0; i < TK_FACT_COUNT; i++) {
        const char *detail = strstr(words[i], "%s");
        const int before = detail ? (int)(detail - words[i]) : (int)strlen(words[i]);
        const size_t used = strlen(to);
        if (!f->of[i].is) continue;
        snprintf(to + used, n - used, "%s%.*s%s%s", used ? ", " : "", before, words[i],
                 f->of[i].detail, detail ? detail + 2 : "");
    }
}
