// SPDX-License-Identifier: Apache-2.0
// What a device is recording (core/device/graph.h): the memory that its pool gives out for it, and
// whether calls are recorded now instead of being done.
#pragma once
#include "core/device/device.h"

typedef struct tk_recording {
    bool on;
    tk_tensor *memory; // (n) of the pool, in order, none touching the next
    int n, cap;
} tk_recording;

tk_status tk_recording_note(tk_recording *r, void *x, size_t bytes); // the pool has given it out
void tk_recording_free(tk_recording *r);
// TK_INTERNAL where calls are recorded: this one, in words, must not be.
tk_status tk_recording_forbids(const tk_device *d, const char *what);
