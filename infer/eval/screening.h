// SPDX-License-Identifier: Apache-2.0
// One film, of which no truth is known, watched from begin to end in memory that does not grow with
// its pictures, and judged.
#pragma once
#include "core/config/config.h"

// All numbers, so that ranks can add them up: zero where there is nothing to tell.
typedef struct tk_film {
    double read; // 1: the file could be read
    double seconds, shots;
    double heard; // sounds that begin
    double with; // of these within 80 ms of a moment at which motion begins, stops, turns or is cut
    double chance;            // how many would be so if they began at any time
    double sounds;            // 1: there is sound
    double lufs, range, peak; // LUFS, LU, dB (EBU R 128); silence: -120
    double flicker;           // percent of full scale (infer/judges/sight/frames.h)
    double drift;             // of the last shot's colours against the first's, 0 to 1
} tk_film;

// Looks at m->fps pictures a second of m->width x m->height and hears m->sample_rate samples.
// TK_INPUT naming the file where it is not media.
tk_status tk_film_judge(const char *path, const tk_media_config *m, tk_film *out);
