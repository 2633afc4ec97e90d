// SPDX-License-Identifier: Apache-2.0
// Deinterlacing and tone mapping: see data/media/filter.h.
#include "data/media/filter.h"
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>

// Graphs
// -------------------------------------------------------------------------------------------

static tk_filter_key key_of(const AVFrame *f)
{
    return (tk_filter_key){.width = f->width,
                           .height = f->height,
                           .format = f->format,
                           .matrix = f->colorspace,
                           .primaries = f->color_primaries,
                           .transfer = f->color_trc,
                           .range = f->color_range};
}

static bool alike(const tk_filter *g, const AVFrame *f)
{
    const tk_filter_key key = key_of(f);
    return memcmp(&key, &g->key, sizeof key) == 0;
}

void tk_filter_close(tk_filter *g)
{
    if (g->graph) g->av->avfilter_graph_free(&g->graph);
}

// Source of pictures like `f`, whose time stamps count them.
static int open_source(tk_filter *g, const AVFrame *f)
{
    AVBufferSrcParameters *p = g->av->av_buffersrc_parameters_alloc();
    g->from =
        g->av->avfilter_graph_alloc_filter(g->graph, g->av->avfilter_get_by_name("buffer"), "in");
    int e = AVERROR(ENOMEM);
    if (p && g->from) {
        p->format = f->format;
        p->width = f->width;
        p->height = f->height;
        p->sample_aspect_ratio = f->sample_aspect_ratio;
        p->time_base = (AVRational){1, 1};
#if LIBAVFILTER_VERSION_MAJOR >= 10
        p->color_space = f->colorspace;
        p->color_range = f->color_range;
#endif
        e = g->av->av_buffersrc_parameters_set(g->from, p);
    }
    av_free(p);
    return e >= 0 ? g->av->avfilter_init_str(g->from, NULL) : e;
}

// `chain` between source and sink.
static int open_chain(tk_filter *g, const char *chain)
{
    AVFilterInOut *in = g->av->avfilter_inout_alloc(), *out = g->av->avfilter_inout_alloc();
    int e = AVERROR(ENOMEM);
    if (in && out) {
        *out = (AVFilterInOut){.name = av_strdup("in"), .filter_ctx = g->from};
        *in = (AVFilterInOut){.name = av_strdup("out"), .filter_ctx = g->to};
        if (in->name && out->name)
            e = g->av->avfilter_graph_parse_ptr(g->graph, chain, &in, &out, NULL);
    }
    g->av->avfilter_inout_free(&in);
    g->av->avfilter_inout_free(&out);
    return e >= 0 ? g->av->avfilter_graph_config(g->graph, NULL) : e;
}

// `what` is done to the file's pictures, for messages; `needs` are filters that builds of
// libavfilter may lack, separated by spaces.
static tk_status open_graph(tk_filter *g, const char *path, const AVFrame *f, const char *chain,
                            const char *needs, const char *what)
{
    tk_filter_close(g);
    TK_TRY(tk_avfilter_load(path, &g->av));
    char name[32];
    for (int at = 0, n; sscanf(needs + at, "%31s%n", name, &n) == 1; at += n)
        if (!g->av->avfilter_get_by_name(name))
            return TK_FAIL(TK_INPUT,
                           "%s: its pictures are to be %s, and the libavfilter here has no filter "
                           "%s: install one that has (Debian's has)",
                           path, what, name);
    if (!(g->graph = g->av->avfilter_graph_alloc()))
        return TK_FAIL(TK_MEMORY, "out of memory reading %s", path);
    g->graph->nb_threads = 1; // the same picture whatever the threads
    int e = open_source(g, f);
    if (e >= 0)
        e = g->av->avfilter_graph_create_filter(&g->to, g->av->avfilter_get_by_name("buffersink"),
                                                "out", NULL, NULL, g->graph);
    if (e >= 0) e = open_chain(g, chain);
    if (e < 0) {
        const char *format = av_get_pix_fmt_name(f->format);
        tk_filter_close(g);
        return TK_FAIL(e == AVERROR(ENOMEM) ? TK_MEMORY : TK_INPUT,
                       "%s: pictures of %d x %d in pixel format %s cannot be %s (%s)", path,
                       f->width, f->height, format ? format : "unknown", what, tk_av_words(e));
    }
    g->key = key_of(f);
    return TK_OK;
}

