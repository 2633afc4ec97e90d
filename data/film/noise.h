// SPDX-License-Identifier: Apache-2.0
// What sounds are made of: noises shaped in spectrum and damped partials. Internal to data/film.
#pragma once
#include "core/numbers/philox.h"
#include <stdbool.h>
#include <stdint.h>

// White noise: sample i of stream `stream` of a seed, uniform in [-1, 1]; four at a time.
typedef struct tk_noise {
    uint64_t seed;
    uint32_t stream;
    int64_t block; // that `word` holds
    uint32_t word[4];
} tk_noise;

static inline tk_noise tk_noise_of(uint64_t seed, uint32_t stream)
{
    return (tk_noise){.seed = seed, .stream = stream, .block = INT64_MIN};
}

static inline double tk_noise_at(tk_noise *n, int64_t i)
{
    const int64_t block = i >> 2;
    if (block != n->block) {
        n->block = block;
        n->word[0] = (uint32_t)(uint64_t)block, n->word[1] = (uint32_t)((uint64_t)block >> 32);
        n->word[2] = n->stream, n->word[3] = 0x6e6f6973u;
        tk_philox_rounds((uint32_t)n->seed, (uint32_t)(n->seed >> 32), n->word);
    }
    return (double)(int32_t)n->word[i & 3] * (1 / 2147483648.0);
}

// A band of frequencies round `centre`, `octaves` wide, of gain 1 in its middle (a state variable
// filter: stable at any centre below half the rate).
typedef struct tk_band {
    double g, k, a, s1, s2;
} tk_band;

static inline tk_band tk_band_of(double centre, double octaves, double rate)
{
    const double f = centre < 0.45 * rate ? centre : 0.45 * rate;
    const double g = tan(M_PI * f / rate), k = exp2(0.5 * octaves) - exp2(-0.5 * octaves);
    return (tk_band){.g = g, .k = k, .a = 1 / (1 + g * (g + k))};
}

static inline double tk_band_next(tk_band *b, double x)
{
    const double high = (x - (b->g + b->k) * b->s1 - b->s2) * b->a;
    const double band = b->g * high + b->s1, low = b->g * band + b->s2;
    b->s1 = b->g * high + band;
    b->s2 = b->g * band + low;
    return b->k * band;
}
