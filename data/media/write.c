// SPDX-License-Identifier: Apache-2.0
// Clips to files whose streams last equally long. See data/media/media.h.
//
// In an MP4 sound is brought to a rate every player takes; in both forms it is cut or padded to
// exactly the length of the video before it is encoded, and the AAC encoder's own lead-in is hidden
// by the container's edit list.
// Picture by picture, with the sound that goes with it: the clip is never held as a whole.
#include "core/base/log.h"
#include "data/media/media.h"
#include "data/media/muxer.h"
#include <libavutil/intreadwrite.h>
#include <math.h>
#include <string.h>

static tk_status make_room(tk_muxer *m, int64_t more)
{
    const size_t each = (size_t)m->clip->shape.channels * sizeof *m->track;
    const int64_t need = m->waiting + more;
    if (need <= m->track_cap) return TK_OK;
    float *track = tk_realloc(m->track, (size_t)m->track_cap * each, (size_t)need * each);
    if (!track) return tk_muxer_failed(m, AVERROR(ENOMEM), "sound");
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
    if (got < 0) return tk_muxer_failed(m, got, "resampling the sound");
    for (int64_t i = 0; i < got * shape->channels; i++)
        to[i] = isfinite(to[i]) ? fminf(fmaxf(to[i], -1), 1) : 0;
    m->waiting += got;
    m->heard += n;
    if (n == 0) swr_free(&m->swr);
    return TK_OK;
}

// The packet to its file.
static tk_status write_packet(tk_muxer *m)
{
    const int k = m->packet->stream_index;
    av_packet_rescale_ts(m->packet, m->clock[k], m->format->streams[k]->time_base);
    const int e = av_interleaved_write_frame(m->format, m->packet);
    return e < 0 ? tk_muxer_failed(m, e, "writing") : TK_OK;
}

// One frame to an encoder (NULL: the end), and its packets to where they go.
static tk_status encode(tk_muxer *m, AVCodecContext *c, const AVFrame *f)
{
    int e = avcodec_send_frame(c, f);
    if (e < 0) return tk_muxer_failed(m, e, "encoding");
    while ((e = avcodec_receive_packet(c, m->packet)) >= 0) {
        if (c->codec_type == AVMEDIA_TYPE_VIDEO && !m->packet->duration) m->packet->duration = 1;
        m->packet->stream_index = c == m->audio;
        TK_TRY(m->master ? write_packet(m) : tk_packets_put(&m->made, m->packet));
    }
    return e == AVERROR(EAGAIN) || e == AVERROR_EOF ? TK_OK : tk_muxer_failed(m, e, "encoding");
}

// As a master's pictures are shown, a mark goes into their brightness: each colour takes what that
// takes.
static tk_status show_master(tk_muxer *m, int64_t number)
{
    const int64_t n = m->height * m->width;
    uint8_t *before = m->luma, *after = m->luma + n;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = m->padded + 3 * i;
        const double y = 0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]; // BT.709
        before[i] = after[i] = (uint8_t)lrint(16 + y * 219 / 255);
    }
    const tk_shown shown = {.luma = after,
                            .stride = m->width,
                            .width = m->width,
                            .height = m->height,
                            .frame = number,
                            .fps = av_q2d(m->video->framerate)};
    TK_TRY(m->clip->shown(m->clip, &shown));
    for (int64_t i = 0; i < n; i++) {
        const long more = lrint((after[i] - before[i]) * 255.0 / 219);
        for (int c = 0; c < 3 && more; c++) {
            const long x = m->padded[3 * i + c] + more;
            m->padded[3 * i + c] = (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
        }
    }
    return TK_OK;
}

static tk_status put_picture(tk_muxer *m, const uint8_t *rgb, int64_t number)
{
    const int64_t row = m->width * 3, wide = m->padded_wide;
    for (int64_t y = 0; y < m->padded_high; y++) { // last column and row are repeated where odd
        uint8_t *to = m->padded + y * wide * 3;
        memcpy(to, rgb + (y < m->height ? y : m->height - 1) * row, (size_t)row);
        if (wide > m->width) memcpy(to + row, to + row - 3, 3);
    }
    if (m->clip->shown && m->master) TK_TRY(show_master(m, number));
    int e = av_frame_make_writable(m->picture);
    if (e < 0) return tk_muxer_failed(m, e, "frames");
    const uint8_t *from[4] = {m->padded};
    int stride[4] = {(int)wide * 3};
    sws_scale(m->sws, from, stride, 0, (int)m->padded_high, m->picture->data, m->picture->linesize);
    m->picture->pts = number;
    const tk_shown shown = {.luma = m->picture->data[0],
                            .stride = m->picture->linesize[0],
                            .width = m->picture->width,
                            .height = m->picture->height,
                            .frame = number,
                            .fps = av_q2d(m->video->framerate)};
    if (m->clip->shown && !m->master) TK_TRY(m->clip->shown(m->clip, &shown));
    return encode(m, m->video, m->picture);
}

