// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/people/lips.h"
#include "infer/judges/people/windows.h"
#include <lapacke.h>
#include <math.h>
#include <string.h>

// ---- seeing ------------------------------------------------------------------------------------

// The mouth's window in a head of half height 1, y down; it turns with the face.
static const double cell = 0.15, upper = -0.02, turned = 0.36;

tk_status tk_lips_look(const tk_head *head, const uint8_t *rgb, int64_t height, int64_t width,
                       float seen[TK_LIPS_SEEN])
{
    tk_sums s;
    TK_TRY(tk_sums_of(rgb, height, width, &s));
    const double x = head->x + turned * head->r * (head->turn - 1);
    tk_sums_cells(&s, x - 0.5 * TK_LIPS_CELLS * cell * head->r, head->y + upper * head->r,
                  cell * head->r, TK_LIPS_CELLS, TK_LIPS_CELLS, seen);
    tk_free(s.at);
    return TK_OK;
}

double tk_lips_width(const tk_head *head)
{
    return head->r * (head->turn == 1 ? 0.72 : 0.50);
}

// ---- hearing -----------------------------------------------------------------------------------

enum { WAVES = 4 * TK_LIPS_BANDS };

typedef struct waves {
    int64_t window;
    float *even, *odd; // (WAVES, window) under a Hann window
} waves;

static tk_status make_waves(int64_t rate, tk_arena *a, waves *w)
{
    w->window = rate / 40;
    TK_ARENA_NEW(w->even, a, WAVES * w->window);
    TK_ARENA_NEW(w->odd, a, WAVES * w->window);
    for (int k = 0; k < WAVES; k++) {
        const double hz = 150 * pow(5500.0 / 150, (double)k / (WAVES - 1));
        for (int64_t i = 0; i < w->window && hz < 0.5 * (double)rate; i++) {
            const double hann = 0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)w->window);
            w->even[k * w->window + i] =
                (float)(hann * cos(2 * M_PI * hz * (double)i / (double)rate));
            w->odd[k * w->window + i] =
                (float)(hann * sin(2 * M_PI * hz * (double)i / (double)rate));
        }
    }
    return TK_OK;
}

static void band_powers(const waves *w, const float *x, float band[TK_LIPS_BANDS])
{
    memset(band, 0, TK_LIPS_BANDS * sizeof *band);
    for (int k = 0; k < WAVES; k++) {
        const float *even = w->even + k * w->window, *odd = w->odd + k * w->window;
        float re = 0, im = 0;
#pragma omp simd reduction(+ : re, im)
        for (int64_t i = 0; i < w->window; i++) {
            re += x[i] * even[i];
            im += x[i] * odd[i];
        }
        band[k * TK_LIPS_BANDS / WAVES] += re * re + im * im;
    }
}

tk_status tk_lips_listen(const float *pcm, int64_t samples, int64_t channels, int64_t rate,
                         tk_arena *a, tk_lips_track *out)
{
    waves w;
    float *x, loudest = 0;
    TK_TRY(make_waves(rate, a, &w));
    TK_ARENA_NEW(x, a, samples + w.window);
    for (int64_t i = 0; i < samples; i++)
        for (int64_t c = 0; c < channels; c++) x[w.window / 2 + i] += pcm[i * channels + c];
    out->hops = samples * TK_LIPS_HOPS / rate;
    TK_ARENA_NEW(out->band, a, (out->hops + 1) * TK_LIPS_BANDS);
    for (int64_t f = 0; f < out->hops; f++)
        band_powers(&w, x + f * rate / TK_LIPS_HOPS, out->band + f * TK_LIPS_BANDS);
    for (int64_t i = 0; i < out->hops * TK_LIPS_BANDS; i++) loudest = fmaxf(loudest, out->band[i]);
    const float least = 1e-4F * loudest + 1e-9F;
    for (int64_t i = 0; i < (out->hops + 1) * TK_LIPS_BANDS; i++)
        out->band[i] = logf(out->band[i] + least) - logf(least);
    return TK_OK;
}

