// SPDX-License-Identifier: Apache-2.0
// talkie eval CHECKPOINT|CONFIG [-o FILE.json] [key=value ...]
//
// Samples storyboards of scenes of the world the model has not seen and measures the clips with
// detectors (infer/judges/). Every figure stands between the same figure on the scenes
// themselves passed through the codec (ceiling) and on an untrained model (floor).
#pragma once
#include "core/config/command.h"

// tk_command.ask: a checkpoint where the config says, a report that can be written.
tk_asks tk_eval_ask;
tk_status tk_eval_command(tk_comm *world, tk_invocation *in);
