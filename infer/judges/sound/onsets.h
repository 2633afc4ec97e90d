// SPDX-License-Identifier: Apache-2.0
// When sounds begin, from samples alone: a steep rise of energy over what was heard just before.
#pragma once
#include "core/base/mem.h"
#include <stdint.h>

// Energy of sound in windows of 10 ms, as it passes.
typedef struct tk_energies { // set rate and channels, the rest zero
    int64_t rate, channels;
    int64_t n, room;
    float *window;   // (n) mean square over all channels
    int64_t samples; // heard
    double open;     // sum of squares of the window that is not full
} tk_energies;
tk_status tk_energies_add(tk_energies *e, const float *pcm, int64_t samples); // (samples, channels)
void tk_energies_free(tk_energies *e);

// Seconds at which sounds begin: at most `room`; how many. What sounds from the first window on
// does not begin there as far as can be told.
int tk_onsets(const tk_energies *e, int room, double *seconds);
// The same of a track in memory.
tk_status tk_onsets_of(const float *pcm, int64_t samples, int64_t channels, int64_t rate, int room,
                       double *seconds, int *n);
