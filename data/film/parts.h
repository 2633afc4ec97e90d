// SPDX-License-Identifier: Apache-2.0
// What a frame is put together from. Internal to data/film.
#pragma once
#include "data/film/film.h"
#include "data/film/paint.h"

// A moment of a scene, seen by the canvas it is painted on.
typedef struct tk_moment {
    const tk_scene *scene;
    double t;
    bool reverse; // the set's other wall is behind
} tk_moment;

// Sets (data/film/indoors.c, outdoors.c): what stands still; what moves behind people and things
// (waves); what lies before them (water that things are in).
#define TK_WALL_FOOT 0.25 // metres: behind the plane, floors end at this height of the picture
void tk_room_paint(tk_canvas *c, const tk_moment *m);
void tk_workshop_paint(tk_canvas *c, const tk_moment *m);
void tk_street_paint(tk_canvas *c, const tk_moment *m);
void tk_beach_paint(tk_canvas *c, const tk_moment *m);
void tk_beach_paint_sea(tk_canvas *c, const tk_moment *m);
void tk_water_paint(tk_canvas *c, const tk_moment *m);
double tk_water_level(double x, double t); // metres above 0, of small waves

// Things and the ramp (data/film/things.c).
void tk_ramp_paint(tk_canvas *c, const tk_moment *m);
void tk_thing_paint(tk_canvas *c, const tk_moment *m, int thing);
// A shadow on the ground of what is so wide and so far above it; into the mask.
void tk_ground_shadow(tk_canvas *c, const tk_scene *s, double x, double half_width, double above);
void tk_thing_shadow(tk_canvas *c, const tk_moment *m, int thing); // on the ground, into the mask
void tk_splash_paint(tk_canvas *c, const tk_moment *m);

// The finished frame as bytes, rgb: (height, width, 3). Grain is that of the frame's number
// (data/film/develop.c).
void tk_film_develop(const tk_canvas *c, uint64_t seed, int64_t index, int64_t frame, uint8_t *rgb);
