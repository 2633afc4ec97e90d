// SPDX-License-Identifier: Apache-2.0
#include "core/base/library.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

void tk_library_load(const char *library, size_t n, const tk_library_call *call, char *fault,
                     size_t room)
{
    void *loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    *fault = 0;
    if (!loaded) snprintf(fault, room, "%s", dlerror());
    for (size_t i = 0; i < n && !*fault; i++) {
        void *f = dlsym(loaded, call[i].name);
        if (!f) snprintf(fault, room, "%s", dlerror());
        memcpy(call[i].to, &f, sizeof f);
    }
}
