// SPDX-License-Identifier: Apache-2.0
// Clips to MP4: H.264 and AAC whose streams last equally long. See data/media/media.h.
//
// Sound is brought to a rate every player takes and cut or padded to exactly the length of
// the video before it is encoded; the encoder's own lead-in is hidden by the container's edit list.
// Picture by picture, with the sound that goes with it: the clip is never held as a whole.
#include "core/base/log.h"
#include "data/media/media.h"
#include "data/media/track.h"
#include <libavutil/avstring.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    SHOWN_HEIGHT = 256, // smaller pictures are enlarged by a whole factor until this high
    SHOWN_MAX = 4096,   // but never beyond this
    THREADS = 2,        // of the encoder: fixed, so that the bytes do not depend on the machine
    COMMON_RATE = 48000
};

typedef struct tk_muxer {
    const tk_file *file;
    const char *path;
    tk_media_source *clip;
    AVFormatContext *format;
    AVCodecContext *video, *audio;
    AVStream *video_stream, *audio_stream;
    AVFrame *picture, *sound;
    AVPacket *packet;
    struct SwsContext *sws;
    int64_t width, height;  // of the source
    uint8_t *padded;        // source picture made even, where it is odd
    struct SwrContext *swr; // NULL: silence from here on
    int64_t heard;          // samples of the source that swr was given
    float *second;          // (sample_rate, channels) of them
    float *track;           // (waiting, channels) resampled and not yet encoded; room for track_cap
    int64_t waiting, track_cap;
    int64_t track_samples, frames; // of the whole clip
    int64_t room;                  // bytes behind ftyp, see tk_media_write_mp4
} tk_muxer;

static tk_status failed(const tk_muxer *m, int e, const char *doing)
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

static tk_status open_video(tk_muxer *m, AVRational rate)
{
    const AVCodec *encoder = avcodec_find_encoder_by_name("libx264");
    if (!encoder) encoder = avcodec_find_encoder(AV_CODEC_ID_H264);
    if (!encoder)
        return TK_FAIL(TK_INPUT, "cannot write %s: this libavcodec has no H.264 encoder", m->path);
    AVCodecContext *c = m->video = avcodec_alloc_context3(encoder);
    if (!c) return failed(m, AVERROR(ENOMEM), "video");
    const int64_t even_w = (m->width + 1) & ~(int64_t)1, even_h = (m->height + 1) & ~(int64_t)1;
    const int64_t k = enlargement(m->width, m->height);
    c->width = (int)(k % 2 ? even_w * k : m->width * k);
    c->height = (int)(k % 2 ? even_h * k : m->height * k);
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = av_inv_q(rate);
    c->framerate = rate;
    c->gop_size = (int)fmax(1, rint(2 * av_q2d(rate)));
    c->colorspace = AVCOL_SPC_BT709;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->color_range = AVCOL_RANGE_MPEG;
    c->sample_aspect_ratio = (AVRational){1, 1};
    c->thread_count = THREADS;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(c->priv_data, "crf", "16", 0);
    av_opt_set(c->priv_data, "preset", "medium", 0);
    av_opt_set(c->priv_data, "x264-params", encoder_code(), 0);
    int e = avcodec_open2(c, encoder, NULL);
    return e < 0 ? failed(m, e, "opening the H.264 encoder") : TK_OK;
}

static tk_status open_audio(tk_muxer *m, int64_t rate, int64_t channels)
{
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_AAC);
    if (!encoder)
        return TK_FAIL(TK_INPUT, "cannot write %s: this libavcodec has no AAC encoder", m->path);
    AVCodecContext *c = m->audio = avcodec_alloc_context3(encoder);
    if (!c) return failed(m, AVERROR(ENOMEM), "sound");
    c->sample_rate = rate == 44100 ? 44100 : COMMON_RATE;
    c->sample_fmt = AV_SAMPLE_FMT_FLTP;
    c->time_base = (AVRational){1, c->sample_rate};
    c->bit_rate = channels == 1 ? 96000 : 160000;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_channel_layout_default(&c->ch_layout, (int)channels);
    int e = avcodec_open2(c, encoder, NULL);
    return e < 0 ? failed(m, e, "opening the AAC encoder") : TK_OK;
}

static tk_status add_stream(tk_muxer *m, const AVCodecContext *c, AVStream **out)
{
    *out = avformat_new_stream(m->format, NULL);
    if (!*out) return failed(m, AVERROR(ENOMEM), "a stream");
    (*out)->time_base = c->time_base;
    if (c->codec_type == AVMEDIA_TYPE_VIDEO) (*out)->avg_frame_rate = c->framerate;
    int e = avcodec_parameters_from_context((*out)->codecpar, c);
    return e < 0 ? failed(m, e, "a stream") : TK_OK;
}

