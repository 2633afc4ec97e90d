// SPDX-License-Identifier: Apache-2.0
#include "infer/story/wrong.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LINES = 50 }; // more help nobody

tk_wrong tk_wrong_of(const tk_config *c, tk_arena *a)
{
    return (tk_wrong){.config = c, .lines = tk_text_in(a)};
}

static const char *nearest_place(const tk_config *c, const char *option)
{
    char name[160];
    const char *place = tk_config_place(c, option);
    snprintf(name, sizeof name, "%s", option);
    for (size_t n = strlen(name); !*place && n-- > 0;) { // its item, its list
        const bool ends = name[n] == '.' || name[n] == '[';
        if (ends) name[n] = 0;
        if (ends) place = tk_config_place(c, name);
    }
    return place;
}

void tk_wrong_add(tk_wrong *w, const char *option, const char *fmt, ...)
{
    const char *place = nearest_place(w->config, option);
    char words[1024];
    va_list ap;
    if (++w->n > MOST_LINES) {
        if (w->n == MOST_LINES + 1) tk_text_add(&w->lines, "\nand more errors after these");
        return;
    }
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    const char *const part[] = {
        w->n > 1 ? "\n" : "", place, *place ? ": " : "", option, ": ", words};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) tk_text_add(&w->lines, part[i]);
}

tk_status tk_wrong_end(const tk_wrong *w)
{
    if (!w->lines.s) return TK_FAIL(TK_MEMORY, "out of memory for messages");
    return w->n ? TK_FAIL(TK_INPUT, "%s", w->lines.s) : TK_OK;
}
