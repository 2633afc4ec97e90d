// SPDX-License-Identifier: Apache-2.0
// talkie plan CONFIG: what a training run will need, before it runs.
#pragma once
#include "core/config/command.h"

tk_status tk_plan_command(tk_comm *world, tk_invocation *in);
