// SPDX-License-Identifier: Apache-2.0
// The one sampler loop, over the shifted schedules of both modalities, by any of the solvers of
// infer/sampler/solver.h.
//
// What is sampled is data: a document of shots, some of them given (memory, references), as rows of
// others may be (core/model/given.h), and clean throughout, the rest noise at first.
//
// A step asks the model about one branch, or with guidance about two: the same rows without their
// captions. Each is a stream of its own, and the pipeline's stages take one after the other, so
// that one is computed while the other is; or ranks of the axis of guidance take one each, and give
// each other the velocities that they found. So all layouts do the same products.
//
// Tasks that are sampled together share streams where there is one stage. Several stages take them
// in groups, as microbatches: a group goes on with the next step as soon as its velocities are
// back, while the last stage is at the other groups' of this one. So no stage is idle between the
// first step and the last where there are tasks enough: microbatches, stages + branches - 1 of
// them, are under way. A recorded step (`graph`) is through with all of them before the next.
//
//   sigma walks linspace(1 - skip, 0, n + 1); sigma' = s * sigma / (1 + (s - 1) * sigma), s by
//   modality x += now_k * v_k + before_k * v_k-1,  v = u + guidance * (c - u)
//
// A step reads what is another number each time (noise levels, how far rows go down) from where it
// lies on the device, so all steps of a task are the same work at the same addresses. With `graph`
// the first is asked for, the second recorded, and each from then on launched by one call.
//
// Where things live: tensor ranks of the first pipeline stage hold all rows of x, for each rank of
// guidance alike, and feed their own to the model; the last stage's gather all velocities and send
// them back. Noise is keyed by seed,
// shot and element, so that a seed gives the same clip on every layout.
#pragma once
#include "core/model/model.h"
#include "infer/sampler/solver.h"
#include "parallel/mesh.h"

typedef struct tk_sampler { // what it runs on
    tk_mesh *mesh;
    tk_device *device;
    tk_model *model;
    tk_staging host;                   // of what a task sends; it stays from one task to the next
    int64_t steps, recorded, replayed; // so far
    int64_t rows, spared; // of all steps' streams; given ones that needed not be among them
    int64_t exchanged;    // bytes of velocities this rank gave those of other branches
} tk_sampler;

// What a rank of the mesh holds of a model to sample from.
tk_model_part tk_sampler_part(tk_mesh *mesh, tk_device *device);
// Takes nothing yet. The model, which may be opened later, and all else must outlive it.
void tk_sampler_open(tk_sampler *s, tk_mesh *mesh, tk_device *device, tk_model *model);
void tk_sampler_close(tk_sampler *s); // of one that is zero: fine

typedef struct tk_sample_task {
    tk_document doc;                   // levels and all of text are filled in by the sampler
    int64_t text_rows[2];              // with captions; without (guidance)
    const int64_t *caption_rows[2];    // (doc.n_shots) of these each shot's, as in tk_document
    const int32_t *text[2];            // tokens,
    const float *features[2];          // or text features, (text_rows, channels)
    const int64_t *shot_id;            // (doc.n_shots) keys the noise of target shots
    const float *given[TK_MODALITIES]; // video and audio rows of the document, (rows, channels);
                                       // read where a row is not a target, or all with `skip`;
                                       // first stage only
    uint64_t seed;
    int64_t steps;
    tk_solver solver;
    double guidance; // 1: no second branch
    bool graph;      // of a device that has them (tk_device_has_graphs)
    bool keep_given; // infer/sampler/keep.h, where model.given is own
    double skip;     // [0, 1) of the walk: target rows begin as what `given` has of them, noised
                     // to the level there; 0: as noise alone
    double shift[TK_MODALITIES];
} tk_sample_task;

// How many branches a step has.
enum { TK_SAMPLE_MOST_BRANCHES = 2 };
int tk_sample_branches(double guidance);
// TK_INPUT where some of parallel.guidance's ranks would have none.
tk_status tk_sample_check_branches(int64_t ranks, double guidance);

// Collective over the mesh's replica. On the first stage `out` gets all video and audio rows of the
// document, (rows, channels) each, given ones included. `step_done` (may be NULL) is called after
// each step but the last, with how many are left; a failure of it, which all ranks of the replica
// have to share, ends the sampling. On a device that computes nothing, `given` and `out` are not
// looked at, and two steps stand for all.
// The same of several tasks, as documents of one stream: each comes out as alone, bit for bit where
// the device is steady (core/device/device.h). They go by one schedule: each is one that
// tk_sampler_together says may be with the first. out: (n) of each.
bool tk_sampler_together(const tk_sampler *s, const tk_sample_task *a, const tk_sample_task *b);
tk_status tk_sampler_run_all(tk_sampler *s, int n, const tk_sample_task *const *tasks,
                             float *const *const *out,
                             tk_status (*step_done)(void *ctx, int64_t left), void *ctx);
tk_status tk_sampler_run(tk_sampler *s, const tk_sample_task *t, float *const out[TK_MODALITIES],
                         tk_status (*step_done)(void *ctx, int64_t left), void *ctx);
