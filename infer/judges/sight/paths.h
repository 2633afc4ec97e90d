// SPDX-License-Identifier: Apache-2.0
// How things move, from where they are seen: falls, bounces, floating, collisions.
//
// A path is in metres, x to the right, y up, a frame after the other; NaN where the thing is not
// seen. Whoever asks turns pixels into metres by the camera that was asked for.
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct tk_path {
    int64_t n;
    double fps;
    const double *x, *y; // (n)
} tk_path;

// Frames at which a fall ends: contacts with what is below, each up to 0.7 frames before or after
// the frame that is told, on average at it. Returns how many, at most `room`.
int tk_path_contacts(const tk_path *p, int room, int64_t *at);
// Acceleration downwards of the longest free flight between contacts, m/s^2; NaN if there is no
// flight long and high enough to tell.
double tk_path_gravity(const tk_path *p);
// Speed after the first contact over speed before, from the heights of both flights; 0 where it
// stays down. NaN if there is no contact, or the rebound's top is not seen.
double tk_path_restitution(const tk_path *p);
// Mean height over the last quarter of a second in which it is seen; NaN if it is never seen.
double tk_path_settles(const tk_path *p);
// Mean climb over the later half of the frames in which it is seen, m/s; NaN of fewer than four.
double tk_path_climbs(const tk_path *p);

// Two things that meet: velocities along x just before the blow and after it, by what is seen of
// both up to five frames to either side; `at` is the first frame in which they are nearer than
// `reach`. False where that cannot be told.
typedef struct tk_collision {
    int64_t at;
    double before[2], after[2]; // m/s
} tk_collision;
bool tk_paths_collide(const tk_path *a, const tk_path *b, double reach, tk_collision *out);
