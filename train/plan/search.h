// SPDX-License-Identifier: Apache-2.0
// The layouts of a number of GPUs, ranked by the planned time of a step.
#pragma once
#include "train/plan/layout.h"

enum { TK_SEARCH_BEST = 10 };

typedef struct tk_candidate {
    int64_t number; // in the order of trying, which decides between equals
    tk_parallel_config parallel;
    int64_t microbatch;
    bool whole;                     // gone through whole
    double seconds, mfu, idle;      // of a step; 0 where weights alone do not fit
    int64_t total;                  // bytes of the fullest GPU
    int64_t held[TK_POOL_PURPOSES]; // ... who holds them; context and pieces between come to it
    int64_t spare;                  // bytes it has left; < 0: what it lacks
} tk_candidate;

typedef struct tk_search {
    tk_candidate *candidate; // (n) those that fit by time, then the others by time,
    int64_t n, fit;          // ... then those whose weights alone do not fit, by what they lack
} tk_search;

// Tensor ranks within a node; pipelines with at least a block a run; at least a clip a data rank;
// every schedule; microbatches of 1, 2 and 4 clips. Of each layout the first two stages and the
// last are gone through, with as many microbatches as they ever hold. There is a machine; `out`
// lies in the arena.
// TK_INPUT where there is none, from the config and the machine alone.
tk_status tk_search_ask(const tk_plan_of *of, int gpus, tk_arena *a);
tk_status tk_search_make(const tk_plan_of *of, int gpus, tk_arena *a, tk_search *out);
