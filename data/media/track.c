// SPDX-License-Identifier: Apache-2.0
// Opening media files and decoding one stream of them: see data/media/track.h.
#include "data/media/track.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include <errno.h>
#include <libavutil/avstring.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/parseutils.h>
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

// Packets before the first picture or sound that may be broken off: recordings begin anywhere.
enum { DECODER_THREADS = 4, LEAD_IN = 2 };

// Containers of real media. Playlists, subtitles, scripts and raw streams of unknown shape are not
// here; sound-only ones are, so that the message can say "no video" about them.
static const char formats[] =
    "mov,mp4,matroska,webm,avi,flv,ogg,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,asf,nut,mxf,dv,"
    "rm,gif,apng,mjpeg,yuv4mpegpipe,png_pipe,jpeg_pipe,jpegxl_pipe,webp_pipe,bmp_pipe,tiff_pipe,"
    "ppm_pipe,pgm_pipe,wav,w64,aiff,caf,mp3,aac,ac3,eac3,flac,amr";

static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;
static char said[256]; // libav's last complaint

static void listen_to_libav(void *ctx, int level, const char *fmt, va_list args)
{
    (void)ctx;
    if (level > AV_LOG_ERROR) return;
    char line[sizeof said];
    vsnprintf(line, sizeof line, fmt, args);
    size_t n = strlen(line);
    while (n && (line[n - 1] == '\n' || line[n - 1] == ' ')) line[--n] = 0;
    if (!n) return;
    pthread_mutex_lock(&said_lock);
    memcpy(said, line, sizeof said);
    pthread_mutex_unlock(&said_lock);
}

void tk_av_quiet(void)
{
    av_log_set_callback(listen_to_libav);
    pthread_mutex_lock(&said_lock);
    said[0] = 0;
    pthread_mutex_unlock(&said_lock);
}

const char *tk_av_words(int error)
{
    static _Thread_local char words[AV_ERROR_MAX_STRING_SIZE + sizeof said + 8];
    char what[AV_ERROR_MAX_STRING_SIZE] = "";
    const bool full =
        error == AVERROR(ENOSPC) || error == AVERROR(EDQUOT) || error == AVERROR(EFBIG);
    if (full) snprintf(what, sizeof what, "%s", tk_io_words(AVUNERROR(error)));
    if (error && !full) av_strerror(error, what, sizeof what);
    pthread_mutex_lock(&said_lock);
    snprintf(words, sizeof words, "%s%s%s", what, error && said[0] ? ": " : "", said);
    pthread_mutex_unlock(&said_lock);
    for (char *p = words; *p; p++)
        if ((unsigned char)*p < ' ') *p = ' ';
    return words;
}

static int open_nothing_else(AVFormatContext *s, AVIOContext **pb, const char *url, int flags,
                             AVDictionary **options)
{
    (void)s, (void)flags, (void)options, (void)url;
    *pb = NULL;
    return AVERROR(EACCES);
}

// Of a reading that came to libav's `e`: what is no matter of the file's content.
static tk_status check_reading(const tk_track *t, int e)
{
    if (t->bytes.failed)
        return TK_FAIL(TK_IO, "cannot read %s: %s", t->path, strerror(t->bytes.failed));
    if (e == AVERROR(ENOMEM)) return TK_FAIL(TK_MEMORY, "out of memory reading %s", t->path);
    return TK_OK;
}

static tk_status open_format(tk_track *t)
{
    if (!(t->format = avformat_alloc_context()))
        return TK_FAIL(TK_MEMORY, "out of memory opening %s", t->path);
    t->format->pb = t->bytes.io;
    t->format->io_open = open_nothing_else;
    if (!(t->format->format_whitelist = av_strdup(formats)))
        return TK_FAIL(TK_MEMORY, "out of memory opening %s", t->path);
    int e = avformat_open_input(&t->format, NULL, NULL, NULL); // frees t->format when it fails
    TK_TRY(check_reading(t, e));
    if (e < 0)
        return TK_FAIL(TK_INPUT, "%s is not a media file, or its beginning or end is missing (%s)",
                       t->path, tk_av_words(e));
    e = avformat_find_stream_info(t->format, NULL);
    TK_TRY(check_reading(t, e));
    if (e < 0) return TK_FAIL(TK_INPUT, "%s: no usable streams (%s)", t->path, tk_av_words(e));
    return TK_OK;
}

bool tk_track_is_cover(const AVStream *s)
{
    return s->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS);
}

