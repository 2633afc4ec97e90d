// SPDX-License-Identifier: Apache-2.0
// What the files of parallel/ share about communicators over MPI; nobody else includes this.
#pragma once
#include "core/comm/comm.h"
#include "core/device/comm/comm.h"

// A communicator over the ranks of `parent` that pass the same color, ordered by their rank in it.
// Collective over `parent`. `name` is kept, not copied.
tk_status tk_mpi_split(tk_comm *parent, const char *name, int color, tk_comm *out);
void tk_mpi_close(tk_comm *c); // frees what the split made; a zeroed communicator is fine

// The device calls among the ranks of `host`, which was made here, for a device whose pool is host
// memory and which computes at once. The host does the device's work there, so it is the host that
// waits: messages are on their way when they are asked for and done after tk_wait, all else is done
// on return. But where `late` holds, and such threads may be, collectives asked for on a queue of
// messages are left to a thread of that queue, and are done as the order of queues says. Collective
// over `host`.
tk_status tk_mpi_device(tk_comm *host, tk_device *d, tk_queue q, bool late, tk_device_comm *out);
bool tk_mpi_threads(void); // whether MPI lets several threads call it at once

// For a wait for other ranks that is not MPI's, every few milliseconds: answers who asks for signs
// of life, asks for them, and ends the run where all of MPI's waits would. `begins`: at the first
// call of a wait.
void tk_mpi_look_for(tk_comm *c, const char *op, bool begins);
// From now on `comes_on` is asked in every wait whether work of this rank's that the host does not
// do itself has come on since it was asked last: a rank whose work does is at work. NULL: there is
// none.
void tk_mpi_work_by(bool (*comes_on)(void));

// The communicator of all ranks (MPI has been started), and that of this node's ranks.
tk_status tk_mpi_world(tk_comm *out);
tk_status tk_mpi_split_node(tk_comm *world, tk_comm *node);

// How many ranks of `world` run on this node, which of them this one is, and how many of the node's
// cores are its share (at least 1). Collective over `world`.
tk_status tk_mpi_node(tk_comm *world, int *ranks_on_node, int *rank_on_node, int *cores);

// Longest message handed to MPI in one piece (its counts are int). Tests make it small.
void tk_mpi_set_max_message(size_t bytes);
