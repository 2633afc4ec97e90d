// SPDX-License-Identifier: Apache-2.0
// The run directory: made when missing, looked into for checkpoints, set aside when a run starts
// anew over an old one.
#pragma once
#include "core/comm/comm.h"
#include "train/run/owner.h"
#include <stdbool.h>

// Collective. Makes `dir` (and its parents). *resume: it holds checkpoints and `want` asks for
// them. Without `want`, checkpoints and metrics of an earlier run move into dir/before-<n>: what
// has cost hours is never deleted, and never mistaken for the new run's.
// Rank 0 takes the directory first; every rank learns where its owner stages.
tk_status tk_rundir_open(tk_comm *world, const char *dir, bool want, tk_owner *o, bool *resume);
// Writes a file of the owner's directory, whole or not at all.
tk_status tk_rundir_text(const tk_owner *o, const char *name, const char *text);
