// SPDX-License-Identifier: Apache-2.0
// libavfilter, loaded when a picture first needs it: it brings some thirty libraries, which would
// make every start of the program a third dearer. Internal to data/media/*.c.
#pragma once
#include "core/base/status.h"
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>

#define TK_AVFILTER_CALLS(X)         \
    X(avfilter_get_by_name)          \
    X(avfilter_graph_alloc)          \
    X(avfilter_graph_alloc_filter)   \
    X(avfilter_graph_config)         \
    X(avfilter_graph_create_filter)  \
    X(avfilter_graph_free)           \
    X(avfilter_graph_parse_ptr)      \
    X(avfilter_init_str)             \
    X(avfilter_inout_alloc)          \
    X(avfilter_inout_free)           \
    X(avfilter_link)                 \
    X(av_buffersink_get_frame)       \
    X(av_buffersink_get_time_base)   \
    X(av_buffersrc_add_frame)        \
    X(av_buffersrc_parameters_alloc) \
    X(av_buffersrc_parameters_set)

typedef struct tk_avfilter { // its functions under their own names
#define TK_AVFILTER_FIELD(name) __typeof__(name) *name;
    TK_AVFILTER_CALLS(TK_AVFILTER_FIELD)
#undef TK_AVFILTER_FIELD
} tk_avfilter;

// *out: the functions, for good; the same for all who ask. TK_INPUT naming the file that needs it
// where the library of the headers' version is not there.
tk_status tk_avfilter_load(const char *path, tk_avfilter **out);
