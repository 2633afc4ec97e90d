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
    const float *rows[TK_MODALITIES];  // NULL: zeros; TK_TEXT: features of captions that have some
    const float *cited[TK_MODALITIES]; // of references, which come before those; NULL: zeros
    bool ok;                           // false: unreadable, has no weight
} tk_clean_rows;

// Text features of documents [begin, end), whose rows `clean` has: (rows of text, channels).
tk_status tk_step_features(const tk_loader *l, const tk_step_documents *d, int64_t begin,
                           int64_t end, const tk_clean_rows *clean, tk_arena *a, const float **out);

// This rank's rows of one modality on the device. What is there depends on what is asked for:
// x_t where rows go into the model, v and weight where its loss comes out.
typedef struct tk_noisy {
    bool in, out;
    tk_tensor x_t;    // (own rows, channels)
    tk_tensor v;      // (own rows, channels)
    tk_tensor weight; // (own rows): 1 / (targets of the step * channels) on target rows, else 0
    tk_tensor clean;  // (own rows, channels): x0, then x_t or else v
    tk_tensor key;    // (own rows, 2) of TK_OP_NORMAL: step and first index
    tk_tensor t;      // (own rows) noise levels
} tk_noisy;

typedef struct tk_objective {
    tk_device *device;
    const tk_train_config *train;
    const tk_model_config *model;
} tk_objective;

// Adds to the transfer of `b`, which is not sent yet, what the rows of modality m need: clean rows,
// keys of the noise, levels and weights. Documents are those the batch's stream was made of.
tk_status tk_objective_put(const tk_objective *o, tk_batch *b, const tk_step_documents *d,
                           const tk_clean_rows *clean, int m, bool in, bool out, tk_noisy *n);
// Once it is sent: makes x_t and v. x_t is a view of the transfer, as v is where there is no x_t.
tk_status tk_objective_mix(const tk_objective *o, tk_noisy *n);
void tk_objective_free(const tk_objective *o, tk_noisy *n);
