// SPDX-License-Identifier: Apache-2.0
#include "data/media/avfilter.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define NAME "libavfilter.so." AV_STRINGIFY(LIBAVFILTER_VERSION_MAJOR)

static tk_avfilter functions;
static char fault[256]; // why they are not there

static void load_functions(void)
{
    static const struct {
        const char *name;
        void *to;
    } call[] = {
#define TK_AVFILTER_ROW(name) {#name, &functions.name},
        TK_AVFILTER_CALLS(TK_AVFILTER_ROW)
#undef TK_AVFILTER_ROW
    };
    void *library = dlopen(NAME, RTLD_NOW | RTLD_LOCAL);
    const char *words = library ? NULL : dlerror();
    for (size_t i = 0; i < sizeof call / sizeof *call && !words; i++) {
        void *f = dlsym(library, call[i].name);
        if (!f) words = dlerror();
        memcpy(call[i].to, &f, sizeof f);
    }
    if (words) snprintf(fault, sizeof fault, "%s", words);
}

tk_status tk_avfilter_load(const char *path, tk_avfilter **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_functions);
    *out = &functions;
    if (!*fault) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: it is to pass a filter, and " NAME " cannot be loaded (%s)", path,
                   fault);
}
