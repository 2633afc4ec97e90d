// SPDX-License-Identifier: Apache-2.0
// Internal to core/store/h5*.c: words for failures, and the bounds that reads are held to.
#pragma once
#include "core/store/h5.h"

enum { TK_H5_STRING_MAX = 1 << 20 }; // bytes of a string
enum { TK_H5_RATIO_MAX = 2048 };     // most a filter may shrink data: deflate's limit is 1032

void tk_h5_quiet(void); // no error stack on stderr; at every entry, since it is per thread
// "file.h5: /group/name" of `name` (may be NULL) at a file, group or dataset.
const char *tk_h5_where(hid_t at, const char *name, char buf[512]);
// Fails with words of the innermost HDF5 error: TK_IO "disk full" and the like when the system
// reported one, else `code`. `what`: "cannot write".
tk_status tk_h5_fail(tk_status code, hid_t at, const char *name, const char *what);
int64_t tk_h5_file_bytes(hid_t at); // -1 if unknown
