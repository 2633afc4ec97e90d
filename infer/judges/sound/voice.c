// SPDX-License-Identifier: Apache-2.0
// Speakers are told apart by their mean prints and one covariance of prints within a speaker, drawn
// a little towards its diagonal: the nearest mean in that metric.
#include "infer/judges/sound/voice.h"
#include "core/numbers/resample.h"
#include "infer/judges/sound/pitch.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 16000, HOP = RATE / TK_PITCH_HOP, WINDOW = 512, LOW = 6, HIGH = 160 };
#define DRAWN 0.2  // towards the diagonal
#define QUIET 0.1F // of the loudest voiced frame: too quiet to say much
#define PAUSE 0.2  // of all frames, the quietest: what sounds below the voice
#define LEAST 1e-3 // of the mean power of bands: what a band has at least
#define STRAY 0.6  // octaves from the median: no pitch

// ---- prints ----

typedef struct window_tables {
    float even[HIGH][WINDOW], odd[HIGH][WINDOW]; // waves of each bin under a Hann window
    int band[HIGH];                              // of each bin
    int bins[TK_PRINT_BANDS];                    // in each band
} window_tables;

static double mel_of_bin(int k)
{
    return log1p((double)k * RATE / WINDOW / 700);
}

static void make_tables(window_tables *t)
{
    const double low = mel_of_bin(LOW), high = mel_of_bin(HIGH);
    float wave[WINDOW];
    for (int i = 0; i < WINDOW; i++) wave[i] = (float)cos(2 * M_PI * i / WINDOW);
    for (int k = LOW; k < HIGH; k++) {
        t->band[k] = (int)(TK_PRINT_BANDS * (mel_of_bin(k) - low) / (high - low));
        t->bins[t->band[k]]++;
        for (int i = 0; i < WINDOW; i++) {
            const float hann = 0.5F - 0.5F * wave[i];
            t->even[k][i] = hann * wave[k * i % WINDOW];
            t->odd[k][i] = hann * wave[(k * i + WINDOW / 4) % WINDOW];
        }
    }
}

// Adds the mean power of each band's bins around frame f.
static void add_bands(const window_tables *t, const float *x, int64_t n, int64_t f,
                      double power[TK_PRINT_BANDS])
{
    float w[WINDOW];
    for (int i = 0; i < WINDOW; i++) {
        const int64_t at = f * HOP + HOP / 2 - WINDOW / 2 + i;
        w[i] = at >= 0 && at < n ? x[at] : 0;
    }
    for (int k = LOW; k < HIGH; k++) {
        float re = 0, im = 0;
#pragma omp simd reduction(+ : re, im)
        for (int i = 0; i < WINDOW; i++) {
            re += w[i] * t->even[k][i];
            im += w[i] * t->odd[k][i];
        }
        power[t->band[k]] += (double)(re * re + im * im) / t->bins[t->band[k]];
    }
}

