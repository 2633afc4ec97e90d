// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/paper.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char last_line[] = "\nsignature: ";

tk_status tk_paper_sign(const char *text, const tk_seal_pair *by, tk_arena *a, char **out)
{
    unsigned char signature[TK_SEAL_SIGNATURE];
    char hex[TK_SEAL_HEX];
    tk_seal_sign(by, text, strlen(text), signature);
    tk_seal_hex(signature, sizeof signature, hex);
    *out = tk_arena_printf(a, "%s%s%s\n", text, last_line + 1, hex);
    return *out ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a paper");
}

bool tk_paper_holds(const char *text, const unsigned char by[TK_SEAL_PUBLIC])
{
    unsigned char signature[TK_SEAL_SIGNATURE];
    const char *line = strstr(text, last_line);
    if (!line) return false;
    const char *hex = line + strlen(last_line);
    const size_t digits = strcspn(hex, "\n");
    return strcmp(hex + digits, "\n") == 0 &&
           tk_seal_unhex(hex, digits, signature, sizeof signature) &&
           tk_seal_signed(by, text, (size_t)(line + 1 - text), signature);
}

void tk_paper_hash(const char *text, size_t bytes, char hash[TK_PAPER_HASH])
{
    unsigned char x[TK_SEAL_HASH];
    tk_seal_hash(text, bytes, x);
    tk_seal_hex(x, sizeof x, hash);
}

bool tk_paper_next(const char **at, const char *key, char value[TK_PAPER_VALUE])
{
    const size_t name = strlen(key), line = strcspn(*at, "\n");
    if (strncmp(*at, key, name) || strncmp(*at + name, ": ", 2) || (*at)[line] != '\n')
        return false;
    const size_t n = line - name - 2;
    if (line < name + 2 || n >= TK_PAPER_VALUE) return false;
    memcpy(value, *at + name + 2, n);
    value[n] = 0;
    *at += line + 1;
    return true;
}

bool tk_paper_number(const char **at, const char *key, int64_t *value)
{
    char text[TK_PAPER_VALUE], *end;
    if (!tk_paper_next(at, key, text) || strspn(text, "0123456789") == 0) return false;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return !*end && errno == 0;
}
