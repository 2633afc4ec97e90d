// SPDX-License-Identifier: Apache-2.0
// Figures of a command as a JSON file, complete or not there.
#pragma once
#include "core/base/files.h"
#include <jansson.h>

// Takes `root` over; NULL: there was no memory for it.
tk_status tk_report_write(const char *path, json_t *root);
