// SPDX-License-Identifier: Apache-2.0
// Sound to rows: a smooth spectrum around each frame, in which the pitch's harmonics do not show,
// and how much of each part of the spectrum repeats after one period.
#include "data/vocoder/internal.h"
#include <math.h>
#include <string.h>

// The power spectrum under a window of three periods, of unit energy, into f->power.
static void pitched_power(const tk_vocoder *s, const tk_vocoder_heard *h, int64_t k, double hz,
                          tk_frame *f)
{
    const int64_t start = tk_frame_start(s, k);
    const double middle = tk_frame_middle(s, k), half = 1.5 * (double)s->rate / hz;
    double norm = 0;
    memset(f->x, 0, (size_t)s->size * sizeof *f->x);
    for (int64_t t = 0; t < s->window; t++) {
        const double away = (double)(start + t) + 0.5 - middle;
        if (fabs(away) >= half) continue;
        const double w = 0.5 + 0.5 * cos(M_PI * away / half);
        norm += w * w;
        f->x[t] = tk_heard_sample(h, start + t) * (float)w;
    }
    tk_frame_transform(s, f);
    for (int64_t b = 0; b <= s->size / 2; b++) f->power[b] /= (float)norm;
}

// The running sum of f->power over bins, up to the place x in bins, mirrored at either end.
static double summed(const tk_vocoder *s, const double *sum, double x)
{
    const double end = (double)(s->size / 2);
    if (x < 0) return -summed(s, sum, -x);
    if (x > end) return 2 * sum[s->size / 2] - summed(s, sum, 2 * end - x);
    const int64_t at = (int64_t)x < s->size / 2 ? (int64_t)x : s->size / 2 - 1;
    return sum[at] + (x - (double)at) * (sum[at + 1] - sum[at]);
}

// f->power smoothed by a box as wide as the pitch, by bands, in logarithms. sum: scratch (bins).
static void smooth_bands(const tk_vocoder *s, double hz, const tk_frame *f, double *sum,
                         float *bands)
{
    const double half = 0.5 * hz * (double)s->size / (double)s->rate;
    sum[0] = 0; // trapezia between bins
    for (int64_t b = 1; b <= s->size / 2; b++)
        sum[b] = sum[b - 1] + 0.5 * (double)(f->power[b - 1] + f->power[b]);
    for (int64_t b = 0; b < s->bands; b++) {
        const float *weight = s->band_weight[b];
        double total = 0;
        for (int64_t k = 0; k < s->band_bins[b]; k++) {
            const double at = (double)(s->band_first[b] + k);
            total += (double)weight[k] * (summed(s, sum, at + half) - summed(s, sum, at - half));
        }
        bands[b] = logf((float)(total / (2 * half)) + TK_VOCODER_FLOOR);
    }
}

// Of each part of the spectrum in f->power, the autocorrelation after one period: the best one
// within 2% of it, since a pitch is known less well than the phase of its high harmonics.
static void part_repeats(const tk_vocoder *s, double hz, const tk_frame *f, float *repeats)
{
    for (int64_t p = 0; p < s->parts; p++) repeats[p] = 0;
    for (int k = -2; k <= 2; k++) {
        const double period = (double)s->rate / hz * (1 + 0.01 * k);
        const double angle = 2 * M_PI * period / (double)s->size;
        const double turn_re = cos(angle), turn_im = sin(angle);
        const int64_t l = (int64_t)(period + 0.5);
        const double window = fmax(0.05, (double)s->repeat[l < s->window ? l : s->window - 1]);
        double re = 1, im = 0;
        for (int64_t p = 0, b = 0; p < s->parts; p++) {
            double along = 0, all = 1e-9;
            for (; b < s->part_end[p]; b++) {
                const double next = re * turn_re - im * turn_im;
                along += (double)f->power[b] * re;
                all += (double)f->power[b];
                im = re * turn_im + im * turn_re;
                re = next;
            }
            repeats[p] = fmaxf(repeats[p], (float)fmin(1, along / (all * window)));
        }
    }
}

// What repeats of a part, from 0 (as noise does) to 1, by the mean over frames around the row, of
// n in the track; `repeats` begins with frame `first`.
static void row_voices(const tk_vocoder *s, int64_t row, int64_t n, const float *repeats,
                       int64_t first, float *voice)
{
    static const float least[] = {0.45f, 0.4f, 0.35f, 0.3f}, full[] = {0.85f, 0.8f, 0.8f, 0.75f};
    const int64_t begin = row * s->frames - 1, end = (row + 1) * s->frames + 1;
    for (int64_t p = 0; p < s->parts; p++) {
        double sum = 0, count = 0;
        for (int64_t k = begin < 0 ? 0 : begin; k < end && k < n; k++) {
            const bool own = k > begin && k < end - 1;
            sum += (own ? 1 : 0.5) * (double)repeats[(k - first) * s->parts + p];
            count += own ? 1 : 0.5;
        }
        voice[p] = fmaxf(0, fminf(1, ((float)(sum / count) - least[p]) / (full[p] - least[p])));
    }
}

