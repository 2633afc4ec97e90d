// SPDX-License-Identifier: Apache-2.0
// What a limiter does to a sample depends on RUN_UP seconds before it and on what it looks ahead:
// whoever asks for sound out of order gets the same as in order.
#include "data/media/level.h"
#include "core/base/log.h"
#include <math.h>
#include <string.h>

static const double silence = -70; // LUFS that R 128 takes for none
static const double near = 0.1;    // LU
#define RUN_UP 0.2                 // seconds in which a limiter forgets, and more
enum { TRIES = 3 };                // to find a gain where peaks are limited

static double factor_of(double decibels)
{
    return pow(10, decibels / 20);
}

static tk_status hear_through(const char *path, tk_media_source *of, tk_loudness_figures *out)
{
    const tk_media *s = &of->shape;
    tk_loudness *meter;
    float *second;
    tk_arena a;
    tk_status st = TK_OK;
    TK_TRY(tk_loudness_open(path, s->sample_rate, s->channels, &meter));
    tk_arena_init(&a, 0);
    second = tk_arena_alloc(&a, (size_t)(s->sample_rate * s->channels) * sizeof *second);
    if (!second) st = TK_FAIL(TK_MEMORY, "out of memory for a second of sound");
    for (int64_t at = 0; at < s->samples && st == TK_OK; at += s->sample_rate) {
        const int64_t left = s->samples - at, n = left < s->sample_rate ? left : s->sample_rate;
        st = of->sound(of, at, n, second);
        if (st == TK_OK) st = tk_loudness_add(meter, second, n);
        tk_alive();
    }
    tk_arena_free(&a);
    const tk_status closed = tk_loudness_close(meter, st == TK_OK ? out : NULL);
    return st == TK_OK ? closed : st;
}

// Samples [l->at, l->at + n) from the source on, as far as there are any; *have: how many.
static tk_status take_ahead(tk_leveled *l, int64_t n, int64_t *have)
{
    const tk_media *s = &l->of->shape;
    const int64_t left = s->samples - l->at;
    *have = left < n ? left : n;
    if (*have > l->cap) {
        tk_free(l->in);
        l->cap = 0;
        TK_NEW(l->in, *have * s->channels);
        l->cap = *have;
    }
    TK_TRY(l->of->sound(l->of, l->at, *have, l->in));
    // The limiter works at full scale: there lies the peak that is allowed.
    const float gain = (float)(l->gain / factor_of(TK_LEVEL_PEAK));
    for (int64_t i = 0; i < *have * s->channels; i++) l->in[i] *= gain;
    return TK_OK;
}

// The next n samples of the limiter's into pcm.
static tk_status limit_next(tk_leveled *l, int64_t n, float *pcm)
{
    int64_t have;
    TK_TRY(take_ahead(l, n + tk_limiter_ahead(&l->limiter), &have));
    TK_TRY(tk_limiter_run(&l->limiter, l->in, have, n, pcm));
    l->at += n;
    return TK_OK;
}

static tk_status run_up(tk_leveled *l, int64_t first, float *pcm, int64_t room)
{
    const int64_t before = (int64_t)ceil(RUN_UP * (double)l->limiter.rate);
    if (first == l->at) return TK_OK;
    l->limiter.gain = 1;
    l->at = first < before ? 0 : first - before;
    while (l->at < first) TK_TRY(limit_next(l, first - l->at < room ? first - l->at : room, pcm));
    return TK_OK;
}

static tk_status leveled_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    tk_leveled *l = (tk_leveled *)s;
    const double peak = factor_of(TK_LEVEL_PEAK);
    if (n < 1) return TK_OK;
    TK_TRY(run_up(l, first, pcm, n));
    TK_TRY(limit_next(l, n, pcm));
    for (int64_t i = 0; i < n * s->shape.channels; i++) pcm[i] = (float)(pcm[i] * peak);
    if (!l->meter || first > l->metered || first + n <= l->metered) return TK_OK;
    const int64_t known = l->metered - first;
    l->metered = first + n;
    return tk_loudness_add(l->meter, pcm + known * s->shape.channels, n - known);
}

static tk_status leveled_picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    const tk_leveled *l = (const tk_leveled *)s;
    return l->of->picture(l->of, frame, rgb);
}

// What is limited is softer than the gain alone would have it: it is heard again and made up for.
static tk_status find_gain(tk_leveled *l, double lufs)
{
    tk_loudness_figures was, now;
    TK_TRY(hear_through(l->path, l->of, &was));
    l->was = was.lufs;
    if (was.lufs <= silence) return TK_OK;
    const double most = TK_LEVEL_PEAK + 20 * log10((double)TK_LIMITER_MOST) - was.peak;
    double gain = fmin(lufs - was.lufs, most);
    l->gain = factor_of(gain);
    for (int i = 0; i < TRIES && was.peak + gain > TK_LEVEL_PEAK && gain < most; i++) {
        TK_TRY(hear_through(l->path, &l->source, &now));
        if (fabs(lufs - now.lufs) < near) break;
        gain = fmin(gain + lufs - now.lufs, most);
        l->gain = factor_of(gain);
    }
    return TK_OK;
}

tk_status tk_level_open(tk_leveled *l, tk_media_source *of, double lufs, const char *path)
{
    const tk_media *s = &of->shape;
    *l = (tk_leveled){
        .source = {*s, leveled_picture, leveled_sound, NULL},
        .of = of,
        .path = path,
        .gain = 1,
        .limiter = {.rate = s->sample_rate, .channels = s->channels, .gain = 1, .least = 1}};
    TK_TRY(find_gain(l, lufs));
    return tk_loudness_open(path, s->sample_rate, s->channels, &l->meter);
}

tk_status tk_level_figures(tk_leveled *l, tk_loudness_figures *out)
{
    tk_loudness *meter = l->meter;
    l->meter = NULL;
    return tk_loudness_close(meter, out);
}

void tk_level_close(tk_leveled *l)
{
    tk_loudness_close(l->meter, NULL);
    tk_limiter_free(&l->limiter);
    tk_free(l->in);
    *l = (tk_leveled){0};
}
