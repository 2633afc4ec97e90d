// SPDX-License-Identifier: Apache-2.0
#include "infer/enroll/timbre.h"
#include "infer/judges/sound/pitch.h"
#include <kiss_fftr.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

enum {
    RATE = TK_TIMBRE_RATE,
    HOP = RATE / TK_PITCH_HOP,
    WINDOW = 512,
    LOW = 6, // bins of 31.25 Hz: 190 Hz ..
    HIGH = 160,
    BINS = HIGH - LOW,
    BANDS = 20,
    LEAST = 5 // voiced frames
};
#define QUIET 0.1F // of the loudest voiced frame: too quiet to say much
#define STRAY 0.6  // octaves from the median: no pitch
#define FLOOR 1e-4 // of the mean power of bands: what a band has at least
#define DRAWN 0.2  // of the covariance, towards its diagonal
#define ROUND 1e-6 // added to it

// ---- of a word ---------------------------------------------------------------------------------

typedef struct listener {
    const float *x; // (n)
    int64_t n;
    kiss_fftr_cfg fft;
    float window[WINDOW];
    int band[BINS], bins[BANDS]; // of each bin; in each band
} listener;

static double bin_mel(int bin)
{
    return log1p((double)bin * RATE / WINDOW / 700);
}

static void open_listener(listener *l)
{
    for (int i = 0; i < WINDOW; i++) l->window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / WINDOW));
    for (int k = 0; k < BINS; k++) {
        l->band[k] =
            (int)(BANDS * (bin_mel(LOW + k) - bin_mel(LOW)) / (bin_mel(HIGH) - bin_mel(LOW)));
        l->bins[l->band[k]]++;
    }
}

