// SPDX-License-Identifier: Apache-2.0
// Media files to frames and samples on our clocks: see data/media/reader.h and data/media/media.h.
#include "core/base/log.h"
#include "data/media/filter.h"
#include "data/media/picture.h"
#include "data/media/reader.h"
#include "data/media/sound.h"
#include <math.h>
#include <string.h>

// Durations a hair under a whole number of frames (containers round times) still count as it.
#define FRAME_SLACK 0.1
// Seconds that a film may last, and that one of its pictures may: what is longer has a wrong time.
#define LONGEST_FILM 1e6
#define LONGEST_PICTURE 3600.0
// Seconds from which on a source frame is a still that is held and not a sample of motion.
#define LONG_HOLD 0.125

struct tk_media_reader {
    tk_media_config m;
    double still_seconds;
    tk_track video;
    tk_fields fields;
    tk_sound sound;
    tk_filter tone;
    tk_scaler scaler;
    tk_facts facts;         // of pictures shown
    AVFrame *shown, *ahead; // the source frame shown now and the one after it
    double shown_time, ahead_time;
    bool has_ahead, scaled; // `picture` holds `shown`
    uint8_t *picture;       // (height, width, 3)
    double origin;          // time of frame 0 on the file's clock
    int64_t next;           // number of our next frame
    int64_t given;          // number of the first frame that the last call gave
    int64_t total;          // frames there are; -1 = not known yet
};

static int64_t frames_in(double seconds, int64_t fps)
{
    double n = floor(seconds * (double)fps + FRAME_SLACK);
    return n < 1 ? 1 : n > 1e12 ? (int64_t)1e12 : (int64_t)n;
}

// Decodes the source frame after the shown one.
static tk_status look_ahead(tk_media_reader *r)
{
    double time;
    bool end;
    TK_TRY(tk_fields_next(&r->fields, &r->video, r->ahead, &time, &end));
    r->has_ahead = !end;
    if (!end) r->ahead_time = time - r->origin;
    return TK_OK;
}

static void step_frame(tk_media_reader *r)
{
    AVFrame *f = r->shown;
    r->shown = r->ahead;
    r->ahead = f;
    av_frame_unref(f);
    r->shown_time = r->ahead_time;
    r->has_ahead = r->scaled = false;
}

// Known at the end of the video.
static bool is_still(const tk_media_reader *r)
{
    return r->total >= 0 && r->video.frames == 1 && !r->sound.track.stream;
}

// At the end of the video: how many frames of ours it makes.
static tk_status close_count(tk_media_reader *r)
{
    TK_TRY(tk_track_check_complete(&r->video));
    const bool still = r->video.frames == 1 && !r->sound.track.stream;
    double seconds = still ? r->still_seconds : r->video.end - r->origin;
    r->total = frames_in(seconds, r->m.fps);
    return TK_OK;
}

// Makes `shown` the source frame of our frame k.
static tk_status seek_frame(tk_media_reader *r, int64_t k)
{
    const double t = (double)k / (double)r->m.fps, half = 0.5 / (double)r->m.fps;
    while (r->total < 0) {
        if (!r->has_ahead) TK_TRY(look_ahead(r));
        if (!r->has_ahead) return close_count(r);
        // Nearest in time; a long held frame gives way half a frame of ours before the next one.
        const double gap = r->ahead_time - r->shown_time;
        double near = gap > LONG_HOLD ? fmin(0.5 * gap, half) : 0.5 * gap;
        if (r->ahead_time - t >= near && r->ahead_time > r->shown_time) break;
        step_frame(r);
    }
    return TK_OK;
}

static tk_status check_config(const tk_media_config *m)
{
    if (m->width < 1 || m->height < 1 || m->width > TK_MEDIA_MAX_SIDE ||
        m->height > TK_MEDIA_MAX_SIDE || m->fps < 1 || m->fps > 1000 || m->sample_rate < 1000 ||
        m->sample_rate > 768000 || m->channels < 1 || m->channels > 2)
        return TK_FAIL(TK_INPUT,
                       "media of %lld x %lld at %lld fps, %lld Hz, %lld channels: sizes must be 1 "
                       "to %d, fps 1 to 1000, rates 1000 to 768000, channels 1 or 2",
                       (long long)m->width, (long long)m->height, (long long)m->fps,
                       (long long)m->sample_rate, (long long)m->channels, TK_MEDIA_MAX_SIDE);
    return TK_OK;
}

static tk_status open_parts(tk_media_reader *r, const char *path)
{
    bool end;
    TK_TRY(tk_track_open(path, AVMEDIA_TYPE_VIDEO, 0, &r->video));
    TK_TRY(tk_sound_open(path, 0, r->m.sample_rate, r->m.channels, &r->sound));
    r->shown = av_frame_alloc();
    r->ahead = av_frame_alloc();
    if (!r->shown || !r->ahead) return TK_FAIL(TK_MEMORY, "out of memory reading %s", path);
    TK_NEW(r->picture, r->m.width * r->m.height * 3);
    TK_TRY(tk_fields_next(&r->fields, &r->video, r->shown, &r->origin, &end));
    if (end) return tk_track_check_complete(&r->video); // no frame at all: it says so
    r->sound.origin = r->origin;
    return tk_tone_open(&r->tone, path, r->shown); // that it can be done is known from here on
}