// NULL: no more come.
static tk_status send(tk_filter *g, const char *path, AVFrame *f)
{
    const int e = g->av->av_buffersrc_add_frame(g->from, f);
    if (e < 0)
        return TK_FAIL(e == AVERROR(ENOMEM) ? TK_MEMORY : TK_INPUT,
                       "%s: a picture cannot be filtered (%s)", path, tk_av_words(e));
    return TK_OK;
}

// *got: the filter gave a picture. It is closed when it has given all.
static tk_status receive(tk_filter *g, const char *path, AVFrame *f, bool *got)
{
    const int e = g->av->av_buffersink_get_frame(g->to, f);
    *got = e >= 0;
    if (e == AVERROR_EOF) tk_filter_close(g);
    if (e < 0 && e != AVERROR(EAGAIN) && e != AVERROR_EOF)
        return TK_FAIL(e == AVERROR(ENOMEM) ? TK_MEMORY : TK_INPUT,
                       "%s: a picture cannot be filtered (%s)", path, tk_av_words(e));
    return TK_OK;
}

// Deinterlacing
// ------------------------------------------------------------------------------------

// PNG's interlacing is an order of pixels in the file, not two fields in time.
static bool is_interlaced(const tk_track *t, const AVFrame *f)
{
    const enum AVCodecID codec = t->codec->codec_id;
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    const bool flag = f->flags & AV_FRAME_FLAG_INTERLACED;
#else
    const bool flag = f->interlaced_frame;
#endif
    return flag && codec != AV_CODEC_ID_PNG && codec != AV_CODEC_ID_APNG;
}

static tk_status send_fields(tk_fields *d, tk_track *t)
{
    d->time[d->sent % TK_FIELDS_TIMES] = t->time;
    t->frame->pts = d->sent++;
    d->waits = false;
    return send(&d->filter, t->path, t->frame);
}

static double time_of(const tk_fields *d, const AVFrame *f)
{
    const AVRational unit = d->filter.av->av_buffersink_get_time_base(d->filter.to);
    return d->time[av_rescale_q(f->pts, unit, (AVRational){1, 1}) % TK_FIELDS_TIMES];
}

tk_status tk_fields_next(tk_fields *d, tk_track *t, AVFrame *out, double *time, bool *end)
{
    av_frame_unref(out);
    for (*end = false;;) {
        if (d->filter.graph) {
            bool got;
            TK_TRY(receive(&d->filter, t->path, out, &got));
            if (got) *time = time_of(d, out);
            if (got) return TK_OK;
        }
        if (!d->waits && !d->ended) {
            TK_TRY(tk_track_next(t, &d->ended));
            d->waits = !d->ended;
        }
        if (d->filter.graph) {
            const bool more = d->waits && alike(&d->filter, t->frame);
            TK_TRY(more ? send_fields(d, t) : send(&d->filter, t->path, NULL));
        } else if (d->waits && is_interlaced(t, t->frame)) {
            TK_TRY(open_graph(&d->filter, t->path, t->frame, "bwdif=send_frame:auto:interlaced",
                              "bwdif", "deinterlaced"));
        } else {
            *end = !d->waits;
            *time = t->time;
            if (d->waits) av_frame_move_ref(out, t->frame);
            d->waits = false;
            return TK_OK;
        }
    }
}

// Tone mapping
// -------------------------------------------------------------------------------------

// Light by BT.709's primaries, 1 = reference white; a curve, straight up to 0.9, that brings ten
// thousand nits (49.26) down to 1 and keeps the hue; what still lies outside of BT.709 is cut off.
#define TO_LINEAR \
    "zscale=transfer=linear:npl=203:primaries=bt709:matrix=gbr,format=gbrapf32le|gbrpf32le,"
#define ROLL_OFF "tonemap=mobius:param=0.9:peak=49.26:desat=0,"
#define TO_SDR "zscale=transfer=bt709:range=full,format=gbrap|gbrp"
// The same light by other primaries.
#define TO_GAMUT "zscale=primaries=bt709:matrix=gbr:range=full,format=gbrap|gbrp"