// Before all boxes, until the file is whole: its places are counted from here on.
static void leave_room(AVIOContext *io, int64_t room)
{
    if (room == 0) return;
    avio_wb32(io, (unsigned)room);
    avio_wl32(io, MKTAG('f', 'r', 'e', 'e'));
    for (int64_t i = 8; i < room; i++) avio_w8(io, 0);
}

static tk_status open_file(tk_muxer *m, const char *comment)
{
    char *url = av_asprintf("file:%s", m->file->tmp);
    if (!url) return failed(m, AVERROR(ENOMEM), "MP4");
    int e = avformat_alloc_output_context2(&m->format, NULL, "mp4", url); // copies the name
    av_free(url);
    if (e < 0) return failed(m, e, "MP4");
    TK_TRY(add_stream(m, m->video, &m->video_stream));
    TK_TRY(add_stream(m, m->audio, &m->audio_stream));
    if (comment && *comment) av_dict_set(&m->format->metadata, "comment", comment, 0);
    e = avio_open(&m->format->pb, m->format->url, AVIO_FLAG_WRITE);
    if (e < 0) return failed(m, e, "opening");
    leave_room(m->format->pb, m->room);
    AVDictionary *options = NULL;
    av_dict_set(&options, "movflags", "+faststart", 0);
    e = avformat_write_header(m->format, &options);
    av_dict_free(&options);
    return e < 0 ? failed(m, e, "the header") : TK_OK;
}

static tk_status open_frames(tk_muxer *m)
{
    const AVCodecContext *v = m->video, *a = m->audio;
    m->packet = av_packet_alloc();
    m->picture = av_frame_alloc();
    m->sound = av_frame_alloc();
    if (!m->packet || !m->picture || !m->sound) return failed(m, AVERROR(ENOMEM), "frames");
    m->picture->width = v->width;
    m->picture->height = v->height;
    m->picture->format = v->pix_fmt;
    m->picture->colorspace = v->colorspace;
    m->picture->color_range = v->color_range;
    m->sound->format = a->sample_fmt;
    m->sound->sample_rate = a->sample_rate;
    m->sound->nb_samples = a->frame_size;
    int e = av_channel_layout_copy(&m->sound->ch_layout, &a->ch_layout);
    if (e >= 0) e = av_frame_get_buffer(m->picture, 0);
    if (e >= 0) e = av_frame_get_buffer(m->sound, 0);
    if (e < 0) return failed(m, e, "frames");
    const int64_t even_w = (m->width + 1) & ~(int64_t)1, even_h = (m->height + 1) & ~(int64_t)1;
    TK_NEW(m->padded, even_w * even_h * 3);
    m->sws =
        sws_getContext((int)even_w, (int)even_h, AV_PIX_FMT_RGB24, v->width, v->height, v->pix_fmt,
                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!m->sws) return failed(m, AVERROR(EINVAL), "converting pictures");
    sws_setColorspaceDetails(m->sws, sws_getCoefficients(SWS_CS_DEFAULT), 1,
                             sws_getCoefficients(SWS_CS_ITU709), 0, 0, 1 << 16, 1 << 16);
    return TK_OK;
}

static tk_status open_sound(tk_muxer *m)
{
    const tk_media *shape = &m->clip->shape;
    m->track_samples =
        llrint((double)m->frames * m->audio->sample_rate / av_q2d(m->video->framerate));
    m->track_cap = m->audio->frame_size;
    TK_NEW(m->track, m->track_cap * shape->channels);
    if (shape->samples <= 0) return TK_OK;
    TK_NEW(m->second, shape->sample_rate * shape->channels);
    int e = swr_alloc_set_opts2(&m->swr, &m->audio->ch_layout, AV_SAMPLE_FMT_FLT,
                                m->audio->sample_rate, &m->audio->ch_layout, AV_SAMPLE_FMT_FLT,
                                (int)shape->sample_rate, 0, NULL);
    if (e >= 0) e = swr_init(m->swr);
    return e < 0 ? failed(m, e, "resampling the sound") : TK_OK;
}

static tk_status make_room(tk_muxer *m, int64_t more)
{
    const size_t each = (size_t)m->clip->shape.channels * sizeof *m->track;
    const int64_t need = m->waiting + more;
    if (need <= m->track_cap) return TK_OK;
    float *track = tk_realloc(m->track, (size_t)m->track_cap * each, (size_t)need * each);
    if (!track) return failed(m, AVERROR(ENOMEM), "sound");
    m->track = track;
    m->track_cap = need;
    return TK_OK;
}

