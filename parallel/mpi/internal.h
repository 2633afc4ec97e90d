// SPDX-License-Identifier: Apache-2.0
// Insides of the communicators over MPI. The files, each using those before it: end.c (ending the
// run), pulse.c (signs of life), wait.c (waiting), fold.c and collective.c (exchanges of all
// ranks), comm.c (host calls), device.c (device calls), deal.c, start.c.
#pragma once
#include "parallel/mpi/comm.h"
#include <mpi.h>

enum {
    TK_MPI_TAG_POINT = 1,  // isend, irecv
    TK_MPI_TAG_GATHER = 2, // exchanges of collectives
};

typedef struct tk_mpi_pending { // an isend or irecv
    struct tk_mpi_pending *next;
    const char *op;
    int n;
    int *peer;         // (n) behind req, in the same piece of memory
    MPI_Request req[]; // (n)
} tk_mpi_pending;

typedef union tk_mpi_word {
    double f;
    uint64_t u;
} tk_mpi_word;

typedef struct tk_mpi_impl { // of a communicator, of the host or of a device
    MPI_Comm comm;
    const char *name; // of the communicator
    int rank, size, world_rank;
    int64_t sent;     // bytes of payload
    int *world_of;    // (size) world rank of each rank
    MPI_Request *req; // (cap) requests of the collective under way
    int *peer;        // (cap) whom each one waits for
    int n, cap;
    int64_t *counts;     // (size) of the collective under way
    const void **part;   // (size) what each rank gave to a sum
    tk_mpi_word *words;  // of a window of host sums; see sum_window
    MPI_Request summing; // a host sum in two halves:
    uint64_t give, sum;  // ... of this rank, of all
    char *scratch;       // partial sums
    size_t scratch_bytes;
    tk_mpi_pending *spare; // of one request each
} tk_mpi_impl;

// A communicator over the ranks of `comm`, which it then owns.
tk_status tk_mpi_new(MPI_Comm comm, const char *name, tk_mpi_impl **out);
void tk_mpi_free(tk_mpi_impl *m); // NULL is fine

extern size_t tk_mpi_max_message; // see tk_mpi_set_max_message

// An MPI return code; tk_mpi_fail.
tk_status tk_mpi_check(const tk_mpi_impl *m, const char *op, int err);
// A collective or message that fails on this rank leaves its peers waiting: nobody can agree on it.
// So the failure is said here, and takes all ranks down; it is returned only where m has one rank.
tk_status tk_mpi_fail(const tk_mpi_impl *m, tk_status st);
void tk_mpi_say(const char *who, tk_status st);
_Noreturn void tk_mpi_end_alone(tk_status st); // says a failure that only this rank knows of
// Waits for n requests; peer[i] is whom the i-th waits for (-1: several).
tk_status tk_mpi_finish(const tk_mpi_impl *m, const char *op, int n, MPI_Request *req,
                        const int *peer);
void tk_mpi_look_around(void); // in a long wait: see tk_parallel_watch

// A wait under way; begin with m, op, n, req and peer, all else 0. tk_mpi_look is called every few
// milliseconds: it asks those waited for whether they live, and gives up, which ends the run, when
// they do not.
typedef struct tk_mpi_wait {
    const tk_mpi_impl *m;
    const char *op;
    int n;
    MPI_Request *req; // NULL: it waits for something else than MPI
    const int *peer;
    double began, looked, asked; // times: of the first look, the last one, the last questions
    double around;               // of the last look around
    double since;                // when anybody was last known to be at work
    int lost;                    // world rank to name, -1: not known yet
    double heard;                // when that one was last heard of
} tk_mpi_wait;
void tk_mpi_look(tk_mpi_wait *w);
// On the communicator of signs of life, of world ranks. Messages of the deals' tags go to the
// function that tk_mpi_hear_by names, which receives them.
enum {
    TK_MPI_TAG_ASK = 1, // does it live?
    TK_MPI_TAG_ANSWER,  // it does
    TK_MPI_TAG_WANT,    // to rank 0: an item; tk_deal
    TK_MPI_TAG_STEPS,   // to rank 0: how many steps it did
    TK_MPI_TAG_DEALT    // of rank 0: an item; waited for, not heard
};
MPI_Comm tk_mpi_pulse_comm(void);
void tk_mpi_hear_by(void (*hear)(int from, int tag));
void tk_mpi_alive(void);   // answers who asks; cheap, called often
bool tk_mpi_is_host(void); // whether this is the thread that started MPI: it alone hears and asks
tk_status tk_mpi_pulse_open(MPI_Comm world);
void tk_mpi_pulse_close(void);

static inline int tk_mpi_part(size_t bytes, size_t at) // length of the message that starts at `at`
{
    return (int)(bytes - at < tk_mpi_max_message ? bytes - at : tk_mpi_max_message);
}

// Collectives as exchanges, folded in rank order. out = concatenation over ranks of counts[i]
// elements of `size` bytes.
tk_status tk_mpi_gather(tk_mpi_impl *m, const char *op, const void *in, void *out,
                        const int64_t *counts, size_t size);
tk_status tk_mpi_reduce_scatter(tk_mpi_impl *m, const void *in, void *out, const int64_t *counts,
                                int64_t width, tk_dtype t);
tk_status tk_mpi_all_reduce(tk_mpi_impl *m, void *x, int64_t n, tk_dtype t, tk_reduce r);
tk_status tk_mpi_broadcast(tk_mpi_impl *m, void *x, size_t bytes, int root);
// x[0][i] op x[1][i] op ... in this order, so every rank that computes it gets the same bits.
// bf16 is summed in fp32. `out` may be one of the inputs.
void tk_mpi_fold(void *out, const void *const *x, int parts, int64_t n, tk_dtype t, tk_reduce r);
