// SPDX-License-Identifier: Apache-2.0
// Replays a schedule without ranks: is it one, how long does it take, how much does it hold.
#pragma once
#include "parallel/schedule.h"

typedef struct tk_replay {
    double makespan;
    double bubble; // part of stages * makespan in which a stage does nothing
    int64_t *most; // (stages) runs alive at a time; lies in the schedule's arena
} tk_replay;

typedef struct tk_replay_costs {
    const double *action; // (stages, TK_ACT_KINDS) seconds; NULL: 1 each, a whole backward 2
    double message;       // of what goes from one stage to another
    bool alone;           // a stage does nothing while its messages move, nor until they can;
} tk_replay_costs;        // ... else they move beside the work of both

// TK_INTERNAL, naming stage and action, unless
//   every forward and every backward (whole, or both halves) is there exactly once,
//   what an action waits for comes to pass before it, whatever the stages do in the meantime,
//   no stage ever holds more than its `most`,
//   and its messages (parallel/messages.h) can be made, and be run on queues in order.
tk_status tk_schedule_replay(tk_schedule *s, const tk_replay_costs *costs, tk_replay *out);
