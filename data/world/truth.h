// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/config/config.h"
#include "data/world/cite.h"
#include <hdf5.h>

typedef struct tk_truth_of { // the clips a config describes, and the speech they were made with
    const tk_config *config;
    tk_speech *speech;
    const tk_world_cited *cited; // NULL: nobody is
} tk_truth_of;

// Writes /truth (data/world/file.h lists its tables): a callback of tk_clip_writer_commit; `of` is
// a tk_truth_of.
tk_status tk_world_write_truth(void *of, hid_t file);
