// SPDX-License-Identifier: Apache-2.0
// The mesh: world ranks as a grid of data x pipeline x tensor (tensor fastest), each axis a
// communicator.
//
//   world rank = (data * pipeline_degree + pipeline) * tensor_degree + tensor
#pragma once
#include "core/comm/comm.h"
#include "core/config/config.h"
#include "core/device/device.h"

typedef struct tk_mesh {
    tk_comm world;                  // all ranks
    tk_comm tensor, pipeline, data; // this rank's line along each axis
    tk_comm replica;                // tensor x pipeline: the ranks that hold one whole model
    int ranks_on_node;
    int cores; // of the node, this rank's share
} tk_mesh;

// MPI starts in tk_parallel_start (argc/argv as main's) and ends in tk_parallel_stop. Works started
// alone, by mpirun and by srun.
tk_status tk_parallel_start(int *argc, char ***argv, tk_comm *world);
void tk_parallel_stop(void); // finalizes
// For failures inside work in which ranks wait for each other: returns `st` where it is TK_OK,
// where all hold it, or where c has one rank. Else nobody can be told any more: says it, and takes
// all down.
tk_status tk_parallel_unless_alone(const tk_comm *c, tk_status st);
// How a program ends: says a failure that all ranks share once, on rank 0; one that only this rank
// knows it says itself and takes the others down. Returns the exit code. `world`: as started.
int tk_parallel_end(tk_comm *world, tk_status st);
// While this rank waits long for others, `still` is asked every few seconds whether there is any
// sense in it. Where not, the rank says why and goes, and takes with it who can be reached: what it
// waits for may be cut off for ever. NULL: no more. On the thread that waits.
void tk_parallel_watch(tk_status (*still)(const void *context), const void *context);
_Noreturn void
tk_parallel_abort(int exit_code); // a rank failed alone: takes the others down with this exit code

// Degrees of 0 are filled in: `absorb` says which axis takes the rest of the world. TK_INPUT with
// the arithmetic and the nearest layouts that fit when the product is not the world size.
// Collective; what goes wrong is agreed on.
typedef enum tk_axis { TK_AXIS_TENSOR, TK_AXIS_PIPELINE, TK_AXIS_DATA } tk_axis;
tk_status tk_mesh_open(tk_mesh *m, tk_comm *world, tk_parallel_config *p, tk_axis absorb);
void tk_mesh_dry(tk_mesh *m, const tk_parallel_config *p,
                 int world_rank); // degrees > 0 required; moves nothing
void tk_mesh_close(tk_mesh *m);
int tk_mesh_threads(const tk_mesh *m, const tk_parallel_config *p); // compute threads of this rank
