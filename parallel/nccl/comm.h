// SPDX-License-Identifier: Apache-2.0
// Device calls (core/device/comm/comm.h) over NCCL, for the device "cuda".
//
//     tk_nccl_world(&mesh->world, device, &world_device);
//     tk_nccl_split(&world_device, &axis->host, queue, &axis->device); // once for each line
//
// The library is loaded when the first communicator is made; a build without nccl.h has none of
// this (TK_NCCL). The host's communicator carries what ranks must know to find each other.
//
// Sums are those of core/device/comm/comm.h to the bit: each rank sends every other one its part of
// that one's share, and a kernel adds the parts in the order of ranks. That moves no more bytes
// than a ring does, takes any shares, and a sum of bf16 travels as bf16. NCCL's own sums would add
// in the order of its ring, and round bf16 at each rank. What they could do better is to sum within
// a node before bytes leave it; where tensor ranks fill a node, the data ranks have nothing to sum
// there.
//
// What goes wrong between ranks goes wrong on one of them first: it says so and ends the run, with
// the code of failed communication. The host asks NCCL for such news wherever it waits, and where
// it waits for a silent rank the signs of life of parallel/mpi tell: a GPU that comes on with its
// work (core/device/cuda/beat.h) is at work, however long that takes; where none does, the run
// ends.
#pragma once
#include "core/comm/comm.h"
#include "core/device/comm/comm.h"

// Over all ranks, on the device's compute queue. Collective; TK_INPUT on all ranks where the
// library is missing or too old on any of them, or not the same on all. `out` stays where it is
// until it is closed, which all made from it are before.
tk_status tk_nccl_world(tk_comm *host, tk_device *d, tk_device_comm *out);
// Over the ranks of `host`, some of the world's. Collective over the world: each rank of it passes
// a host's communicator of the same name. `host` of one rank: tk_device_comm_self's.
tk_status tk_nccl_split(const tk_device_comm *world, tk_comm *host, tk_queue q,
                        tk_device_comm *out);

// register.c: memory of NCCL's own, `bytes` on each rank, becomes that of what the device sends
// (tk_device_register), known to the world's communicator and to all that were made from it, until
// these are closed: NCCL then takes it from there and puts it there itself, without copies. One
// block, registered once with each. Collective over the world, all ranks asking for as much; what
// goes wrong is agreed on: TK_MEMORY where a GPU has less, TK_INPUT where the environment forbids
// NCCL to register anything.
tk_status tk_nccl_register(tk_device_comm *world, size_t bytes);
