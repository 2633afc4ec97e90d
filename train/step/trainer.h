// SPDX-License-Identifier: Apache-2.0
// One rank's part of training: its stage of the model, its shard of the optimizer, and the step.
//
//     tk_trainer_open(&t, &config, &mesh, &device, loader);
//     tk_trainer_init(&t)                         // fresh weights (or load a checkpoint into them)
//     tk_trainer_start(&t, first_step);           // the loader begins to read
//     for (s = first_step; ...; s++) tk_trainer_step(&t, s, stop, &result);
//
// On a dry device over a dry mesh the same code computes nothing and reads nothing but tells what a
// real run touches: `talkie plan`.
#pragma once
#include "parallel/pipeline.h"
#include "train/step/documents.h"
#include "train/step/objective.h"
#include "train/step/optimizer.h"

typedef struct tk_step_result { // the same on every rank, but for `seconds`
    int64_t step;               // counted from 0
    double loss, loss_of[TK_MODALITIES];
    double grad_norm, lr;
    int64_t rows, skipped; // rows of the step; unreadable documents in it
    double flops;          // model FLOPs of all ranks (recomputation not counted)
    bool stop;             // some rank was asked to stop
    struct {
        double data, compute, reduce, optimizer, total;
        double action[TK_ACT_KINDS]; // of the compute: by what the schedule does, without waiting
    } seconds;                       // this rank's
} tk_step_result;

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
    float *host_losses;     // (micro.n, 2)
    tk_step_documents docs; // of the step under way
    tk_step_result now;
    double extra_flops;  // of the step: recomputation
    tk_status bad;       // data failure met in a step; told to all at its end
    char bad_words[512]; // its message
    tk_arena arena;
    tk_arena step_arena; // the device reads it until the end of the step
} tk_trainer;

// Matches the config with the data: the model's channels (0: becomes the codec's), text, batch
// against data ranks.
tk_status tk_trainer_match(tk_config *c, const tk_loader *l, int data_ranks);
tk_status tk_trainer_open(tk_trainer *t, const tk_config *c, tk_mesh *mesh, tk_device *device,
                          tk_loader *loader);
void tk_trainer_close(tk_trainer *t);     // waits for the device
tk_status tk_trainer_init(tk_trainer *t); // initial weights, and the average from them
tk_status tk_trainer_start(tk_trainer *t, int64_t first_step);

// One step. `stop`: this rank was asked to stop; `mine`: a failure of this rank since the last
// step, which ends the run on all ranks with its message. TK_NUMERIC when loss or gradient are not
// finite.
tk_status tk_trainer_step(tk_trainer *t, int64_t step, bool stop, tk_status mine,
                          tk_step_result *out);
