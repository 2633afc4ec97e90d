// SPDX-License-Identifier: Apache-2.0
// Held-out losses: how well the model does each task on clips that it is not trained on, at fixed
// noise levels.
//
// The same clips each time, with the same noise, so that figures of two steps, runs or layouts can
// be compared; captions are never left out, and no shots are given but to the task `continue`.
// Losses are means over rows and channels, video and audio apart, by the weights of the step, not
// their averages.
#pragma once
#include "train/step/trainer.h"

enum { TK_CHECK_LEVELS = 5 };
extern const double tk_check_level[TK_CHECK_LEVELS]; // t of both modalities; 1 is clean

typedef struct tk_check_losses { // the same on every rank
    int64_t clips[TK_TASKS];     // that can do the task; 0: it is not trained, or no clip can
    double loss[TK_TASKS][TK_CHECK_LEVELS][2]; // video and audio; 0 where none of it is made
    double mean[TK_TASKS];                     // over levels, as training weighs modalities
} tk_check_losses;

typedef struct tk_check {
    tk_trainer *trainer;
    tk_config config; // the trainer's, with clips as one step's documents and one task
    tk_loader *loader;
    tk_staging host;
    tk_check_losses now;
} tk_check;

// Collective. Opens the files of data.check, of which none may be trained on, or the clips that
// data.hold_out leaves. Tasks that are
// trained are checked, and text always.
tk_status tk_check_open(tk_check *c, tk_trainer *t);
// Collective; no step is under way (tk_trainer_drain). Leaves c->now. `stop` is asked every few
// seconds of work: where it says so on any rank, the check is left off and *whole is false on all.
tk_status tk_check_run(tk_check *c, bool (*stop)(void), bool *whole);
void tk_check_close(tk_check *c); // of one that is zero: fine

// The documents of a check: of the first clips of the loader's order, which do one task at one
// level. Of those that cannot nothing is a target.
tk_status tk_check_documents(const tk_loader *l, const tk_config *c, tk_task task, double level,
                             tk_arena *a, tk_step_documents *out);
