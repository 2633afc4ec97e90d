// SPDX-License-Identifier: Apache-2.0
// The run directory: made when missing, looked into for checkpoints, set aside when a run starts
// anew over an old one.
#pragma once
#include "core/comm/comm.h"
#include "train/run/owner.h"
#include <stdbool.h>

// Collective. Makes `dir` (and its parents). *resume: it holds checkpoints that are gone on from,
// since `want` asks for that or a job has come back (tk_rundir_came_back).
// Rank 0 takes the directory first; every rank learns where its owner stages.
tk_status tk_rundir_open(tk_comm *world, const char *dir, bool want, tk_owner *o, bool *resume);
// Rank 0, once all that a new run begins with is there: checkpoints and metrics of an earlier run
// move into dir/before-<n>, since what has cost hours is never deleted, and never mistaken for the
// new run's. anew.txt tells who began: the owner's token.
tk_status tk_rundir_begin_anew(const tk_owner *o);
// Whether the run in `dir` was begun anew by an earlier start of this Slurm job, which was requeued
// with the command that it had.
bool tk_rundir_came_back(const char *dir);
// Writes a file of the owner's directory, whole or not at all.
tk_status tk_rundir_text(const tk_owner *o, const char *name, const char *text);
