// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/listen.h"
#include "data/vocoder/fft.h"
#include <math.h>
#include <string.h>

enum {
    HOP = TK_MARK_LISTEN_HOP,
    PITCHES = 13, // of 1% each, around 0
    PITCH = PITCHES / 2,
    MOST_HOPS = 3000,                     // of a window: a minute
    AROUND = 25,                          // hops on each side that a hop is compared with
    PLACES = TK_MARK_SLOTS * TK_MARK_HOPS // of the tile
};

struct tk_mark_listen {
    tk_mark_chip chip[TK_MARK_CELLS];
    tk_fft fft;
    float window[2 * HOP], last[HOP], x[2 * HOP];
    tk_complex spectrum[HOP + 1], scratch[HOP];
    double below[HOP + 2];          // power below each frequency
    float *level;                   // (PITCHES, BANDS, MOST_HOPS) logarithms of power
    float *flat;                    // (PITCHES, BANDS, MOST_HOPS) flattened
    float (*folded)[TK_MARK_BANDS]; // (PLACES)
    float (*slot)[TK_MARK_BANDS];   // (PLACES) sums of what follows each place
    int hops;                       // of the window
    float soft[TK_MARK_SIGNS];
    tk_mark_found best;
};

tk_status tk_mark_listen_open(tk_arena *a, tk_mark_key key, tk_mark_listen **out)
{
    tk_mark_listen *l;
    TK_ARENA_NEW(l, a, 1);
    TK_ARENA_NEW(l->level, a, (int64_t)PITCHES * TK_MARK_BANDS * MOST_HOPS);
    TK_ARENA_NEW(l->flat, a, (int64_t)PITCHES * TK_MARK_BANDS * MOST_HOPS);
    TK_ARENA_NEW(l->folded, a, PLACES);
    TK_ARENA_NEW(l->slot, a, PLACES);
    TK_TRY(tk_fft_new(&l->fft, a, 2 * HOP));
    for (int i = 0; i < 2 * HOP; i++)
        l->window[i] = (float)(0.5 - 0.5 * cos(M_PI * (i + 0.5) / HOP));
    tk_mark_chips(key, l->chip);
    *out = l;
    return TK_OK;
}

// ---- a hop -------------------------------------------------------------------------------------

static double power_below(const tk_mark_listen *l, double hz)
{
    const double at = hz * 2 * HOP / TK_MARK_LISTEN_RATE + 0.5;
    const int k = (int)at;
    return k >= HOP + 1 ? l->below[HOP + 1]
                        : l->below[k] + (at - k) * (l->below[k + 1] - l->below[k]);
}

static void end_minute(tk_mark_listen *l);

void tk_mark_listen_to(tk_mark_listen *l, const float *pcm)
{
    for (int i = 0; i < HOP; i++) {
        l->x[i] = l->window[i] * l->last[i];
        l->x[i + HOP] = l->window[i + HOP] * pcm[i];
    }
    memcpy(l->last, pcm, sizeof l->last);
    tk_fft_forward(&l->fft, l->x, l->spectrum, l->scratch);
    for (int k = 0; k <= HOP; k++) {
        const double re = (double)l->spectrum[k].re, im = (double)l->spectrum[k].im;
        l->below[k + 1] = l->below[k] + re * re + im * im;
    }
    for (int v = 0; v < PITCHES; v++)
        for (int b = 0; b < TK_MARK_BANDS; b++) {
            const double faster = 1 + 0.01 * (v - PITCH);
            const double power = power_below(l, tk_mark_band_edge(b + 1) * faster) -
                                 power_below(l, tk_mark_band_edge(b) * faster);
            l->level[(v * TK_MARK_BANDS + b) * MOST_HOPS + l->hops] = (float)log(power + 1e-7);
        }
    if (++l->hops == MOST_HOPS) end_minute(l);
}

// ---- a window ----------------------------------------------------------------------------------

// A band's levels against the mean of a second around each, by their deviation; what stands out is
// cut.
static void flatten_band(const tk_mark_listen *l, const float *level, float *flat)
{
    double sum = 0, square = 0;
    int n = 0;
    for (int t = 0; t < AROUND && t < l->hops; t++, n++) sum += (double)level[t];
    for (int t = 0; t < l->hops; t++) {
        if (t + AROUND < l->hops) sum += (double)level[t + AROUND], n++;
        if (t > AROUND) sum -= (double)level[t - AROUND - 1], n--;
        flat[t] = level[t] - (float)(sum / n);
        square += (double)(flat[t] * flat[t]);
    }
    const float rms = (float)sqrt(square / l->hops);
    for (int t = 0; t < l->hops; t++)
        flat[t] = rms > 1e-6f ? fminf(fmaxf(flat[t] / rms, -2), 2) : 0;
}

typedef struct heard_mark { // a way to hear the window
    double z, speed;
    int pitch, place;
    bool all; // cells of messages help to find it
} heard_mark;

