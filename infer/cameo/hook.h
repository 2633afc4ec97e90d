// SPDX-License-Identifier: Apache-2.0
// The program that is told what is done with a cameo: HOOK EVENT HANDLE UID TIME WHAT, as words, by
// no shell. Internal to infer/cameo.
#pragma once
#include "infer/cameo/history.h"

enum { TK_HOOK_SECONDS = 10 };

// Waits for its end, so long at most. What goes wrong is a warning: the log has the line.
void tk_hook_run(const char *hook, const char *handle, const tk_cameo_line *line);
