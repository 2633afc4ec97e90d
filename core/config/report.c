// SPDX-License-Identifier: Apache-2.0
// Errors of one loading, gathered as lines.
#include "core/base/utf8.h"
#include "core/config/load.h"
#include <stdarg.h>
#include <string.h>

const char *tk_config_shown(const char *text, size_t bytes, char buf[96])
{
    size_t n = bytes < 60 ? bytes : 60;
    while (n < bytes && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    bool valid = tk_utf8_valid(text, n, NULL);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        buf[i] = c < 32 || c == 127 || (c >= 128 && !valid) ? '?' : (char)c;
    }
    strcpy(buf + n, n < bytes ? "..." : "");
    return buf;
}

bool tk_config_full(const tk_loading *l)
{
    return l->n_errors > TK_ERRORS_MAX;
}

static tk_status add_line(tk_loading *l, const char *line)
{
    if (!l->errors.arena) l->errors = tk_text_in(&l->scratch);
    if (l->errors.used) tk_text_add(&l->errors, "\n");
    tk_text_add(&l->errors, line);
    return l->errors.s ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for messages");
}

tk_status tk_config_error(tk_loading *l, tk_place at, const char *name, const char *fmt, ...)
{
    l->n_errors++;
    if (tk_config_full(l))
        return l->n_errors == TK_ERRORS_MAX + 1 ? add_line(l, "and more errors after these")
                                                : TK_OK;
    char text[1024];
    size_t n = 0, room = sizeof text;
    if (!at.file)
        n = (size_t)snprintf(text, room, "command line: ");
    else if (at.line == 0)
        n = (size_t)snprintf(text, room, "%.255s: ", at.file);
    else
        n = (size_t)snprintf(text, room, "%.255s:%d:%d: ", at.file, at.line, at.column);
    if (name) n += (size_t)snprintf(text + n, room - n, "%.160s: ", name);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + n, room - n, fmt, ap);
    va_end(ap);
    return add_line(l, text);
}
