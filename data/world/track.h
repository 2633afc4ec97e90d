// SPDX-License-Identifier: Apache-2.0
// Where things, heads and mouths are in each frame of the clips.
#pragma once
#include "core/base/mem.h"
#include "data/scene/scene.h"
#include <hdf5.h>

typedef struct tk_tracks {
    int64_t frames;
    double *place; // (things, frames, 3): x, y in metres, angle in radians; NaN while not there
    double *pixel; // (things, frames, 2): of its centre
    double *head;  // (people, frames, 4): left, top, right, bottom, pixels
    double *mouth; // (people, frames, 4): the same of the mouth, as far as it is open
    double *open;  // (people, frames): 0 shut .. 1 as wide as in "father"
    double *feet;  // (people, frames): x, metres
} tk_tracks;

// All in `a`.
tk_status tk_tracks_new(int64_t things, int64_t people, int64_t frames, tk_arena *a,
                        tk_tracks *out);
// Thing or person i of a scene as row `row`.
void tk_track_thing(tk_tracks *t, const tk_scene *s, const tk_media_config *m, int i, int64_t row);
tk_status tk_track_person(tk_tracks *t, const tk_scene *s, const tk_media_config *m,
                          tk_speech *speech, int i, int64_t row);
// Into the groups things and people of `group`.
tk_status tk_tracks_write(const tk_tracks *t, hid_t group, int64_t things, int64_t people);
