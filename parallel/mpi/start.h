// SPDX-License-Identifier: Apache-2.0
// The start and the end of a program of many ranks.
#pragma once
#include "core/comm/comm.h"

// MPI starts in tk_parallel_start (argc/argv as main's) and ends in tk_parallel_stop; of a process
// that no launcher (mpirun, srun) started as a rank, which is a world of its own, it stays off.
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
// Called before a run is ended so, with a few seconds to do its work; NULL: nothing.
void tk_parallel_before_abort(void (*f)(void));
_Noreturn void
tk_parallel_abort(int exit_code); // a rank failed alone: takes the others down with this exit code
