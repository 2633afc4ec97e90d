// SPDX-License-Identifier: Apache-2.0
// check.jsonl: held-out losses of a run, a line each train.check_every steps:
//
//     {"step": 500, "levels": [0.1, ...], "tasks": {"text": {"clips": 16, "loss": 0.41,
//      "video": [0.9, ...], "audio": [...]}, ...}}
//
// "loss" is the mean over levels, as training weighs video and audio. After a resume lines of later
// steps are gone, so that every step stands there once. Rank 0 only.
#pragma once
#include "train/run/owner.h"
#include "train/step/check.h"

typedef struct tk_check_file {
    const tk_owner *owner; // of the directory it lies in
    char *text;            // all lines so far
    int64_t step;          // of the last one
    tk_arena arena;
} tk_check_file;

// Takes over the lines up to `step` (steps done).
tk_status tk_check_file_open(tk_check_file *h, const tk_owner *o, int64_t step);
int64_t tk_check_file_step(const tk_check_file *h); // of the last line; 0: there is none
tk_status tk_check_file_add(tk_check_file *h, int64_t step,
                            const tk_check_losses *x); // and says it
void tk_check_file_close(tk_check_file *h);
