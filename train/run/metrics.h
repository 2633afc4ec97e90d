// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: one JSON object a line, a line for every train.log_every steps, and loss.png drawn
// of it. Rank 0 only. A step's line is written when it is judged: while the next one is under way.
//
// Numbers that are not finite are null, and the line carries "finite": false. After a resume the
// file is cut back, so that every step stands in it once.
#pragma once
#include "train/run/owner.h"
#include "train/step/trainer.h"
#include <stdio.h>

typedef struct tk_metrics {
    const tk_owner *owner;
    char *path; // of metrics.jsonl
    FILE *file;
    double *loss[2]; // (n) video and audio, of all lines so far
    int64_t n, cap;
    double gemm; // FLOP/s of all ranks in GEMMs of the model's main shape; 0: not measured
    tk_arena arena;
} tk_metrics;

// Opens for appending after step `step` (steps done): a file of this run's own, staged
// with the lines of an earlier run up to that step, takes the name. A run that had the directory
// before may still write to its own file, which has no name any more.
tk_status tk_metrics_open(tk_metrics *m, const tk_owner *o, int64_t step);
// checkpoint_seconds: of the checkpoint made before this step, if there was one.
tk_status tk_metrics_write(tk_metrics *m, const tk_step_result *r, double checkpoint_seconds);
tk_status tk_metrics_sync(tk_metrics *m);       // what was written is on the disk
tk_status tk_metrics_plot(const tk_metrics *m); // nothing to draw: does nothing
void tk_metrics_close(tk_metrics *m);

// Bytes of this process in memory now and at most so far (0 where /proc does not say).
int64_t tk_resident_bytes(int64_t *peak);
