// SPDX-License-Identifier: Apache-2.0
#include "core/base/utf8.h"
#include <stdint.h>
#include <string.h>

// Length of the UTF-8 character at s, 0 if it is not one.
static size_t utf8_length(const unsigned char *s, size_t n)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] == 0) return 0;
    if (s[0] < 0x80) return 1;
    size_t k = s[0] >= 0xF8 ? 0 : s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : s[0] >= 0xC0 ? 2 : 0;
    if (k == 0 || k > n) return 0;
    uint32_t c = s[0] & (0x7F >> k);
    for (size_t i = 1; i < k; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3F);
    }
    return c < least[k] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : k;
}

bool tk_utf8_valid(const char *s, size_t n, size_t *at)
{
    size_t i = 0, k = 1;
    while (i < n && (k = utf8_length((const unsigned char *)s + i, n - i)) > 0) i += k;
    if (at) *at = i;
    return i == n;
}

void tk_utf8_clean(char *s, size_t n)
{
    for (size_t at; !tk_utf8_valid(s, n, &at); s += at, n -= at) s[at] = '?';
}

// U+2028 to U+202E and U+2066 to U+2069: ends of lines, and what has others read backwards.
static bool turns_lines(const unsigned char *p)
{
    return p[0] == 0xE2 && ((p[1] == 0x80 && p[2] >= 0xA8 && p[2] <= 0xAE) ||
                            (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9));
}

void tk_utf8_plain(char *s, char instead, const char *keep)
{
    tk_utf8_clean(s, strlen(s));
    for (unsigned char *p = (unsigned char *)s; *p; p++) {
        if ((*p < ' ' || *p == 127) && !strchr(keep, *p)) *p = (unsigned char)instead;
        if (*p == 0xC2 && p[1] < 0xA0) p[0] = p[1] = (unsigned char)instead; // U+0080 to U+009F
        if (turns_lines(p)) memset(p, instead, 3);
    }
}
