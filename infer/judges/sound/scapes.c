// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sound/scapes.h"
#include <math.h>
#include <stdlib.h>

enum { TONES = 8, PROBES = 3 }; // bands of one tone each; frequencies looked at in each other band
static const double window = 0.064, hop = 0.032;              // seconds
static const double lowest = 50, first = 400, highest = 6500; // Hz: of tones, of bands
static const double floor_of_power = 1e-12, silent = 1e-10;

// Frequency k of band b: fifties up to 400 Hz, where hums lie, then even steps of pitch.
static double frequency(int b, int k)
{
    if (b < TONES) return lowest * (b + 1);
    const double step =
        (double)((b - TONES) * PROBES + k + 1) / ((TK_SCAPE_BANDS - TONES) * PROBES);
    return first * pow(highest / first, step);
}

typedef struct probe { // a wave under a Hann window
    int band;
    double *even, *odd; // (samples of a window)
} probe;

static tk_status make_probes(int64_t n, int64_t rate, tk_arena *a, probe *p, int *probes)
{
    *probes = 0;
    for (int b = 0; b < TK_SCAPE_BANDS; b++)
        for (int k = 0; k < (b < TONES ? 1 : PROBES); k++) {
            probe *q = &p[(*probes)++];
            q->band = b;
            TK_ARENA_NEW(q->even, a, n);
            TK_ARENA_NEW(q->odd, a, n);
            const double turn = 2 * M_PI * frequency(b, k) / (double)rate;
            for (int64_t i = 0; i < n && turn < 0.95 * M_PI; i++) {
                const double hann = (1 - cos(2 * M_PI * ((double)i + 0.5) / (double)n)) / (double)n;
                q->even[i] = hann * cos(turn * (double)i);
                q->odd[i] = hann * sin(turn * (double)i);
            }
        }
    return TK_OK;
}

static double power_of(const probe *p, const double *x, int64_t n)
{
    double re = 0, im = 0;
#pragma omp simd reduction(+ : re, im)
    for (int64_t i = 0; i < n; i++) {
        re += x[i] * p->even[i];
        im += x[i] * p->odd[i];
    }
    return re * re + im * im;
}

static int by_power(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Powers (bands, frames) of one channel x.
static tk_status hear_bands(const double *x, int64_t n, int64_t step, int64_t frames, int64_t rate,
                            tk_arena *a, double *power)
{
    probe p[TONES + (TK_SCAPE_BANDS - TONES) * PROBES];
    int probes;
    TK_TRY(make_probes(n, rate, a, p, &probes));
    for (int64_t f = 0; f < frames; f++)
        for (int k = 0; k < probes; k++)
            power[p[k].band * frames + f] += power_of(&p[k], x + f * step, n);
    return TK_OK;
}

tk_status tk_scape_of(const float *pcm, int64_t samples, int64_t channels, int64_t rate,
                      tk_arena *a, double feature[TK_SCAPE_FEATURES])
{
    const int64_t n = (int64_t)(window * (double)rate), step = (int64_t)(hop * (double)rate);
    const int64_t frames = samples < n ? 0 : (samples - n) / step + 1;
    double *x, *power, all = 0;
    for (int k = 0; k < TK_SCAPE_FEATURES; k++) feature[k] = NAN;
    if (frames < 3) return TK_OK;
    TK_ARENA_NEW(x, a, samples);
    TK_ARENA_NEW(power, a, TK_SCAPE_BANDS * frames);
    for (int64_t i = 0; i < samples * channels; i++)
        x[i / channels] += (double)pcm[i] / (double)channels;
    for (int64_t i = 0; i < samples; i++) all += x[i] * x[i] / (double)samples;
    if (!(all > silent)) return TK_OK; // nor are samples that are no numbers a sound
    TK_TRY(hear_bands(x, n, step, frames, rate, a, power));
    for (int b = 0; b < TK_SCAPE_BANDS; b++) {
        double *of = power + b * frames;
        qsort(of, (size_t)frames, sizeof *of, by_power);
        feature[2 * b] = 0.5 * log(of[frames / 4] + floor_of_power);
        feature[2 * b + 1] = 0.5 * log(of[frames / 2] + floor_of_power);
    }
    return TK_OK;
}
