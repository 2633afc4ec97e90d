// SPDX-License-Identifier: Apache-2.0
#include "infer/cut/edit.h"
#include <math.h>
#include <string.h>

// The last shot that begins at `frame` or before.
static int shot_in_film(tk_edit *e, int64_t frame)
{
    const tk_cut *c = e->cut;
    if (frame < c->shot[e->shot].at) e->shot = 0;
    while (e->shot + 1 < c->n && c->shot[e->shot + 1].at <= frame) e->shot++;
    return e->shot;
}

// Of a shot's own time, [0, 1]: how far it has come out of black, or not yet gone into it. `at` of
// n, of which it fades so many at either end; all in frames or in samples.
static double light_of(double at, double n, double in, double out)
{
    const double begun = in > 0 ? at / in : 1, left = out > 0 ? (n - at) / out : 1;
    return fmax(0, fmin(1, fmin(begun, left)));
}

// ---- pictures ----------------------------------------------------------------------------------

// Asked for in order: the shot before has just been shown up to here.
static tk_status take_tail(tk_edit *e, int shot)
{
    const tk_cut_shot *s = &e->cut->shot[shot], *before = s - 1;
    const tk_media *m = &e->source.shape;
    const int64_t each = m->height * m->width * 3;
    const uint8_t *rgb;
    if (e->tail_of == shot) return TK_OK;
    e->tail_of = -1;
    if (s->dissolve > e->tail_room) {
        tk_free(e->tail);
        e->tail_room = 0;
        TK_NEW(e->tail, s->dissolve * each);
        e->tail_room = s->dissolve;
    }
    for (int64_t i = 0; i < s->dissolve; i++) {
        TK_TRY(e->of->picture(e->of, before->from + before->frames - s->dissolve + i, &rgb));
        memcpy(e->tail + i * each, rgb, (size_t)each);
    }
    e->tail_of = shot;
    return TK_OK;
}

static tk_status edited_picture(tk_media_source *source, int64_t frame, const uint8_t **rgb)
{
    tk_edit *e = (tk_edit *)source;
    const tk_media *m = &e->source.shape;
    const int64_t each = m->height * m->width * 3;
    const int shot = shot_in_film(e, frame);
    const tk_cut_shot *s = &e->cut->shot[shot];
    const int64_t at = frame - s->at;
    const double light =
        light_of((double)at + 0.5, (double)s->frames, (double)s->fade_in, (double)s->fade_out);
    const bool mixes = at < s->dissolve;
    if (mixes) TK_TRY(take_tail(e, shot));
    TK_TRY(e->of->picture(e->of, s->from + at, rgb));
    if (!mixes && light >= 1) return TK_OK;
    if (!e->mixed) TK_NEW(e->mixed, each);
    const uint8_t *under = mixes ? e->tail + at * each : *rgb;
    const double own = mixes ? ((double)at + 0.5) / (double)s->dissolve : 1;
    for (int64_t i = 0; i < each; i++)
        e->mixed[i] = (uint8_t)lrint(light * (own * (*rgb)[i] + (1 - own) * under[i]));
    *rgb = e->mixed;
    return TK_OK;
}

// ---- sound -------------------------------------------------------------------------------------

static int64_t sample_at(const tk_edit *e, int64_t frame)
{
    return tk_clock_sample(frame, e->source.shape.sample_rate, e->cut->fps);
}

// Samples of the clip as it is made; silence behind its end.
static tk_status take_made_sound(const tk_edit *e, int64_t first, int64_t n, float *pcm)
{
    const tk_media *m = &e->of->shape;
    const int64_t left = m->samples - first, have = left < 0 ? 0 : left < n ? left : n;
    memset(pcm + have * m->channels, 0, (size_t)((n - have) * m->channels) * sizeof *pcm);
    return have ? e->of->sound(e->of, first, have, pcm) : TK_OK;
}

// n samples from `at` samples into a shot on, all of which it dissolves in, or none.
static tk_status mix_sound(tk_edit *e, const tk_cut_shot *s, int64_t at, int64_t n, float *pcm)
{
    const int64_t channels = e->source.shape.channels, over = sample_at(e, s->dissolve);
    const bool mixes = at < over;
    TK_TRY(take_made_sound(e, sample_at(e, s->from) + at, n, pcm));
    if (mixes) {
        if (n > e->room) {
            tk_free(e->under);
            e->room = 0;
            TK_NEW(e->under, n * channels);
            e->room = n;
        }
        const tk_cut_shot *before = s - 1;
        const int64_t into = sample_at(e, s->at) - sample_at(e, before->at);
        TK_TRY(take_made_sound(e, sample_at(e, before->from) + into + at, n, e->under));
    }
    const double all = (double)sample_at(e, s->frames), in = (double)sample_at(e, s->fade_in);
    const double out = (double)sample_at(e, s->fade_out);
    for (int64_t i = 0; i < n; i++) {
        const double t = (double)(at + i) + 0.5, turn = mixes ? M_PI / 2 * t / (double)over : 0;
        const double light = light_of(t, all, in, out);
        for (int64_t c = 0; c < channels; c++) {
            float *x = &pcm[i * channels + c];
            if (mixes) *x = (float)(*x * sin(turn) + e->under[i * channels + c] * cos(turn));
            if (light < 1) *x = (float)(*x * light);
        }
    }
    return TK_OK;
}

static tk_status edited_sound(tk_media_source *source, int64_t first, int64_t n, float *pcm)
{
    tk_edit *e = (tk_edit *)source;
    const tk_cut *c = e->cut;
    int shot = 0;
    while (n > 0) {
        while (shot + 1 < c->n && sample_at(e, c->shot[shot + 1].at) <= first) shot++;
        const tk_cut_shot *s = &c->shot[shot];
        const int64_t at = first - sample_at(e, s->at), over = sample_at(e, s->dissolve);
        int64_t take = shot + 1 < c->n ? sample_at(e, s[1].at) - first : n;
        if (at < over && take > over - at) take = over - at;
        if (take > n) take = n;
        TK_TRY(mix_sound(e, s, at, take, pcm));
        pcm += take * source->shape.channels;
        first += take;
        n -= take;
    }
    return TK_OK;
}

void tk_edit_open(tk_edit *e, const tk_cut *cut, tk_media_source *of)
{
    *e = (tk_edit){.source = {of->shape, edited_picture, edited_sound, NULL},
                   .of = of,
                   .cut = cut,
                   .tail_of = -1};
    e->source.shape.frames = cut->frames;
    e->source.shape.samples = cut->samples;
}

void tk_edit_close(tk_edit *e)
{
    tk_free(e->tail);
    tk_free(e->mixed);
    tk_free(e->under);
    *e = (tk_edit){0};
}
