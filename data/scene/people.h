// SPDX-License-Identifier: Apache-2.0
// People's ways: pieces of standing and walking, and the steps that are heard.
#pragma once
#include "data/scene/scene.h"

#define TK_TURN_SECONDS 0.3 // that a turn takes

// The piece of its way that a person is on at time t.
const tk_step *tk_step_of(const tk_scene *s, int person, double t);
// From t on the person stands (vx 0) or walks as `step` says. False if there is no room.
bool tk_people_set(tk_scene *s, tk_step step);
// Walks so many steps from time t on, then stands; footfalls become events. False if there is no
// room. Seconds it takes: steps * TK_STEP_LENGTH / speed.
bool tk_people_walk(tk_scene *s, int person, double t, int toward, int steps, double speed);
