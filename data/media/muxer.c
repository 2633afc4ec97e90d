// SPDX-License-Identifier: Apache-2.0
#include "data/media/muxer.h"
#include <libavutil/avstring.h>
#include <libavutil/opt.h>
#include <math.h>

enum {
    SHOWN_HEIGHT = 256, // smaller pictures are enlarged by a whole factor until this high
    SHOWN_MAX = 4096,   // but never beyond this
    THREADS = 2,        // of the encoder: fixed, so that the bytes do not depend on the machine
    COMMON_RATE = 48000,
    BLOCK = 1024 // samples at once, of encoders that take any number
};

tk_status tk_muxer_failed(const tk_muxer *m, int e, const char *doing)
{
    tk_status code = e == AVERROR(ENOMEM) ? TK_MEMORY : TK_IO;
    return TK_FAIL(code, "cannot write %s: %s (%s)", m->path, doing, tk_av_words(e));
}

// 23.976 and its like are k * 1000 / 1001.
static AVRational rational_rate(double fps)
{
    double n = rint(fps * 1.001);
    if (fabs(fps - rint(fps)) > 1e-3 && fabs(fps - n / 1.001) < 2e-3)
        return (AVRational){(int)n * 1000, 1001};
    return av_d2q(fps, 100000);
}

static int64_t enlargement(int64_t width, int64_t height)
{
    int64_t k = (SHOWN_HEIGHT + height - 1) / height;
    while (k > 1 && (width * k > SHOWN_MAX || height * k > SHOWN_MAX)) k--;
    return k;
}

// x264's code for AVX-512 gives other bytes from run to run (seen with core 164 on an EPYC, 352 x
// 264); that for AVX2 gives one processor's bytes on all.
static const char *encoder_code(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx2")) return "asm=avx2";
#endif
    return "";
}

// ---- MP4 ---------------------------------------------------------------------------------------

static tk_status set_up_h264(tk_muxer *m, AVRational rate)
{
    const AVCodec *encoder = avcodec_find_encoder_by_name("libx264");
    if (!encoder) encoder = avcodec_find_encoder(AV_CODEC_ID_H264);
    if (!encoder)
        return TK_FAIL(TK_INPUT, "cannot write %s: this libavcodec has no H.264 encoder", m->path);
    AVCodecContext *c = m->video = avcodec_alloc_context3(encoder);
    if (!c) return tk_muxer_failed(m, AVERROR(ENOMEM), "video");
    m->padded_wide = (m->width + 1) & ~(int64_t)1;
    m->padded_high = (m->height + 1) & ~(int64_t)1;
    const int64_t k = enlargement(m->width, m->height);
    c->width = (int)(k % 2 ? m->padded_wide * k : m->width * k);
    c->height = (int)(k % 2 ? m->padded_high * k : m->height * k);
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->gop_size = (int)fmax(1, rint(2 * av_q2d(rate)));
    c->colorspace = AVCOL_SPC_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->color_range = AVCOL_RANGE_MPEG;
    c->thread_count = THREADS;
    av_opt_set(c->priv_data, "crf", "16", 0);
    av_opt_set(c->priv_data, "preset", "medium", 0);
    av_opt_set(c->priv_data, "x264-params", encoder_code(), 0);
    return TK_OK;
}

static tk_status set_up_aac(tk_muxer *m, int64_t rate, int64_t channels)
{
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_AAC);
    if (!encoder)
        return TK_FAIL(TK_INPUT, "cannot write %s: this libavcodec has no AAC encoder", m->path);
    AVCodecContext *c = m->audio = avcodec_alloc_context3(encoder);
    if (!c) return tk_muxer_failed(m, AVERROR(ENOMEM), "sound");
    c->sample_rate = rate == 44100 ? 44100 : COMMON_RATE;
    c->sample_fmt = AV_SAMPLE_FMT_FLTP;
    c->bit_rate = channels == 1 ? 96000 : 160000;
    return TK_OK;
}

// ---- a master ----------------------------------------------------------------------------------

