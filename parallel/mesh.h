// SPDX-License-Identifier: Apache-2.0
// The mesh: world ranks as a grid, each axis of which is a row of a table and a communicator.
//
// The first axis runs fastest: world rank = ((data * guidance_degree + guidance) * pipeline_degree
// + pipeline) * tensor_degree + tensor.
//
// Each communicator of the device has a queue (core/device/queue.h); two axes have a second one, so
// that what goes over it is held up by nothing that goes over the first:
//
//     axis      device                              beside
//     tensor    rows and columns, TENSOR            sums of weights held by all, DATA
//     pipeline  rows to the next stage, FORWARD     gradients to the one before, BACKWARD; in
//                                                   sampling velocities from the last to the first
//     guidance  velocities of all branches, DATA    none
//     data      sums and gathers of weights, DATA   none
//     world     sums of single numbers, COMPUTE     none
//
// Messages of both directions of the pipeline on one queue would be right too (parallel/messages.h
// has them in an order for that), but a stage that waits for rows of its stage before could then
// not send that stage the gradients it waits for itself.
//
// Communicators of several queues are at work at once, and each of their kernels holds a piece of
// the GPU until its peers have come. That never ends in a circle, for two reasons. First, all calls
// of all ranks are parts of one order: ranks of one data or tensor group ask for the same, in the
// same order, and the messages of stages have an order of their own (parallel/messages.h). Take the
// first call of that order which is not done: all that is before it on its queues, and all that its
// events and the memory of its GPU wait for, was asked for before it, so is done or ends by itself.
// Nothing holds it up but, second, room: calls that come later may have begun before it and wait
// for peers. So those of all queues must fit on a GPU beside each other (parallel/nccl/comm.c sees
// to it); kernels that compute wait for nobody, and make room when they end.
#pragma once
#include "core/comm/comm.h"
#include "core/config/config.h"
#include "core/device/comm/comm.h"

typedef enum tk_axis {
    TK_AXIS_TENSOR,
    TK_AXIS_PIPELINE,
    TK_AXIS_GUIDANCE, // of sampling alone (infer/sampler/sampler.h)
    TK_AXIS_DATA,
    TK_AXES
} tk_axis;

typedef struct tk_axis_row { // this rank's line along an axis
    const char *name;        // "tensor"
    int rank, degree;
    int previous, next; // ranks of the line, which is a ring
    tk_comm host;
    tk_device_comm device, beside; // between tk_mesh_attach and tk_mesh_detach
} tk_axis_row;

typedef struct tk_mesh {
    tk_comm world; // all ranks
    tk_device_comm world_device;
    int64_t row_pieces;        // for the device's communicator of the tensor axis,
    bool overlap_rows;         // ... as the options say;
    bool overlap_sums;         // gradients or weights go beside the work
    tk_comm replica;           // those of one data rank: they hold one whole model, or several
    tk_comm stage;             // those of a replica at one stage of the pipeline
    tk_axis_row axis[TK_AXES]; // by tk_axis
    int ranks_on_node, rank_on_node;
    int cores; // of the node, this rank's share
} tk_mesh;

int64_t *tk_mesh_degree(tk_parallel_config *p, tk_axis axis); // the option's value
bool tk_axis_absorbs(tk_axis axis); // whether it may take the rest of the world; else 0 is 1
int64_t tk_axis_sent(const tk_axis_row *a); // bytes, over both its communicators of the device
// "tensor 2 x pipeline 1 x data 4"; degrees of 0 as 1, and of axes that absorb nothing those above
// 1 alone. Returns `out`.
char *tk_mesh_print(const tk_parallel_config *p, char *out, size_t size);

// Degrees of 0 are filled in: `absorb` says which axis takes the rest of the world. TK_INPUT with
// the arithmetic and the nearest layouts that fit when the product is not the world size.
tk_status tk_mesh_fill(tk_parallel_config *p, int64_t world, tk_axis absorb);
// The same, with all of a mesh. Collective; what goes wrong is agreed on.
tk_status tk_mesh_open(tk_mesh *m, tk_comm *world, tk_parallel_config *p, tk_axis absorb);
void tk_mesh_dry(tk_mesh *m, const tk_parallel_config *p,
                 int world_rank); // degrees > 0 required; moves nothing
// The device communicators of every axis and of the world, for an open device. Collective; what
// goes wrong is agreed on. m stays where it is until tk_mesh_detach, which comes before the device
// is closed; with none attached it does nothing.
tk_status tk_mesh_attach(tk_mesh *m, tk_device *d);
// From now on, until tk_mesh_detach, what the attached device sends lies in memory that all its
// communicators know (tk_device_register): `bytes`, the same on all ranks. On one rank nothing is
// sent, and there is none. Collective; what goes wrong is agreed on: TK_INPUT where it is not GPUs
// that send, TK_MEMORY where one has less.
tk_status tk_mesh_register(tk_mesh *m, size_t bytes);
void tk_mesh_detach(tk_mesh *m);
// Whether what is to go beside the work between data ranks holds up the host instead, because MPI
// gives no threads.
bool tk_mesh_holds_up(const tk_mesh *m);
void tk_mesh_close(tk_mesh *m);                                     // detaches too
int tk_mesh_threads(const tk_mesh *m, const tk_parallel_config *p); // compute threads of this rank
// Of commands that open no device, which otherwise sees to it: what runs in parallel on this rank
// takes so many threads from now on, `asked` or the rank's share of its node's cores where that is
// 0; `threads` (may be NULL) gets how many. Collective; what goes wrong is agreed on.
tk_status tk_mesh_take_threads(tk_comm *world, int64_t asked, int *threads);