tk_status tk_media_reader_open(const char *path, const tk_media_config *m, double still_seconds,
                               tk_media_reader **out)
{
    *out = NULL;
    TK_TRY(check_config(m));
    tk_media_reader *r;
    TK_NEW(r, 1);
    r->m = *m;
    r->still_seconds = still_seconds;
    r->scaler = (tk_scaler){.width = m->width, .height = m->height};
    r->total = -1;
    tk_status st = open_parts(r, path);
    if (st != TK_OK) {
        tk_media_reader_close(r);
        return tk_trace(st, __FILE__, __LINE__, __func__);
    }
    *out = r;
    return TK_OK;
}

// The shown source frame into r->picture.
static tk_status show_frame(tk_media_reader *r)
{
    TK_TRY(tk_tone_run(&r->tone, r->video.path, r->shown, &r->facts));
    TK_TRY(tk_scaler_run(&r->scaler, &r->video, r->shown, r->picture, &r->facts));
    r->scaled = true;
    return TK_OK;
}

tk_status tk_media_reader_next(tk_media_reader *r, int64_t n, uint8_t *rgb, float *pcm,
                               int64_t *got)
{
    const int64_t bytes = r->m.width * r->m.height * 3, begin = r->given = r->next;
    for (*got = 0; *got < n; ++*got, r->next++) {
        tk_alive();
        TK_TRY(seek_frame(r, r->next));
        if (r->total >= 0 && r->next >= r->total) break;
        if (!rgb) continue;
        if (!r->scaled) TK_TRY(show_frame(r));
        memcpy(rgb + *got * bytes, r->picture, (size_t)bytes);
    }
    TK_TRY(tk_sound_pull(&r->sound, tk_media_sample_of(&r->m, begin),
                         pcm ? tk_media_samples(&r->m, n) : 0, pcm));
    return TK_OK;
}

int64_t tk_media_reader_damage(const tk_media_reader *r, double *at)
{
    const double from = r->origin + (double)r->given / (double)r->m.fps;
    const double to = r->origin + (double)r->next / (double)r->m.fps;
    double seen = to, heard = to;
    const int64_t n = tk_damage_within(&r->video.damage, from, to, &seen) +
                      tk_damage_within(&r->sound.track.damage, from, to, &heard);
    *at = fmin(seen, heard) - r->origin;
    return n;
}

tk_status tk_media_reader_check(const tk_media_reader *r)
{
    TK_TRY(tk_track_check_damage(&r->video));
    return r->sound.track.stream ? tk_track_check_damage(&r->sound.track) : TK_OK;
}

void tk_media_reader_facts(const tk_media_reader *r, tk_facts *out)
{
    const int64_t restarts = r->video.clock.restarts;
    *out = r->facts;
    if (restarts == 1) tk_facts_note(out, TK_FACT_RESTARTED, "once");
    if (restarts > 1) tk_facts_note(out, TK_FACT_RESTARTED, "%lld times", (long long)restarts);
    if (is_still(r)) tk_facts_note(out, TK_FACT_STILL, "%g", r->still_seconds);
    if (r->fields.sent) tk_facts_note(out, TK_FACT_DEINTERLACED, "%s", "");
    if (r->sound.track.stream) tk_sound_note(&r->sound, (double)r->next / (double)r->m.fps, out);
}

bool tk_media_reader_has_audio(const tk_media_reader *r)
{
    return r->sound.track.stream != NULL;
}

double tk_media_reader_seconds(const tk_media_reader *r)
{
    return is_still(r) ? r->still_seconds : r->video.end - r->origin;
}

void tk_media_reader_close(tk_media_reader *r)
{
    if (!r) return;
    av_frame_free(&r->shown);
    av_frame_free(&r->ahead);
    tk_filter_close(&r->fields.filter);
    tk_filter_close(&r->tone);
    tk_track_close(&r->video);
    tk_sound_close(&r->sound);
    tk_scaler_free(&r->scaler);
    tk_free(r->picture);
    tk_free(r);
}

tk_status tk_media_size(const char *path, int64_t *width, int64_t *height)
{
    tk_track t;
    bool end;
    *width = *height = 0;
    TK_TRY(tk_track_open(path, AVMEDIA_TYPE_VIDEO, 0, &t));
    tk_status st = tk_track_next(&t, &end);
    if (st == TK_OK && end) st = tk_track_check_complete(&t);
    if (st == TK_OK && !end) tk_picture_shown(&t, t.frame, width, height);
    tk_track_close(&t);
    if (st == TK_OK && *width == 0) return TK_FAIL(TK_INPUT, "%s has no picture", path);
    return st;
}

