// SPDX-License-Identifier: Apache-2.0
// Soundscapes: what a place sounds like below and between whatever else is heard, as features that
// tk_classes tells apart (infer/judges/classes.h).
//
//     TK_TRY(tk_scape_of(pcm, samples, channels, rate, arena, feature));
//     set = tk_classes_find(&scapes, feature, NULL); // -1: silence
#pragma once
#include "core/base/mem.h"

enum { TK_SCAPE_BANDS = 24, TK_SCAPE_FEATURES = 2 * TK_SCAPE_BANDS };

// How loud each band is in the quieter quarter of the time and half of the time, nepers; NaN where
// there is nothing but silence, or less than a tenth of a second.
tk_status tk_scape_of(const float *pcm, int64_t samples, int64_t channels, int64_t rate,
                      tk_arena *a, double feature[TK_SCAPE_FEATURES]);
