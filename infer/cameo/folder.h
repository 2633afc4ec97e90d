// SPDX-License-Identifier: Apache-2.0
// Files by their names in an open folder: no name is followed as a link, none leads elsewhere, and
// what is written is there whole or not at all. Internal to infer/cameo.
#pragma once
#include "core/base/secret.h"
#include <sys/types.h>

typedef struct tk_folder {
    int fd, lock;    // -1: not open; not locked
    char path[1024]; // for messages
} tk_folder;

// `path` as the user gave it, links and all. make: it and what leads to it.
tk_status tk_folder_open(const char *path, bool make, mode_t mode, tk_folder *out);
// A folder in it. *there (may be NULL: it must be): whether it is; nothing is open where not.
tk_status tk_folder_enter(const tk_folder *in, const char *name, tk_folder *out, bool *there);
// The same, made where it is missing.
tk_status tk_folder_make(const tk_folder *in, const char *name, mode_t mode, tk_folder *out);
void tk_folder_close(tk_folder *f); // of one that is not open (fd < 0): fine

// Waits for others that hold it; they are many that read or one that writes. Until it is closed. A
// reader who may not read the file of locks goes without, and may see a change half done.
tk_status tk_folder_lock(tk_folder *f, bool writes);

// A regular file of one name and of at most `most` bytes, in `a`, ended by a NUL that *bytes does
// not count. *there as above.
tk_status tk_folder_read(const tk_folder *f, const char *name, int64_t most, tk_arena *a,
                         char **out, size_t *bytes, bool *there);
// One that is secret, as core/base/secret.h reads them.
tk_status tk_folder_read_secret(const tk_folder *f, const char *name, int64_t most, tk_secret *out);
// In the place of what has that name; on disk when this returns.
tk_status tk_folder_write(const tk_folder *f, const char *name, mode_t mode, const void *x,
                          size_t bytes);
// In the place of what has the name `to`; on disk when this returns.
tk_status tk_folder_rename(const tk_folder *f, const char *from, const char *to);
// Behind what the file has up to `at`; what is beyond that goes. Made where it is missing. For the
// user `uid` and the server alone to read (mode 600): it is given to them where root writes it, who
// may give files away; else, or where uid is -1, it stays the writer's.
tk_status tk_folder_append_for(const tk_folder *f, int64_t uid, const char *name, int64_t at,
                               const void *x, size_t bytes);
// Overwritten first, and on disk so; then the name goes. One that is not there: fine.
tk_status tk_folder_destroy(const tk_folder *f, const char *name);