static AVStream *find_stream(AVFormatContext *f, enum AVMediaType kind, int number)
{
    const int best = av_find_best_stream(f, kind, -1, -1, NULL, 0);
    const bool is_one = best >= 0 && !tk_track_is_cover(f->streams[best]);
    if (is_one && number-- == 0) return f->streams[best];
    for (unsigned i = 0; i < f->nb_streams; i++)
        if (f->streams[i]->codecpar->codec_type == kind && !tk_track_is_cover(f->streams[i]) &&
            !(is_one && i == (unsigned)best) && number-- == 0)
            return f->streams[i];
    return NULL;
}

static tk_status open_stream(tk_track *t, enum AVMediaType kind, int number)
{
    t->stream = find_stream(t->format, kind, number);
    if (!t->stream && kind == AVMEDIA_TYPE_VIDEO)
        return TK_FAIL(TK_INPUT, "%s has no video stream (it is %s)", t->path,
                       t->format->iformat->long_name);
    if (t->format->iformat->flags & AVFMT_TS_DISCONT)
        t->other = find_stream(
            t->format, kind == AVMEDIA_TYPE_VIDEO ? AVMEDIA_TYPE_AUDIO : AVMEDIA_TYPE_VIDEO, 0);
    for (unsigned i = 0; i < t->format->nb_streams; i++)
        if (t->format->streams[i] != t->stream && t->format->streams[i] != t->other)
            t->format->streams[i]->discard = AVDISCARD_ALL;
    if (!t->stream) return TK_OK;
    const AVCodecParameters *p = t->stream->codecpar;
    if (p->width > TK_MEDIA_MAX_SIDE || p->height > TK_MEDIA_MAX_SIDE)
        return TK_FAIL(TK_INPUT, "%s: pictures of %d x %d are larger than %d x %d", t->path,
                       p->width, p->height, TK_MEDIA_MAX_SIDE, TK_MEDIA_MAX_SIDE);
    return TK_OK;
}

// Of VP8 and VP9, libav's own decoders leave out what is transparent; libvpx does not.
static const char *transparent_decoder(const AVStream *s)
{
    const AVDictionaryEntry *alpha = av_dict_get(s->metadata, "alpha_mode", NULL, 0);
    if (!alpha || strcmp(alpha->value, "1") != 0) return NULL;
    return s->codecpar->codec_id == AV_CODEC_ID_VP8   ? "libvpx"
           : s->codecpar->codec_id == AV_CODEC_ID_VP9 ? "libvpx-vp9"
                                                      : NULL;
}

static tk_status find_decoder(const tk_track *t, const AVCodec **out)
{
    const AVCodecParameters *p = t->stream->codecpar;
    const char *name = transparent_decoder(t->stream);
    *out = name ? avcodec_find_decoder_by_name(name) : avcodec_find_decoder(p->codec_id);
    if (*out) return TK_OK;
    if (name)
        return TK_FAIL(TK_INPUT,
                       "%s: parts of its pictures are transparent, and the libavcodec here has no "
                       "decoder %s, which sees that: install one that has (Debian's has)",
                       t->path, name);
    return TK_FAIL(TK_INPUT, "%s: no decoder for %s %s", t->path,
                   p->codec_type == AVMEDIA_TYPE_VIDEO ? "video" : "sound",
                   avcodec_get_name(p->codec_id));
}

// Some decoders conceal what is damaged and note that in the picture. Of pictures decoded at a time
// the note may come after the picture was handed out, and H.264 by slices misses lost ones.
static int decoder_threads(enum AVCodecID codec)
{
    switch (codec) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_RV30:
    case AV_CODEC_ID_RV40:
        return 1;
    default:
        return FFMIN(omp_get_max_threads(), DECODER_THREADS);
    }
}

static tk_status open_decoder(tk_track *t)
{
    if (!t->stream) return TK_OK;
    const AVCodecParameters *p = t->stream->codecpar;
    const AVCodec *decoder;
    TK_TRY(find_decoder(t, &decoder));
    t->codec = avcodec_alloc_context3(decoder);
    t->packet = av_packet_alloc();
    t->frame = av_frame_alloc();
    if (!t->codec || !t->packet || !t->frame)
        return TK_FAIL(TK_MEMORY, "out of memory opening %s", t->path);
    int e = avcodec_parameters_to_context(t->codec, p);
    t->codec->pkt_timebase = t->stream->time_base;
    t->codec->max_pixels = TK_MEDIA_MAX_PIXELS;
    t->codec->thread_count = decoder_threads(p->codec_id);
#ifdef AV_CODEC_FLAG_COPY_OPAQUE
    t->codec->flags |= AV_CODEC_FLAG_COPY_OPAQUE;
#endif
    if (e >= 0) e = avcodec_open2(t->codec, decoder, NULL);
    if (e < 0)
        return TK_FAIL(TK_INPUT, "%s: cannot decode its %s (%s)", t->path,
                       avcodec_get_name(p->codec_id), tk_av_words(e));
    return TK_OK;
}

