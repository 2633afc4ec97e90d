// SPDX-License-Identifier: Apache-2.0
// Solvers of the flow's equation, dx = v dsigma from sigma = 1 to 0.
//
// All ask the model at the same noise levels, once at each: sigma of k = 0 .. n - 1 out of n, from
// 1 - skip on. They differ in how far rows go on what it answers: after answer v_k to rows x, and
// v_k-1 before it,
//
//   x += now * v_k + before * v_k-1
//
//   euler      now = h, the step in sigma; first order
//   midpoint   an even k goes on to the next level by Euler, an odd one makes it a step of two
//   levels,
//              with the velocity found between its ends; an even last one is Euler's
//   multistep  Adams and Bashforth's of two answers: the velocity goes on as it went before
//
// The last two are of second order: half the step, a quarter of the error.
#pragma once
#include "core/config/config.h"

typedef struct tk_walk { // of noise levels, down to none
    int64_t n;           // steps
    double shift;
    double skip; // [0, 1) of it that is left out, at the noisy end
} tk_walk;

// sigma of level k, shifted; k may be n: 0.
double tk_sigma(int64_t k, const tk_walk *w);

typedef struct tk_solver_step {
    double now, before; // factors, >= 0 and <= 0
} tk_solver_step;

tk_solver_step tk_solver_at(tk_solver s, int64_t k, const tk_walk *w);
bool tk_solver_remembers(tk_solver s); // reads the answer before
const char *tk_solver_name(tk_solver s);
