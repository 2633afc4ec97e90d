// SPDX-License-Identifier: Apache-2.0
// Soundscapes: what is heard of a set all along, whatever the shot. Noises shaped in spectrum, that
// come and go slowly, 25 to 35 dB below speech; a clock in the room, mains hum in the workshop.
#include "data/film/noise.h"
#include "data/film/sound.h"
#include <math.h>

enum { BANDS = 3 };
typedef struct tk_scape_band { // a noise of the set
    double centre, octaves;    // Hz
    double level;              // root mean square at its loudest, full scale 1
    double every, depth;       // it swells every so many seconds, by this part of itself
} tk_scape_band;

static const tk_scape_band scape[TK_SETS][BANDS] = {
    {{110, 1.5, 0.0016, 7, 0.2}, {420, 2.0, 0.0006, 5, 0.3}}, // room tone
    {{140, 1.6, 0.0034, 6, 0.5}, {420, 1.4, 0.0020, 3.7, 0.8}, {950, 1, 0.0006, 9, 0.9}}, // traffic
    {{1500, 1.8, 0.0040, 3.4, 0.85}, {700, 1.4, 0.0018, 3.4, 0.6}, {260, 1.2, 0.0012, 5.3, 0.6}},
    {{1100, 0.9, 0.0016, 8, 0.1}, {300, 1.0, 0.0010, 6, 0.2}}, // a fan
};
static const double warm = 0.25; // seconds that filters run before the first sample

// Waves rise fast and run out slowly.
static double swell(const tk_scape_band *b, double t, double phase)
{
    const double u = t / b->every + phase, w = u - floor(u);
    const double rise = w < 0.3 ? w / 0.3 : (1 - w) / 0.7;
    return 1 - b->depth * (1 - rise * rise * (3 - 2 * rise));
}

// Uniform noise of variance 1/3 through a band keeps about this part of its power.
static double band_gain(const tk_scape_band *b, double rate)
{
    const double width = b->centre * (exp2(0.5 * b->octaves) - exp2(-0.5 * b->octaves));
    return b->level * sqrt(3 * rate / (M_PI * width));
}

static void scape_band(const tk_soundtrack *t, const tk_scape_band *b, int k)
{
    const double rate = (double)t->media->sample_rate, gain = band_gain(b, rate);
    const double phase =
        (double)(t->scene->seed % 97 + (uint64_t)t->scene->index % 89) / 7.3 + 0.3 * k;
    const int64_t before = (int64_t)(warm * rate), channels = t->media->channels;
    for (int64_t c = 0; c < channels; c++) {
        tk_noise common =
            tk_noise_of(t->scene->seed ^ (uint64_t)t->scene->index << 20, 8u * (uint32_t)k);
        tk_noise own = tk_noise_of(common.seed, common.stream + 1 + (uint32_t)c);
        tk_band band = tk_band_of(b->centre, b->octaves, rate);
        for (int64_t i = -before; i < t->samples; i++) {
            const double x = channels == 1
                                 ? tk_noise_at(&common, i)
                                 : 0.8 * tk_noise_at(&common, i) + 0.6 * tk_noise_at(&own, i);
            const double y = tk_band_next(&band, x);
            if (i >= 0)
                t->pcm[i * channels + c] += (float)(gain * swell(b, (double)i / rate, phase) * y);
        }
    }
}

// A tick of the clock every half second, high and low in turn.
static void clock_ticks(const tk_soundtrack *t)
{
    const double rate = (double)t->media->sample_rate;
    for (int64_t k = 0;; k++) {
        const int64_t first = (int64_t)ceil((0.31 + 0.5 * (double)k) * rate),
                      n = (int64_t)(0.03 * rate);
        if (first >= t->samples) return;
        const double pitch = (k & 1 ? 1500 : 1850) * 2 * M_PI / rate;
        for (int64_t i = 0; i < n && first + i < t->samples; i++) {
            const double v = 0.010 * sin(pitch * (double)i) * exp(-(double)i / (0.005 * rate));
            for (int64_t c = 0; c < t->media->channels; c++)
                t->pcm[(first + i) * t->media->channels + c] += (float)v;
        }
    }
}

static void mains_hum(const tk_soundtrack *t)
{
    static const double part[3] = {0.0030, 0.0016, 0.0009};
    const double rate = (double)t->media->sample_rate;
    for (int64_t i = 0; i < t->samples; i++) {
        double v = 0;
        for (int k = 0; k < 3; k++) v += part[k] * sin(2 * M_PI * 100 * (k + 1) * (double)i / rate);
        for (int64_t c = 0; c < t->media->channels; c++)
            t->pcm[i * t->media->channels + c] += (float)v;
    }
}

void tk_soundtrack_ambience(const tk_soundtrack *t)
{
    for (int k = 0; k < BANDS; k++)
        if (scape[t->scene->set][k].level > 0) scape_band(t, &scape[t->scene->set][k], k);
    if (t->scene->set == TK_SET_ROOM) clock_ticks(t);
    if (t->scene->set == TK_SET_WORKSHOP) mains_hum(t);
}
