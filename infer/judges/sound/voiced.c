// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sound/voiced.h"
#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>

enum {
    RATE = TK_VOICED_RATE,
    HOP = RATE / TK_PITCH_HOP,
    WINDOW = 512,
    LOW = 6, // the first bin
    BINS = TK_VOICED_BINS,
    BANDS = TK_VOICED_BANDS
};
#define QUIET 0.1F // of the loudest voiced frame: too quiet to say much
#define STRAY 0.6  // octaves from the median: no pitch

// ---- frames that are heard ---------------------------------------------------------------------

static int by_octave(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static tk_status measure_pitch(tk_voiced *v, tk_arena *a)
{
    double *octaves, sum = 0, squares = 0;
    int n = 0, m = 0;
    if (v->count == 0) return TK_OK;
    TK_ARENA_NEW(octaves, a, v->count);
    for (int64_t f = 0; f < v->pitch.frames; f++)
        if (v->heard[f]) octaves[n++] = log2((double)v->pitch.hz[f]);
    qsort(octaves, (size_t)n, sizeof *octaves, by_octave);
    for (int i = 0; i < n; i++) {
        const double off = octaves[i] - octaves[n / 2];
        if (fabs(off) > STRAY) continue;
        sum += off;
        squares += off * off;
        m++;
    }
    v->hz = exp2(octaves[n / 2] + sum / m);
    v->spread = sqrt(fmax(0, squares / m - sum / m * (sum / m)));
    return TK_OK;
}

static tk_status find_heard(tk_voiced *v, tk_arena *a)
{
    const tk_pitch *p = &v->pitch;
    float loudest = 0;
    TK_ARENA_NEW(v->heard, a, p->frames);
    for (int64_t f = 0; f < p->frames; f++)
        if (p->hz[f] > 0) loudest = fmaxf(loudest, p->level[f]);
    for (int64_t f = 0; f < p->frames; f++) {
        v->heard[f] = p->hz[f] > 0 && p->level[f] > QUIET * loudest;
        v->count += v->heard[f];
    }
    return measure_pitch(v, a);
}

// ---- their spectra -----------------------------------------------------------------------------

static double mel_of_bin(int bin)
{
    return log1p((double)bin * RATE / WINDOW / 700);
}

static tk_status open_bands(tk_voiced *v, tk_arena *a)
{
    size_t bytes = 0;
    float *hann;
    char *room;
    kiss_fftr_alloc(WINDOW, 0, NULL, &bytes);
    TK_ARENA_NEW(room, a, (int64_t)bytes);
    TK_ARENA_NEW(hann, a, WINDOW);
    v->fft = kiss_fftr_alloc(WINDOW, 0, room, &bytes);
    v->window = hann;
    for (int i = 0; i < WINDOW; i++) hann[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / WINDOW));
    for (int k = 0; k < BINS; k++) {
        v->band[k] = (int)(BANDS * (mel_of_bin(LOW + k) - mel_of_bin(LOW)) /
                           (mel_of_bin(LOW + BINS) - mel_of_bin(LOW)));
        v->bins[v->band[k]]++;
    }
    return TK_OK;
}

// sum (BINS + 1): power of all bins below, in frame f.
static void sum_powers(const tk_voiced *v, int64_t f, double sum[BINS + 1])
{
    float w[WINDOW];
    kiss_fft_cpx z[WINDOW / 2 + 1];
    for (int i = 0; i < WINDOW; i++) {
        const int64_t at = f * HOP + HOP / 2 - WINDOW / 2 + i;
        w[i] = at >= 0 && at < v->n ? v->window[i] * v->x[at] : 0;
    }
    kiss_fftr(v->fft, w, z);
    sum[0] = 0;
    for (int k = 0; k < BINS; k++) {
        const double re = (double)z[LOW + k].r, im = (double)z[LOW + k].i;
        sum[k + 1] = sum[k] + re * re + im * im;
    }
}

// `sum` up to a place between two bins.
static double power_up_to(const double sum[BINS + 1], double at)
{
    const int k = at < BINS ? (int)at : BINS - 1;
    return sum[k] + (at - k) * (sum[k + 1] - sum[k]);
}

void tk_voiced_add_bands(const tk_voiced *v, int64_t f, double hz, double power[BANDS])
{
    double sum[BINS + 1];
    const double half = fmax(0.5, 0.5 * hz * WINDOW / RATE);
    sum_powers(v, f, sum);
    for (int k = 0; k < BINS; k++) {
        const double from = fmax(0, k + 0.5 - half), to = fmin(BINS, k + 0.5 + half);
        power[v->band[k]] +=
            (power_up_to(sum, to) - power_up_to(sum, from)) / (to - from) / v->bins[v->band[k]];
    }
}

tk_status tk_voiced_of(const float *x, int64_t n, tk_arena *a, tk_voiced *out)
{
    *out = (tk_voiced){.x = x, .n = n};
    TK_TRY(tk_pitch_of(x, n, RATE, a, &out->pitch));
    TK_TRY(open_bands(out, a));
    return find_heard(out, a);
}