// A RIFF file (AVI) says how many bytes it has.
static tk_status check_riff(const tk_track *t)
{
    uint8_t head[8];
    if (t->bytes.size < (int64_t)sizeof head) return TK_OK;
    TK_TRY(tk_pread_all(t->bytes.fd, t->path, head, sizeof head, 0));
    if (memcmp(head, "RIFF", 4) != 0) return TK_OK;
    const int64_t bytes = 8 + (int64_t)AV_RL32(head + 4);
    if (bytes > t->bytes.size && bytes < UINT32_MAX)
        return TK_FAIL(TK_INPUT, "%s is cut off: it should have %lld bytes and has %lld", t->path,
                       (long long)bytes, (long long)t->bytes.size);
    return TK_OK;
}

static tk_status open_without_decoder(tk_track *t, const char *path, enum AVMediaType kind,
                                      int number)
{
    tk_av_quiet();
    *t = (tk_track){.path = path};
    TK_TRY(tk_bytes_open(&t->bytes, path));
    TK_TRY(open_format(t));
    TK_TRY(open_stream(t, kind, number));
    return check_riff(t);
}

tk_status tk_track_open(const char *path, enum AVMediaType kind, int number, tk_track *t)
{
    tk_status st;
    TK_TRY_TO(st, fail, open_without_decoder(t, path, kind, number));
    TK_TRY_TO(st, fail, open_decoder(t));
    return TK_OK;
fail:
    tk_track_close(t);
    return st;
}

void tk_track_close(tk_track *t)
{
    if (!t->path) return;
    tk_damage_free(&t->damage);
    av_frame_free(&t->frame);
    av_packet_free(&t->packet);
    avcodec_free_context(&t->codec);
    avformat_close_input(&t->format);
    tk_bytes_close(&t->bytes);
    *t = (tk_track){0};
}

// Raw streams have no times of their own, and what libav guesses is off by the reordering: their
// pictures follow each other at the nominal rate.
static bool untimed(const tk_track *t)
{
    return av_match_name(t->format->iformat->name, "h264,hevc,m4v,mpegvideo,mjpeg");
}

// A packet or picture that does not decode is noted, not fatal: decoders go on at the next one.
static tk_status note_damage(tk_track *t, double from)
{
    t->bad++;
    if (t->frames == 0 && t->bad <= LEAD_IN) return TK_OK;
    return tk_damage_add(&t->damage, t->frames ? from : -INFINITY);
}

// Seconds; NAN: it does not say.
static double seconds(int64_t ts, AVRational unit)
{
    return ts == AV_NOPTS_VALUE ? NAN : (double)ts * av_q2d(unit);
}

// Whether a packet is a key frame goes with it, through whatever order and delay the decoder has,
// to the picture that comes of it.
static void mark_key(tk_track *t)
{
    const int key = (t->packet->flags & AV_PKT_FLAG_KEY) != 0;
#ifdef AV_CODEC_FLAG_COPY_OPAQUE
    t->packet->opaque = (void *)(intptr_t)key;
#else
    t->codec->reordered_opaque = key;
#endif
}

static bool is_of_key(const AVFrame *f)
{
#ifdef AV_CODEC_FLAG_COPY_OPAQUE
    return f->opaque != NULL;
#else
    return f->reordered_opaque == 1;
#endif
}

// The frame just decoded: damaged itself, or the end of damage.
static tk_status judge_frame(tk_track *t)
{
    const AVFrame *f = t->frame;
    if (f->decode_error_flags || f->flags & AV_FRAME_FLAG_CORRUPT) return note_damage(t, t->time);
    if (is_of_key(f)) tk_damage_end(&t->damage, t->time);
    return TK_OK;
}

