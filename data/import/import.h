// SPDX-License-Identifier: Apache-2.0
// Import of real media: video files with captions beside them to one clip file.
#pragma once
#include "core/comm/comm.h"
#include "core/config/command.h"

// talkie data import: collective over world. Every file is decoded onto c->media's clocks and size
// and cut into clips of c->import.clip_seconds (a whole number of the codec's patches); a rest of
// at least min_seconds becomes a shorter clip. The caption of clip.mp4 is clip.txt beside it.
// Files that cannot be read and clips that hold damage are left out and named; with c->import.bad =
// stop, or where nothing else is left, c->output is not written and one TK_INPUT message names
// every bad file. The file does not depend on the number of ranks.
tk_status tk_import_run(tk_comm *world, tk_config *c, int n_files, char **files);
// Of its command: where the clips go to, their codec and their size, the files that are named and
// what lies beside them. Only where something is wrong, and what is damaged is not to be left out,
// are all files looked into, to tell of each.
tk_asks tk_import_ask;