// The source's next second at the encoder's rate, clean; after its end what the resampler still
// has.
static tk_status resample(tk_muxer *m)
{
    const tk_media *shape = &m->clip->shape;
    const int64_t left = shape->samples - m->heard;
    const int n = (int)(left < shape->sample_rate ? left : shape->sample_rate);
    if (n) TK_TRY(m->clip->sound(m->clip, m->heard, n, m->second));
    const int most = swr_get_out_samples(m->swr, n);
    TK_TRY(make_room(m, most < 0 ? 0 : most));
    float *to = m->track + m->waiting * shape->channels;
    const uint8_t *from = (const uint8_t *)m->second;
    const int got = swr_convert(m->swr, (uint8_t *[]){(uint8_t *)to}, most, n ? &from : NULL, n);
    if (got < 0) return failed(m, got, "resampling the sound");
    for (int64_t i = 0; i < got * shape->channels; i++)
        to[i] = isfinite(to[i]) ? fminf(fmaxf(to[i], -1), 1) : 0;
    m->waiting += got;
    m->heard += n;
    if (n == 0) swr_free(&m->swr);
    return TK_OK;
}

// One frame to an encoder (NULL: the end), and its packets to the file.
static tk_status encode(tk_muxer *m, AVCodecContext *c, AVStream *stream, const AVFrame *f)
{
    int e = avcodec_send_frame(c, f);
    if (e < 0) return failed(m, e, "encoding");
    while ((e = avcodec_receive_packet(c, m->packet)) >= 0) {
        if (c->codec_type == AVMEDIA_TYPE_VIDEO && !m->packet->duration) m->packet->duration = 1;
        av_packet_rescale_ts(m->packet, c->time_base, stream->time_base);
        m->packet->stream_index = stream->index;
        e = av_interleaved_write_frame(m->format, m->packet);
        if (e < 0) return failed(m, e, "writing");
    }
    return e == AVERROR(EAGAIN) || e == AVERROR_EOF ? TK_OK : failed(m, e, "encoding");
}

static tk_status put_picture(tk_muxer *m, const uint8_t *rgb, int64_t number)
{
    const int64_t row = m->width * 3, even_w = (m->width + 1) & ~(int64_t)1;
    const int64_t even_h = (m->height + 1) & ~(int64_t)1;
    for (int64_t y = 0; y < even_h; y++) { // the last column and row are repeated where odd
        uint8_t *to = m->padded + y * even_w * 3;
        memcpy(to, rgb + (y < m->height ? y : m->height - 1) * row, (size_t)row);
        if (even_w > m->width) memcpy(to + row, to + row - 3, 3);
    }
    int e = av_frame_make_writable(m->picture);
    if (e < 0) return failed(m, e, "frames");
    const uint8_t *from[4] = {m->padded};
    int stride[4] = {(int)even_w * 3};
    sws_scale(m->sws, from, stride, 0, (int)even_h, m->picture->data, m->picture->linesize);
    m->picture->pts = number;
    const tk_shown shown = {.luma = m->picture->data[0],
                            .stride = m->picture->linesize[0],
                            .width = m->picture->width,
                            .height = m->picture->height,
                            .frame = number,
                            .fps = av_q2d(m->video->framerate)};
    if (m->clip->shown) TK_TRY(m->clip->shown(m->clip, &shown));
    return encode(m, m->video, m->video_stream, m->picture);
}

// The next n samples of the track, silence where the source has ended.
static tk_status put_sound(tk_muxer *m, int64_t at, int64_t n)
{
    while (m->swr && m->waiting < n) TK_TRY(resample(m));
    m->sound->nb_samples = m->audio->frame_size;
    int e = av_frame_make_writable(m->sound);
    if (e < 0) return failed(m, e, "frames");
    const int channels = m->audio->ch_layout.nb_channels;
    const int64_t have = m->waiting < n ? m->waiting : n;
    for (int c = 0; c < channels; c++) {
        float *to = (float *)m->sound->extended_data[c];
        for (int64_t i = 0; i < n; i++) to[i] = i < have ? m->track[i * channels + c] : 0;
    }
    m->waiting -= have;
    memmove(m->track, m->track + have * channels,
            (size_t)(m->waiting * channels) * sizeof *m->track);
    m->sound->nb_samples = (int)n;
    m->sound->pts = at;
    return encode(m, m->audio, m->audio_stream, m->sound);
}

