// SPDX-License-Identifier: Apache-2.0
// What a decoded picture passes before it is scaled, by libavfilter: interlaced ones are
// deinterlaced, those of a high dynamic range or a wide gamut become SDR BT.709. Internal to
// data/media/*.c.
//
// Everything else passes untouched: no filter is made for it. A graph of filters is made for
// pictures of one kind and made anew when they change.
#pragma once
#include "data/media/avfilter.h"
#include "data/media/facts.h"
#include "data/media/track.h"

typedef struct tk_filter_key { // what a graph is made for
    int width, height, format, matrix, primaries, transfer, range;
} tk_filter_key;

typedef struct tk_filter {
    tk_avfilter *av;
    AVFilterGraph *graph; // NULL: none is open
    AVFilterContext *from, *to;
    tk_filter_key key;
} tk_filter;

enum { TK_FIELDS_TIMES = 8 }; // more than the pictures that a deinterlacer holds back

// Pictures of a track, deinterlaced from the first one that is flagged on: one picture out per
// picture in, at its time.
typedef struct tk_fields {
    tk_filter filter;
    double time[TK_FIELDS_TIMES];
    int64_t sent; // into the filter
    bool waits;   // the track's frame is decoded and not taken yet
    bool ended;
} tk_fields;

// The next picture and its time in seconds on the file's clock; *end: there is none. The track may
// be some pictures ahead. TK_INPUT where interlaced pictures cannot be deinterlaced.
tk_status tk_fields_next(tk_fields *d, tk_track *t, AVFrame *out, double *time, bool *end);

// Opens what pictures like `f` need to become SDR BT.709, if anything; then also sets those tags of
// its colours that the file leaves unsaid. TK_INPUT naming the file where this libavfilter cannot
// do it.
tk_status tk_tone_open(tk_filter *g, const char *path, AVFrame *f);
// Replaces `f` by itself in SDR BT.709: reference white (203 nits, ITU-R BT.2408) is white, what is
// brighter is rolled off above nine tenths of it. What was done is noted.
tk_status tk_tone_run(tk_filter *g, const char *path, AVFrame *f, tk_facts *facts);
void tk_filter_close(tk_filter *g); // a zeroed one is fine
