// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/world/world.h"

// Writes /truth of the clips a config describes (a callback of tk_clip_writer_commit; `config` is a
// tk_config).
tk_status tk_world_write_truth(void *config, hid_t file);
