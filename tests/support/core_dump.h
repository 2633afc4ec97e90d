// SPDX-License-Identifier: Apache-2.0
// What a core dump of this process would have, by what the kernel says of its memory: how often
// some bytes lie there. They are given masked, so that what is looked for is not what is found.
#pragma once
#include "tests/support/test.h"
#include <stdio.h>
#include <unistd.h>

enum { CORE_MASK = 0x55 };

static inline void core_mask(uint8_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] ^= CORE_MASK;
}

__attribute__((no_sanitize("address"))) static inline int
core_count_from(const uint8_t *at, const uint8_t *end, const uint8_t *masked, size_t n)
{
    int found = 0;
    for (; at + n <= end; at++) {
        size_t k = 0;
        while (k < n && (at[k] ^ CORE_MASK) == masked[k]) k++;
        found += k == n;
    }
    return found;
}

// kept: in memory that no core dump has ("dd" of VmFlags), instead.
static inline int core_count(const uint8_t *masked, size_t n, bool kept)
{
    char line[1024], rights[5] = "";
    uintptr_t at = 0, end = 0, from, to;
    int found = 0, maps = 0;
    FILE *smaps = fopen("/proc/self/smaps", "r");
    assert_non_null(smaps);
    while (fgets(line, sizeof line, smaps)) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) == 3) at = from, end = to;
        if (strncmp(line, "VmFlags:", 8) || rights[0] != 'r' || rights[1] != 'w') continue;
        maps++;
        if (!!strstr(line, " dd") != kept) continue;
        if (end - at > (uintptr_t)1 << 32) continue; // a sanitizer's own
        found += core_count_from((const uint8_t *)at, (const uint8_t *)end, masked, n);
    }
    fclose(smaps);
    assert_true(maps > 0);
    return found;
}
