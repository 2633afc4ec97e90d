// SPDX-License-Identifier: Apache-2.0
#include "data/media/loudness.h"
#include "data/media/avfilter.h"
#include "data/media/track.h"
#include <libavutil/channel_layout.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tk_loudness {
    char *path;
    int64_t rate, channels, samples;
    tk_avfilter *av;
    AVFilterGraph *graph;
    AVFilterContext *from, *to;
    AVFrame *frame;
    tk_loudness_figures last; // what the filter said last
    tk_arena arena;
};

static tk_status cannot_measure(const tk_loudness *l, int e, const char *what)
{
    return TK_FAIL(e == AVERROR(ENOMEM) ? TK_MEMORY : TK_INPUT,
                   "%s: its loudness cannot be %s (%s)", l->path, what, tk_av_words(e));
}

static int build_graph(tk_loudness *l)
{
    const tk_avfilter *av = l->av;
    AVFilterContext *meter = NULL;
    char source[128];
    if (!(l->graph = av->avfilter_graph_alloc())) return AVERROR(ENOMEM);
    l->graph->nb_threads = 1;
    snprintf(source, sizeof source,
             "sample_rate=%lld:sample_fmt=flt:channel_layout=%s:time_base=1/%lld",
             (long long)l->rate, l->channels == 1 ? "mono" : "stereo", (long long)l->rate);
    int e = av->avfilter_graph_create_filter(&l->from, av->avfilter_get_by_name("abuffer"), "in",
                                             source, NULL, l->graph);
    if (e >= 0)
        e = av->avfilter_graph_create_filter(&meter, av->avfilter_get_by_name("ebur128"), "meter",
                                             "metadata=1:peak=true", NULL, l->graph);
    if (e >= 0)
        e = av->avfilter_graph_create_filter(&l->to, av->avfilter_get_by_name("abuffersink"), "out",
                                             NULL, NULL, l->graph);
    if (e >= 0) e = av->avfilter_link(l->from, 0, meter, 0);
    if (e >= 0) e = av->avfilter_link(meter, 0, l->to, 0);
    return e >= 0 ? av->avfilter_graph_config(l->graph, NULL) : e;
}

static void drop_meter(tk_loudness *l)
{
    if (l->graph) l->av->avfilter_graph_free(&l->graph);
    av_frame_free(&l->frame);
    tk_arena a = l->arena;
    tk_arena_free(&a);
}

tk_status tk_loudness_open(const char *path, int64_t rate, int64_t channels, tk_loudness **out)
{
    tk_arena a;
    tk_loudness *l;
    *out = NULL;
    tk_av_quiet();
    tk_arena_init(&a, 0);
    TK_ARENA_NEW(l, &a, 1);
    *l = (tk_loudness){.rate = rate, .channels = channels, .last = {-INFINITY, 0, -INFINITY}};
    l->path = tk_arena_strdup(&a, path);
    l->frame = av_frame_alloc();
    l->arena = a;
    tk_status st = l->path && l->frame ? tk_avfilter_load(path, &l->av)
                                       : TK_FAIL(TK_MEMORY, "out of memory for a loudness meter");
    if (st == TK_OK) {
        const int e = build_graph(l);
        if (e < 0) st = cannot_measure(l, e, "measured");
    }
    if (st != TK_OK) {
        drop_meter(l);
        return st;
    }
    *out = l;
    return TK_OK;
}

// A number the filter wrote on the frame; `otherwise` where there is none.
static double said(const AVFrame *f, const char *key, double otherwise)
{
    const AVDictionaryEntry *e = av_dict_get(f->metadata, key, NULL, 0);
    char *end = NULL;
    const double x = e ? strtod(e->value, &end) : otherwise;
    return e && end != e->value ? x : otherwise;
}

static tk_status hear(tk_loudness *l)
{
    int e;
    while ((e = l->av->av_buffersink_get_frame(l->to, l->frame)) >= 0) {
        l->last.lufs = said(l->frame, "lavfi.r128.I", l->last.lufs);
        l->last.range = said(l->frame, "lavfi.r128.LRA", l->last.range);
        for (int c = 0; c < (int)l->channels; c++) {
            char key[48];
            snprintf(key, sizeof key, "lavfi.r128.true_peaks_ch%d", c);
            const double peak = said(l->frame, key, 0);
            if (peak > 0) l->last.peak = fmax(l->last.peak, 20 * log10(peak));
        }
        av_frame_unref(l->frame);
    }
    return e == AVERROR(EAGAIN) || e == AVERROR_EOF ? TK_OK : cannot_measure(l, e, "measured");
}

tk_status tk_loudness_add(tk_loudness *l, const float *pcm, int64_t n)
{
    if (n == 0) return TK_OK;
    AVFrame *f = l->frame;
    f->format = AV_SAMPLE_FMT_FLT;
    f->sample_rate = (int)l->rate;
    f->nb_samples = (int)n;
    f->pts = l->samples;
    av_channel_layout_default(&f->ch_layout, (int)l->channels);
    int e = av_frame_get_buffer(f, 0);
    if (e >= 0) {
        memcpy(f->data[0], pcm, (size_t)(n * l->channels) * sizeof *pcm);
        e = l->av->av_buffersrc_add_frame(l->from, f);
    }
    av_frame_unref(f);
    if (e < 0) return cannot_measure(l, e, "measured");
    l->samples += n;
    return hear(l);
}

tk_status tk_loudness_close(tk_loudness *l, tk_loudness_figures *figures)
{
    tk_status st = TK_OK;
    if (!l) return TK_OK;
    if (figures) {
        const int e = l->av->av_buffersrc_add_frame(l->from, NULL);
        st = e < 0 ? cannot_measure(l, e, "measured") : hear(l);
        *figures = l->last;
    }
    drop_meter(l);
    return st;
}