static int by_number(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Pitch and its spread over the frames chosen; strays (octaves off) do not count.
static tk_status measure_pitch(const tk_pitch *p, const bool *chosen, tk_arena *a,
                               tk_voiceprint *out)
{
    float *sorted;
    int n = 0, m = 0;
    double sum = 0, squares = 0;
    TK_ARENA_NEW(sorted, a, p->frames);
    for (int64_t f = 0; f < p->frames; f++)
        if (chosen[f]) sorted[n++] = log2f(p->hz[f]);
    qsort(sorted, (size_t)n, sizeof *sorted, by_number);
    const double median = sorted[n / 2];
    for (int i = 0; i < n; i++) {
        if (fabs(sorted[i] - median) > STRAY) continue;
        sum += sorted[i];
        squares += (double)sorted[i] * sorted[i];
        m++;
    }
    const double mean = sum / m;
    out->hz = exp2(mean);
    out->spread = sqrt(fmax(0, squares / m - mean * mean));
    out->of[0] = mean;
    out->of[1] = out->spread;
    return TK_OK;
}

// Log powers of the bands of chosen frames less those of the quietest ones, about their mean.
static tk_status measure_bands(const float *x, int64_t n, const tk_pitch *p, const bool *chosen,
                               tk_arena *a, tk_voiceprint *out)
{
    window_tables *t;
    float *sorted;
    TK_ARENA_NEW(t, a, 1);
    TK_ARENA_NEW(sorted, a, p->frames);
    make_tables(t);
    memcpy(sorted, p->level, (size_t)p->frames * sizeof *sorted);
    qsort(sorted, (size_t)p->frames, sizeof *sorted, by_number);
    const float pause = sorted[(int64_t)(PAUSE * (double)p->frames)];
    double voice[TK_PRINT_BANDS] = {0}, below[TK_PRINT_BANDS] = {0}, all = 0, mean = 0;
    int pauses = 0;
    for (int64_t f = 0; f < p->frames; f++) {
        if (chosen[f]) add_bands(t, x, n, f, voice);
        if (chosen[f] || p->level[f] > pause) continue;
        add_bands(t, x, n, f, below);
        pauses++;
    }
    for (int b = 0; b < TK_PRINT_BANDS; b++) {
        voice[b] = voice[b] / out->voiced - (pauses ? below[b] / pauses : 0);
        all += fmax(0, voice[b]) / TK_PRINT_BANDS;
    }
    for (int b = 0; b < TK_PRINT_BANDS; b++) {
        out->of[2 + b] = 0.5 * log(fmax(voice[b], LEAST * all + 1e-30));
        mean += out->of[2 + b] / TK_PRINT_BANDS;
    }
    for (int b = 0; b < TK_PRINT_BANDS; b++) out->of[2 + b] -= mean;
    return TK_OK;
}

tk_status tk_voiceprint_of(const float *x, int64_t n, int64_t rate, tk_arena *a, tk_voiceprint *out)
{
    *out = (tk_voiceprint){0};
    if (rate < TK_PRINT_RATE)
        return TK_FAIL(TK_INPUT, "voices cannot be judged at %lld samples a second: at least %d",
                       (long long)rate, TK_PRINT_RATE);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return TK_FAIL(TK_INPUT, "sample %lld is no number: no voice can be heard",
                           (long long)i);
    const int64_t m = tk_resample_count(n, rate, RATE);
    float *y, loudest = 0;
    tk_pitch p;
    bool *chosen;
    TK_ARENA_NEW(y, a, m);
    TK_TRY(tk_resample(x, n, rate, RATE, y));
    TK_TRY(tk_pitch_of(y, m, RATE, a, &p));
    TK_ARENA_NEW(chosen, a, p.frames);
    for (int64_t f = 0; f < p.frames; f++)
        if (p.hz[f] > 0) loudest = fmaxf(loudest, p.level[f]);
    for (int64_t f = 0; f < p.frames; f++) {
        chosen[f] = p.hz[f] > 0 && p.level[f] > QUIET * loudest;
        out->voiced += chosen[f];
    }
    if (out->voiced < TK_PRINT_LEAST) return TK_OK;
    TK_TRY(measure_pitch(&p, chosen, a, out));
    return measure_bands(y, m, &p, chosen, a, out);
}

// ---- speakers ----

struct tk_speakers {
    int n;
    double (*mean)[TK_PRINT];        // (n)
    double root[TK_PRINT][TK_PRINT]; // lower triangle of the covariance's Cholesky factor
};

// The lower triangle of m in place by its Cholesky factor.
static tk_status factor(double m[TK_PRINT][TK_PRINT])
{
    for (int i = 0; i < TK_PRINT; i++)
        for (int j = 0; j <= i; j++) {
            double sum = m[i][j];
            for (int k = 0; k < j; k++) sum -= m[i][k] * m[j][k];
            if (i == j && sum <= 0)
                return TK_FAIL(TK_NUMERIC, "labelled voices do not differ from each other at all");
            m[i][j] = i == j ? sqrt(sum) : sum / m[j][j];
        }
    return TK_OK;
}

// Length of root^-1 (p - q).
static double print_distance(const tk_speakers *s, const double *p, const double *q)
{
    double y[TK_PRINT], sum = 0;
    for (int i = 0; i < TK_PRINT; i++) {
        y[i] = p[i] - q[i];
        for (int k = 0; k < i; k++) y[i] -= s->root[i][k] * y[k];
        y[i] /= s->root[i][i];
        sum += y[i] * y[i];
    }
    return sqrt(sum);
}

static tk_status find_means(tk_speakers *s, const tk_voiceprint *prints, const int *label, int n,
                            tk_arena *a, int *used)
{
    int *count;
    TK_ARENA_NEW(count, a, s->n);
    TK_ARENA_NEW(s->mean, a, s->n);
    *used = 0;
    for (int i = 0; i < n; i++) {
        if (label[i] < 0 || label[i] >= s->n)
            return TK_FAIL(TK_INPUT, "a voice is labelled %d of %d speakers", label[i], s->n);
        if (prints[i].voiced < TK_PRINT_LEAST) continue;
        count[label[i]]++;
        ++*used;
        for (int k = 0; k < TK_PRINT; k++) s->mean[label[i]][k] += prints[i].of[k];
    }
    for (int v = 0; v < s->n; v++) {
        if (count[v] < 2)
            return TK_FAIL(TK_INPUT,
                           "speaker %d has %d labelled samples with a voice: at least 2 are needed",
                           v, count[v]);
        for (int k = 0; k < TK_PRINT; k++) s->mean[v][k] /= count[v];
    }
    return TK_OK;
}

tk_status tk_speakers_learn(const tk_voiceprint *prints, const int *label, int n, int speakers,
                            tk_arena *a, tk_speakers **out)
{
    tk_speakers *s;
    int used = 0;
    if (speakers < 1) return TK_FAIL(TK_INPUT, "no speakers to be told apart");
    TK_ARENA_NEW(s, a, 1);
    s->n = speakers;
    TK_TRY(find_means(s, prints, label, n, a, &used));
    for (int i = 0; i < n; i++) {
        if (prints[i].voiced < TK_PRINT_LEAST) continue;
        const double *mean = s->mean[label[i]];
        for (int j = 0; j < TK_PRINT; j++)
            for (int k = 0; k <= j; k++)
                s->root[j][k] += (prints[i].of[j] - mean[j]) * (prints[i].of[k] - mean[k]) / used;
    }
    for (int j = 0; j < TK_PRINT; j++)
        for (int k = 0; k < j; k++) s->root[j][k] *= 1 - DRAWN;
    for (int j = 0; j < TK_PRINT; j++) s->root[j][j] += 1e-6;
    TK_TRY(factor(s->root));
    *out = s;
    return TK_OK;
}

int tk_speakers_who(const tk_speakers *s, const tk_voiceprint *p)
{
    int best = -1;
    double least = INFINITY;
    for (int v = 0; v < s->n && p->voiced >= TK_PRINT_LEAST; v++) {
        const double d = print_distance(s, p->of, s->mean[v]);
        if (d >= least) continue;
        least = d;
        best = v;
    }
    return best;
}
