// SPDX-License-Identifier: Apache-2.0
// What is wrong with a storyboard and was found after its options were read: gathered, a line
// each with the place where the option was given, so that one message tells all of it.
#pragma once
#include "core/config/config.h"
#include "core/config/text.h"

typedef struct tk_wrong {
    const tk_config *config; // the storyboard's
    tk_text lines;
    int n;
} tk_wrong;

tk_wrong tk_wrong_of(const tk_config *c, tk_arena *a);
// "file:line:column: option: words". An option that was not given itself, as "keyframes[1].at", has
// the place of its item, or of the list.
void tk_wrong_add(tk_wrong *w, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// TK_INPUT with all lines, if there are any.
tk_status tk_wrong_end(const tk_wrong *w);
