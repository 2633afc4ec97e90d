// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/chips.h"
#include "core/numbers/rng.h"
#include <math.h>

enum { PILOT_CELLS = 360 };

void tk_mark_chips(tk_mark_key key, tk_mark_chip chip[TK_MARK_CELLS])
{
    const tk_key order = tk_rng_key(key.sound, TK_RNG_MARK, 2);
    const tk_key sign = tk_rng_key(key.sound, TK_RNG_MARK, 3);
    for (int i = 0; i < TK_MARK_CELLS; i++) {
        const int at = (int)tk_rng_permute(order, i, TK_MARK_CELLS);
        chip[at].sign = tk_rng_u64(sign, (uint64_t)i) >> 63 ? 1 : -1;
        chip[at].says = (int16_t)(i < PILOT_CELLS ? -1 : (i - PILOT_CELLS) % TK_MARK_SIGNS);
    }
}

double tk_mark_band_edge(int band)
{
    return 520 * pow(3400.0 / 520, (double)band / TK_MARK_BANDS);
}
