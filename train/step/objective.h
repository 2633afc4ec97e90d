// SPDX-License-Identifier: Apache-2.0
// The objective: rectified flow on the rows of a microbatch.
//
//   x_t = t * x0 + (1 - t) * noise,  v = x0 - noise,
//   loss of modality m = 1 / (target rows of m in the whole step * channels) * sum over target rows
//                        of |prediction - v|^2;  loss = sum of weight_m * loss of m.
//
// Noise is made on the device, only for the rows of this tensor rank, keyed by (seed, step, place
// of the document in the batch, row, channel): the same numbers on every layout. Given rows have t
// = 1, so x_t = x0 there, and no weight.
#pragma once
#include "core/model/model.h"
#include "train/step/documents.h"

// Clip rows of the documents of a microbatch, (rows, channels) each, as the loader gave them.
typedef struct tk_clean_rows {
    const float *rows[TK_MODALITIES]; // TK_VIDEO and TK_AUDIO; NULL: zeros
    bool ok;                          // false: unreadable, has no weight
} tk_clean_rows;

// This rank's rows of one modality on the device.
typedef struct tk_noisy {
    tk_tensor v;      // (own rows, channels)
    tk_tensor weight; // (own rows): 1 / (targets of the step * channels) on target rows, else 0
} tk_noisy;

typedef struct tk_objective {
    tk_device *device;
    const tk_train_config *train;
    const tk_model_config *model;
} tk_objective;

// Makes v and weight of modality m for the rows of `b`, and x_t into *x_t where that tensor has
// data (first stage). Documents are those the batch's stream was made of. Host staging comes from
// `a`, which must live until the device is synchronized.
tk_status tk_objective_rows(const tk_objective *o, const tk_batch *b, const tk_step_documents *d,
                            const tk_clean_rows *clean, int m, tk_arena *a, const tk_tensor *x_t,
                            tk_noisy *out);
void tk_objective_free(const tk_objective *o, tk_noisy *n);
