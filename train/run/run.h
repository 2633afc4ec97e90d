// SPDX-License-Identifier: Apache-2.0
// A training run: everything open, the loop over steps, checkpoints, resume and stopping.
//
// Run directory (train.out): config.yaml and revision.txt (what runs here now), metrics.jsonl,
// loss.png, check.jsonl (with train.check_every), choices.txt (of a device that learns), anew.txt
// (with train.resume=0), step-<number>.h5 (checkpoints), owner/ while a run has it
// (train/run/owner.h). SIGTERM, SIGINT and SIGUSR1, however often, ask for a checkpoint
// at the end of the step under way; the run then ends with TK_STOPPED and goes on when started
// again. Only a second SIGINT some seconds after the first ends the process at once.
#pragma once
#include "core/config/command.h"
#include "train/step/trainer.h"

// Collective over world. The config is completed (parallel degrees). A rank that fails alone inside
// a step, where others wait for it, prints its message and takes all down.
tk_status tk_train_run(tk_comm *world, tk_config *c);
tk_status tk_train_command(tk_comm *world, tk_invocation *in);

// Opens what training needs of the parts below it, checked against each other: mesh, loader,
// device.
typedef struct tk_train_parts {
    tk_mesh mesh;
    tk_loader *loader;
    tk_device device;
} tk_train_parts;
tk_status tk_train_parts_open(tk_train_parts *p, tk_comm *world, tk_config *c);
void tk_train_parts_close(tk_train_parts *p);
