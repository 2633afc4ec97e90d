// SPDX-License-Identifier: Apache-2.0
// What is heard when things meet the ground, water or each other, and of steps: damped partials and
// bursts of noise that begin at the sample of the event, sized by the blow and by what is struck.
#include "data/film/noise.h"
#include "data/film/sound.h"
#include <complex.h>

typedef struct tk_strike { // where and how loud sounds of one event go
    const tk_soundtrack *track;
    int64_t first; // sample
    double gain[2];
    uint64_t seed;
    uint32_t noises; // used so far
} tk_strike;

static void strike_add(const tk_strike *s, int64_t i, double v)
{
    const int64_t channels = s->track->media->channels;
    for (int64_t c = 0; c < channels; c++)
        s->track->pcm[(s->first + i) * channels + c] += (float)(v * s->gain[c]);
}

// Samples from `after` seconds on, for `seconds`, that lie in the track.
static int64_t strike_end(const tk_strike *s, double seconds)
{
    const int64_t n = (int64_t)(seconds * (double)s->track->media->sample_rate);
    return s->first + n < s->track->samples ? n : s->track->samples - s->first;
}

// One partial, `glide` octaves a second upwards. It starts half a sample in, so that the sample of
// the event is the first that is not silent.
static void ring(const tk_strike *s, double after, double hertz, double glide, double decay,
                 double loud)
{
    const double rate = (double)s->track->media->sample_rate, attack = exp(-1 / (0.0012 * rate));
    const int64_t begin = (int64_t)(after * rate), end = strike_end(s, after + 5.5 / decay);
    if (hertz > 0.45 * rate) return;
    double complex turn = cexp((-decay + 2 * M_PI * I * hertz) / rate), z = csqrt(turn);
    const double complex bend = cexp(2 * M_PI * I * hertz * glide * M_LN2 / (rate * rate));
    double quiet = sqrt(attack);
    for (int64_t i = begin; i < end; i++, quiet *= attack) {
        strike_add(s, i, loud * (1 - quiet) * cimag(z));
        z *= turn;
        if (glide > 0) turn *= bend;
    }
}

// A burst of noise in a band.
static void burst(tk_strike *s, double centre, double octaves, double attack, double decay,
                  double loud)
{
    const double rate = (double)s->track->media->sample_rate;
    const double up = exp(-1 / (attack * rate)), down = exp(-decay / rate);
    const double width = centre * (exp2(0.5 * octaves) - exp2(-0.5 * octaves));
    const double gain = loud * sqrt(3 * rate / (M_PI * width));
    tk_noise noise = tk_noise_of(s->seed, s->noises++);
    tk_band band = tk_band_of(centre, octaves, rate);
    double quiet = up, level = gain;
    const int64_t end = strike_end(s, 6 / decay);
    for (int64_t i = 0; i < end; i++, quiet *= up, level *= down)
        strike_add(s, i, level * (1 - quiet) * tk_band_next(&band, tk_noise_at(&noise, i)));
}

// A thing struck at `speed` (m/s).
static void thing_struck(tk_strike *s, const tk_thing *o, double speed)
{
    const double blow = fmin(1, pow(speed / 7, 0.8)), low = o->heavy ? 0.55 : 1;
    const double loud = (o->heavy ? 0.62 : 0.42) * blow * (0.7 + o->radius);
    if (o->kind == TK_BALLOON) {
        burst(s, 240, 1.5, 0.004, 28, 0.05 * blow);
        return;
    }
    if (o->kind == TK_BALL) { // rings
        const double base = low * 62 / o->radius, damp = o->heavy ? 15 : 8;
        ring(s, 0, base, 0, damp, 0.72 * loud);
        ring(s, 0, 2.02 * base, 0, 1.6 * damp, 0.22 * loud);
        ring(s, 0, 3.1 * base, 0, 2.6 * damp, 0.10 * loud);
    } else { // knocks
        const double base = low * 46 / o->radius, damp = o->heavy ? 26 : 20;
        ring(s, 0, base, 0, damp, 0.50 * loud);
        ring(s, 0, 1.63 * base, 0, 1.4 * damp, 0.30 * loud);
        ring(s, 0, 2.74 * base, 0, 2.0 * damp, 0.20 * loud);
        burst(s, 1400, 1.6, 0.0008, 90, 0.20 * loud);
    }
    if (o->heavy) burst(s, 90, 1.4, 0.003, 22, 0.40 * loud);
}

static double share(const tk_strike *s, int k) // in [0, 1), by event
{
    tk_noise n = tk_noise_of(s->seed, 1000);
    return 0.5 + 0.5 * tk_noise_at(&n, k);
}

// A burst that runs out, and bubbles that rise.
static void splash_heard(tk_strike *s, const tk_thing *o, double speed)
{
    const double loud = fmin(1, speed / 6) * (0.5 + 1.6 * o->radius) * (o->heavy ? 1.2 : 0.9);
    burst(s, 1500, 2.2, 0.004, 9, 0.20 * loud);
    burst(s, 480, 1.6, 0.010, 6, 0.11 * loud);
    for (int k = 0; k < (o->heavy ? 9 : 5); k++)
        ring(s, 0.08 + 0.62 * share(s, 2 * k), 380 + 700 * share(s, 2 * k + 1), 2.2, 26,
             0.055 * loud);
}

// Wood, paving, sand, concrete.
static void step_heard(tk_strike *s, tk_set set)
{
    if (set == TK_SET_BEACH) {
        burst(s, 1900, 1.8, 0.012, 24, 0.045);
        return;
    }
    const bool wood = set == TK_SET_ROOM, paving = set == TK_SET_STREET;
    ring(s, 0, wood ? 150 : paving ? 320 : 220, 0, wood ? 34 : 60, wood ? 0.085 : 0.050);
    burst(s, wood ? 700 : paving ? 2100 : 1300, 1.4, 0.001, paving ? 75 : 60, 0.045);
}

void tk_soundtrack_event(const tk_soundtrack *t, int event)
{
    const tk_scene *s = t->scene;
    const tk_scene_event *e = &s->event[event];
    tk_strike k = {.track = t, .first = llround(e->t * (double)t->media->sample_rate)};
    if (k.first < 0 || k.first >= t->samples) return;
    k.seed = (s->seed * 0x9E3779B97F4A7C15u ^ (uint64_t)s->index) +
             0x100000001B3u * (uint64_t)(event + 1);
    tk_soundtrack_pan(t, e->x, e->t, k.gain);
    switch (e->kind) {
    case TK_EVENT_STEP:
        step_heard(&k, s->set);
        return;
    case TK_EVENT_SPLASH:
        splash_heard(&k, &s->thing[e->thing], e->speed);
        return;
    case TK_EVENT_HIT:
        thing_struck(&k, &s->thing[e->other], 0.8 * e->speed);
        // fall through
    default:
        thing_struck(&k, &s->thing[e->thing], e->kind == TK_EVENT_HIT ? 0.8 * e->speed : e->speed);
    }
}
