// SPDX-License-Identifier: Apache-2.0
// Which ways a run does its operators, on devices that learn that (core/device/device.h): kept in
// choices.txt, so that a run that goes on gives the same bits, and the same on all ranks.
#pragma once
#include "train/run/owner.h"
#include "train/step/trainer.h"

// Collective. Takes what the file says; where there is none, or none for the device of some rank,
// rehearses step `first`, lets the lowest rank that has met a shape decide for all, and writes the
// file. A file that is damaged or of other devices is told of in a line. Does nothing on devices
// that do not learn. `o`: of the run directory; NULL: there is no file and none is written, as for
// a bench.
tk_status tk_run_choices(tk_comm *world, tk_trainer *t, const tk_owner *o, int64_t first);
