// SPDX-License-Identifier: Apache-2.0
#include "data/vocoder/internal.h"
#include <math.h>
#include <string.h>

tk_status tk_frame_new(const tk_vocoder *s, tk_arena *a, tk_frame *f)
{
    TK_ARENA_NEW(f->x, a, s->size);
    TK_ARENA_NEW(f->power, a, s->size / 2 + 1);
    TK_ARENA_NEW(f->spectrum, a, s->size / 2 + 1);
    TK_ARENA_NEW(f->scratch, a, s->size / 2);
    return TK_OK;
}

void tk_frame_transform(const tk_vocoder *s, tk_frame *f)
{
    tk_fft_forward(&s->fft, f->x, f->spectrum, f->scratch);
    for (int64_t k = 0; k <= s->size / 2; k++) {
        const tk_complex z = f->spectrum[k];
        f->power[k] = z.re * z.re + z.im * z.im;
    }
}

int64_t tk_frame_start(const tk_vocoder *s, int64_t k)
{
    return (int64_t)floor(tk_frame_middle(s, k) - 0.5 * (double)s->window + 0.5);
}

enum { AHEAD = 1 << 15 }; // samples asked for beyond a window

tk_status tk_heard_new(const tk_vocoder *s, const tk_vocoder_sound *track, tk_arena *a,
                       tk_vocoder_heard *h)
{
    *h = (tk_vocoder_heard){.track = track, .room = s->window + AHEAD};
    TK_ARENA_NEW(h->x, a, h->room);
    return TK_OK;
}

tk_status tk_heard_frame(const tk_vocoder *s, int64_t k, tk_vocoder_heard *h)
{
    const int64_t start = tk_frame_start(s, k), samples = h->track->samples;
    const int64_t begin = start > 0 ? start : 0;
    const int64_t end = start + s->window < samples ? start + s->window : samples;
    if (begin >= end || (begin >= h->first && end <= h->first + h->n)) return TK_OK;
    h->first = begin;
    h->n = samples - begin < h->room ? samples - begin : h->room;
    return h->track->get(h->track->ctx, h->first, h->n, h->x);
}

double tk_frame_power(const tk_vocoder *s, const tk_vocoder_heard *h, int64_t k, tk_frame *f)
{
    const int64_t start = tk_frame_start(s, k);
    double sum = 0, norm = 0;
    memset(f->x, 0, (size_t)s->size * sizeof *f->x);
    for (int64_t t = 0; t < s->window; t++) {
        f->x[t] = tk_heard_sample(h, start + t) * s->hann[t];
        sum += (double)(f->x[t] * f->x[t]);
        norm += (double)(s->hann[t] * s->hann[t]);
    }
    tk_frame_transform(s, f);
    return sum / norm;
}