typedef struct tk_tone { // how pictures become SDR BT.709
    const char *chain, *needs, *what;
    tk_fact fact;
} tk_tone;

static const tk_tone tone_of_range = {TO_LINEAR ROLL_OFF TO_SDR, "zscale tonemap",
                                      "tone-mapped from a high dynamic range", TK_FACT_TONE_MAPPED};
static const tk_tone tone_of_gamut = {TO_GAMUT, "zscale", "brought from a wide gamut to BT.709",
                                      TK_FACT_GAMUT};

static const struct {        // what is not SDR BT.709, nor as near to it as most is
    int transfer, primaries; // 0 = any
    const char *name;
    const tk_tone *tone;
} kinds[] = {
    {AVCOL_TRC_SMPTE2084, 0, "PQ", &tone_of_range},
    {AVCOL_TRC_ARIB_STD_B67, 0, "HLG", &tone_of_range},
    {AVCOL_TRC_LINEAR, 0, "linear light", &tone_of_range},
    {AVCOL_TRC_LOG, 0, "a logarithmic scale", &tone_of_range},
    {AVCOL_TRC_LOG_SQRT, 0, "a logarithmic scale", &tone_of_range},
    {0, AVCOL_PRI_BT2020, "BT.2020", &tone_of_gamut},
    {0, AVCOL_PRI_SMPTE431, "DCI-P3", &tone_of_gamut},
    {0, AVCOL_PRI_SMPTE432, "Display P3", &tone_of_gamut},
};

// Number of its kind above; -1 = none.
static int kind_of(const AVFrame *f)
{
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++)
        if ((!kinds[i].transfer || kinds[i].transfer == (int)f->color_trc) &&
            (!kinds[i].primaries || kinds[i].primaries == (int)f->color_primaries))
            return i;
    return -1;
}

// What the file leaves unsaid, by convention.
static void complete_tags(AVFrame *f)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    const bool rgb = d && d->flags & AV_PIX_FMT_FLAG_RGB;
    const bool hdr = f->color_trc == AVCOL_TRC_SMPTE2084 || f->color_trc == AVCOL_TRC_ARIB_STD_B67;
    if (f->color_primaries == AVCOL_PRI_UNSPECIFIED)
        f->color_primaries = hdr ? AVCOL_PRI_BT2020 : AVCOL_PRI_BT709;
    if (f->color_trc == AVCOL_TRC_UNSPECIFIED) f->color_trc = AVCOL_TRC_BT709;
    if (rgb) f->colorspace = AVCOL_SPC_RGB;
    if (f->colorspace == AVCOL_SPC_UNSPECIFIED)
        f->colorspace =
            f->color_primaries == AVCOL_PRI_BT2020 ? AVCOL_SPC_BT2020_NCL : AVCOL_SPC_BT709;
    if (f->color_range == AVCOL_RANGE_UNSPECIFIED)
        f->color_range = rgb ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
}

tk_status tk_tone_open(tk_filter *g, const char *path, AVFrame *f)
{
    const int kind = kind_of(f);
    if (kind < 0) return TK_OK;
    const tk_tone *tone = kinds[kind].tone;
    complete_tags(f);
    if (g->graph && alike(g, f)) return TK_OK;
    return open_graph(g, path, f, tone->chain, tone->needs, tone->what);
}

tk_status tk_tone_run(tk_filter *g, const char *path, AVFrame *f, tk_facts *facts)
{
    const int kind = kind_of(f);
    if (kind < 0) return TK_OK;
    tk_facts_note(facts, kinds[kind].tone->fact, "%s", kinds[kind].name);
    TK_TRY(tk_tone_open(g, path, f));
    const AVRational aspect = f->sample_aspect_ratio;
    bool got;
    TK_TRY(send(g, path, f));
    TK_TRY(receive(g, path, f, &got));
    if (!got)
        return TK_FAIL(TK_INTERNAL, "%s: a picture did not come back from tone mapping", path);
    f->sample_aspect_ratio = aspect;
    return TK_OK;
}
