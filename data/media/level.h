// SPDX-License-Identifier: Apache-2.0
// A clip whose sound is brought to a loudness as it passes, by EBU R 128: all of it is measured
// first, once more where its peaks have to be limited, then made louder or softer by one gain.
// Pictures pass as they are.
#pragma once
#include "data/codec/media.h"
#include "data/media/limiter.h"
#include "data/media/loudness.h"

#define TK_LEVEL_PEAK (-2.0) // dB over full scale that no sample passes

typedef struct tk_leveled {
    tk_media_source source; // the first member
    tk_media_source *of;    // the caller's
    const char *path;       // for messages
    double gain;            // factor
    double was;             // LUFS; -70 and less: silence, which stays as it is
    tk_loudness *meter;     // of what comes out
    int64_t metered;        // samples that it has heard
    tk_limiter limiter;
    int64_t at;  // sample that the limiter goes on from
    float *in;   // (cap, channels) from there on
    int64_t cap; // samples
} tk_leveled;

// Hears all of the sound, a second at a time, up to four times. lufs: what it is brought to, where
// peaks that are limited by 12 dB allow it. `path` is kept. TK_INPUT where this build cannot
// measure.
tk_status tk_level_open(tk_leveled *l, tk_media_source *of, double lufs, const char *path);
// What came out, of all that was asked for in order from the beginning on; once.
tk_status tk_level_figures(tk_leveled *l, tk_loudness_figures *out);
void tk_level_close(tk_leveled *l); // a zeroed one is fine
