// SPDX-License-Identifier: Apache-2.0
// A log to which lines are only ever added, by any number of processes of a host: each line is
// whole.
#pragma once
#include "core/base/mem.h"

// Opens or makes a regular file, for its owner alone. TK_INPUT where it cannot be; a link is none.
tk_status tk_log_file_open(const char *path, int *fd);
// The line, without its end, behind what is there; on disk afterwards. TK_IO: not all of it is.
tk_status tk_log_file_add(int fd, const char *path, const char *line);
