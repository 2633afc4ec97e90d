// SPDX-License-Identifier: Apache-2.0
// Whether what a run's config asks for can be, beyond what its options say by themselves: files
// that are there, layouts that fit the ranks, a codec that fits the model.
#pragma once
#include "core/config/command.h"

// tk_command.ask of who trains. Only where something is wrong are the clip files and the weights
// opened, to tell of each.
tk_asks tk_run_ask;
// The parts of it, for who plans. Those of the options that a device does not have:
void tk_run_ask_device(tk_wrong *w, const tk_config *c);
// That the batch goes round, by the degrees of a layout that is filled in. made: how that went.
tk_status tk_run_ask_batch(tk_wrong *w, const tk_config *c, const tk_parallel_config *filled,
                           tk_status made);
// A layout that goes on so many ranks, and a batch that goes round in it.
tk_status tk_run_ask_layout(tk_wrong *w, const tk_config *c, int ranks);
// The degrees of the layout are known.
bool tk_run_knows_layout(const tk_wrong *w);
// Files that are trained on, and the codec's.
tk_status tk_run_ask_clips(tk_wrong *w, const tk_config *c);
// Those, and the weights to begin with.
tk_status tk_run_ask_files(tk_wrong *w, const tk_config *c);
// What is in them.
tk_status tk_run_ask_inside(tk_wrong *w, const tk_config *c);
// Collective: what was found where it was opened, and the same on all ranks. Where that is TK_INPUT
// all clip files are looked at, so that each is told that cannot be.
tk_status tk_run_tell(tk_comm *world, const tk_config *c, tk_status found);
