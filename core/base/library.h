// SPDX-License-Identifier: Apache-2.0
// Libraries that are loaded when something first needs them: their functions by name.
#pragma once
#include <stddef.h>

typedef struct tk_library_call {
    const char *name;
    void *to; // where the function's address goes
} tk_library_call;

// Loads `library`, for good, and fills in its n functions. What is in the way goes into `fault`
// (room bytes), "" if nothing is. Once a library: callers keep it so by pthread_once.
void tk_library_load(const char *library, size_t n, const tk_library_call *call, char *fault,
                     size_t room);
