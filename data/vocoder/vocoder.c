// SPDX-License-Identifier: Apache-2.0
// Sizes and tables that follow from a rate and a length of rows.
#include "data/vocoder/vocoder.h"
#include "data/vocoder/internal.h"
#include <math.h>

// Seconds: of a frame, of the window that is analysed (three periods of 75 Hz), from grain to
// grain.
#define FRAME 0.0125
#define WINDOW 0.04
#define GRAIN 0.00625
#define BAND 71.0 // mel from band to band: 40 of them up to 8 kHz

static double mel_of(double hz)
{
    return 2595 * log10(1 + hz / 700);
}

static double hz_of(double mel)
{
    return 700 * (pow(10, mel / 2595) - 1);
}

tk_status tk_vocoder_check(int64_t rate, int64_t hop, const char *where)
{
    enum { LOWEST = 8000, HIGHEST = 96000 };
    if (rate < LOWEST || rate > HIGHEST)
        return TK_FAIL(TK_INPUT, "%s: a vocoder needs %d to %d samples a second, not %lld", where,
                       LOWEST, HIGHEST, (long long)rate);
    if (hop * 200 < rate || hop * 10 > rate)
        return TK_FAIL(TK_INPUT,
                       "%s: rows of %lld samples at %lld Hz; a vocoder's rows last 5 to 100 ms",
                       where, (long long)hop, (long long)rate);
    return TK_OK;
}

tk_vocoder tk_vocoder_shape(int64_t rate, int64_t hop)
{
    tk_vocoder s = {.rate = rate, .hop = hop};
    const double hz = (double)rate;
    s.frames = (int64_t)fmax(1, round((double)hop / (FRAME * hz)));
    s.step = (double)hop / (double)s.frames;
    s.bands = (int64_t)round(mel_of(hz / 2) / BAND);
    s.parts = rate > 10000 ? 4 : 3;
    s.window = (int64_t)round(WINDOW * hz);
    s.grain = (int64_t)round(GRAIN * hz);
    s.segment = (int64_t)fmax(1, round(hz / (double)hop));
    s.size = 2; // room for a window and the longest period after it
    while ((double)s.size < (WINDOW + 1 / TK_VOCODER_LOWEST) * hz) s.size *= 2;
    return s;
}

static tk_status lay_window(tk_vocoder *s, tk_arena *a)
{
    tk_frame f;
    TK_TRY(tk_frame_new(s, a, &f));
    TK_ARENA_NEW(s->hann, a, s->window);
    TK_ARENA_NEW(s->repeat, a, s->window);
    for (int64_t t = 0; t < s->window; t++) {
        const double turn = 2 * M_PI * ((double)t + 0.5) / (double)s->window;
        f.x[t] = s->hann[t] = (float)(0.5 - 0.5 * cos(turn));
    }
    tk_fft_forward(&s->fft, f.x, f.spectrum, f.scratch);
    for (int64_t k = 0; k <= s->size / 2; k++) {
        const tk_complex z = f.spectrum[k];
        f.spectrum[k] = (tk_complex){z.re * z.re + z.im * z.im, 0};
    }
    tk_fft_inverse(&s->fft, f.spectrum, f.x, f.scratch);
    for (int64_t t = 0; t < s->window; t++) s->repeat[t] = f.x[t] / f.x[0];
    return TK_OK;
}

