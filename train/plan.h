// SPDX-License-Identifier: Apache-2.0
// talkie plan CONFIG: what a training run will need, before it runs.
//
// Runs the training step itself, for every rank of the layout, on a device that computes nothing
// and over communicators that move nothing. What it counts is therefore what a real run touches.
#pragma once
#include "core/config/command.h"
#include "train/step/trainer.h"

typedef struct tk_plan { // of one rank; bytes
    int stands_for;      // so many ranks; 0: others stand for it
    int64_t parameters;  // held by this rank
    int64_t weights;     // to compute with
    int64_t masters;     // ... and in fp32, where those are not; of the optimizer's shard
    int64_t gradients, optimizer, ema, activations;
    int64_t loader;  // clip rows read ahead
    int64_t process; // program, libraries, MPI, bookkeeping
    int64_t total;
    double flops; // of a step, this rank's
    int64_t rows; // of a step, all ranks
} tk_plan;

// Plans world rank `rank`; parallel degrees must be filled in. `process`: see below.
tk_status tk_plan_make(const tk_config *c, tk_loader *l, int rank, int64_t process, tk_plan *out);
// Bytes of a training process beside its model, measured on this one: a step of a minute model is
// trained, so that code, libraries and their buffers are in memory as they will be.
tk_status tk_plan_process(const tk_config *c, tk_loader *l, int64_t *bytes);

tk_status tk_plan_command(tk_comm *world, tk_invocation *in);
