// SPDX-License-Identifier: Apache-2.0
// Stretches of time that do not decode: see data/media/damage.h.
#include "data/media/damage.h"
#include "core/base/list.h"
#include <math.h>

#define SLACK 1e-4 // seconds: containers round times

bool tk_damage_open(const tk_damage *d)
{
    return d->n > 0 && isinf(d->stretch[d->n - 1].to);
}

tk_status tk_damage_add(tk_damage *d, double from)
{
    if (!tk_damage_open(d)) {
        TK_ROOM_FOR_ONE(d->stretch, d->n, d->cap, 16);
        d->stretch[d->n++] = (tk_stretch){.from = from, .to = INFINITY};
    }
    d->stretch[d->n - 1].n++;
    return TK_OK;
}

void tk_damage_end(tk_damage *d, double to)
{
    if (tk_damage_open(d)) d->stretch[d->n - 1].to = to;
}

int64_t tk_damage_within(const tk_damage *d, double from, double to, double *at)
{
    int64_t n = 0;
    for (int64_t i = d->n; i-- > 0;) {
        const tk_stretch *s = &d->stretch[i];
        if (s->to <= from + SLACK) break;
        if (s->from >= to - SLACK) continue;
        n += s->n;
        *at = fmax(s->from, from);
    }
    return n;
}

void tk_damage_free(tk_damage *d)
{
    tk_free(d->stretch);
    *d = (tk_damage){0};
}
