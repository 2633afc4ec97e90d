// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdbool.h>
#include <stddef.h>

// Whether n bytes are UTF-8 without NUL; *at (may be NULL) = where they are not, n if they are.
bool tk_utf8_valid(const char *s, size_t n, size_t *at);
// Each of n bytes that is no part of UTF-8 without NUL becomes '?'.
void tk_utf8_clean(char *s, size_t n);
// What others wrote, as a terminal may show it: whatever steers one (controls, of one byte or of
// two, and of three that end lines or turn them round) becomes `instead`, but for those of `keep`;
// bytes that are no UTF-8 become '?'.
void tk_utf8_plain(char *s, char instead, const char *keep);