void tk_lips_hear(const tk_lips_track *t, int64_t hop, float heard[TK_LIPS_HEARD])
{
    static const int at[TK_LIPS_TIMES] = {-9, -5, -2, 0, 2, 5, 9};
    for (int k = 0; k < TK_LIPS_TIMES; k++)
        for (int b = 0; b < TK_LIPS_BANDS; b++) {
            const int64_t f = hop + at[k];
            heard[k * TK_LIPS_BANDS + b] =
                f >= 0 && f < t->hops ? t->band[f * TK_LIPS_BANDS + b] : 0;
        }
}

// ---- learning ----------------------------------------------------------------------------------

// Numbers x that tell y, linearly; each group's are taken from the group's mean.
typedef struct regression {
    int64_t n, d;
    const float *const *x; // (n) rows of d
    const float *y;
    const int *group; // in [0, groups)
    int groups;
} regression;

static tk_status fit(const regression *l, double ridge, tk_arena *a, double *weight)
{
    const int64_t d = l->d;
    double *sum, *count, *square, *z;
    TK_ARENA_NEW(sum, a, l->groups * (d + 1));
    TK_ARENA_NEW(count, a, l->groups);
    TK_ARENA_NEW(square, a, d * d);
    TK_ARENA_NEW(z, a, d + 1);
    for (int64_t i = 0; i < l->n; i++) {
        double *s = sum + l->group[i] * (d + 1);
        for (int64_t k = 0; k < d; k++) s[k] += (double)l->x[i][k];
        s[d] += (double)l->y[i];
        count[l->group[i]]++;
    }
    memset(weight, 0, (size_t)d * sizeof *weight);
    for (int64_t i = 0; i < l->n; i++) {
        const double *s = sum + l->group[i] * (d + 1), n = count[l->group[i]];
        for (int64_t k = 0; k < d; k++) z[k] = (double)l->x[i][k] - s[k] / n;
        z[d] = (double)l->y[i] - s[d] / n;
        for (int64_t r = 0; r < d; r++) {
            for (int64_t k = 0; k <= r; k++) square[r * d + k] += z[r] * z[k];
            weight[r] += z[r] * z[d];
        }
    }
    double trace = 1e-9;
    for (int64_t k = 0; k < d; k++) trace += square[k * d + k] / (double)d;
    for (int64_t k = 0; k < d; k++) square[k * d + k] += ridge * trace;
    const int code = LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', (int)d, 1, square, (int)d, weight, 1);
    return code ? TK_FAIL(TK_NUMERIC, "lips cannot be learned: dposv says %d", code) : TK_OK;
}

static tk_status new_regression(int64_t n, int64_t d, tk_arena *a, regression *l, const float ***x,
                                float **y, int **group)
{
    TK_ARENA_NEW(*x, a, n + 1);
    TK_ARENA_NEW(*y, a, n + 1);
    TK_ARENA_NEW(*group, a, n + 1);
    *l = (regression){.d = d, .x = *x, .y = *y, .group = *group};
    return TK_OK;
}

static tk_status learn_to_see(int64_t n, const tk_lips_sight *e, int style, tk_arena *a,
                              double *eye)
{
    regression l;
    const float **x;
    float *y;
    int *group;
    TK_TRY(new_regression(n, TK_LIPS_SEEN, a, &l, &x, &y, &group));
    for (int64_t i = 0; i < n; i++) {
        if (e[i].style != style) continue;
        x[l.n] = e[i].seen, y[l.n] = e[i].open, group[l.n++] = e[i].who;
    }
    l.groups = TK_HEAD_PEOPLE;
    return fit(&l, 0.01, a, eye);
}

