// SPDX-License-Identifier: Apache-2.0
// One running clock for a file whose time stamps start anew in the middle, as broadcasts and files
// laid end to end do. Internal to data/media/*.c.
#pragma once
#include <stdint.h>

typedef struct tk_clock {
    double end;       // of all that is shown or heard so far, on the running clock
    double shift;     // of the newest part: what its time stamps lack
    int64_t restarts; // seen so far
    struct {
        double last, shift;    // decoding time of its last packet; of the part it is in
        double decoded, shown; // earliest times of that part, before the shift
        int64_t part;          // restarts before that
        int begun, unsaid;     // unsaid: not all of that part say when they are shown
    } of[2];                   // sound, video: they reach a new part one after the other
} tk_clock;

// The next packet of a stream, in the file's order: its time stamps for decoding and for showing
// (NAN: it does not say), and its length, in seconds. Returns what to add to its time stamps.
// Whoever reads the packets of both streams in the file's order gets the same clock.
double tk_clock_shift(tk_clock *c, int stream, double dts, double pts, double length);
// When that packet is shown, by its time stamps; where pictures do not all say, when the last of
// those read so far is. Pictures may be stored in another order than they are shown in, and as many
// are shown as are decoded.
double tk_clock_shown(const tk_clock *c, int stream, double dts, double pts);