// Puts the packet just read onto the running clock, where the format may need one.
static void follow_clock(tk_track *t)
{
    AVPacket *p = t->packet;
    const AVStream *s = t->format->streams[p->stream_index];
    if (!(t->format->iformat->flags & AVFMT_TS_DISCONT) || p->dts == AV_NOPTS_VALUE) return;
    if (s != t->stream && s != t->other) return;
    const double unit = av_q2d(s->time_base);
    const double dts = seconds(p->dts, s->time_base), pts = seconds(p->pts, s->time_base);
    const bool video = s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
    const int64_t shift =
        llrint(tk_clock_shift(&t->clock, video, dts, pts, (double)p->duration * unit) / unit);
    p->dts += shift;
    if (p->pts != AV_NOPTS_VALUE) p->pts += shift;
}

// Hands the decoder the next packet of the stream, or the end.
static tk_status feed(tk_track *t)
{
    int e = av_read_frame(t->format, t->packet);
    if (e < 0) TK_TRY(check_reading(t, e));
    if (e < 0) { // whether it ended too early is tk_track_check_complete's question
        t->draining = true;
        avcodec_send_packet(t->codec, NULL);
        return TK_OK;
    }
    follow_clock(t);
    if (t->packet->stream_index == t->stream->index) {
        t->packets++;
        mark_key(t);
        e = avcodec_send_packet(t->codec, t->packet);
        if (e == AVERROR(ENOMEM)) TK_TRY(TK_FAIL(TK_MEMORY, "out of memory decoding %s", t->path));
        if (e < 0) TK_TRY(note_damage(t, t->end));
    }
    av_packet_unref(t->packet);
    return TK_OK;
}

// Seconds a picture lasts at the stream's nominal rate, where its packet does not say; 0 = unknown.
static double nominal_length(const tk_track *t)
{
    const AVRational rate = av_guess_frame_rate(t->format, t->stream, NULL);
    return rate.num > 0 && rate.den > 0 ? 1 / av_q2d(rate) : 0;
}

static void note_times(tk_track *t)
{
    const double unit = av_q2d(t->stream->time_base);
    const AVFrame *f = t->frame;
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    int64_t duration = f->duration;
#else
    int64_t duration = f->pkt_duration;
#endif
    const bool sound = t->codec->codec_type == AVMEDIA_TYPE_AUDIO;
    // Of sound, pts alone is right where the decoder dropped its lead-in.
    int64_t ts = sound && f->pts != AV_NOPTS_VALUE ? f->pts : f->best_effort_timestamp;
    if (untimed(t)) ts = AV_NOPTS_VALUE;
    double time = ts != AV_NOPTS_VALUE ? (double)ts * unit : t->frames ? t->end : 0;
    t->duration = duration > 0 ? (double)duration * unit : 0;
    if (sound && f->sample_rate > 0) t->duration = (double)f->nb_samples / f->sample_rate;
    if (t->frames == 0) t->first = time;
    if (!sound && t->frames && time < t->time) time = t->time;
    t->time = time;
    double length = t->duration;
    if (length == 0 && !sound) length = nominal_length(t);
    t->end = fmax(t->end, time + length);
    if (t->frames == 0) t->end = time + length;
    t->frames++;
}

tk_status tk_track_next(tk_track *t, bool *end)
{
    for (*end = false;;) {
        int e = avcodec_receive_frame(t->codec, t->frame);
        if (e == 0) {
            note_times(t);
            return judge_frame(t);
        }
        if (e == AVERROR(ENOMEM)) return TK_FAIL(TK_MEMORY, "out of memory decoding %s", t->path);
        if (e == AVERROR_EOF || (t->draining && e == AVERROR(EAGAIN))) break;
        if (e != AVERROR(EAGAIN)) TK_TRY(note_damage(t, t->end));
        if (!t->draining) TK_TRY(feed(t));
    }
    *end = true;
    return TK_OK;
}

tk_status tk_track_check_damage(const tk_track *t)
{
    if (t->bad > 2 + t->packets / 20 || (t->bad && t->frames == 0))
        return TK_FAIL(TK_INPUT, "%s is damaged: %lld of %lld %s packets do not decode (%s)",
                       t->path, (long long)t->bad, (long long)t->packets,
                       t->codec->codec_type == AVMEDIA_TYPE_VIDEO ? "video" : "sound",
                       tk_av_words(0));
    return TK_OK;
}

