// SPDX-License-Identifier: Apache-2.0
// A task that is being sampled, as the files of the sampler see it.
#pragma once
#include "core/device/graph.h"
#include "infer/sampler/sampler.h"

// Of velocities: of this step, of the one before, and to keep them until the next.
enum { TK_FLOW_NOW, TK_FLOW_BEFORE, TK_FLOW_KEEP, TK_FLOW_FACTORS };

typedef struct tk_flow {    // a modality on this rank
    int64_t rows, channels; // of all tasks' documents, those in the streams
    int64_t *begin;         // (tasks + 1) where each one's begin; in v times the branches
    uint8_t *target;        // (rows) to be made; others are given
    tk_tensor x;            // first stage: (rows, channels)
    tk_tensor v;            // ends: (rows * branches, channels) velocities, group by group, of
                            // each one branch after the other
    tk_tensor moves;        // first stage: (rows, 2) i32, picks of `down`: is it a target?
    tk_tensor before;       // like x, where the solver remembers: velocities of the step before
    tk_tensor down[TK_FLOW_FACTORS]; // first stage: (2) what rows go by in this step: {0, factor}
    tk_tensor by;                    // first stage: (rows) one of the factors, of each row
    tk_tensor key;                   // first stage: (rows, 2) of the noise that x starts as
    tk_tensor begins; // first stage: (rows) how clean x starts; nothing where it is noise alone
} tk_flow;

// What a stage of the pipeline takes at a time: of one branch a document of each task of a group,
// in a stream of their own.
typedef struct tk_micro {
    int group, branch; // of all; of those of all ranks
    tk_stream stream;
    tk_batch batch;
    tk_tape tape;
    int64_t level[TK_MODALITIES];       // index of a modality's target level in the stream's
    int64_t *counts[TK_MODALITIES];     // (tensor ranks) rows of the stream each one holds
    tk_request velocity[TK_MODALITIES]; // of the pipeline's ends: on its way to the first stage
} tk_micro;

typedef struct tk_sampling {
    tk_sampler *s;
    const tk_sample_task *const *tasks; // (n_tasks)
    const tk_sample_task *task;         // the first, for what they have in common
    int n_tasks;
    int groups; // of tasks that share streams
    bool first, last;
    int branches;    // of all ranks
    int begin, own;  // of them this rank's
    int n_micro;     // groups * own, 0 until they are there
    tk_micro *micro; // (n_micro), group by group
    int64_t step;    // under way
    int64_t asked;   // microbatches whose velocities the first stage has asked for in it
    int64_t rows;    // of the streams of all branches
    tk_arena notes;  // of the microbatches and of what is kept
    tk_kept kept;    // given rows, which are not in the streams then
    tk_flow flow[TK_MODALITIES];
    tk_tensor each; // (steps + 1, levels of own streams + 4 factors) what is another number each
                    // step: noise levels, and `down` of video and audio by the step before
    tk_tensor now;  // (1, levels + 4 factors) the same of this step
    tk_graph graph;
} tk_sampling;

static inline int tk_group_begin_of(const tk_sampling *r, int group) // of its tasks
{
    return (int)tk_split_begin(r->n_tasks, r->groups, group);
}

static inline int tk_group_end_of(const tk_sampling *r, int group)
{
    return tk_group_begin_of(r, group) + (int)tk_split_count(r->n_tasks, r->groups, group);
}

// The stream, what the device is told, and memory on it: all that comes before the first step. What
// was opened, also of one that failed, is to be closed.
tk_status tk_sampling_open(tk_sampling *r);
void tk_sampling_close(tk_sampling *r);
