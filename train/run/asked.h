// SPDX-License-Identifier: Apache-2.0
// Whether what a run's config asks for can be, beyond what its options say by themselves: files
// that are there, layouts that fit the ranks, a codec that fits the model.
#pragma once
#include "core/comm/comm.h"
#include "core/config/config.h"

// Collective over world, before anything is opened: TK_INPUT with all that is wrong, a line each
// with the place of its option (core/config/wrong.h), found by rank 0 with looks that cost nothing.
// Only where something is wrong are the clip files opened, to tell of each. ranks: that the layout
// is for; 0: of any number.
tk_status tk_run_ask(tk_comm *world, const tk_config *c, int ranks);
// Collective: what was found where it was opened, and the same on all ranks. Where that is TK_INPUT
// all clip files are looked at, so that each is told that cannot be.
tk_status tk_run_tell(tk_comm *world, const tk_config *c, tk_status found);