static double speed_step(const tk_mark_listen *l)
{
    return fmin(0.01, 0.12 / (l->hops * TK_MARK_HOP));
}

// Sums of all that lies at each place of the tile, and of the slots that begin there.
static void fold_tile(tk_mark_listen *l, int pitch, double speed)
{
    memset(l->folded, 0, PLACES * sizeof *l->folded);
    for (int b = 0; b < TK_MARK_BANDS; b++) {
        const float *flat = l->flat + (pitch * TK_MARK_BANDS + b) * MOST_HOPS;
        for (int t = 0; t < l->hops; t++) l->folded[(int)(t * speed + 0.5) % PLACES][b] += flat[t];
    }
    for (int p = 0; p < PLACES; p++)
        for (int b = 0; b < TK_MARK_BANDS; b++) {
            float sum = 0;
            for (int i = 0; i < TK_MARK_HOPS; i++) sum += l->folded[(p + i) % PLACES][b];
            l->slot[p][b] = sum;
        }
}

static double agreement_at(const tk_mark_listen *l, int place, bool all)
{
    double sum = 0, square = 0;
    for (int s = 0; s < TK_MARK_SLOTS; s++) {
        const float *x = l->slot[(place + s * TK_MARK_HOPS) % PLACES];
        const tk_mark_chip *chip = l->chip + s * TK_MARK_BANDS;
        for (int b = 0; b < TK_MARK_BANDS; b++) {
            if (!all && chip[b].says >= 0) continue;
            sum += (double)(chip[b].sign * x[b]);
            square += (double)(x[b] * x[b]);
        }
    }
    return square > 0 ? sum / sqrt(square) : 0;
}

static void hear_at(tk_mark_listen *l, int pitch, double speed, heard_mark *best)
{
    fold_tile(l, pitch, speed);
    for (int p = 0; p < PLACES; p++)
        for (int all = 0; all < 2; all++) {
            const double z = agreement_at(l, p, all);
            if (z > best->z) *best = (heard_mark){z, speed, pitch, p, all};
        }
}

static void hear_signs(tk_mark_listen *l, const heard_mark *h)
{
    double square = 0;
    fold_tile(l, h->pitch, h->speed);
    for (int p = h->place % TK_MARK_HOPS; p < PLACES; p += TK_MARK_HOPS)
        for (int b = 0; b < TK_MARK_BANDS; b++)
            square += (double)(l->slot[p][b] * l->slot[p][b]) / TK_MARK_CELLS;
    for (int i = 0; i < TK_MARK_CELLS; i++) {
        const int p = (h->place + i / TK_MARK_BANDS * TK_MARK_HOPS) % PLACES;
        const float x = l->slot[p][i % TK_MARK_BANDS] / (float)sqrt(square);
        if (l->chip[i].says >= 0) l->soft[l->chip[i].says] += (float)l->chip[i].sign * x;
    }
}

static tk_mark_found hear_minute(tk_mark_listen *l, heard_mark *best)
{
    *best = (heard_mark){0};
    for (int i = 0; i < PITCHES * TK_MARK_BANDS; i++)
        flatten_band(l, l->level + i * MOST_HOPS, l->flat + i * MOST_HOPS);
    const double step = speed_step(l);
    const int speeds = (int)(0.06 / step);
    for (int k = -speeds; k <= speeds; k++) {
        const int pitch = PITCH + (int)rint(100 * k * step);
        hear_at(l, pitch, 1 + k * step, best);
        if (pitch != PITCH) hear_at(l, PITCH, 1 + k * step, best);
    }
    const double tries = 2.0 * (2 * speeds + 1) * 2 * PLACES;
    return (tk_mark_found){.looked = true,
                           .z = best->z,
                           .tries = tries,
                           .scale = 1,
                           .speed = best->speed,
                           .log10p = log10(tries) - best->z * best->z / 2 * M_LOG10E};
}

static bool is_long_enough(const tk_mark_listen *l)
{
    return l->hops >= 2 * TK_MARK_HOPS;
}

static void end_minute(tk_mark_listen *l)
{
    heard_mark best;
    if (!is_long_enough(l)) return;
    const tk_mark_found found = hear_minute(l, &best);
    tk_mark_better(&l->best, &found);
    if (found.log10p < 0 && !best.all) hear_signs(l, &best);
    l->hops = 0;
}

tk_mark_found tk_mark_listen_under(tk_mark_listen *l, tk_mark_key key)
{
    heard_mark best;
    tk_mark_found found = {0};
    tk_mark_chips(key, l->chip);
    if (is_long_enough(l)) {
        const tk_mark_found minute = hear_minute(l, &best);
        tk_mark_better(&found, &minute);
    }
    return found;
}

tk_mark_found tk_mark_listen_end(tk_mark_listen *l)
{
    end_minute(l);
    l->best.said = tk_mark_decode(l->soft, &l->best.message);
    return l->best;
}
