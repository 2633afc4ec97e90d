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

double tk_frame_power(const tk_vocoder *s, const float *x, int64_t samples, int64_t k, tk_frame *f)
{
    const int64_t start = tk_frame_start(s, k);
    double sum = 0, norm = 0;
    memset(f->x, 0, (size_t)s->size * sizeof *f->x);
    for (int64_t t = 0; t < s->window; t++) {
        const int64_t at = start + t;
        f->x[t] = at >= 0 && at < samples ? x[at] * s->hann[t] : 0;
        sum += (double)(f->x[t] * f->x[t]);
        norm += (double)(s->hann[t] * s->hann[t]);
    }
    tk_frame_transform(s, f);
    return sum / norm;
}
