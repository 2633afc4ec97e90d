// SPDX-License-Identifier: Apache-2.0
#include "data/media/avfilter.h"
#include "core/base/library.h"
#include <pthread.h>

#define NAME "libavfilter.so." AV_STRINGIFY(LIBAVFILTER_VERSION_MAJOR)

static tk_avfilter functions;
static char fault[256]; // why they are not there

static void load_functions(void)
{
    static const tk_library_call call[] = {
#define TK_AVFILTER_ROW(name) {#name, &functions.name},
        TK_AVFILTER_CALLS(TK_AVFILTER_ROW)
#undef TK_AVFILTER_ROW
    };
    tk_library_load(NAME, sizeof call / sizeof *call, call, fault, sizeof fault);
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