static tk_status learn_to_hear(int64_t n, const tk_lips_sound *e, tk_arena *a, double *ear)
{
    regression l;
    const float **x;
    float *y;
    int *group;
    TK_TRY(new_regression(n, TK_LIPS_HEARD, a, &l, &x, &y, &group));
    for (int64_t i = 0; i < n; i++) {
        x[i] = e[i].heard, y[i] = e[i].open, group[i] = e[i].clip;
        if (e[i].clip >= l.groups) l.groups = e[i].clip + 1;
    }
    l.n = n;
    return fit(&l, 0.01, a, ear);
}

tk_status tk_lips_learn(int64_t n, const tk_lips_sight *sight, int64_t m,
                        const tk_lips_sound *sound, int styles, tk_arena *a, tk_lips_reader *out)
{
    tk_arena own;
    tk_arena_init(&own, 0);
    out->styles = styles;
    TK_ARENA_NEW(out->eye, a, styles * TK_LIPS_SEEN);
    tk_status st = learn_to_hear(m, sound, &own, out->ear);
    for (int q = 0; q < styles && st == TK_OK; q++)
        st = learn_to_see(n, sight, q, &own, out->eye + q * TK_LIPS_SEEN);
    tk_arena_free(&own);
    return st;
}

// ---- judging -----------------------------------------------------------------------------------

#define LARGE 0.8 // of TK_LIPS_LEAST: heads are found a little smaller or larger than they are

static double weigh(const double *weight, const float *x, int n)
{
    double sum = 0;
    for (int k = 0; k < n; k++) sum += weight[k] * (double)x[k];
    return sum;
}

// Of what is seen at frames from `first` on and what is heard `late` hops after them.
static double correlation_at(const tk_lips_reader *l, const tk_lips_track *sound,
                             const double *open, int64_t first, int64_t frames, double fps,
                             int late)
{
    double a = 0, b = 0, aa = 0, bb = 0, ab = 0;
    const double n = (double)frames;
    for (int64_t f = 0; f < frames; f++) {
        float heard[TK_LIPS_HEARD];
        tk_lips_hear(sound, llround((double)(first + f) / fps * TK_LIPS_HOPS) + late, heard);
        const double x = weigh(l->ear, heard, TK_LIPS_HEARD);
        a += open[f], b += x, aa += open[f] * open[f], bb += x * x, ab += open[f] * x;
    }
    const double spread = (n * aa - a * a) * (n * bb - b * b);
    return spread > 1e-12 * n * n ? (n * ab - a * b) / sqrt(spread) : 0;
}

tk_status tk_lips_watch(const tk_lips_reader *l, int style, const tk_head_way *way,
                        const tk_lips_clip *clip, int64_t first, int64_t frames, tk_lips *out)
{
    const int64_t picture = clip->height * clip->width * 3;
    double *open;
    *out = (tk_lips){0};
    if (way->n == 0 || tk_lips_width(&way->head[0]) < LARGE * TK_LIPS_LEAST) return TK_OK;
    TK_NEW(open, frames);
    tk_status st = TK_OK;
    for (int64_t f = 0; f < frames && st == TK_OK; f++) {
        float seen[TK_LIPS_SEEN];
        const tk_head head = tk_heads_at(way, f);
        st =
            tk_lips_look(&head, clip->rgb + (first + f) * picture, clip->height, clip->width, seen);
        open[f] = weigh(l->eye + style * TK_LIPS_SEEN, seen, TK_LIPS_SEEN);
    }
    for (int late = -TK_LIPS_LAG; late <= TK_LIPS_LAG && st == TK_OK; late++) {
        const double c = correlation_at(l, &clip->sound, open, first, frames, clip->fps, late);
        if (late == 0) out->together = c;
        if (late == -TK_LIPS_LAG || c > out->best)
            out->best = c, out->late_ms = 1000.0 * late / TK_LIPS_HOPS;
    }
    out->judged = frames;
    tk_free(open);
    return st;
}