// Triangles over bins, each from the middle of the band before to that of the band after.
static tk_status lay_bands(tk_vocoder *s, tk_arena *a)
{
    const double bin = (double)s->rate / (double)s->size, top = mel_of((double)s->rate / 2);
    TK_ARENA_NEW(s->band_first, a, s->bands);
    TK_ARENA_NEW(s->band_bins, a, s->bands);
    TK_ARENA_NEW(s->band_weight, a, s->bands);
    for (int64_t b = 0; b < s->bands; b++) {
        double edge[3], total = 0;
        for (int k = 0; k < 3; k++)
            edge[k] = hz_of(top * (double)(b + k) / (double)(s->bands + 1)) / bin;
        if (edge[1] - edge[0] < 1) edge[0] = edge[1] - 1; // each has a bin at least
        if (edge[2] - edge[1] < 1) edge[2] = edge[1] + 1;
        const int64_t first = (int64_t)fmax(0, ceil(edge[0]));
        const int64_t last = (int64_t)fmin((double)(s->size / 2), floor(edge[2]));
        float *weight;
        TK_ARENA_NEW(weight, a, last - first + 1);
        for (int pass = 0; pass < 2; pass++)
            for (int64_t k = first; k <= last; k++) {
                const double x = (double)k;
                const double w = fmax(0, fmin((x - edge[0]) / (edge[1] - edge[0]),
                                              (edge[2] - x) / (edge[2] - edge[1])));
                if (pass)
                    weight[k - first] = (float)(w / total);
                else
                    total += w;
            }
        s->band_first[b] = first;
        s->band_bins[b] = last - first + 1;
        s->band_weight[b] = weight;
    }
    return TK_OK;
}

// Where x lies among n middles: between *at and the next, whose share is given back.
static float lay_between(double x, double (*middle)(const tk_vocoder *, int64_t),
                         const tk_vocoder *s, int64_t n, int64_t *at)
{
    int64_t i = 0;
    while (i + 2 < n && middle(s, i + 1) <= x) i++;
    *at = i;
    const double a = middle(s, i), b = middle(s, i + 1);
    return (float)fmax(0, fmin(1, (x - a) / (b - a)));
}

static double band_middle(const tk_vocoder *s, int64_t b) // mel
{
    return mel_of((double)s->rate / 2) * (double)(b + 1) / (double)(s->bands + 1);
}

static double part_edge(const tk_vocoder *s, int64_t p) // Hz; where part p begins
{
    return p == s->parts ? (double)s->rate / 2 : p ? 500 * pow(2, (double)p) : 0;
}

static double part_middle(const tk_vocoder *s, int64_t p) // mel
{
    return (mel_of(part_edge(s, p)) + mel_of(fmin(8000, part_edge(s, p + 1)))) / 2;
}

static tk_status lay_places(tk_vocoder *s, tk_arena *a)
{
    const double bin = (double)s->rate / (double)s->size;
    TK_ARENA_NEW(s->bin_band, a, s->size / 2 + 1);
    TK_ARENA_NEW(s->bin_next, a, s->size / 2 + 1);
    TK_ARENA_NEW(s->band_part, a, s->bands);
    TK_ARENA_NEW(s->band_next, a, s->bands);
    for (int64_t k = 0; k <= s->size / 2; k++)
        s->bin_next[k] =
            lay_between(mel_of((double)k * bin), band_middle, s, s->bands, &s->bin_band[k]);
    for (int64_t b = 0; b < s->bands; b++)
        s->band_next[b] =
            lay_between(band_middle(s, b), part_middle, s, s->parts, &s->band_part[b]);
    for (int64_t p = 0; p < s->parts; p++)
        s->part_end[p] = (int64_t)(part_edge(s, p + 1) / bin) + 1;
    s->part_end[s->parts - 1] = s->size / 2 + 1;
    return TK_OK;
}

tk_status tk_vocoder_new(tk_vocoder *s, tk_arena *a, int64_t rate, int64_t hop)
{
    *s = tk_vocoder_shape(rate, hop);
    TK_TRY(tk_fft_new(&s->fft, a, s->size));
    TK_TRY(lay_window(s, a));
    TK_TRY(lay_bands(s, a));
    return lay_places(s, a);
}

tk_status tk_vocoder_rows_new(const tk_vocoder *s, tk_arena *a, int64_t n, tk_vocoder_rows *out)
{
    *out = (tk_vocoder_rows){.n = n, .all = n};
    TK_ARENA_NEW(out->bands, a, n * s->frames * s->bands + 1);
    TK_ARENA_NEW(out->pitch, a, n + 1);
    TK_ARENA_NEW(out->voice, a, n * s->parts + 1);
    return TK_OK;
}

int64_t tk_vocoder_context(const tk_vocoder *s)
{
    return s->segment + s->size / s->hop + 2;
}
