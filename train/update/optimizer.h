// SPDX-License-Identifier: Apache-2.0
// AdamW with its state sharded over data ranks.
//
// Gradients arrive as partial sums in the model's flat buffer. A step adds them up over tensor,
// pipeline and data ranks, each data rank keeping those of its shard (train/update/buckets.h);
// takes the global norm, counting every weight once however many ranks hold it; clips on the
// device; updates the shard's weights, moments and average; and gathers the weights over data
// ranks. Nothing waits for the device, and what goes over data ranks can go beside its work: sums
// of gradients while backward is at others (train/update/gradients.h), weights until the next
// forward comes to them (train/update/weights.h).
//
// The weights that a step updates are fp32 masters, of the shard alone. They are the model's own
// weights where it computes in fp32; where it computes in bf16, its weights are the masters of all
// data ranks, rounded, and rounded they travel.
//
// Copies of a weight on several ranks stay equal to the bit: the sums behind them are taken in
// different orders where flat layouts differ, so after the update every copy is overwritten by that
// of the first tensor rank (first stage). A checkpoint therefore holds all there is to resume from.
#pragma once
#include "train/checkpoint/checkpoint.h"
#include "train/update/gradients.h"
#include "train/update/weights.h"

typedef struct tk_optimizer {
    tk_model *model;
    tk_mesh *mesh;
    const tk_train_config *config;
    tk_buckets buckets; // and this rank's shard of them
    tk_gradients sums;
    tk_weights weights;
    tk_tensor m, v, ema; // (buckets.held) of the shard; ema absent when train.ema is 0
    tk_tensor master;    // fp32: its weights; the model's where these are fp32, else (buckets.held)
    const tk_flat_part *in_master; // (buckets.n_shard) where the shard lies in `master`
    tk_tensor norm2;               // (1) squared global norm of the last step's gradient
    tk_tensor scale;               // (1) clipping factor
    tk_tensor rates;               // (4) what the step multiplies by: ADAMW's three, then EMA's
    tk_tensor sent;                // (4) the same in the transfer they come with
    float host[4];                 // and before that is sent
    bool told;                     // those of the step under way have come
} tk_optimizer;

tk_status tk_optimizer_open(tk_optimizer *o, tk_model *model, tk_mesh *mesh,
                            const tk_train_config *c, const tk_parallel_config *p);
void tk_optimizer_close(tk_optimizer *o);
tk_status tk_optimizer_init(tk_optimizer *o, uint64_t seed); // fills the masters
// Collective. The masters have been filled: the model gets its weights from them, and if `fresh` (a
// new run, or a checkpoint without an average) the average starts as they are. Settled.
tk_status tk_optimizer_start(tk_optimizer *o, bool fresh);
// Who watches a step's tapes (core/model/tape.h), for what goes beside the device's work: forwards
// come to new weights, and the last backward of each run of blocks leaves whole gradients.
tk_watch tk_optimizer_watch(tk_optimizer *o, bool last);
// Sums up gradients over the mesh: the first half of a step.
tk_status tk_optimizer_reduce(tk_optimizer *o);
// Adds to a transfer, and once it is sent keeps, what the second half needs to know of step `step`,
// counted from 0: once a step, with whatever else goes to the device.
tk_status tk_optimizer_put(tk_optimizer *o, tk_transfer *x, int64_t step);
tk_status tk_optimizer_keep(tk_optimizer *o);
// The second half. Leaves norm2 on the device. TK_INTERNAL where the step's rates were not kept.
tk_status tk_optimizer_step(tk_optimizer *o);
// What the device is asked for after this reads weights and masters as they are to be: for whoever
// reads them other than by a forward that tells o->weights where it comes.
tk_status tk_optimizer_settle(tk_optimizer *o);
// Masters, moments and average as checkpoint groups; returns how many.
enum { TK_OPTIMIZER_FLATS = 4 };
int tk_optimizer_flats(const tk_optimizer *o, tk_flat flat[TK_OPTIMIZER_FLATS]);

double tk_learning_rate(const tk_train_config *c, int64_t step); // of step counted from 0
double tk_ema_decay(const tk_train_config *c, int64_t updates);  // min(ema, (1 + n) / (10 + n))