// sum (BINS + 1): power of all bins below, in frame f.
static void sum_powers(const listener *l, int64_t f, double sum[BINS + 1])
{
    float w[WINDOW];
    kiss_fft_cpx z[WINDOW / 2 + 1];
    for (int i = 0; i < WINDOW; i++) {
        const int64_t at = f * HOP + HOP / 2 - WINDOW / 2 + i;
        w[i] = at >= 0 && at < l->n ? l->window[i] * l->x[at] : 0;
    }
    kiss_fftr(l->fft, w, z);
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

// Adds frame f's cosines. Each bin is the mean over one harmonic's width around it, so that
// it matters little where harmonics lie.
static void add_shapes(const listener *l, int64_t f, double hz, double *out)
{
    double sum[BINS + 1], band[BANDS] = {0}, mean = 1e-30;
    const double half = 0.5 * hz * WINDOW / RATE;
    sum_powers(l, f, sum);
    for (int k = 0; k < BINS; k++) {
        const double from = fmax(0, k + 0.5 - half), to = fmin(BINS, k + 0.5 + half);
        const double power = (power_up_to(sum, to) - power_up_to(sum, from)) / (to - from);
        band[l->band[k]] += power / l->bins[l->band[k]];
    }
    for (int b = 0; b < BANDS; b++) mean += band[b] / BANDS;
    for (int b = 0; b < BANDS; b++) {
        const double nepers = 0.5 * log(fmax(band[b], FLOOR * mean));
        for (int k = 0; k < TK_TIMBRE_SHAPES; k++)
            out[k] += sqrt(2.0 / BANDS) * cos(M_PI * (k + 1) * (b + 0.5) / BANDS) * nepers;
    }
}

static int by_octave(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Mean of n pitches in octaves, without strays.
static double mean_pitch(double *octaves, int n)
{
    double sum = 0;
    int m = 0;
    qsort(octaves, (size_t)n, sizeof *octaves, by_octave);
    for (int i = 0; i < n; i++)
        if (fabs(octaves[i] - octaves[n / 2]) < STRAY) sum += octaves[i], m++;
    return sum / m;
}

static tk_status measure_voiced(const listener *l, tk_arena *a, tk_timbre *out)
{
    tk_pitch p;
    double *octaves;
    float loudest = 0;
    TK_TRY(tk_pitch_of(l->x, l->n, RATE, a, &p));
    TK_ARENA_NEW(octaves, a, p.frames + 1);
    for (int64_t f = 0; f < p.frames; f++)
        if (p.hz[f] > 0) loudest = fmaxf(loudest, p.level[f]);
    for (int64_t f = 0; f < p.frames; f++) {
        if (p.hz[f] <= 0 || p.level[f] <= QUIET * loudest) continue;
        octaves[out->voiced++] = log2((double)p.hz[f]);
        add_shapes(l, f, (double)p.hz[f], out->of + 1);
    }
    if (out->voiced < LEAST) {
        *out = (tk_timbre){0};
        return TK_OK;
    }
    for (int k = 1; k < TK_TIMBRE; k++) out->of[k] /= out->voiced;
    out->of[0] = mean_pitch(octaves, out->voiced);
    return TK_OK;
}

tk_status tk_timbre_of(const float *x, int64_t n, tk_arena *a, tk_timbre *out)
{
    listener l = {.x = x, .n = n, .fft = kiss_fftr_alloc(WINDOW, 0, NULL, NULL)};
    *out = (tk_timbre){0};
    if (!l.fft) return TK_FAIL(TK_MEMORY, "out of memory for a transform");
    open_listener(&l);
    const tk_status st = measure_voiced(&l, a, out);
    kiss_fftr_free(l.fft);
    return st;
}

// ---- of voices ---------------------------------------------------------------------------------

// Means of groups of t into mean (groups).
static tk_status find_group_means(const tk_timbre *t, const int *group, int n, int groups,
                                  tk_arena *a, double (*mean)[TK_TIMBRE])
{
    int *count;
    TK_ARENA_NEW(count, a, groups);
    for (int i = 0; i < n; i++) {
        if (t[i].voiced == 0) continue;
        count[group[i]]++;
        for (int k = 0; k < TK_TIMBRE; k++) mean[group[i]][k] += t[i].of[k];
    }
    for (int q = 0; q < groups; q++) {
        if (count[q] == 0)
            return TK_FAIL(TK_INPUT, "word or voice %d has no example in which it is heard", q);
        for (int k = 0; k < TK_TIMBRE; k++) mean[q][k] /= count[q];
    }
    return TK_OK;
}

static tk_status find_root(const tk_timbre *rest, const int *voice, int n,
                           double (*mean)[TK_TIMBRE], tk_timbres *out)
{
    double(*w)[TK_TIMBRE] = out->root;
    int used = 0;
    for (int i = 0; i < n; i++) {
        if (rest[i].voiced == 0) continue;
        const double *m = mean[voice[i]], *x = rest[i].of;
        used++;
        for (int j = 0; j < TK_TIMBRE; j++)
            for (int k = 0; k <= j; k++) w[j][k] += (x[j] - m[j]) * (x[k] - m[k]);
    }
    for (int j = 0; j < TK_TIMBRE; j++) {
        for (int k = 0; k < j; k++) w[j][k] *= (1 - DRAWN) / used;
        w[j][j] = w[j][j] / used + ROUND;
    }
    const int code = LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', TK_TIMBRE, w[0], TK_TIMBRE);
    return code ? TK_FAIL(TK_NUMERIC, "voices do not differ at all: dpotrf says %d", code) : TK_OK;
}

tk_status tk_timbres_learn(const tk_timbre *t, const int *word, const int *voice, int n, int words,
                           int voices, tk_arena *a, tk_timbres *out)
{
    tk_timbre *rest;
    double(*mean)[TK_TIMBRE];
    *out = (tk_timbres){.words = words};
    TK_ARENA_NEW(out->mean, a, words);
    TK_ARENA_NEW(mean, a, voices);
    TK_ARENA_NEW(rest, a, n);
    TK_TRY(find_group_means(t, word, n, words, a, out->mean));
    for (int i = 0; i < n; i++) {
        rest[i] = t[i];
        for (int k = 0; k < TK_TIMBRE; k++) rest[i].of[k] -= out->mean[word[i]][k];
    }
    TK_TRY(find_group_means(rest, voice, n, voices, a, mean));
    return find_root(rest, voice, n, mean, out);
}

double tk_timbres_apart(const tk_timbres *known, const tk_timbre *t, const int *word, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        if (t[i].voiced == 0) return INFINITY;
    for (int part = 1; part < 1 << (n - 1); part++) { // those whose bit is set, and the others
        const int m = __builtin_popcount((unsigned)part);
        double d[TK_TIMBRE] = {0}, sum = 0;
        for (int i = 0; i < n; i++)
            for (int k = 0; k < TK_TIMBRE; k++)
                d[k] += (t[i].of[k] - known->mean[word[i]][k]) *
                        (part >> i & 1 ? 1.0 / m : -1.0 / (n - m));
        for (int k = 0; k < TK_TIMBRE; k++) {
            for (int j = 0; j < k; j++) d[k] -= known->root[k][j] * d[j];
            d[k] /= known->root[k][k];
            sum += d[k] * d[k];
        }
        most = fmax(most, sqrt(sum * m * (n - m) / n));
    }
    return most;
}
