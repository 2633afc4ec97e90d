// SPDX-License-Identifier: Apache-2.0
// What a rank of a training run will need, before it runs.
//
// Runs the training step itself, for a rank of the layout, on a device that computes nothing and
// over communicators that move nothing. What it counts is therefore what a real run touches. With a
// machine (train/plan/machine.h) it also says how long that takes there.
#pragma once
#include "train/plan/price.h"
#include "train/step/trainer.h"

typedef struct tk_plan {            // of one rank
    int rank, stands_for;           // of the world; for how many ranks
    int64_t parameters;             // held by this rank
    int64_t pool;                   // bytes: peak of the device's pool,
    int64_t held[TK_POOL_PURPOSES]; // ... who holds them then; what is missing lies between blocks
    int64_t
        registered; // bytes of what is sent, where that lies apart: this rank's, or what all get
    int64_t sent[TK_POOL_PURPOSES]; // ... who holds them
    int64_t context;                // bytes of the device that driver and libraries take
    int64_t loader;                 // bytes of the host: clip rows read ahead
    int64_t process;                // ... program, libraries, MPI, bookkeeping
    int64_t total;                  // bytes of the device; on the host's processor all of them
    double flops;                   // of the first step, this rank's, as MFU counts them
    int64_t rows;                   // of that step, all ranks
    tk_prices prices;               // of the mean step
    double action[TK_ACT_KINDS];    // seconds of a forward, a backward, the halves of one
    double message;                 // ... of what goes to another stage, at most
    double rest;                    // ... of the step beside all these
    double reduce, optimizer;       // ... of these: gradients over ranks; update of weights
    double exposed[TK_AXES];        // ... in which nothing is computed for messages of an axis
} tk_plan;

typedef struct tk_plan_of {  // what is planned
    const tk_config *config; // parallel degrees filled in
    tk_loader *loader;
    const tk_machine *machine; // NULL: no times
    int64_t process;           // bytes of the process beside its model, as below
    int64_t steps;             // at most so many are gone through; 0: as many as tell
} tk_plan_of;

// Whether a rank's memory is the host's: the option device.
bool tk_plan_on_host(const tk_config *c);
// Plans world rank `rank`.
tk_status tk_plan_make(const tk_plan_of *of, int rank, tk_plan *out);
// Bytes of a training process beside its model, measured on this one: a step of a minute model is
// trained, so that code, libraries and their buffers are in memory as they will be.
tk_status tk_plan_process(const tk_config *c, tk_loader *l, int64_t *bytes);
// The clips of data.files, or those that the config describes (plan.frames).
tk_status tk_plan_clips(const tk_config *c, tk_loader **l);
