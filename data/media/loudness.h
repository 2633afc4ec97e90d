// SPDX-License-Identifier: Apache-2.0
// How loud sound is, by EBU R 128 (libavfilter's ebur128), as it passes.
#pragma once
#include "core/base/status.h"
#include <stdint.h>

typedef struct tk_loudness tk_loudness;

typedef struct tk_loudness_figures {
    double lufs;  // integrated loudness; -70 and less: silence
    double range; // LU between soft and loud parts
    double peak;  // true peak, dB over full scale
} tk_loudness_figures;

// `path`: what is heard, for messages.
tk_status tk_loudness_open(const char *path, int64_t rate, int64_t channels, tk_loudness **out);
tk_status tk_loudness_add(tk_loudness *l, const float *pcm, int64_t n); // (n, channels)
// Figures of all that was added; the meter is gone afterwards, whatever the outcome. figures NULL:
// not wanted. l NULL is fine then.
tk_status tk_loudness_close(tk_loudness *l, tk_loudness_figures *figures);