// TK_INPUT where the packets' times are no film's, or its end is missing.
static tk_status check_scan(const char *path, const tk_track_scan *s)
{
    const double start = s->first, length = s->end - start;
    if (s->jump > LONGEST_PICTURE)
        return TK_FAIL(TK_INPUT, "%s: its time stamps jump by %.0f seconds at %.2f", path, s->jump,
                       s->jump_at - start);
    if (length > LONGEST_FILM)
        return TK_FAIL(TK_INPUT, "%s: its pictures last %.0f seconds; at most %.0f are possible",
                       path, length, LONGEST_FILM);
    if (s->declared > 0 && s->declared - s->last > TK_MEDIA_SLACK(s->declared))
        return TK_FAIL(TK_INPUT,
                       "%s is cut off: it should last %.2f seconds and its last %.2f are missing",
                       path, s->declared, s->declared - s->last);
    return TK_OK;
}

tk_status tk_media_probe(const char *path, const tk_media_config *m, double still_seconds,
                         int64_t *frames, bool *has_audio)
{
    tk_media_reader *r = NULL;
    tk_track_scan s;
    int64_t got;
    tk_status st;
    TK_TRY_TO(st, out, tk_media_reader_open(path, m, still_seconds, &r));
    TK_TRY_TO(st, out, tk_media_reader_next(r, 1, NULL, NULL, &got));
    TK_TRY_TO(st, out, tk_track_scan_file(path, &s));
    TK_TRY_TO(st, out, check_scan(path, &s));
    *has_audio = s.has_audio;
    const bool still = s.packets == 1 && !s.has_audio;
    *frames = frames_in(still ? still_seconds : s.end - r->origin, m->fps);
out:
    tk_media_reader_close(r);
    return st;
}

// Room for `frames` frames and their samples.
static tk_status grow_media(tk_media *m, const tk_media_config *c, int64_t *cap, int64_t frames)
{
    int64_t frame = 0, bytes = 0, samples = tk_media_sample_of(c, frames) + 1;
    TK_TRY(tk_mul_size(c->width * 3, c->height, &frame));
    TK_TRY(tk_mul_size(frame, frames, &bytes));
    uint8_t *video = tk_realloc(m->rgb, (size_t)(*cap * frame), (size_t)bytes);
    if (video) m->rgb = video;
    float *audio = NULL;
    if (video)
        audio = tk_realloc(m->pcm,
                           *cap ? (size_t)((tk_media_sample_of(c, *cap) + 1) * c->channels) * 4 : 0,
                           (size_t)(samples * c->channels) * sizeof *audio);
    if (audio) m->pcm = audio;
    if (!video || !audio)
        return TK_FAIL(TK_MEMORY, "out of memory for %lld frames of %lld x %lld", (long long)frames,
                       (long long)c->width, (long long)c->height);
    *cap = frames;
    return TK_OK;
}

static tk_status read_all(tk_media_reader *r, int64_t most, tk_media *out)
{
    const tk_media_config *m = &r->m;
    const int64_t frame = m->width * m->height * 3;
    int64_t cap = 0;
    while (out->frames < most) {
        // A second at a time, so that each window of sound begins on a whole sample.
        int64_t n = m->fps < most - out->frames ? m->fps : most - out->frames, got;
        int64_t need = out->frames + n;
        if (need > cap) {
            int64_t twice = cap * 2 > need ? cap * 2 : need;
            TK_TRY(grow_media(out, m, &cap, twice < most ? twice : most));
        }
        TK_TRY(tk_media_reader_next(r, n, out->rgb + out->frames * frame,
                                    out->pcm + tk_media_sample_of(m, out->frames) * m->channels,
                                    &got));
        out->frames += got;
        if (got < n) break;
    }
    out->samples = tk_media_samples(m, out->frames);
    return tk_media_reader_check(r);
}

tk_status tk_media_read(const char *path, const tk_media_config *m, double max_seconds,
                        double still_seconds, tk_media *out, tk_media_origin *origin)
{
    *out = tk_media_shape(m, 0, 0);
    if (!(max_seconds > 0) || !(still_seconds > 0) || max_seconds > LONGEST_FILM)
        return TK_FAIL(TK_INPUT, "%s: cannot read %g seconds of it, %g of a still image", path,
                       max_seconds, still_seconds);
    tk_media_reader *r = NULL;
    tk_status st;
    TK_TRY_TO(st, fail, tk_media_reader_open(path, m, still_seconds, &r));
    TK_TRY_TO(st, fail, read_all(r, frames_in(max_seconds, m->fps), out));
    if (origin)
        *origin = (tk_media_origin){tk_media_reader_has_audio(r), tk_media_reader_seconds(r)};
    tk_media_reader_close(r);
    return TK_OK;
fail:
    tk_media_reader_close(r);
    tk_media_free(out);
    return st;
}
