// SPDX-License-Identifier: Apache-2.0
// Who makes a clip: one run at a time, since each removes what another left of it.
//
//     OUTPUT.windows/owner    locked (flock) by the run that makes OUTPUT; says who that is
//
// A lock ends with its process, so a run that died owns nothing. A later restart of the same Slurm
// job takes over at once: Slurm has given up the earlier one. Where a file system has no locks,
// nobody is kept out. A spool's jobs need none of this: their folders are their workers'.
#pragma once
#include "core/base/mem.h"

typedef struct tk_reel_owner {
    const char *path, *folder; // NULL: owns nothing
    int fd;
} tk_reel_owner;

// "OUTPUT.windows"; NULL: no memory.
char *tk_reel_folder(const char *output, tk_arena *a);
// It is there afterwards. TK_INPUT where a file of that name is.
tk_status tk_reel_folder_make(const char *output, const char *folder);

// `file`: the storyboard, for others' messages. Paths come from `a`. TK_INPUT naming the run that
// makes this clip, if one does for five seconds more.
tk_status tk_reel_owner_take(const char *output, const char *file, tk_arena *a, tk_reel_owner *o);
// The same, without taking it: before any work.
tk_status tk_reel_owner_look(const char *output);
// Of one who owns nothing: fine. An empty folder goes, too.
void tk_reel_owner_release(tk_reel_owner *o);
// Removes the file of an owner that is dead, and an empty folder.
void tk_reel_owner_bury(const char *output);
