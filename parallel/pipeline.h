// SPDX-License-Identifier: Apache-2.0
// Pipeline schedules: which microbatch runs forward or backward when, and what crosses stage
// boundaries.
//
// 1F1B (Narayanan et al., "Efficient large-scale language model training on GPU clusters", 2021):
// stage s of p runs min(p - s - 1, m) warm-up forwards, then alternates, then drains; at most p - s
// microbatches are alive. Sends and receives are posted ahead and waited for only when their data
// is used.
#pragma once
#include "parallel/mesh.h"

typedef struct tk_pipeline_work { // what a stage does for a microbatch; supplied by the trainer
    void *ctx;
    int64_t n; // microbatches
    // shape of the boundary rows of microbatch i on this rank: (rows, hidden)
    int64_t (*rows)(void *ctx, int64_t i);
    int64_t hidden;
    // Absent tensors are pointed at all the same, their data NULL.
    // x: rows from the stage before (absent on the first stage), valid until release of i. y: set
    // to a view of this stage's output rows (left alone on the last), valid until backward of i
    // returns (forward only: until release of i).
    tk_status (*forward)(void *ctx, int64_t i, const tk_tensor *x, tk_tensor *y);
    // dy: gradient of y (absent on the last stage). dx: set to a view of the gradient of x (left
    // alone on the first), valid until release of i.
    tk_status (*backward)(void *ctx, int64_t i, const tk_tensor *dy, tk_tensor *dx);
    tk_status (*release)(void *ctx, int64_t i); // the schedule is done with microbatch i
} tk_pipeline_work;

tk_status tk_pipeline_train(tk_mesh *m, tk_device *d,
                            const tk_pipeline_work *w); // 1F1B, forward and backward
tk_status tk_pipeline_forward(tk_mesh *m, tk_device *d,
                              const tk_pipeline_work *w); // forward only, in order
