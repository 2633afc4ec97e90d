// SPDX-License-Identifier: Apache-2.0
// Finds the mark in sound, at speeds within 6%, whether pitch went along or not. A hop costs one
// Fourier transform of 640 samples; a window of a minute 2 x 61 speeds x 320 places x 1,024 cells.
// Memory is that of a window: 3 MiB.
#pragma once
#include "core/base/mem.h"
#include "infer/mark/chips.h"
#include "infer/mark/found.h"

enum { TK_MARK_LISTEN_RATE = 16000, TK_MARK_LISTEN_HOP = 320 };

typedef struct tk_mark_listen tk_mark_listen;

// It lives in the arena.
tk_status tk_mark_listen_open(tk_arena *a, tk_mark_key key, tk_mark_listen **out);
// The next TK_MARK_LISTEN_HOP samples, one channel, TK_MARK_LISTEN_RATE a second.
void tk_mark_listen_to(tk_mark_listen *l, const float *pcm);
// What this window so far would be under a key, which counts from here on. No message is read.
tk_mark_found tk_mark_listen_under(tk_mark_listen *l, tk_mark_key key);
// After the last ones.
tk_mark_found tk_mark_listen_end(tk_mark_listen *l);