static void scan_packet(tk_track *t, tk_track_scan *s)
{
    const AVPacket *p = t->packet;
    const AVStream *stream = t->format->streams[p->stream_index];
    const bool video = stream == t->stream;
    const double dts = seconds(p->dts, stream->time_base), pts = seconds(p->pts, stream->time_base);
    double time = untimed(t) ? NAN : tk_clock_shown(&t->clock, video, dts, pts);
    double length = (double)p->duration * av_q2d(stream->time_base);
    if ((isnan(time) && !video) || (p->flags & AV_PKT_FLAG_DISCARD)) return;
    if (video && length <= 0) length = nominal_length(t);
    if (isnan(time)) time = s->packets ? s->end : 0;
    s->last = fmax(s->last, time + length);
    if (!video) return;
    if (s->packets && time - s->end > s->jump) {
        s->jump = time - s->end;
        s->jump_at = s->end;
    }
    s->first = s->packets ? fmin(s->first, time) : time;
    s->end = s->packets ? fmax(s->end, time + length) : time + length;
    s->packets++;
}

// Where the chosen stream should end, as far as the file says; 0 = it does not. Containers that
// only tell when their last stream ends say nothing where a chapter ends then.
static double declared_end(const tk_track *t)
{
    const AVFormatContext *f = t->format;
    const double first = t->stream->start_time == AV_NOPTS_VALUE
                             ? 0
                             : (double)t->stream->start_time * av_q2d(t->stream->time_base);
    if (strstr(f->iformat->name, "mov"))
        return t->stream->duration > 0
                   ? first + (double)t->stream->duration * av_q2d(t->stream->time_base)
                   : 0;
    const AVDictionaryEntry *tag =
        av_dict_get(t->stream->metadata, "DURATION", NULL, AV_DICT_IGNORE_SUFFIX);
    int64_t end;
    if (tag && av_parse_time(&end, tag->value, 1) >= 0 && end > 0)
        return (double)end / AV_TIME_BASE;
    if (f->duration == AV_NOPTS_VALUE || f->duration <= 0) return 0;
    if (f->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE) return 0;
    const double start = f->start_time == AV_NOPTS_VALUE ? 0 : (double)f->start_time / AV_TIME_BASE;
    const double declared = start + (double)f->duration / AV_TIME_BASE;
    for (unsigned i = 0; i < f->nb_chapters; i++) {
        const AVChapter *c = f->chapters[i];
        if ((double)c->end * av_q2d(c->time_base) > declared - TK_MEDIA_SLACK(declared)) return 0;
    }
    return declared;
}

tk_status tk_track_scan_file(const char *path, tk_track_scan *s)
{
    tk_track t;
    tk_status st;
    int e;
    *s = (tk_track_scan){.last = -INFINITY};
    TK_TRY_TO(st, out, open_without_decoder(&t, path, AVMEDIA_TYPE_VIDEO, 0));
    if (!(t.packet = av_packet_alloc())) {
        st = TK_FAIL(TK_MEMORY, "out of memory reading %s", path);
        goto out;
    }
    s->has_audio = find_stream(t.format, AVMEDIA_TYPE_AUDIO, 0) != NULL;
    for (unsigned i = 0; i < t.format->nb_streams; i++) // the last to end tells that all is there
        t.format->streams[i]->discard = AVDISCARD_DEFAULT;
    s->declared = declared_end(&t);
    while ((e = av_read_frame(t.format, t.packet)) >= 0) {
        follow_clock(&t);
        scan_packet(&t, s);
        tk_alive();
        av_packet_unref(t.packet);
    }
    st = check_reading(&t, e);
    if (st == TK_OK && s->packets == 0)
        st = TK_FAIL(TK_INPUT, "%s: its video stream has no frames (%s)", path, tk_av_words(0));
out:
    tk_track_close(&t);
    return st;
}

tk_status tk_track_check_complete(const tk_track *t)
{
    if (t->frames == 0)
        return TK_FAIL(TK_INPUT,
                       "%s is cut off or damaged: no frame of its video can be decoded (%s)",
                       t->path, tk_av_words(0));
    double declared = declared_end(t), missing = declared - t->end;
    if (missing > TK_MEDIA_SLACK(declared)) { // perhaps another stream is longer
        tk_track_scan s;
        TK_TRY(tk_track_scan_file(t->path, &s));
        missing = declared - fmax(t->end, s.last);
    }
    if (declared > 0 && missing > TK_MEDIA_SLACK(declared))
        return TK_FAIL(TK_INPUT,
                       "%s is cut off: it should last %.2f seconds and its last %.2f are missing",
                       t->path, declared, missing);
    return TK_OK;
}
