// SPDX-License-Identifier: Apache-2.0
// The stand-in for NCCL (libnccl.so.2 of the emulated build): real bytes and real sums between the
// ranks, over MPI. Its files: nccl.c (what is asked of it), nccl_meet.c (communicators),
// nccl_memory.c (registered memory), nccl_move.c (operations, when their stream's turn comes),
// nccl_order.c (whether all ranks ask for the same), nccl_rest.c (what it does not model).
//
// In a captured stream operations become part of the graph, and are launched with it each time; all
// ranks that they concern capture them, or none. With NCCL_GRAPH_MIXING_SUPPORT=0 those of graphs
// and others are not under way at once on one communicator.
//
// A communicator that does not block is made beside the host, which has NULL until it is there, and
// a state of it only from then on.
//
// Operations are launched as NCCL's are: at once, or where a communicator is not blocking now and
// then only after the host has asked for its state often enough. What they do is done when their
// stream comes to it, together with the other ranks' parts, in the order of launches.
//
// What must not be ends the process with words on stderr: an entry point or an argument that it
// does not model, a communicator used after its end, ranks that launch different things or in
// another order, one of them from registered memory and the other not, memory that is registered
// and is not NCCL's or goes while it is.
//
// It is built on the stand-in for the CUDA runtime (standin.h), on whose streams it is work.
//
// From the environment, RANK being a rank of the world and N counting its launches from 1:
//     STANDIN_NCCL_VERSION=[RANK:]22809   what it says it is
//     STANDIN_NCCL_ERROR=RANK:N           launch N fails on the way
//     STANDIN_NCCL_HANG=RANK:N            launch N never ends
//     STANDIN_NCCL_TELL=1                 how many bytes of what it was given were registered: on
//                                         stderr, when memory of its own is freed
//     STANDIN_NCCL_SLOW=RANK:RANK:300     messages between the two take 300 milliseconds more
#pragma once
#include "tests/cuda/standin/standin.h"
#include <mpi.h>
#include <nccl.h> // of NVIDIA

enum { // tags of MPI_COMM_WORLD
    STANDIN_TAG_ORDER = 1 << 20,
    STANDIN_TAG_ENTRY,
    STANDIN_TAG_TABLE,
    STANDIN_TAG_DATA // and the communicator's number
};

typedef enum standin_kind {
    STANDIN_ALL_GATHER,
    STANDIN_ALL_REDUCE,
    STANDIN_REDUCE_SCATTER,
    STANDIN_BROADCAST,
    STANDIN_CLOSING,
    STANDIN_SEND,
    STANDIN_RECEIVE
} standin_kind;

// What ranks must agree on, told to the others when it is launched.
typedef struct standin_launch {
    int32_t kind, comm, type, detail; // detail: root, or kind of sum
    int32_t captured;                 // by a graph
    int32_t registered;               // all that it reads and writes here
    int64_t count;
} standin_launch;

struct ncclComm {
    struct ncclComm *next;
    char name[64];
    int id; // the same on all its ranks
    int rank, size, *world_of;
    bool blocking, ended;
    ncclResult_t state, then;
    int polls;                 // of the state, until it is `then`; 0: it is that now
    struct standin_work *held; // back until then
    int64_t launched, done;    // works, which begin in the order of launches
    int64_t captured;          // works, so far
    bool last_captured;        // the work launched last
    int64_t sent;              // bytes to other ranks
    int known;                 // blocks of memory, registered with it
};

typedef struct standin_op {
    struct standin_op *next;
    standin_launch launch;
    struct ncclComm *comm;
    const void *in;
    void *out;
    int peer; // of a message; root of a broadcast
    // Once begun: copies of what goes out, what has come from each rank, and their requests.
    char *away, **came;
    MPI_Request *request; // (2 * size)
} standin_op;

typedef struct standin_work { // what is launched as one
    struct ncclComm *comm;
    cudaStream_t stream;
    standin_op *ops;
    int64_t turn; // of the communicator
    bool begun, lost, captured;
    struct standin_work *next; // of those captured
    double ends;               // seconds: not before then; 0: not said yet
} standin_work;

typedef struct standin_buffer {
    const void *x;
    size_t bytes;
} standin_buffer;

int standin_world_rank(void);
size_t standin_size(ncclDataType_t t);
const char *standin_describe(const standin_launch *l, char *out, size_t size);
void standin_tell(const standin_op *o); // its launch, to other ranks
// Its state from now on: of one that does not block after it was asked for often enough.
ncclResult_t standin_soon(struct ncclComm *c, ncclResult_t then);
void standin_buffers(const standin_op *o,
                     standin_buffer out[2]); // read, written; of no bytes: none

// nccl_meet.c
struct ncclComm *standin_comms(void); // of this process

// nccl_memory.c
bool standin_registered(const struct ncclComm *c, const standin_buffer b[2]);
void standin_count_given(const standin_op *o);

// nccl_order.c: tells and hears; `peer` is a rank of the world.
void standin_told(const standin_launch *l, int peer);
void standin_hear(void);

// nccl_move.c: whether the work is done; called again until it is.
standin_turn standin_move(standin_work *w);
