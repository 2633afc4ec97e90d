// SPDX-License-Identifier: Apache-2.0
// Things in a picture: balls, crates and balloons of the colours red, yellow, green, cyan, blue and
// pink. Patches of one hue are proposed, and classes learned from labelled examples say what each
// is (clothes, lamps and the sea are none of them). In pictures without colours nothing is
// proposed.
#pragma once
#include "core/base/mem.h"
#include "infer/judges/classes.h"
#include <stdbool.h>

enum {
    TK_HUES = 6,
    TK_THING_MEASURES = 26,
    TK_THING_FEATURES = TK_THING_MEASURES * (TK_THING_MEASURES + 3) / 2, // and their products
    TK_SIGHTINGS = 256
};
extern const char *const tk_hue_name[TK_HUES];

typedef struct tk_sighting { // a patch of one hue
    int hue;
    double x, y, radius;               // pixels: its middle, and of a disk as large
    double feature[TK_THING_FEATURES]; // what it is like
} tk_sighting;
// Patches of a picture, at most TK_SIGHTINGS, several of one thing among them; how many into *n.
// Memory from `a`.
tk_status tk_sightings_of(const uint8_t *rgb, int64_t height, int64_t width, tk_arena *a,
                          tk_sighting *out, int *n);

// What patches are: class 0 none, then the kinds the examples had.
typedef struct tk_thing_examples { // zeroed: none yet
    int64_t n, room;
    double *feature; // (n, TK_THING_FEATURES)
    int *label;      // (n)
} tk_thing_examples;
tk_status tk_thing_examples_add(tk_thing_examples *e, const tk_sighting *s, int label);
tk_status tk_thing_examples_join(tk_thing_examples *to, const tk_thing_examples *e);
void tk_thing_examples_free(tk_thing_examples *e);

// Where a thing is seen over the frames of a shot.
typedef struct tk_thing_track {
    int hue, kind;          // kind: a class, 1 and up
    int64_t frames, seen;   // of the shot; in which it is seen as what it is
    double *x, *y, *radius; // (frames) pixels; NaN where it is not seen; where it is taken for
                            // another kind it is seen as well
} tk_thing_track;
// All tracks of a shot in which a thing of one hue and kind is seen in at least `least` of the
// frames, the longest first. *out (TK_HUES x classes at most) lives in `a`.
tk_status tk_thing_tracks(const tk_classes *classes, const uint8_t *rgb, int64_t frames,
                          int64_t height, int64_t width, double least, tk_arena *a,
                          tk_thing_track **out, int *n);
