// SPDX-License-Identifier: Apache-2.0
// A running clock over parts: see data/media/clock.h. A new part begins where the last one ended.
#include "data/media/clock.h"
#include <math.h>

// Seconds by which decoding time steps back, or ahead, only where another clock begins.
#define BACK 0.5
#define AHEAD 10

double tk_clock_shift(tk_clock *c, int stream, double dts, double pts, double length)
{
    const double step = dts - c->of[stream].last;
    if (c->of[stream].begun && (step < -BACK || step > AHEAD)) {
        if (c->of[stream].part == c->restarts) { // the first stream to reach it
            c->restarts++;
            c->shift = c->end - pts;
        }
        c->of[stream].part = c->restarts;
        c->of[stream].shift = c->shift;
    }
    c->of[stream].begun = 1;
    c->of[stream].last = dts;
    c->end = fmax(c->end, pts + c->of[stream].shift + length);
    return c->of[stream].shift;
}
