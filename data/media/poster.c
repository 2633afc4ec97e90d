// SPDX-License-Identifier: Apache-2.0
// One picture of a film as JPEG: see data/media/media.h.
#include "core/base/log.h"
#include "data/media/media.h"
#include "data/media/picture.h"
#include <math.h>
#include <string.h>

enum { QUALITY = 4 }; // of MJPEG's quantizer, 2 (best) to 31

typedef struct tk_still { // on the way from a film's file to JPEG
    const char *path;
    tk_track track;
    AVFrame *shown;                 // as it was decoded
    int64_t width, height;          // of the still
    uint8_t *rgb;                   // (height, width, 3)
    AVCodecContext *codec;          // MJPEG
    AVFrame *picture;               // what it is given
    AVPacket *packet;               // and gives
    struct SwsContext *rgb_to_jpeg; // to YCbCr of JPEG's range
} tk_still;

// Keeps the first picture that lies `at` seconds after the first one, or else the last.
static tk_status find_still(tk_still *s, double at)
{
    bool end = false;
    s->shown = av_frame_alloc();
    if (!s->shown) return TK_FAIL(TK_MEMORY, "out of memory reading %s", s->path);
    do {
        TK_TRY(tk_track_next(&s->track, &end));
        if (end) break;
        tk_alive();
        av_frame_unref(s->shown);
        if (av_frame_ref(s->shown, s->track.frame) < 0)
            return TK_FAIL(TK_MEMORY, "out of memory reading %s", s->path);
    } while (s->track.time - s->track.first < at);
    return s->shown->width > 0 ? TK_OK : TK_FAIL(TK_INPUT, "%s shows no picture", s->path);
}

// Even sides, as MJPEG's halved colours have them.
static int64_t still_side(int64_t own, int64_t longest, int64_t side)
{
    const double k = fmin(1, (double)side / (double)longest);
    const int64_t n = (int64_t)rint((double)own * k) & ~(int64_t)1;
    return n < 2 ? 2 : n;
}

static tk_status scale_still(tk_still *s, int64_t side)
{
    const int64_t w = s->shown->width, h = s->shown->height, longest = w > h ? w : h;
    tk_facts facts = {0};
    s->width = still_side(w, longest, side);
    s->height = still_side(h, longest, side);
    tk_scaler scaler = {.width = s->width, .height = s->height};
    TK_NEW(s->rgb, 3 * s->width * s->height);
    const tk_status st = tk_scaler_run(&scaler, &s->track, s->shown, s->rgb, &facts);
    tk_scaler_free(&scaler);
    return st;
}

static tk_status still_failed(const tk_still *s, int e, const char *doing)
{
    return TK_FAIL(e == AVERROR(ENOMEM) ? TK_MEMORY : TK_INPUT, "%s: no still of it: %s (%s)",
                   s->path, doing, tk_av_words(e));
}

static tk_status open_jpeg(tk_still *s)
{
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    if (!encoder)
        return TK_FAIL(TK_INPUT, "%s: this libavcodec has no JPEG encoder for its still", s->path);
    AVCodecContext *c = s->codec = avcodec_alloc_context3(encoder);
    if (!c) return still_failed(s, AVERROR(ENOMEM), "the encoder");
    c->width = (int)s->width;
    c->height = (int)s->height;
    c->pix_fmt = AV_PIX_FMT_YUVJ420P;
    c->color_range = AVCOL_RANGE_JPEG;
    c->time_base = (AVRational){1, 1};
    c->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
    c->global_quality = QUALITY * FF_QP2LAMBDA;
    c->thread_count = 1; // the same bytes on every machine
    const int e = avcodec_open2(c, encoder, NULL);
    return e < 0 ? still_failed(s, e, "opening the encoder") : TK_OK;
}

static tk_status to_jpeg_colours(tk_still *s)
{
    AVFrame *f = s->picture = av_frame_alloc();
    if (!f) return still_failed(s, AVERROR(ENOMEM), "a picture");
    f->width = (int)s->width;
    f->height = (int)s->height;
    f->format = AV_PIX_FMT_YUVJ420P;
    f->quality = s->codec->global_quality;
    const int e = av_frame_get_buffer(f, 0);
    if (e < 0) return still_failed(s, e, "a picture");
    s->rgb_to_jpeg = sws_getContext(f->width, f->height, AV_PIX_FMT_RGB24, f->width, f->height,
                                    f->format, SWS_BICUBIC | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!s->rgb_to_jpeg) return still_failed(s, AVERROR(ENOMEM), "its colours");
    const uint8_t *from[] = {s->rgb};
    const int stride[] = {3 * f->width};
    sws_scale(s->rgb_to_jpeg, from, stride, 0, f->height, f->data, f->linesize);
    return TK_OK;
}

static tk_status encode_still(tk_still *s, tk_arena *a, tk_media_poster *out)
{
    uint8_t *jpeg;
    TK_TRY(open_jpeg(s));
    TK_TRY(to_jpeg_colours(s));
    s->packet = av_packet_alloc();
    if (!s->packet) return still_failed(s, AVERROR(ENOMEM), "a packet");
    int e = avcodec_send_frame(s->codec, s->picture);
    if (e >= 0) e = avcodec_receive_packet(s->codec, s->packet);
    if (e < 0) return still_failed(s, e, "encoding");
    TK_ARENA_NEW(jpeg, a, s->packet->size);
    memcpy(jpeg, s->packet->data, (size_t)s->packet->size);
    out->jpeg = jpeg;
    out->bytes = (size_t)s->packet->size;
    return TK_OK;
}

static tk_status make_still(tk_still *s, double at, int64_t side, tk_arena *a, tk_media_poster *out)
{
    TK_TRY(tk_track_open(s->path, AVMEDIA_TYPE_VIDEO, 0, &s->track));
    TK_TRY(find_still(s, at));
    TK_TRY(scale_still(s, side));
    TK_TRY(encode_still(s, a, out));
    out->width = s->shown->width;
    out->height = s->shown->height;
    const int64_t lasts = s->track.format->duration;
    out->seconds = lasts > 0 ? (double)lasts / AV_TIME_BASE : 0;
    return TK_OK;
}

tk_status tk_media_make_poster(const char *path, double at, int64_t side, tk_arena *a,
                               tk_media_poster *out)
{
    tk_still s = {.path = path};
    *out = (tk_media_poster){0};
    tk_av_quiet();
    const tk_status st = make_still(&s, at, side, a, out);
    av_frame_free(&s.shown);
    av_frame_free(&s.picture);
    av_packet_free(&s.packet);
    avcodec_free_context(&s.codec);
    sws_freeContext(s.rgb_to_jpeg);
    tk_free(s.rgb);
    tk_track_close(&s.track);
    return st;
}