typedef struct frames_of_part { // frames [begin, end) of a track, one more on either side than rows
                                // have
    int64_t begin, end;
    float *repeats; // (frames, parts)
    double *sum;    // scratch (bins)
    tk_vocoder_heard heard;
    tk_frame f;
} frames_of_part;

static tk_status analyse_frame(const tk_vocoder *s, const tk_vocoder_pitch *pitch, int64_t k,
                               frames_of_part *l, tk_vocoder_rows *r)
{
    const int64_t own = k - r->first * s->frames; // among those that rows have
    const float hz = pitch->hz[k];
    TK_TRY(tk_heard_frame(s, k, &l->heard));
    if (tk_frame_power(s, &l->heard, k, &l->f) > 1e-7)
        part_repeats(s, (double)hz, &l->f, l->repeats + (k - l->begin) * s->parts);
    if (own < 0 || own >= r->n * s->frames) return TK_OK;
    const double smooth = pitch->sure[k] > 0.3f ? fmin(400, fmax(76, (double)hz)) : 200;
    pitched_power(s, &l->heard, k, smooth, &l->f);
    smooth_bands(s, smooth, &l->f, l->sum, r->bands + own * s->bands);
    return TK_OK;
}

tk_status tk_vocoder_analyse_part(const tk_vocoder *s, const tk_vocoder_sound *x,
                                  const tk_vocoder_pitch *pitch, tk_arena *a, tk_vocoder_rows *r)
{
    const int64_t begin = r->first * s->frames - 1, end = (r->first + r->n) * s->frames + 1;
    frames_of_part l = {.begin = begin < 0 ? 0 : begin,
                        .end = end < pitch->frames ? end : pitch->frames};
    if (!r->n) return TK_OK;
    TK_TRY(tk_heard_new(s, x, a, &l.heard));
    TK_TRY(tk_frame_new(s, a, &l.f));
    TK_ARENA_NEW(l.repeats, a, (l.end - l.begin) * s->parts);
    TK_ARENA_NEW(l.sum, a, s->size / 2 + 1);
    for (int64_t k = l.begin; k < l.end; k++) TK_TRY(analyse_frame(s, pitch, k, &l, r));
    for (int64_t i = 0; i < r->n; i++) {
        const int64_t row = r->first + i;
        double log_hz = 0;
        for (int64_t k = 0; k < s->frames; k++)
            log_hz += log((double)pitch->hz[row * s->frames + k]);
        r->pitch[i] = (float)exp(log_hz / (double)s->frames);
        row_voices(s, row, pitch->frames, l.repeats, l.begin, r->voice + i * s->parts);
    }
    return TK_OK;
}

static tk_status get_from_memory(void *ctx, int64_t first, int64_t n, float *x)
{
    memcpy(x, *(const float *const *)ctx + first, (size_t)n * sizeof *x);
    return TK_OK;
}

static tk_vocoder_sound sound_in_memory(const float **x, int64_t samples)
{
    return (tk_vocoder_sound){samples, get_from_memory, x};
}

tk_status tk_vocoder_analyse(const tk_vocoder *s, const float *x, int64_t samples, tk_arena *a,
                             tk_vocoder_rows *r)
{
    const tk_vocoder_sound track = sound_in_memory(&x, samples);
    tk_vocoder_pitch pitch;
    TK_TRY(tk_vocoder_listen(s, &track, r->n, a, &pitch));
    return tk_vocoder_analyse_part(s, &track, &pitch, a, r);
}

tk_status tk_vocoder_distance(const tk_vocoder *s, const float *x, const float *y, int64_t samples,
                              tk_arena *a, double *sum, double *frames)
{
    const int64_t n = (int64_t)((double)samples / s->step);
    const tk_vocoder_sound track[2] = {sound_in_memory(&x, samples), sound_in_memory(&y, samples)};
    float *bands[2];
    double *running;
    tk_vocoder_heard heard[2];
    tk_frame f;
    TK_TRY(tk_frame_new(s, a, &f));
    TK_ARENA_NEW(running, a, s->size / 2 + 1);
    for (int side = 0; side < 2; side++) TK_ARENA_NEW(bands[side], a, s->bands);
    for (int side = 0; side < 2; side++) TK_TRY(tk_heard_new(s, &track[side], a, &heard[side]));
    for (int64_t k = 0; k < n; k++) {
        double square = 0;
        for (int side = 0; side < 2; side++) {
            TK_TRY(tk_heard_frame(s, k, &heard[side]));
            pitched_power(s, &heard[side], k, 76, &f);
            smooth_bands(s, TK_VOCODER_HIGHEST, &f, running, bands[side]);
        }
        for (int64_t b = 0; b < s->bands; b++) {
            const double apart = (double)(bands[0][b] - bands[1][b]) * 10 / log(10);
            square += apart * apart;
        }
        *sum += sqrt(square / (double)s->bands);
    }
    *frames += (double)n;
    return TK_OK;
}
