// SPDX-License-Identifier: Apache-2.0
// Speakers are told apart by their mean prints: the nearest in the metric of what prints of one
// speaker differ by.
#include "infer/judges/sound/voice.h"
#include "core/numbers/resample.h"
#include "infer/judges/metric.h"
#include "infer/judges/sound/voiced.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE 0.2  // of all frames, the quietest: what sounds below the voice
#define LEAST 1e-3 // of the mean power of bands: what a band has at least
_Static_assert((int)TK_PRINT_BANDS == (int)TK_VOICED_BANDS, "bands of a print");

// ---- prints ----

static int by_loudness(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Log powers of the bands of what is heard less those of the quietest frames, about their mean.
static tk_status measure_bands(const tk_voiced *v, tk_arena *a, tk_voiceprint *out)
{
    const tk_pitch *p = &v->pitch;
    float *sorted;
    double voice[TK_PRINT_BANDS] = {0}, below[TK_PRINT_BANDS] = {0}, all = 0, mean = 0;
    int pauses = 0;
    TK_ARENA_NEW(sorted, a, p->frames);
    memcpy(sorted, p->level, (size_t)p->frames * sizeof *sorted);
    qsort(sorted, (size_t)p->frames, sizeof *sorted, by_loudness);
    const float pause = sorted[(int64_t)(PAUSE * (double)p->frames)];
    for (int64_t f = 0; f < p->frames; f++) {
        if (v->heard[f]) tk_voiced_add_bands(v, f, 0, voice);
        if (v->heard[f] || p->level[f] > pause) continue;
        tk_voiced_add_bands(v, f, 0, below);
        pauses++;
    }
    for (int b = 0; b < TK_PRINT_BANDS; b++) {
        voice[b] = voice[b] / v->count - (pauses ? below[b] / pauses : 0);
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
    const int64_t m = tk_resample_count(n, rate, TK_VOICED_RATE);
    float *y;
    tk_voiced v;
    TK_ARENA_NEW(y, a, m);
    TK_TRY(tk_resample(x, n, rate, TK_VOICED_RATE, y));
    TK_TRY(tk_voiced_of(y, m, a, &v));
    out->voiced = v.count;
    if (v.count < TK_PRINT_LEAST) return TK_OK;
    out->hz = v.hz;
    out->spread = v.spread;
    out->of[0] = log2(v.hz);
    out->of[1] = v.spread;
    return measure_bands(&v, a, out);
}

// ---- speakers ----

struct tk_speakers {
    tk_metric within; // a speaker
};

static tk_status copy_prints(const tk_voiceprint *prints, const int *label, int n, int speakers,
                             double *x, int *group)
{
    for (int i = 0; i < n; i++) {
        if (label[i] < 0 || label[i] >= speakers)
            return TK_FAIL(TK_INPUT, "a voice is labelled %d of %d speakers", label[i], speakers);
        group[i] = prints[i].voiced < TK_PRINT_LEAST ? -1 : label[i];
        memcpy(x + (int64_t)i * TK_PRINT, prints[i].of, sizeof prints[i].of);
    }
    return TK_OK;
}

tk_status tk_speakers_learn(const tk_voiceprint *prints, const int *label, int n, int speakers,
                            tk_arena *a, tk_speakers **out)
{
    tk_speakers *s;
    double *x;
    int *group;
    if (speakers < 1) return TK_FAIL(TK_INPUT, "no speakers to be told apart");
    TK_ARENA_NEW(s, a, 1);
    TK_ARENA_NEW(x, a, (int64_t)n * TK_PRINT);
    TK_ARENA_NEW(group, a, n);
    TK_TRY(copy_prints(prints, label, n, speakers, x, group));
    TK_TRY(tk_metric_means(x, group, n, TK_PRINT, speakers, a, &s->within));
    for (int v = 0; v < speakers; v++)
        if (s->within.shown[v] < 2)
            return TK_FAIL(TK_INPUT,
                           "speaker %d has %d labelled samples with a voice: at least 2 are needed",
                           v, s->within.shown[v]);
    TK_TRY(tk_metric_learn(x, group, n, TK_PRINT, speakers, a, &s->within));
    *out = s;
    return TK_OK;
}

int tk_speakers_who(const tk_speakers *s, const tk_voiceprint *p)
{
    int best = -1;
    double least = INFINITY;
    for (int v = 0; v < s->within.groups && p->voiced >= TK_PRINT_LEAST; v++) {
        double y[TK_PRINT];
        for (int k = 0; k < TK_PRINT; k++) y[k] = p->of[k] - s->within.mean[v * TK_PRINT + k];
        const double d = tk_metric_length(&s->within, y);
        if (d >= least) continue;
        least = d;
        best = v;
    }
    return best;
}