static tk_status put_all(tk_muxer *m)
{
    int64_t at = 0;
    for (int64_t i = 0; i < m->frames; i++) {
        const uint8_t *rgb;
        TK_TRY(m->clip->picture(m->clip, i, &rgb));
        TK_TRY(put_picture(m, rgb, i));
        tk_alive();
        int64_t until = llrint((double)(i + 1) * (double)m->track_samples / (double)m->frames);
        while (at < until) {
            int64_t n = m->track_samples - at;
            if (n > m->audio->frame_size) n = m->audio->frame_size;
            TK_TRY(put_sound(m, at, n));
            at += n;
        }
    }
    TK_TRY(encode(m, m->video, m->video_stream, NULL));
    TK_TRY(encode(m, m->audio, m->audio_stream, NULL));
    int e = av_write_trailer(m->format);
    if (e < 0) return failed(m, e, "finishing");
    e = avio_closep(&m->format->pb);
    return e < 0 ? failed(m, e, "finishing") : TK_OK;
}

// The box ftyp, which libav wrote behind the room, to the beginning, where it belongs: the room
// lies behind it then, and everything else stays where it is.
static tk_status move_room(const tk_muxer *m)
{
    enum { MOST = 4096 };
    const int fd = m->file->fd;
    uint8_t head[8], first[MOST + 8] = {0};
    TK_TRY(tk_pread_all(fd, m->path, head, sizeof head, m->room));
    const uint32_t n = AV_RB32(head);
    if (memcmp(head + 4, "ftyp", 4) || n < 8 || n > MOST)
        return failed(m, AVERROR_BUG, "moving the box ftyp");
    TK_TRY(tk_pread_all(fd, m->path, first, n, m->room));
    AV_WB32(first + n, (uint32_t)m->room);
    memcpy(first + n + 4, "free", 4);
    TK_TRY(tk_pwrite_all(fd, m->path, first, n + 8, 0));
    memset(first, 0, sizeof first);
    const int64_t stale = m->room > n + 8 ? m->room : n + 8; // where ftyp was and is no more
    return tk_pwrite_all(fd, m->path, first, (size_t)(m->room + n - stale), stale);
}

static void close_muxer(tk_muxer *m)
{
    if (m->format && m->format->pb) avio_closep(&m->format->pb);
    avformat_free_context(m->format);
    avcodec_free_context(&m->video);
    avcodec_free_context(&m->audio);
    av_frame_free(&m->picture);
    av_frame_free(&m->sound);
    av_packet_free(&m->packet);
    sws_freeContext(m->sws);
    swr_free(&m->swr);
    tk_free(m->padded);
    tk_free(m->second);
    tk_free(m->track);
}

static tk_status check_clip(const tk_muxer *m)
{
    const tk_media *c = &m->clip->shape;
    if (c->frames < 1 || c->width < 1 || c->height < 1 || c->width > TK_MEDIA_MAX_SIDE ||
        c->height > TK_MEDIA_MAX_SIDE || !(c->fps > 0.01 && c->fps <= 1000) || c->channels < 1 ||
        c->channels > 2 || c->sample_rate < 1000 || c->sample_rate > 768000)
        return TK_FAIL(TK_INPUT,
                       "cannot write %s: %lld frames of %lld x %lld at %g fps with %lld channels "
                       "at %lld Hz is no clip",
                       m->path, (long long)c->frames, (long long)c->width, (long long)c->height,
                       c->fps, (long long)c->channels, (long long)c->sample_rate);
    return TK_OK;
}

tk_status tk_media_writes(const char *path)
{
    (void)path;
    return TK_OK;
}

tk_status tk_media_write_mp4(const tk_file *f, tk_media_source *clip, const char *comment,
                             int64_t room)
{
    const tk_media *c = &clip->shape;
    tk_muxer m = {.file = f,
                  .path = f->path,
                  .clip = clip,
                  .width = c->width,
                  .height = c->height,
                  .frames = c->frames,
                  .room = room};
    tk_status st;
    tk_av_quiet();
    TK_TRY(check_clip(&m));
    TK_TRY_TO(st, out, open_video(&m, rational_rate(c->fps)));
    TK_TRY_TO(st, out, open_audio(&m, c->sample_rate, c->channels));
    TK_TRY_TO(st, out, open_sound(&m));
    TK_TRY_TO(st, out, open_frames(&m));
    TK_TRY_TO(st, out, open_file(&m, comment));
    TK_TRY_TO(st, out, put_all(&m));
    if (room) TK_TRY_TO(st, out, move_room(&m));
out:
    close_muxer(&m);
    return st;
}
