// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/screening.h"
#include "core/base/log.h"
#include "data/media/loudness.h"
#include "data/media/reader.h"
#include "infer/judges/sight/frames.h"
#include "infer/judges/sound/onsets.h"
#include <math.h>

static const double near_seconds = 0.080; // a sound goes with what is seen within
static const double quietest = -120;      // LUFS and dB where there is nothing to be heard

typedef struct screening { // a film as it passes, a second at a time
    const tk_media_config *m;
    tk_media_reader *reader;
    tk_loudness *meter; // NULL: a silent film
    tk_frames frames;
    tk_energies sound;
    tk_media second;
} screening;

static tk_status watch(screening *s)
{
    const tk_media_config *m = s->m;
    const int64_t picture = m->height * m->width * 3;
    int64_t got = m->fps;
    for (int64_t done = 0; got == m->fps; done += got) {
        TK_TRY(tk_media_reader_next(s->reader, m->fps, s->second.rgb, s->second.pcm, &got));
        for (int64_t i = 0; i < got; i++)
            TK_TRY(tk_frames_add(&s->frames, s->second.rgb + i * picture, m->height, m->width));
        const int64_t samples = tk_clock_sample(done + got, m->sample_rate, m->fps) -
                                tk_clock_sample(done, m->sample_rate, m->fps);
        TK_TRY(tk_energies_add(&s->sound, s->second.pcm, samples));
        if (s->meter) TK_TRY(tk_loudness_add(s->meter, s->second.pcm, samples));
        tk_alive();
    }
    return TK_OK;
}

typedef struct seen_moments { // in the picture
    int64_t n, *frame;
    double fps, seconds; // frames a second; of the film
} seen_moments;

// The part of all time that is near one.
static double near_part(const seen_moments *e)
{
    double covered = 0, until = 0;
    for (int64_t k = 0; k < e->n; k++) {
        const double t = (double)e->frame[k] / e->fps, begin = fmax(until, t - near_seconds);
        until = fmin(e->seconds, t + near_seconds);
        covered += fmax(0, until - begin);
    }
    return e->seconds > 0 ? covered / e->seconds : 0;
}

static void match_sounds(const seen_moments *e, int n, const double *onset, tk_film *out)
{
    out->heard = n;
    out->chance = n * near_part(e);
    for (int64_t i = 0, k = 0; i < n; i++) {
        while (k < e->n && (double)e->frame[k] / e->fps < onset[i] - near_seconds) k++;
        out->with += k < e->n && (double)e->frame[k] / e->fps <= onset[i] + near_seconds;
    }
}

static tk_status judge_film(const screening *s, tk_film *out, tk_arena *a)
{
    const tk_frames *f = &s->frames;
    seen_moments e = {.fps = (double)s->m->fps};
    int64_t *shot;
    double *onset;
    TK_ARENA_NEW(shot, a, f->n + 1);
    TK_ARENA_NEW(e.frame, a, f->n + 1);
    TK_ARENA_NEW(onset, a, s->sound.n + 1);
    const int64_t shots = tk_frames_shots(f, shot);
    e.seconds = (double)f->n / e.fps;
    e.n = tk_frames_events(f, shots, shot, e.frame);
    out->seconds = e.seconds;
    out->shots = (double)shots;
    out->flicker = tk_frames_flicker(f, shots, shot);
    out->drift = shots ? tk_frames_drift(f, shots, shot, shots - 1) : 0;
    if (s->meter) match_sounds(&e, tk_onsets(&s->sound, (int)s->sound.n, onset), onset, out);
    return TK_OK;
}

static tk_status open_film(const char *path, screening *s)
{
    const tk_media_config *m = s->m;
    TK_TRY(tk_media_reader_open(path, m, 1, &s->reader));
    s->second = tk_media_shape(m, m->fps, m->sample_rate);
    TK_TRY(tk_media_alloc(&s->second));
    if (tk_media_reader_has_audio(s->reader))
        return tk_loudness_open(path, m->sample_rate, m->channels, &s->meter);
    return TK_OK;
}

tk_status tk_film_judge(const char *path, const tk_media_config *m, tk_film *out)
{
    screening s = {.m = m, .sound = {.rate = m->sample_rate, .channels = m->channels}};
    tk_loudness_figures loud = {quietest, 0, quietest};
    tk_arena a;
    tk_arena_init(&a, 0);
    *out = (tk_film){0};
    tk_status st = open_film(path, &s);
    if (st == TK_OK) st = watch(&s);
    if (st == TK_OK) st = judge_film(&s, out, &a);
    out->sounds = s.meter != NULL;
    if (st == TK_OK)
        st = tk_loudness_close(s.meter, &loud);
    else
        tk_loudness_close(s.meter, NULL);
    out->lufs = fmax(quietest, loud.lufs);
    out->range = loud.range;
    out->peak = fmax(quietest, loud.peak);
    out->read = st == TK_OK;
    tk_media_reader_close(s.reader);
    tk_media_free(&s.second);
    tk_frames_free(&s.frames);
    tk_energies_free(&s.sound);
    tk_arena_free(&a);
    return st;
}
