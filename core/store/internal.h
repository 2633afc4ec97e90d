// SPDX-License-Identifier: Apache-2.0
// Internal to core/store: words for failures, the bounds that reads are held to, and the walk.
#pragma once
#include "core/store/h5.h"

enum { TK_H5_STRING_MAX = 1 << 20 }; // bytes of a string
enum { TK_H5_RATIO_MAX = 2048 };     // most a filter may shrink data: deflate's limit is 1032

void tk_h5_quiet(void); // no error stack on stderr; at every entry, since it is per thread
// "file.h5: /group/name" of `name` (may be NULL) at a file, group or dataset.
const char *tk_h5_where(hid_t at, const char *name, char buf[512]);
typedef struct tk_h5_cause {
    char words[160]; // of the innermost error
    int error;       // errno, 0 if the system reported none
} tk_h5_cause;
tk_h5_cause tk_h5_find_cause(void); // of the last call that failed
// Fails with words of the innermost HDF5 error: TK_IO "disk full" and the like when the system
// reported one, else `code`. `what`: "cannot write".
tk_status tk_h5_fail(tk_status code, hid_t at, const char *name, const char *what);
int64_t tk_h5_file_bytes(hid_t at); // -1 if unknown
// Reads all of a file's metadata and the values it can; false where some of it cannot be read.
bool tk_h5_walk(const char *path);
