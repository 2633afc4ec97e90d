// SPDX-License-Identifier: Apache-2.0
// Replays a schedule without ranks: is it one, how long does it take, how much does it hold.
#pragma once
#include "parallel/schedule.h"

typedef struct tk_replay {
    double makespan;
    double bubble; // part of stages * makespan in which a stage does nothing
    int64_t *most; // (stages) runs alive at a time; lies in the schedule's arena
} tk_replay;

// TK_INTERNAL, naming stage and action, unless
//   every forward and every backward (whole, or both halves) is there exactly once,
//   what an action waits for comes to pass before it, whatever the stages do in the meantime,
//   no stage ever holds more than its `most`,
//   and its messages (parallel/messages.h) can be made, and be run on queues in order.
// cost: (stages, TK_ACT_KINDS) durations; NULL: 1 each, a whole backward 2. message: of what goes
// from one stage to another, beside the work of both.
tk_status tk_schedule_replay(tk_schedule *s, const double *cost, double message, tk_replay *out);
