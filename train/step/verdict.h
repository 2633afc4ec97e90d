// SPDX-License-Identifier: Apache-2.0
// What a step found out, read while the next one is under way: losses and norm on their way from
// the device, and what the host knew at once.
#pragma once
#include "train/step/documents.h"
#include "train/step/times.h"

typedef enum tk_step_way { // how the device was told what to do
    TK_STEP_ASKED,         // call by call
    TK_STEP_RECORDED,      // as a graph, now recorded
    TK_STEP_REPLAYED       // as a graph recorded before
} tk_step_way;

typedef struct tk_step_result { // the same on every rank, but for `seconds`
    int64_t step;               // counted from 0
    double loss, loss_of[TK_MODALITIES];
    double grad_norm, lr;
    int64_t rows, skipped; // rows of the step; unreadable documents in it
    tk_task_counts tasks;  // documents and rows of each
    double flops;          // model FLOPs of all ranks (recomputation not counted)
    tk_step_way way;
    struct {
        double data, compute, reduce, optimizer, total;
        double action[TK_ACT_KINDS]; // of the compute: by what the schedule does, without waiting
    } seconds;                       // this rank's, told by its device; of a graph all is compute
} tk_step_result;
bool tk_step_finite(const tk_step_result *r); // loss and norm
// TK_NUMERIC where they are not, with what to do about it. All ranks see the same numbers.
tk_status tk_step_check_finite(const tk_step_result *r, const tk_train_config *c);

typedef struct tk_verdict {
    tk_device *device;
    tk_step_result now; // until it is read, counts and losses are of this rank alone
    bool open;          // asked for and not read yet
    int64_t n;          // microbatches
    float *host; // pinned, (1 + 2 n): squared norm, losses of video and audio of each microbatch
    tk_event done;
    tk_times times; // begun with the step
} tk_verdict;

// For steps of n microbatches, each in `chunks` runs of blocks. `a` must live until it is closed.
tk_status tk_verdict_open(tk_verdict *v, tk_device *d, int64_t n, int64_t chunks, tk_arena *a);
void tk_verdict_close(tk_verdict *v); // the device has been synced; one that is zero is fine
// All work of the step has been asked for: so are its numbers. losses (n, 2), absent where this
// rank has none; norm2 (1). They may be written over by what is asked for later.
tk_status tk_verdict_ask(tk_verdict *v, const tk_tensor *losses, const tk_tensor *norm2);
// Waits until the device has come so far, and fills in norm, losses and seconds of this rank. What
// failed of a step that was done as a graph is told as that step's.
tk_status tk_verdict_read(tk_verdict *v);
