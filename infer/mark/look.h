// SPDX-License-Identifier: Apache-2.0
// Finds the mark in pictures. Each one is flattened (what is bright or busy weighs as much as what
// is not), and so is what changed since the one before: of films that were encoded at low quality
// the mark in what was not written anew stands still. Both are transformed once; what the transform
// is at the mark's waves, for each of 86 scales and eight ways in which a picture may have been
// turned and mirrored, is turned back by the drift and summed (window.h). So a picture costs one
// Fourier transform of 4 times its points and 4 x 86 x 264 look-ups, and a window of a minute 2 x
// 86 x 23 inverse transforms of the tile, each of which tries all 4,096 places at once, and eight
// times as many where it is not found upright. Memory is that of a window, 75 MiB for a minute.
#pragma once
#include "core/base/mem.h"
#include "infer/mark/found.h"
#include "infer/mark/lines.h"

typedef struct tk_mark_look tk_mark_look;

// The size at which pictures of so many pixels are looked at: TK_MARK_ROWS on the shorter side.
void tk_mark_look_size(int64_t width, int64_t height, int64_t *wide, int64_t *high);
// It lives in the arena.
tk_status tk_mark_look_open(tk_arena *a, tk_mark_key key, int64_t wide, int64_t high,
                            tk_mark_look **out);
// The next picture (high, wide, 3), TK_MARK_LOOK_FPS a second.
void tk_mark_look_at(tk_mark_look *l, const uint8_t *rgb);
// What the pictures of this window so far would be under a key, which counts from here on: they are
// not looked at again. No message is read.
tk_mark_found tk_mark_look_under(tk_mark_look *l, tk_mark_key key);
// After the last one.
tk_mark_found tk_mark_look_end(tk_mark_look *l);
