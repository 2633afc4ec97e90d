// SPDX-License-Identifier: Apache-2.0
// talkie eval FOLDER|FILE.mp4 [-o FILE.json] [media.fps=...]: what can be said of any footage, of
// which no truth is known: cuts, whether sounds begin when the picture moves, loudness, flicker,
// colours that drift from shot to shot.
#pragma once
#include "core/base/files.h"
#include "core/config/command.h"

extern const tk_file_kind tk_footage_report; // what is written of it

// Whether `path` is footage and neither a checkpoint, a run directory nor a config file.
bool tk_footage_is(const char *path);
// Collective; in->files[0] is footage. Files that cannot be read are named, counted and left out.
tk_status tk_footage_eval(tk_comm *world, tk_invocation *in);