// So many samples of the track into the frame, channel by channel or, in a master, together.
static void fill_sound(tk_muxer *m, int64_t have, int64_t n)
{
    const int channels = m->audio->ch_layout.nb_channels;
    for (int c = 0; c < channels; c++)
        for (int64_t i = 0; i < n; i++) {
            const float x = i < have ? m->track[i * channels + c] : 0;
            if (m->master) // 24 bits of them, in the upper ones of 32
                ((int32_t *)m->sound->data[0])[i * channels + c] =
                    (int32_t)fmin(rint((double)x * 8388608), 8388607) * 256;
            else
                ((float *)m->sound->extended_data[c])[i] = x;
        }
}

// The next n samples of the track, silence where the source has ended.
static tk_status put_sound(tk_muxer *m, int64_t at, int64_t n)
{
    while (m->swr && m->waiting < n) TK_TRY(resample(m));
    m->sound->nb_samples = (int)m->block;
    int e = av_frame_make_writable(m->sound);
    if (e < 0) return tk_muxer_failed(m, e, "frames");
    const int channels = m->audio->ch_layout.nb_channels;
    const int64_t have = m->waiting < n ? m->waiting : n;
    fill_sound(m, have, n);
    m->waiting -= have;
    memmove(m->track, m->track + have * channels,
            (size_t)(m->waiting * channels) * sizeof *m->track);
    m->sound->nb_samples = (int)n;
    m->sound->pts = at;
    return encode(m, m->audio, m->sound);
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
            if (n > m->block) n = m->block;
            TK_TRY(put_sound(m, at, n));
            at += n;
        }
    }
    TK_TRY(encode(m, m->video, NULL));
    return encode(m, m->audio, NULL);
}

// All that waits, now that nothing more is encoded.
static tk_status write_made(tk_muxer *m)
{
    tk_muxer_close_encoders(m);
    TK_TRY(tk_muxer_begin(m));
    for (;;) {
        bool end;
        TK_TRY(tk_packets_next(&m->made, m->packet, &end));
        if (end) return TK_OK;
        TK_TRY(write_packet(m));
        tk_alive();
    }
}

static tk_status end_file(tk_muxer *m)
{
    int e = av_write_trailer(m->format);
    if (e < 0) return tk_muxer_failed(m, e, "finishing");
    e = avio_closep(&m->format->pb);
    return e < 0 ? tk_muxer_failed(m, e, "finishing") : TK_OK;
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
        return tk_muxer_failed(m, AVERROR_BUG, "moving the box ftyp");
    TK_TRY(tk_pread_all(fd, m->path, first, n, m->room));
    AV_WB32(first + n, (uint32_t)m->room);
    memcpy(first + n + 4, "free", 4);
    TK_TRY(tk_pwrite_all(fd, m->path, first, n + 8, 0));
    memset(first, 0, sizeof first);
    const int64_t stale = m->room > n + 8 ? m->room : n + 8; // where ftyp was and is no more
    return tk_pwrite_all(fd, m->path, first, (size_t)(m->room + n - stale), stale);
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

static tk_status write_clip_as(tk_muxer *m, const char *comment)
{
    const tk_media *c = &m->clip->shape;
    m->path = m->file->path;
    m->width = c->width;
    m->height = c->height;
    m->frames = c->frames;
    tk_av_quiet();
    TK_TRY(check_clip(m));
    tk_status st = tk_muxer_open(m, comment);
    if (st == TK_OK) st = put_all(m);
    if (st == TK_OK && !m->master) st = write_made(m);
    if (st == TK_OK) st = end_file(m);
    if (st == TK_OK && m->room) st = move_room(m);
    tk_muxer_close(m);
    return st;
}

tk_status tk_media_write_mp4(const tk_file *f, tk_media_source *clip, const char *comment,
                             int64_t room)
{
    tk_muxer m = {.file = f, .clip = clip, .room = room};
    return write_clip_as(&m, comment);
}

tk_status tk_media_write_master(const tk_file *f, tk_media_source *clip, const char *comment)
{
    tk_muxer m = {.file = f, .clip = clip, .master = true};
    return write_clip_as(&m, comment);
}
