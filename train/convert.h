// SPDX-License-Identifier: Apache-2.0
// talkie convert FROM -o TO: weights as safetensors (train/checkpoint/checkpoint.h).
#pragma once
#include "core/config/command.h"

// FROM: a checkpoint, a run directory (its newest), a safetensors file of ours, a folder in the
// layout of diffusers. TO: *.safetensors, or else such a folder.
tk_asks tk_convert_ask; // tk_command.ask: an output that has a name and can be written
tk_status tk_convert_command(tk_comm *world, tk_invocation *in);
