// SPDX-License-Identifier: Apache-2.0
// Pipeline schedules as data: per stage a list of what it does, one after another. Made without
// ranks, checked by parallel/replay.h, run by parallel/pipeline.h.
//
// A stage holds `chunks` runs of blocks. The model in the order of its blocks is run g = 0 ..
// stages * chunks - 1; run g is chunk g / stages of stage g % stages.
//
//   1f1b         p - s - 1 forwards of stage s ahead, then forward and backward in turn (Narayanan
//   et
//                al., 2021). One chunk. Idle: (p - 1) / (m + p - 1) of the time.
//   interleaved  the same over chunks: rounds of p microbatches through chunk 0, then chunk 1 ...
//                (same paper). Idle: (p - 1) / (m v + p - 1); alive: up to 2 (p - s - 1) + (v - 1)
//                p
//                + 1 runs.
//   zb-h1        1f1b with backward split: what the stage before waits for first, weights when
//                there is nothing else to do (Qi et al., 2023). Stage s puts s of them off, so all
//                stages hold p microbatches. Idle: a third of 1f1b's.
//   forward      forwards in order, over chunks as interleaved; nothing else.
//
// A schedule for m microbatches that p does not divide is that of the next multiple without the
// microbatches that are not there.
#pragma once
#include "core/base/mem.h"
#include "core/config/config.h"

typedef enum tk_action_kind {
    TK_ACT_FORWARD,
    TK_ACT_BACKWARD, // of inputs and weights
    TK_ACT_INPUTS,   // the two halves
    TK_ACT_WEIGHTS,
    TK_ACT_KINDS
} tk_action_kind;

typedef struct tk_action {
    tk_action_kind kind;
    int chunk;
    int64_t micro;
} tk_action;

typedef struct tk_stage_plan {
    tk_action *action; // (n), in order
    int64_t n;
    int64_t most; // runs of a microbatch between forward and the last of backward, at most
} tk_stage_plan;

typedef struct tk_schedule {
    tk_schedule_kind kind;
    int stages, chunks;
    int64_t micro;
    tk_stage_plan *stage; // (stages)
    tk_arena arena;
} tk_schedule;

// TK_INPUT, in words of the options, where the kind cannot have so many chunks.
tk_status tk_schedule_make(tk_schedule *s, tk_schedule_kind kind, int stages, int chunks,
                           int64_t micro);
void tk_schedule_free(tk_schedule *s);

// The action whose input the result of `a` on `stage` is, and its stage: a forward's is that of the
// next run, a backward's (of inputs) that of the run before. False where there is none.
bool tk_schedule_feeds(const tk_schedule *s, int stage, const tk_action *a, int *to,
                       tk_action *fed);
// Whether `a` waits for another run, and on which stage that is.
bool tk_schedule_waits(const tk_schedule *s, int stage, const tk_action *a, int *from);
const char *tk_schedule_name(tk_schedule_kind kind);              // "zb-h1"
void tk_action_print(const tk_action *a, char *out, size_t size); // "forward of microbatch 3 ..."
