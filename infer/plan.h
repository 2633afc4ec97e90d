// SPDX-License-Identifier: Apache-2.0
// talkie plan STORYBOARD.yaml|JOBS.yaml [key=value ...], and of a config what train/plan plans.
//
// Of a storyboard: its windows with their rows, the memory of a rank, the work and the time, from
// the sampling itself on a device that computes nothing. Nothing is made, no folder either.
#pragma once
#include "core/config/command.h"

tk_status tk_plan_any_command(tk_comm *world, tk_invocation *in);
