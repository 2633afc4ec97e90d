// SPDX-License-Identifier: Apache-2.0
// Decoded pictures to RGB of our size: see data/media/picture.h.
#include "data/media/picture.h"
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <string.h>

enum { COVER_MAX_PIXELS = 1 << 26, COVER_ALIGN = 64 };

// The display matrix of the picture itself (JPEG's Exif, H.264's message) or else of its stream.
static const int32_t *display_matrix(const tk_track *t, const AVFrame *f)
{
    const AVFrameSideData *own = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
    if (own && own->size >= 9 * sizeof(int32_t)) return (const int32_t *)own->data;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
    const AVCodecParameters *p = t->stream->codecpar;
    const AVPacketSideData *of_stream = av_packet_side_data_get(
        p->coded_side_data, p->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    return of_stream && of_stream->size >= 9 * sizeof(int32_t) ? (const int32_t *)of_stream->data
                                                               : NULL;
#else
    size_t size = 0;
    const uint8_t *of_stream = av_stream_get_side_data(t->stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    return of_stream && size >= 9 * sizeof(int32_t) ? (const int32_t *)of_stream : NULL;
#endif
}

// Nearest of the eight orientations: shown x' = a x + c y, y' = b x + d y.
static tk_orientation orientation(const int32_t *m)
{
    tk_orientation o = {0};
    if (!m) return o;
    double a = m[0], b = m[1], c = m[3], d = m[4];
    o.transpose = fabs(b) + fabs(c) > fabs(a) + fabs(d);
    o.flip_x = (o.transpose ? c : a) < 0;
    o.flip_y = (o.transpose ? b : d) < 0;
    return o;
}

// Colour matrix where the file does not say: by convention, wide or high pictures are BT.709.
static int colours_of(const AVFrame *f)
{
    switch (f->colorspace) {
    case AVCOL_SPC_BT709:
        return SWS_CS_ITU709;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return SWS_CS_BT2020;
    case AVCOL_SPC_SMPTE240M:
        return SWS_CS_SMPTE240M;
    case AVCOL_SPC_FCC:
        return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
        return SWS_CS_ITU601;
    default:
        return f->width >= 1280 || f->height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    }
}

// Whether black is 0 and white the highest number. Grey that does not say has all numbers, as
// stills have; that of H.264 and HEVC has not, by their standards.
static bool full_range(const tk_track *t, const AVFrame *f)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    const enum AVCodecID codec = t->codec->codec_id;
    const bool grey = d && d->nb_components <= 2 && !(d->flags & AV_PIX_FMT_FLAG_RGB);
    if (grey && f->color_range == AVCOL_RANGE_UNSPECIFIED)
        return codec != AV_CODEC_ID_H264 && codec != AV_CODEC_ID_HEVC;
    return f->color_range == AVCOL_RANGE_JPEG;
}

static double pixel_aspect(const tk_track *t, const AVFrame *f)
{
    AVRational r = f->sample_aspect_ratio.num > 0 ? f->sample_aspect_ratio
                                                  : t->stream->codecpar->sample_aspect_ratio;
    double aspect = r.num > 0 && r.den > 0 ? av_q2d(r) : 1;
    return aspect >= 1.0 / 16 && aspect <= 16 ? aspect : 1;
}

// Scaling context from `f` to cover_width x cover_height, kept while pictures stay alike.
static tk_status prepare(tk_scaler *s, const char *path, const AVFrame *f, const tk_scaler_key *key)
{
    if (s->sws && memcmp(key, &s->key, sizeof *key) == 0) return TK_OK;
    sws_freeContext(s->sws);
    tk_free(s->cover);
    s->cover = NULL;
    s->sws = sws_getContext(
        f->width, f->height, f->format, key->out_width, key->out_height, key->out_format,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!s->sws) {
        const char *name = av_get_pix_fmt_name(f->format);
        return TK_FAIL(TK_INPUT, "%s: pictures of pixel format %s cannot be converted", path,
                       name ? name : "unknown");
    }
    const int *to = sws_getCoefficients(SWS_CS_DEFAULT);
    sws_setColorspaceDetails(s->sws, sws_getCoefficients(key->colours), key->full_range, to, 1, 0,
                             1 << 16, 1 << 16); // fails for RGB sources, where it means nothing
    int64_t stride = (int64_t)key->out_width * (key->out_format == AV_PIX_FMT_RGBA ? 4 : 3);
    s->cover_stride = (stride + COVER_ALIGN - 1) / COVER_ALIGN * COVER_ALIGN;
    TK_NEW(s->cover, s->cover_stride * key->out_height + COVER_ALIGN);
    s->key = *key;
    return TK_OK;
}

// Returns whether any part of the picture was transparent.
static bool blend_over_black(tk_scaler *s)
{
    bool clear = false;
    for (int y = 0; y < s->key.out_height; y++) {
        uint8_t *p = s->cover + y * s->cover_stride;
        for (int x = 0; x < s->key.out_width; x++, p += 4) {
            for (int c = 0; c < 3; c++) p[c] = (uint8_t)((p[c] * p[3] + 127) / 255);
            clear |= p[3] < 255;
        }
    }
    return clear;
}

// Centre crop of the covering picture, turned the way it is shown.
static void crop_and_turn(const tk_scaler *s, tk_orientation o, uint8_t *rgb)
{
    const int bytes = s->key.out_format == AV_PIX_FMT_RGBA ? 4 : 3;
    const int64_t stored_w = o.transpose ? s->height : s->width;
    const int64_t stored_h = o.transpose ? s->width : s->height;
    const int64_t left = (s->key.out_width - stored_w) / 2,
                  top = (s->key.out_height - stored_h) / 2;
    for (int64_t y = 0; y < s->height; y++)
        for (int64_t x = 0; x < s->width; x++) {
            int64_t u = o.flip_x ? s->width - 1 - x : x, v = o.flip_y ? s->height - 1 - y : y;
            int64_t sx = o.transpose ? v : u, sy = o.transpose ? u : v;
            memcpy(rgb + (y * s->width + x) * 3,
                   s->cover + (top + sy) * s->cover_stride + (left + sx) * bytes, 3);
        }
}

// Whether it is turned, and cropped by more than a hundredth of a side; shown_w, shown_h before
// that.
static void note_shape(const tk_scaler *s, tk_orientation o, double shown_w, double shown_h,
                       tk_facts *facts)
{
    const double from = o.transpose ? shown_h / shown_w : shown_w / shown_h;
    const double to = (double)s->width / (double)s->height;
    if (o.transpose || o.flip_x || o.flip_y) tk_facts_note(facts, TK_FACT_TURNED, "%s", "");
    if (fabs(log(from / to)) > 0.01)
        tk_facts_note(facts, TK_FACT_CROPPED, "%.2f:1 to %.2f:1", from, to);
}

void tk_picture_shown(const tk_track *t, const AVFrame *f, int64_t *width, int64_t *height)
{
    const double aspect = pixel_aspect(t, f);
    const int64_t wide = llrint(fmax(1, f->width * fmax(1, aspect)));
    const int64_t high = llrint(fmax(1, f->height * fmax(1, 1 / aspect)));
    const bool turned = orientation(display_matrix(t, f)).transpose;
    *width = turned ? high : wide;
    *height = turned ? wide : high;
}

tk_status tk_scaler_run(tk_scaler *s, const tk_track *t, AVFrame *f, uint8_t *rgb, tk_facts *facts)
{
    if (f->width < 1 || f->height < 1 || f->width > TK_MEDIA_MAX_SIDE ||
        f->height > TK_MEDIA_MAX_SIDE)
        return TK_FAIL(TK_INPUT, "%s: pictures of %d x %d are larger than %d x %d", t->path,
                       f->width, f->height, TK_MEDIA_MAX_SIDE, TK_MEDIA_MAX_SIDE);
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    tk_orientation o = orientation(display_matrix(t, f));
    double want_w = (double)(o.transpose ? s->height : s->width);
    double want_h = (double)(o.transpose ? s->width : s->height);
    double shown_w = f->width * pixel_aspect(t, f), shown_h = f->height;
    double scale = fmax(want_w / shown_w, want_h / shown_h);
    double cover_w = fmax(want_w, rint(shown_w * scale));
    double cover_h = fmax(want_h, rint(shown_h * scale));
    if (cover_w * cover_h > COVER_MAX_PIXELS)
        return TK_FAIL(TK_INPUT, "%s: pictures of %d x %d are too long and thin for %lld x %lld",
                       t->path, f->width, f->height, (long long)s->width, (long long)s->height);
    const tk_scaler_key key = {
        .width = f->width,
        .height = f->height,
        .format = f->format,
        .colours = colours_of(f),
        .full_range = full_range(t, f),
        .out_width = (int)cover_w,
        .out_height = (int)cover_h,
        .out_format = d && d->flags & AV_PIX_FMT_FLAG_ALPHA ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24,
    };
    TK_TRY(prepare(s, t->path, f, &key));
    uint8_t *to[4] = {s->cover};
    int stride[4] = {(int)s->cover_stride};
    if (sws_scale(s->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, to, stride) <
        0)
        return TK_FAIL(TK_INPUT, "%s: a picture cannot be converted (%s)", t->path, tk_av_words(0));
    if (key.out_format == AV_PIX_FMT_RGBA && blend_over_black(s))
        tk_facts_note(facts, TK_FACT_BLENDED, "%s", "");
    note_shape(s, o, shown_w, shown_h, facts);
    crop_and_turn(s, o, rgb);
    return TK_OK;
}

void tk_scaler_free(tk_scaler *s)
{
    sws_freeContext(s->sws);
    tk_free(s->cover);
    s->sws = NULL;
    s->cover = NULL;
}
