// SPDX-License-Identifier: Apache-2.0
// How things move: exact, arc by arc. Between arcs every motion is a closed form
// (tk_scene_thing_at); the times at which one law follows another are roots of those forms, to
// rounding, and are where contacts are.
//
// Laws: flight under gravity; rolling without slipping down the ramp (5/7 g sin); on a floor,
// sliding under friction until it rolls (balls) or stops (crates), rolling under rolling friction
// until it rests; in water, a heavy thing goes to its sinking speed and a light one swings about
// where it floats by Archimedes; a balloon goes to its rising speed. Two things on a floor collide
// along the line between them: momentum is kept, and the speed at which they part is the mean of
// their restitutions times that at which they met.
#pragma once
#include "data/scene/scene.h"

// A thing's looks and nature, from its kind, whether it is heavy, and three numbers in [0, 1).
tk_thing tk_thing_of(tk_kind kind, int colour, bool heavy, const double u[3]);
// Its angular frequency, level and damping when it floats; its rate and final speed when it sinks
// or rises.
tk_arc tk_thing_in_water(const tk_thing *o, tk_arc at);
tk_arc tk_thing_rising(const tk_thing *o, tk_arc at);
// Its arc on a floor from a.t on, by a.x, a.vx, a.spin and a.angle.
tk_arc tk_thing_on_floor(const tk_thing *o, tk_arc at);
// ... and down the scene's ramp from its upper end on, let go at time t.
tk_arc tk_thing_on_ramp(const tk_scene *s, int thing, double t);

typedef struct tk_motion { // an arc at some time
    double x, y, vx, vy, angle, spin;
} tk_motion;
tk_motion tk_arc_at(const tk_arc *a, double t); // not of things that are carried
// The arc that thing `thing` is on at time t.
const tk_arc *tk_arc_of(const tk_scene *s, int thing, double t);

// How far apart the centres of two things on a floor are when they touch.
double tk_touch(const tk_thing *a, const tk_thing *b);

// From a.t on thing a.thing moves as `a` says (a.law, and where it is); what was known of all
// things' motion after a.t is forgotten and worked out anew until `end`. False if it cannot be: the
// thing comes to the water's edge, two things meet in the air, or there is no room for more arcs.
bool tk_physics_set(tk_scene *s, tk_arc a, double end);
