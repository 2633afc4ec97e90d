// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/found.h"
#include <math.h>

void tk_mark_better(tk_mark_found *best, const tk_mark_found *other)
{
    const double tries = best->tries + other->tries;
    const double z = best->looked ? fmax(best->z, other->z) : other->z;
    if (!best->looked || other->z > best->z) *best = *other;
    best->tries = tries;
    best->log10p = fmin(0, log10(tries) - z * z / 2 * M_LOG10E);
}

bool tk_mark_is_present(const tk_mark_found *f)
{
    return f->looked && f->log10p <= log10(TK_MARK_PRESENT);
}
