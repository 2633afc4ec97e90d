// SPDX-License-Identifier: Apache-2.0
// The plan of a whole layout: of its ranks those that tell what all need, and the time of a step.
#pragma once
#include "train/plan/plan.h"

typedef struct tk_layout_plan {
    int ranks, n;  // of the layout; planned
    tk_plan *plan; // (n) in the order of ranks
    int fullest;   // of them, the one that needs the most memory of its device
    int sender;    // ... that has the most to register for what it sends: all get as much
    int slowest;   // ... whose forwards and backwards take longest
    double flops;  // of a step, all ranks
    int64_t rows;  // of a step
    // With a machine:
    double seconds;  // of a step
    double pipeline; // ... of its forwards and backwards, messages and waits included
    double messages; // ... of these, what it would not take if messages of stages took none
    double idle;     // part of that in which stages stand idle
    double mfu;      // FLOPs over those of all ranks' peak rate in that time; 0: no peak is told
    int64_t spare;   // bytes that the fullest rank's device has left; < 0: it lacks
} tk_layout_plan;

// Degrees left open are 1: there is no world to fill. TK_INPUT for more ranks than are looked at.
tk_status tk_layout_fill(tk_parallel_config *p, int *ranks);
// All ranks of small layouts, of large ones those that need most and least. `out` lies in the
// arena.
tk_status tk_layout_make(const tk_plan_of *of, int ranks, tk_arena *a, tk_layout_plan *out);
// Seconds of a step in which the slowest rank computes nothing for messages of an axis, or
// (TK_AXES) of the world.
double tk_layout_exposed(const tk_layout_plan *l, int group);
