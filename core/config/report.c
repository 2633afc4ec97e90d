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

tk_status tk_config_error(tk_loading *l, tk_place at, const char *name, const char *fmt, ...)
{
    char words[1024], option[161];
    const char *place = tk_place_words(at, l->wrong->arena);
    va_list ap;
    l->n_errors++;
    if (l->n_errors > TK_ERRORS_MAX + 1) return TK_OK;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    snprintf(option, sizeof option, "%s", name ? name : "");
    if (!place) return TK_FAIL(TK_MEMORY, "out of memory for messages");
    if (*option) TK_TRY(tk_wrong_doubt(l->wrong, option));
    return tk_wrong_at(l->wrong, place, option, words);
}