// Every picture by itself, each with a checksum.
static tk_status set_up_ffv1(tk_muxer *m)
{
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_FFV1);
    if (!encoder)
        return TK_FAIL(TK_INPUT, "cannot write %s: this libavcodec has no FFV1 encoder", m->path);
    AVCodecContext *c = m->video = avcodec_alloc_context3(encoder);
    if (!c) return tk_muxer_failed(m, AVERROR(ENOMEM), "video");
    m->padded_wide = m->width;
    m->padded_high = m->height;
    c->width = (int)m->width;
    c->height = (int)m->height;
    c->pix_fmt = AV_PIX_FMT_0RGB32;
    c->gop_size = 1;
    c->level = 3;
    c->colorspace = AVCOL_SPC_RGB;
    c->color_trc = AVCOL_TRC_BT709;
    c->color_range = AVCOL_RANGE_JPEG;
    c->thread_count = 1;
    av_opt_set_int(c->priv_data, "slicecrc", 1, 0);
    return TK_OK;
}

static tk_status set_up_pcm(tk_muxer *m, int64_t rate)
{
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_PCM_S24LE);
    if (!encoder)
        return TK_FAIL(TK_INPUT, "cannot write %s: this libavcodec has no PCM encoder", m->path);
    AVCodecContext *c = m->audio = avcodec_alloc_context3(encoder);
    if (!c) return tk_muxer_failed(m, AVERROR(ENOMEM), "sound");
    c->sample_rate = (int)rate;
    c->sample_fmt = AV_SAMPLE_FMT_S32;
    return TK_OK;
}

// ---- both --------------------------------------------------------------------------------------

static tk_status open_encoders(tk_muxer *m)
{
    const tk_media *s = &m->clip->shape;
    const AVRational rate = rational_rate(s->fps);
    TK_TRY(m->master ? set_up_ffv1(m) : set_up_h264(m, rate));
    AVCodecContext *v = m->video;
    v->time_base = av_inv_q(rate);
    v->framerate = rate;
    v->color_primaries = AVCOL_PRI_BT709;
    v->sample_aspect_ratio = (AVRational){1, 1};
    v->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    int e = avcodec_open2(v, v->codec, NULL);
    if (e < 0) return tk_muxer_failed(m, e, "opening the encoder of pictures");
    TK_TRY(m->master ? set_up_pcm(m, s->sample_rate) : set_up_aac(m, s->sample_rate, s->channels));
    AVCodecContext *a = m->audio;
    a->time_base = (AVRational){1, a->sample_rate};
    a->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_channel_layout_default(&a->ch_layout, (int)s->channels);
    e = avcodec_open2(a, a->codec, NULL);
    if (e < 0) return tk_muxer_failed(m, e, "opening the encoder of sound");
    m->block = a->frame_size > 0 ? a->frame_size : BLOCK;
    return TK_OK;
}

static tk_status add_stream(tk_muxer *m, const AVCodecContext *c)
{
    AVStream *s = avformat_new_stream(m->format, NULL);
    if (!s) return tk_muxer_failed(m, AVERROR(ENOMEM), "a stream");
    s->time_base = m->clock[s->index] = c->time_base;
    if (c->codec_type == AVMEDIA_TYPE_VIDEO) s->avg_frame_rate = c->framerate;
    int e = avcodec_parameters_from_context(s->codecpar, c);
    return e < 0 ? tk_muxer_failed(m, e, "a stream") : TK_OK;
}

// Before all boxes, until the file is whole: its places are counted from here on.
static void leave_room(AVIOContext *io, int64_t room)
{
    if (room == 0) return;
    avio_wb32(io, (unsigned)room);
    avio_wl32(io, MKTAG('f', 'r', 'e', 'e'));
    for (int64_t i = 8; i < room; i++) avio_w8(io, 0);
}

static tk_status open_streams(tk_muxer *m, const char *comment)
{
    char *url = av_asprintf("file:%s", m->file->tmp);
    if (!url) return tk_muxer_failed(m, AVERROR(ENOMEM), "its format");
    int e = avformat_alloc_output_context2(&m->format, NULL, m->master ? "matroska" : "mp4",
                                           url); // copies the name
    av_free(url);
    if (e < 0) return tk_muxer_failed(m, e, "its format");
    TK_TRY(add_stream(m, m->video));
    TK_TRY(add_stream(m, m->audio));
    if (comment && *comment) av_dict_set(&m->format->metadata, "comment", comment, 0);
    return TK_OK;
}

