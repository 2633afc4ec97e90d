// SPDX-License-Identifier: Apache-2.0
// A task that is being sampled, as the files of the sampler see it.
#pragma once
#include "core/device/graph.h"
#include "infer/sampler/sampler.h"

// Of velocities: of this step, of the one before, and to keep them until the next.
enum { TK_FLOW_NOW, TK_FLOW_BEFORE, TK_FLOW_KEEP, TK_FLOW_FACTORS };

typedef struct tk_flow {    // a modality on this rank
    int64_t rows, channels; // of all tasks' documents, those in the streams
    int64_t *begin;         // (tasks + 1) where each one's begin
    uint8_t *target;        // (rows) to be made; others are given
    tk_tensor x;            // first stage: (rows, channels)
    tk_tensor v;            // ends: (branches * rows, channels) velocities
    tk_tensor moves;        // first stage: (rows, 2) i32, picks of `down`: is it a target?
    tk_tensor before;       // like x, where the solver remembers: velocities of the step before
    tk_tensor down[TK_FLOW_FACTORS]; // first stage: (2) what rows go by in this step: {0, factor}
    tk_tensor by;                    // first stage: (rows) one of the factors, of each row
    tk_tensor key;                   // first stage: (rows, 2) of the noise that x starts as
    tk_tensor begins; // first stage: (rows) how clean x starts; nothing where it is noise alone
} tk_flow;

typedef struct tk_branch { // a document of each task, in a stream of their own
    tk_stream stream;
    tk_batch batch;
    tk_tape tape;
    int64_t level[TK_MODALITIES];   // index of a modality's target level in the stream's
    int64_t *counts[TK_MODALITIES]; // (tensor ranks) rows of the stream each one holds
} tk_branch;

typedef struct tk_sampling {
    tk_sampler *s;
    const tk_sample_task *const *tasks; // (n_tasks)
    const tk_sample_task *task;         // the first, for what they have in common
    int n_tasks;
    bool first, last;
    int branches;                              // of all ranks
    int begin, own;                            // of them this rank's
    tk_branch branch[TK_SAMPLE_MOST_BRANCHES]; // (own)
    int64_t rows;                              // of the streams of all branches
    tk_arena notes;                            // of what is kept
    tk_kept kept;                              // given rows, which are not in the streams then
    tk_flow flow[TK_MODALITIES];
    tk_tensor each; // (steps, levels of own branches + 4 factors) what is another number each step:
                    // noise levels, and `down` of video and audio
    tk_tensor now;  // (1, levels + 4 factors) the same of this step
    tk_graph graph;
} tk_sampling;

// The stream, what the device is told, and memory on it: all that comes before the first step. What
// was opened, also of one that failed, is to be closed.
tk_status tk_sampling_open(tk_sampling *r);
void tk_sampling_close(tk_sampling *r);
