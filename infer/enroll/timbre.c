// SPDX-License-Identifier: Apache-2.0
#include "infer/enroll/timbre.h"
#include "infer/judges/sound/voiced.h"
#include <math.h>
#include <string.h>

enum { BANDS = TK_VOICED_BANDS, LEAST = 5 }; // voiced frames
#define FLOOR 1e-4                           // of the mean power of bands: what a band has at least
_Static_assert((int)TK_TIMBRE_RATE == (int)TK_VOICED_RATE, "rate of a timbre");

// Adds the cosines of frame f's bands, in nepers.
static void add_shapes(const tk_voiced *v, int64_t f, double *out)
{
    double band[BANDS] = {0}, mean = 1e-30;
    tk_voiced_add_bands(v, f, (double)v->pitch.hz[f], band);
    for (int b = 0; b < BANDS; b++) mean += band[b] / BANDS;
    for (int b = 0; b < BANDS; b++) {
        const double nepers = 0.5 * log(fmax(band[b], FLOOR * mean));
        for (int k = 0; k < TK_TIMBRE_SHAPES; k++)
            out[k] += sqrt(2.0 / BANDS) * cos(M_PI * (k + 1) * (b + 0.5) / BANDS) * nepers;
    }
}

tk_status tk_timbre_of(const float *x, int64_t n, tk_arena *a, tk_timbre *out)
{
    tk_voiced v;
    *out = (tk_timbre){0};
    TK_TRY(tk_voiced_of(x, n, a, &v));
    if (v.count < LEAST) return TK_OK;
    out->voiced = v.count;
    for (int64_t f = 0; f < v.pitch.frames; f++)
        if (v.heard[f]) add_shapes(&v, f, out->of + 1);
    for (int k = 1; k < TK_TIMBRE; k++) out->of[k] /= v.count;
    out->of[0] = log2(v.hz);
    return TK_OK;
}

static tk_status all_are_shown(const tk_metric *m, const char *what)
{
    for (int g = 0; g < m->groups; g++)
        if (m->shown[g] == 0)
            return TK_FAIL(TK_INPUT, "%s %d has no example in which it is heard", what, g);
    return TK_OK;
}

tk_status tk_timbres_learn(const tk_timbre *t, const int *word, const int *voice, int n, int words,
                           int voices, tk_arena *a, tk_timbres *out)
{
    double *x;
    int *heard;
    TK_ARENA_NEW(x, a, (int64_t)n * TK_TIMBRE);
    TK_ARENA_NEW(heard, a, n);
    for (int i = 0; i < n; i++) {
        heard[i] = t[i].voiced ? word[i] : -1;
        memcpy(x + (int64_t)i * TK_TIMBRE, t[i].of, sizeof t[i].of);
    }
    TK_TRY(tk_metric_means(x, heard, n, TK_TIMBRE, words, a, &out->word));
    TK_TRY(all_are_shown(&out->word, "word"));
    for (int i = 0; i < n; i++) {
        heard[i] = t[i].voiced ? voice[i] : -1;
        for (int k = 0; k < TK_TIMBRE; k++)
            x[i * TK_TIMBRE + k] -= out->word.mean[word[i] * TK_TIMBRE + k];
    }
    TK_TRY(tk_metric_means(x, heard, n, TK_TIMBRE, voices, a, &out->within));
    TK_TRY(all_are_shown(&out->within, "voice"));
    return tk_metric_learn(x, heard, n, TK_TIMBRE, voices, a, &out->within);
}

double tk_timbres_apart(const tk_timbres *known, const tk_timbre *t, const int *word, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        if (t[i].voiced == 0) return INFINITY;
    for (int part = 1; part < 1 << (n - 1); part++) { // those whose bit is set, and the others
        const int m = __builtin_popcount((unsigned)part);
        double d[TK_TIMBRE] = {0};
        for (int i = 0; i < n; i++)
            for (int k = 0; k < TK_TIMBRE; k++)
                d[k] += (t[i].of[k] - known->word.mean[word[i] * TK_TIMBRE + k]) *
                        (part >> i & 1 ? 1.0 / m : -1.0 / (n - m));
        most = fmax(most, tk_metric_length(&known->within, d) * sqrt((double)m * (n - m) / n));
    }
    return most;
}
