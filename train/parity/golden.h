// SPDX-License-Identifier: Apache-2.0
// A golden file in memory (train/parity/parity.h), checked as untrusted input.
#pragma once
#include "core/model/params.h"
#include "core/model/stream.h"

typedef struct tk_golden {
    char *config; // YAML, the `model:` section
    int64_t rows, levels, documents;
    int64_t count[TK_MODALITIES];
    float *input[TK_MODALITIES];  // (count, channels)
    float *output[TK_MODALITIES]; // video and audio
    float *cotangent[TK_MODALITIES];
    int32_t *row[TK_MODALITIES];          // stream rows of the inputs
    float *timestep;                      // (levels)
    int32_t *level, *modality, *document; // (rows)
    double *position;                     // (rows, 3)
    float **weight, **grad;               // (table.n) whole tensors
} tk_golden;

// Two steps, since the shapes of the second follow from the config in the first.
tk_status tk_golden_open(const char *path, tk_arena *a, tk_golden *g);
tk_status tk_golden_read(const char *path, tk_arena *a, const tk_model_config *c,
                         const tk_param_table *table, tk_golden *g);
// Documents [begin, end) as a stream of their own, and this part's first row of every modality.
tk_status tk_golden_stream(const tk_golden *g, int64_t begin, int64_t end, tk_arena *a,
                           tk_stream *s, int64_t first[TK_MODALITIES]);
