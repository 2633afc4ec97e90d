// SPDX-License-Identifier: Apache-2.0
// Clips that somebody speaks in, for tests of judges: lines with silence around them, noises.
#pragma once
#include "core/numbers/rng.h"
#include "data/speech/speak.h"
#include "tests/support/test.h"
#include <math.h>

typedef enum noise_kind { NO_NOISE, WHITE, PINK, SOUNDSCAPE } noise_kind;

// n samples of about root mean square 1. Pink: a sum of white noises, each held twice as long. The
// soundscape is waves (pink, rising and falling every three seconds) over a hum of mains.
static inline void make_noise(noise_kind kind, uint64_t seed, int64_t rate, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double v = 0;
        const double t = (double)i / (double)rate;
        if (kind == WHITE) v = tk_rng_normal(tk_rng_key(seed, TK_RNG_TEST, 0), (uint64_t)i);
        if (kind == PINK || kind == SOUNDSCAPE)
            for (int k = 0; k < 12; k++)
                v += 0.29 * tk_rng_normal(tk_rng_key(seed, TK_RNG_TEST, (uint64_t)k + 1),
                                          (uint64_t)(i >> k));
        if (kind == SOUNDSCAPE)
            v = 0.8 * v * (1 + 0.6 * sin(2 * M_PI * (t / 3 + (double)(seed % 10) / 10))) +
                0.4 * sin(2 * M_PI * 50 * t) + 0.3 * sin(2 * M_PI * 100 * t) +
                0.15 * sin(2 * M_PI * 150 * t);
        x[i] = (float)v;
    }
}

static inline double level_of_samples(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sqrt(sum / (double)(n ? n : 1));
}

typedef struct clip {
    int64_t samples, rate;
    float *pcm;
} clip;

#define LEAD 0.45 // seconds before and after the line

// `line` (NULL: nothing) of n samples in noise so many dB below TK_SPEECH_LEVEL.
static inline clip make_clip(const float *line, int64_t n, int64_t rate, noise_kind kind,
                             double snr, uint64_t seed, tk_arena *a)
{
    const int64_t lead = (int64_t)(LEAD * (double)rate);
    clip c = {n + 2 * lead, rate, NULL};
    c.pcm = tk_arena_alloc(a, (size_t)c.samples * sizeof *c.pcm);
    assert_non_null(c.pcm);
    make_noise(kind, seed, rate, c.pcm, c.samples);
    const double now = level_of_samples(c.pcm, c.samples),
                 gain = now > 0 ? TK_SPEECH_LEVEL * pow(10, -snr / 20) / now : 0;
    for (int64_t i = 0; i < c.samples; i++) {
        c.pcm[i] *= (float)gain;
        if (line && i >= lead && i < lead + n) c.pcm[i] += line[i - lead];
    }
    return c;
}
