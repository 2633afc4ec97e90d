// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/lines.h"
#include "core/numbers/rng.h"
#include <math.h>
#include <stdlib.h>

enum { LEAST_SQUARE = 20 }; // of the turns of a line: longer waves drown in pictures

static int by_length(const void *a, const void *b)
{
    const tk_mark_line *p = a, *q = b;
    const int d = p->kx * p->kx + p->ky * p->ky - q->kx * q->kx - q->ky * q->ky;
    return d ? d : p->ky != q->ky ? p->ky - q->ky : p->kx - q->kx;
}

void tk_mark_lines(tk_mark_key key, tk_mark_line line[TK_MARK_LINES])
{
    tk_mark_line all[(2 * TK_MARK_TURN + 1) * (TK_MARK_TURN + 1)];
    size_t n = 0;
    for (int ky = 0; ky <= TK_MARK_TURN; ky++)
        for (int kx = -TK_MARK_TURN; kx <= TK_MARK_TURN; kx++)
            if ((ky || kx > 0) && kx * kx + ky * ky >= LEAST_SQUARE)
                all[n++] = (tk_mark_line){.kx = kx, .ky = ky};
    qsort(all, n, sizeof *all, by_length);
    const tk_key order = tk_rng_key(key.picture, TK_RNG_MARK, 0);
    const tk_key phase = tk_rng_key(key.picture, TK_RNG_MARK, 1);
    for (int i = 0; i < TK_MARK_LINES; i++) {
        const double turn = 2 * M_PI * tk_rng_uniform(phase, (uint64_t)i);
        const int wave = (int)tk_rng_permute(order, i, TK_MARK_LINES);
        line[i] = all[wave];
        line[i].wave = wave;
        line[i].re = (float)cos(turn);
        line[i].im = (float)sin(turn);
    }
}
