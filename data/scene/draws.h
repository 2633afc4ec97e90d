// SPDX-License-Identifier: Apache-2.0
// One scene's stream of random numbers, and the part of the scene that is being written.
#pragma once
#include "core/numbers/rng.h"
#include "data/scene/scene.h"
#include <math.h>

typedef struct tk_draws {
    tk_key key;
    uint64_t n;
} tk_draws;

static inline double tk_draw(tk_draws *d, double low, double high)
{
    return low + (high - low) * tk_rng_uniform(d->key, d->n++);
}

static inline int tk_draw_below(tk_draws *d, int n)
{
    return (int)tk_rng_below(d->key, d->n++, n);
}

static inline bool tk_draw_chance(tk_draws *d, double p)
{
    return tk_rng_uniform(d->key, d->n++) < p;
}

// A place in [low, high] on one of the stage's marks, which are 0.2 m apart; where none is in
// reach, just there. From few marks a set is seen in few ways, which a small model can learn.
static inline double tk_draw_mark(tk_draws *d, double low, double high)
{
    const double apart = 0.2;
    const int first = (int)ceil(low / apart), last = (int)floor(high / apart);
    if (last < first) return low;
    return apart * (first + tk_draw_below(d, last - first + 1));
}
