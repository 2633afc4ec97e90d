// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sound/onsets.h"
#include "core/base/list.h"

static int64_t hop_of(const tk_energies *e)
{
    return e->rate / 100 > 0 ? e->rate / 100 : 1;
}

static tk_status close_window(tk_energies *e)
{
    TK_ROOM_FOR_ONE(e->window, e->n, e->room, 256);
    e->window[e->n++] = (float)(e->open / (double)(hop_of(e) * e->channels));
    e->open = 0;
    return TK_OK;
}

tk_status tk_energies_add(tk_energies *e, const float *pcm, int64_t samples)
{
    const int64_t hop = hop_of(e);
    for (int64_t i = 0; i < samples; i++) {
        for (int64_t c = 0; c < e->channels; c++, pcm++) e->open += (double)*pcm * (double)*pcm;
        if (++e->samples % hop == 0) TK_TRY(close_window(e));
    }
    return TK_OK;
}

void tk_energies_free(tk_energies *e)
{
    tk_free(e->window);
    *e = (tk_energies){.rate = e->rate, .channels = e->channels};
}

int tk_onsets(const tk_energies *e, int room, double *seconds)
{
    enum { BEFORE = 5 };                              // windows a sound must rise over
    const double rise = 4, least = 0.02, dead = 0.06; // of energy; of the loudest; seconds
    double loudest = 0, last = -1, before[BEFORE] = {0};
    int n = 0;
    for (int64_t k = 0; k < e->n; k++)
        if ((double)e->window[k] > loudest) loudest = (double)e->window[k];
    if (loudest < 1e-6) return 0;
    for (int64_t k = 0; k < e->n && n < room; k++) {
        const double now = (double)e->window[k], t = (double)(k * hop_of(e)) / (double)e->rate;
        const int heard = k < BEFORE ? (int)k : BEFORE;
        double mean = 0;
        for (int b = 0; b < heard; b++) mean += before[b] / heard;
        before[k % BEFORE] = now;
        if (heard == 0) continue; // what it rises over is not known
        if (now < rise * mean || now < least * loudest || (last >= 0 && t - last < dead)) continue;
        seconds[n++] = last = t;
    }
    return n;
}

tk_status tk_onsets_of(const float *pcm, int64_t samples, int64_t channels, int64_t rate, int room,
                       double *seconds, int *n)
{
    tk_energies e = {.rate = rate, .channels = channels};
    const tk_status st = tk_energies_add(&e, pcm, samples);
    *n = tk_onsets(&e, room, seconds);
    tk_energies_free(&e);
    return st;
}
