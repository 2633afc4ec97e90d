// SPDX-License-Identifier: Apache-2.0
// One rank's part of training: its stage of the model, its shard of the optimizer, and the step.
//
//     tk_trainer_open(&t, &config, &mesh, &device, loader);
//     tk_trainer_init(&t)                         // fresh weights (or load a checkpoint into them)
//     tk_trainer_start(&t, first_step);           // the loader begins to read
//     for (s = first_step; ...; s++) tk_trainer_step(&t, s, stop, TK_OK);
//     tk_trainer_drain(&t, stop, TK_OK);          // before a checkpoint and at the end
//
// A step does not wait for the device to do it: its result is known while the next one is under
// way, or by draining. What has not been judged is not to be kept.
//
// On a dry device over a dry mesh the same code computes nothing and reads nothing but tells what a
// real run touches: `talkie plan`.
#pragma once
#include "core/config/wrong.h"
#include "parallel/pipeline.h"
#include "train/step/documents.h"
#include "train/step/graphs.h"
#include "train/step/objective.h"
#include "train/update/optimizer.h"

struct tk_slot; // a microbatch under way in a run of blocks

typedef struct tk_trainer {
    const tk_config *config;
    tk_mesh *mesh;
    tk_device *device;
    tk_loader *loader;
    tk_model model;
    tk_model *run; // (chunks) the runs of blocks of this stage
    tk_optimizer optimizer;
    tk_objective objective;
    tk_microbatches micro;
    bool first, last;       // does this stage hold the first / the last run of blocks
    struct tk_slot *slot;   // (micro.n, chunks)
    tk_tensor losses;       // (micro.n, 2) video and audio, unweighted; last stage
    float weight[2];        // of the loss of video and of audio
    tk_tensor seed[2];      // (1) those on the device: where backward starts
    tk_step_documents docs; // of the step under way
    // In turn, of the step under way and of the one before, which the device may yet be at.
    tk_verdict verdict[2];
    tk_staging host[2];  // the device reads it until the verdict is read
    int turn;            // whose are the step under way's
    tk_graphs graphs;    // with train.graph
    tk_transfer inputs;  // then: of all slots of the step under way
    tk_step_result *now; // of that
    double extra_flops;  // of it: recomputation
    bool rehearsing;     // no rows of clips are read
    bool asked_to_stop;  // this rank was, as it tells with the step under way
    bool stop;           // some rank was asked to stop, by the last step or drain
    tk_status bad;       // failure of this rank; told to all before the end of the step
    char bad_words[512]; // its message
    void (*hear)(void *ctx, const tk_step_result *r);
    void *hear_ctx;
    tk_arena arena;
} tk_trainer;

// Matches the config with the data: the model's channels (0: becomes the codec's), text, batch
// against data ranks. TK_INPUT with all that does not fit.
tk_status tk_trainer_match(tk_config *c, const tk_loader *l, int data_ranks);
// Parts of it: a line of *w for each thing.
void tk_trainer_match_codec(tk_wrong *w, tk_config *c, const tk_codec_info *k);
void tk_trainer_match_batch(tk_wrong *w, const tk_config *c, int data_ranks);
tk_status tk_trainer_open(tk_trainer *t, const tk_config *c, tk_mesh *mesh, tk_device *device,
                          tk_loader *loader);
void tk_trainer_close(tk_trainer *t);     // waits for the device
tk_status tk_trainer_init(tk_trainer *t); // initial weights, and the average from them
tk_status tk_trainer_start(tk_trainer *t, int64_t first_step);
// Collective, before tk_trainer_start. Forward and backward of a step with its shapes, on noise,
// for devices that learn (core/device/device.h); nothing that it computes is kept. Waits for the
// device.
tk_status tk_trainer_rehearse(tk_trainer *t, int64_t step);

// `hear` is called with the result of each step, once and in order, also of one that is not finite.
void tk_trainer_listen(tk_trainer *t, void (*hear)(void *ctx, const tk_step_result *r), void *ctx);
// Collective. One step. `stop`: this rank was asked to stop; `mine`: a failure of this rank since
// the last step, which ends the run on all ranks with its message, as does data of this step that
// is bad. TK_NUMERIC when loss or gradient of the step before were not finite.
tk_status tk_trainer_step(tk_trainer *t, int64_t step, bool stop, tk_status mine);
// Collective. Waits for the result of the last step: the same for that one.
tk_status tk_trainer_drain(tk_trainer *t, bool stop, tk_status mine);
