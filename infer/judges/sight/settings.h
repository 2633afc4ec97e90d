// SPDX-License-Identifier: Apache-2.0
// How and where a shot is filmed: its style, the set with the side that it is seen from, and the
// camera's size, from its pictures alone. Learned from shots with labels; what labels mean is up to
// whoever gives them.
//
//     tk_setting_look(&shot, x);                     // for each example
//     tk_settings_learn(n, x, label, of, arena, &j);
//     tk_setting_look(&shot, x);                     // for what is to be judged
//     tk_settings_find(&j, x, &found);
#pragma once
#include "infer/judges/classes.h"

typedef struct tk_setting {
    int style, set, side, size; // each from 0
} tk_setting;

enum { TK_SETTING_MANNERS = 18, TK_SETTING_LAYOUT = 12 * 8 * 3 + 16 + 64 };
typedef struct tk_setting_look {       // features: the means over a shot's frames
    double manner[TK_SETTING_MANNERS]; // of a style: chroma, edges, flatness, grain, dark lines
    double layout[TK_SETTING_LAYOUT];  // colours by place, edges by height, shares of colours
} tk_setting_look;
// Of all frames of a shot (frames, height, width, 3), at most 6 of them, evenly chosen; frames >
// 0.
tk_status tk_setting_look_at(const uint8_t *rgb, int64_t frames, int64_t height, int64_t width,
                             tk_setting_look *out);

typedef struct tk_settings {
    tk_setting counts;  // of labels
    tk_classes style;   // style and set together, as manners differ with sets
    tk_classes *layout; // of each style: set, side and size together
} tk_settings;
// From n shots, each label below `counts`.
tk_status tk_settings_learn(int64_t n, const tk_setting_look *look, const tk_setting *label,
                            tk_setting counts, tk_arena *a, tk_settings *out);
// The likeliest of each, -1 where nothing was learned.
tk_status tk_settings_find(const tk_settings *s, const tk_setting_look *look, tk_setting *out);
