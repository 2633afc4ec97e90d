// SPDX-License-Identifier: Apache-2.0
// A running clock over parts: see data/media/clock.h. A new part begins where the last one ended.
#include "data/media/clock.h"
#include <math.h>

// Seconds by which decoding time steps back, or ahead, only where another clock begins.
#define BACK 0.5
#define AHEAD 10

double tk_clock_shown(const tk_clock *c, int stream, double dts, double pts)
{
    const double delay = c->of[stream].shown - c->of[stream].decoded;
    if (!c->of[stream].unsaid) return isnan(pts) ? dts : pts;
    return fmax(dts + (isfinite(delay) ? fmax(delay, 0) : 0), pts); // NAN: the other one
}

double tk_clock_shift(tk_clock *c, int stream, double dts, double pts, double length)
{
    const double step = dts - c->of[stream].last;
    const int begun = c->of[stream].begun, anew = begun && (step < -BACK || step > AHEAD);
    if (!begun || anew) {
        c->of[stream].decoded = dts;
        c->of[stream].shown = INFINITY;
        c->of[stream].unsaid = 0;
    }
    c->of[stream].shown = fmin(c->of[stream].shown, pts);
    if (isnan(pts)) c->of[stream].unsaid = 1;
    const double shown = tk_clock_shown(c, stream, dts, pts);
    if (anew) {
        if (c->of[stream].part == c->restarts) { // the first stream to reach it
            c->restarts++;
            c->shift = c->end - shown;
        }
        c->of[stream].part = c->restarts;
        c->of[stream].shift = c->shift;
    }
    c->of[stream].begun = 1;
    c->of[stream].last = dts;
    c->end = fmax(c->end, shown + c->of[stream].shift + length);
    return c->of[stream].shift;
}
