// SPDX-License-Identifier: Apache-2.0
#include "infer/filter/pattern.h"
#include <string.h>
#include <unicode/uregex.h>
#include <unicode/ustring.h>
#include <unicode/utext.h>

enum { STEPS = 200, STACK = 1 << 20 }; // steps: of ten thousand of ICU's machine each; bytes

struct tk_pattern {
    URegularExpression *re;
};

// Counts of more are refused: ICU writes such loops out, one in the other.
static tk_status check_repeats(const char *text)
{
    for (const char *p = text; (p = strpbrk(p, "{")); p++) {
        long most = 0, n = 0;
        for (const char *q = p + 1; *q && *q != '}'; q++) {
            n = *q >= '0' && *q <= '9' && n < 100000 ? 10 * n + *q - '0' : 0;
            if (n > most) most = n;
        }
        if (most > 100)
            return TK_FAIL(TK_INPUT, "asks for %ld of something; the most is 100", most);
    }
    return TK_OK;
}

tk_status tk_pattern_open(const char *text, tk_pattern **out)
{
    UChar wide[TK_PATTERN_BYTES + 1];
    int32_t n = 0;
    UErrorCode e = U_ZERO_ERROR;
    UParseError at = {0};
    tk_pattern *p;
    *out = NULL;
    const size_t bytes = strlen(text);
    if (bytes == 0 || bytes > TK_PATTERN_BYTES)
        return TK_FAIL(TK_INPUT, "has %zu bytes; a pattern has 1 to %d", bytes, TK_PATTERN_BYTES);
    TK_TRY(check_repeats(text));
    u_strFromUTF8(wide, TK_PATTERN_BYTES + 1, &n, text, (int32_t)bytes, &e);
    if (U_FAILURE(e)) return TK_FAIL(TK_INPUT, "is no UTF-8");
    TK_NEW(p, 1);
    p->re = uregex_open(wide, n, UREGEX_CASE_INSENSITIVE, &at, &e);
    uregex_setTimeLimit(p->re, STEPS, &e);
    uregex_setStackLimit(p->re, STACK, &e);
    if (U_FAILURE(e)) {
        tk_pattern_close(p);
        return TK_FAIL(TK_INPUT, "is no pattern: %s at character %d", u_errorName(e), at.offset);
    }
    *out = p;
    return TK_OK;
}

void tk_pattern_close(tk_pattern *p)
{
    if (p && p->re) uregex_close(p->re);
    tk_free(p);
}

tk_pattern_end tk_pattern_find(tk_pattern *p, const char *text, int bytes, int from, int *begin,
                               int *end)
{
    UErrorCode e = U_ZERO_ERROR;
    UText *t = utext_openUTF8(NULL, text, bytes, &e);
    uregex_setUText(p->re, t, &e);
    const bool found = uregex_find64(p->re, from, &e);
    *begin = found ? (int)uregex_start64(p->re, 0, &e) : 0;
    *end = found ? (int)uregex_end64(p->re, 0, &e) : 0;
    if (t) utext_close(t);
    if (U_FAILURE(e)) return TK_PATTERN_TOO_LONG;
    return found ? TK_PATTERN_FOUND : TK_PATTERN_NONE;
}