tk_status tk_muxer_begin(tk_muxer *m)
{
    int e = avio_open(&m->format->pb, m->format->url, AVIO_FLAG_WRITE);
    if (e < 0) return tk_muxer_failed(m, e, "opening");
    leave_room(m->format->pb, m->room);
    AVDictionary *options = NULL;
    if (!m->master) av_dict_set(&options, "movflags", "+faststart", 0);
    if (m->master) m->format->flags |= AVFMT_FLAG_BITEXACT; // numbers it draws, and versions
    e = avformat_write_header(m->format, &options);
    av_dict_free(&options);
    return e < 0 ? tk_muxer_failed(m, e, "the header") : TK_OK;
}

static tk_status open_frames(tk_muxer *m)
{
    const AVCodecContext *v = m->video, *a = m->audio;
    m->packet = av_packet_alloc();
    m->picture = av_frame_alloc();
    m->sound = av_frame_alloc();
    if (!m->packet || !m->picture || !m->sound)
        return tk_muxer_failed(m, AVERROR(ENOMEM), "frames");
    m->picture->width = v->width;
    m->picture->height = v->height;
    m->picture->format = v->pix_fmt;
    m->picture->colorspace = v->colorspace;
    m->picture->color_range = v->color_range;
    m->sound->format = a->sample_fmt;
    m->sound->sample_rate = a->sample_rate;
    m->sound->nb_samples = (int)m->block;
    int e = av_channel_layout_copy(&m->sound->ch_layout, &a->ch_layout);
    if (e >= 0) e = av_frame_get_buffer(m->picture, 0);
    if (e >= 0) e = av_frame_get_buffer(m->sound, 0);
    if (e < 0) return tk_muxer_failed(m, e, "frames");
    TK_NEW(m->padded, m->padded_wide * m->padded_high * 3);
    m->sws = sws_getContext((int)m->padded_wide, (int)m->padded_high, AV_PIX_FMT_RGB24, v->width,
                            v->height, v->pix_fmt,
                            SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!m->sws) return tk_muxer_failed(m, AVERROR(EINVAL), "converting pictures");
    if (m->master) {
        TK_NEW(m->luma, 2 * m->height * m->width);
        return TK_OK;
    }
    sws_setColorspaceDetails(m->sws, sws_getCoefficients(SWS_CS_DEFAULT), 1,
                             sws_getCoefficients(SWS_CS_ITU709), 0, 0, 1 << 16, 1 << 16);
    return TK_OK;
}

static tk_status open_sound(tk_muxer *m)
{
    const tk_media *shape = &m->clip->shape;
    m->track_samples =
        llrint((double)m->frames * m->audio->sample_rate / av_q2d(m->video->framerate));
    m->track_cap = m->block;
    TK_NEW(m->track, m->track_cap * shape->channels);
    if (shape->samples <= 0) return TK_OK;
    TK_NEW(m->second, shape->sample_rate * shape->channels);
    int e = swr_alloc_set_opts2(&m->swr, &m->audio->ch_layout, AV_SAMPLE_FMT_FLT,
                                m->audio->sample_rate, &m->audio->ch_layout, AV_SAMPLE_FMT_FLT,
                                (int)shape->sample_rate, 0, NULL);
    if (e >= 0) e = swr_init(m->swr);
    return e < 0 ? tk_muxer_failed(m, e, "resampling the sound") : TK_OK;
}

tk_status tk_muxer_open(tk_muxer *m, const char *comment)
{
    tk_free_to_system(); // much went before: what was given, windows that were sampled
    TK_TRY(open_encoders(m));
    TK_TRY(open_sound(m));
    TK_TRY(open_frames(m));
    TK_TRY(open_streams(m, comment));
    return m->master ? tk_muxer_begin(m) : tk_packets_open(m->path, &m->made);
}

void tk_muxer_close_encoders(tk_muxer *m)
{
    avcodec_free_context(&m->video);
    avcodec_free_context(&m->audio);
    av_frame_free(&m->picture);
    av_frame_free(&m->sound);
    sws_freeContext(m->sws);
    m->sws = NULL;
    swr_free(&m->swr);
    tk_free(m->padded);
    tk_free(m->luma);
    tk_free(m->second);
    tk_free(m->track);
    m->padded = m->luma = NULL;
    m->second = m->track = NULL;
    tk_free_to_system();
}

void tk_muxer_close(tk_muxer *m)
{
    tk_muxer_close_encoders(m);
    if (m->format && m->format->pb) avio_closep(&m->format->pb);
    avformat_free_context(m->format);
    av_packet_free(&m->packet);
    tk_packets_close(&m->made);
}
