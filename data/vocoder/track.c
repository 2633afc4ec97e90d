// SPDX-License-Identifier: Apache-2.0
// The pitch of a track: of each frame the five best peaks of the autocorrelation below about 900
// Hz, of which the smoothest strong path is taken (Viterbi).
#include "data/vocoder/internal.h"
#include <math.h>

enum { CHOICES = 5 };

typedef struct candidate {
    float hz, strength, score; // autocorrelation at that period; less for longer ones
} candidate;

typedef struct track {     // of n frames
    candidate *choice;     // (n, CHOICES)
    int8_t *before;        // (n, CHOICES) which of the last frame's leads there
    float *power, *weight; // (n)
} track;

// The best peaks of r over periods [low, high], the strongest first; missing ones score -1.
static void pick_peaks(const tk_vocoder *s, const float *r, int64_t low, int64_t high,
                       candidate *out)
{
    for (int c = 0; c < CHOICES; c++)
        out[c] = (candidate){(float)((double)s->rate / (double)high), 0, -1};
    for (int64_t l = low; l <= high; l++) {
        const float a = r[l - 1], b = r[l], c = r[l + 1],
                    score = b - 0.15f * (float)l / (float)high;
        if (!(b > a && b >= c) || score <= out[CHOICES - 1].score) continue;
        const float bend = a - 2 * b + c, off = bend < 0 ? 0.5f * (a - c) / bend : 0;
        const candidate found = {(float)s->rate / ((float)l + fmaxf(-0.5f, fminf(0.5f, off))),
                                 fminf(b, 1), score};
        int at = CHOICES - 1;
        for (; at > 0 && out[at - 1].score < score; at--) out[at] = out[at - 1];
        out[at] = found;
    }
}

// Frame k's candidates, by the autocorrelation that its power spectrum is the transform of.
static void look_at_frame(const tk_vocoder *s, const float *x, int64_t samples, int64_t k,
                          tk_frame *f, track *t)
{
    const double bin = (double)s->rate / (double)s->size;
    const int64_t low = (int64_t)((double)s->rate / TK_VOCODER_HIGHEST);
    const int64_t high = (int64_t)((double)s->rate / TK_VOCODER_LOWEST);
    t->power[k] = (float)tk_frame_power(s, x, samples, k, f);
    for (int64_t b = 0; b <= s->size / 2; b++) {
        const double hz = (double)b * bin, soft = hz / 900;
        f->spectrum[b] = (tk_complex){0, 0};
        if (hz >= 50) f->spectrum[b].re = f->power[b] / (float)(1 + soft * soft * soft * soft);
    }
    tk_fft_inverse(&s->fft, f->spectrum, f->x, f->scratch);
    const float whole = f->x[0] + 1e-9f;
    for (int64_t l = low - 1; l <= high + 1; l++) f->x[l] /= whole * fmaxf(0.05f, s->repeat[l]);
    pick_peaks(s, f->x, low, high, t->choice + k * CHOICES);
}

// Loudness in dB between two levels, as a number from 0 to 1.
static float loudness(float power, float low, float high)
{
    return fmaxf(0, fminf(1, (10 * log10f(power + 1e-10f) - low) / (high - low)));
}

// The best path's choice of each frame, into `chosen`.
static void best_path(const track *t, int64_t n, int8_t *chosen)
{
    double sum[CHOICES] = {0}, next[CHOICES];
    for (int64_t k = 0; k < n; k++) {
        const candidate *now = t->choice + k * CHOICES, *last = now - CHOICES;
        for (int c = 0; c < CHOICES; c++) {
            double best = k ? -1e30 : 0;
            for (int b = 0; k && b < CHOICES; b++) {
                const double jump = fabs(log((double)now[c].hz / (double)last[b].hz));
                const double path = sum[b] - 2 * fmin(jump, 0.5);
                if (path > best) best = path, t->before[k * CHOICES + c] = (int8_t)b;
            }
            next[c] = best + (double)(t->weight[k] * now[c].score);
        }
        for (int c = 0; c < CHOICES; c++) sum[c] = next[c];
    }
    int at = 0;
    for (int c = 1; c < CHOICES; c++)
        if (sum[c] > sum[at]) at = c;
    for (int64_t k = n - 1; k >= 0; k--) {
        chosen[k] = (int8_t)at;
        at = t->before[k * CHOICES + at];
    }
}

// Unsure pitches by a straight line of logarithms between sure ones, 120 Hz where there is none.
static void fill_in(int64_t n, const float *sure, float *pitch)
{
    int64_t last = -1;
    for (int64_t k = 0; k <= n; k++) {
        if (k < n && !(sure[k] > 0.5f)) continue;
        const float from = last < 0 ? (k < n ? pitch[k] : 120) : pitch[last];
        const float to = k < n ? pitch[k] : from;
        for (int64_t j = last + 1; j < k; j++)
            pitch[j] = from * powf(to / from, (float)(j - last) / (float)(k - last));
        last = k;
    }
}

tk_status tk_vocoder_track(const tk_vocoder *s, const float *x, int64_t samples, int64_t n,
                           tk_arena *a, float *pitch, float *sure)
{
    track t;
    tk_frame f;
    int8_t *chosen;
    TK_TRY(tk_frame_new(s, a, &f));
    TK_ARENA_NEW(t.choice, a, n * CHOICES);
    TK_ARENA_NEW(t.before, a, n * CHOICES);
    TK_ARENA_NEW(t.power, a, n);
    TK_ARENA_NEW(t.weight, a, n);
    TK_ARENA_NEW(chosen, a, n);
    for (int64_t k = 0; k < n; k++) {
        look_at_frame(s, x, samples, k, &f, &t);
        t.weight[k] = fmaxf(0.01f, loudness(t.power[k], -60, -40)); // quiet frames count little
    }
    best_path(&t, n, chosen);
    for (int64_t k = 0; k < n; k++) {
        const candidate c = t.choice[k * CHOICES + chosen[k]];
        pitch[k] = c.hz;
        sure[k] = fmaxf(0, fminf(1, (c.strength - 0.4f) / 0.4f)) * loudness(t.power[k], -55, -45);
    }
    fill_in(n, sure, pitch);
    return TK_OK;
}
