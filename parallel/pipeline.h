// SPDX-License-Identifier: Apache-2.0
// The engine: runs this rank's part of any schedule (parallel/schedule.h) and moves what crosses
// stage boundaries. Receives are asked for ahead and waited for only where their data is used.
#pragma once
#include "parallel/mesh.h"
#include "parallel/schedule.h"

typedef struct tk_pipeline_work { // what a stage does for a microbatch; supplied by the trainer
    void *ctx;
    int64_t n; // microbatches
    tk_schedule_kind schedule;
    int chunks; // runs of blocks on a stage
    bool alone; // the device waits for messages at once; else it works while they move
    // shape of the boundary rows of microbatch i on this rank: (rows, hidden)
    int64_t (*rows)(void *ctx, int64_t i);
    int64_t hidden;
    tk_dtype type; // of these rows and their gradients
    // Absent tensors are pointed at all the same, their data NULL.
    // x: rows from the run before (absent at the first run), valid until release. y: set to a view
    // of this run's output rows (left alone at the last), valid until backward returns (halves:
    // that for inputs; forward only: until release).
    tk_status (*forward)(void *ctx, const tk_action *a, const tk_tensor *x, tk_tensor *y);
    // Whole, or one half. dy: gradient of y (absent at the last run, and for weights). dx: set to a
    // view of the gradient of x (left alone at the first run, and for weights), valid until
    // release.
    tk_status (*backward)(void *ctx, const tk_action *a, const tk_tensor *dy, tk_tensor *dx);
    // The schedule is done with the run `a->chunk` of microbatch `a->micro`.
    tk_status (*release)(void *ctx, const tk_action *a);
} tk_pipeline_work;

tk_status tk_pipeline_run(tk_mesh *m, tk_device *d, const tk_pipeline_work *w);
