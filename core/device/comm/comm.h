// SPDX-License-Identifier: Apache-2.0
// The communicator of device memory: collectives and messages between the devices of several ranks.
// parallel/ implements it: over MPI where the pool is host memory, over NCCL between GPUs.
//
// A communicator belongs to one device and one of its queues, and is made from a communicator of
// the host (tk_mesh_attach). Buffers lie in the device's pool. Every rank makes the same
// collectives in the same order.
//
// Calls return without waiting. All that a communicator moves runs on its queue, behind what the
// device's queue of the moment (tk_device_on) was asked for before. What that queue is asked
// afterwards sees the result of a collective. A message is under way from the end of its group
// (alone it is a group of one) until it is waited for, which does not hold up the host either: what
// the queue of the moment is asked after tk_wait comes after the message. Until then its buffer is
// left alone.
//
//     tk_group_begin(c);
//     tk_isend(c, x, n, TK_F32, next, &sent);
//     tk_irecv(c, y, n, TK_F32, next, &came);
//     tk_group_end(c); // both move, in either order
//     ...
//     tk_wait(c, &came);
//
// The messages of a group move together; groups may move one after another. So two ranks must not
// each wait, in an earlier group, for what the other sends in a later one.
#pragma once
#include "core/comm/comm.h"
#include "core/device/event.h"

typedef enum tk_reduce { TK_SUM, TK_MAX } tk_reduce;

// What transports hand over, for bytes_sent: an all_gather its own rows to each other rank, a
// reduce_scatter each other rank's rows, an all_reduce one after the other over shares of
// tk_split_count, or all elements to each other rank where those of all ranks are this small; a
// broadcast, at its root, and a message each element once.
enum { TK_COMM_SMALL = 64 << 10 }; // bytes in all below which latency counts more than bandwidth

// A message under way; opaque to callers. All zero it stands for none: waiting for it does nothing,
// and a wait leaves it so.
typedef struct tk_request {
    void *impl;
    int64_t id;
} tk_request;

// The parts of a sum, brought together by messages: of n elements each. This rank's is `own`; those
// of the others lie in `others` in the order of ranks, `stride` elements apart. `out` may be `own`.
typedef struct tk_parts {
    void *out;
    const void *own, *others;
    int64_t n, stride;
    tk_dtype type;
} tk_parts;

typedef struct tk_device_comm tk_device_comm;
// What a transport implements, called by the functions below alone, which check the arguments and
// put the device on the communicator's queue: for a collective, and for the end of a group, on
// which all its messages are asked for. A wait lets the queue of the moment wait.
typedef struct tk_device_comm_ops {
    tk_status (*all_reduce)(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r);
    tk_status (*all_gather)(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                            int64_t width, tk_dtype t);
    tk_status (*reduce_scatter)(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                                int64_t width, tk_dtype t);
    tk_status (*broadcast)(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int root);
    tk_status (*group_begin)(tk_device_comm *c);
    tk_status (*isend)(tk_device_comm *c, const void *x, int64_t n, tk_dtype t, int to,
                       tk_request *r);
    tk_status (*irecv)(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r);
    tk_status (*group_end)(tk_device_comm *c);
    tk_status (*wait)(tk_device_comm *c, tk_request *r);
    tk_status (*add_parts)(tk_device_comm *c, const tk_parts *p); // on the queue of the moment
    void (*close)(tk_device_comm *c);
} tk_device_comm_ops;

struct tk_device_comm {
    const tk_device_comm_ops *ops;
    int rank, size;
    const char *name; // of the host's communicator
    tk_comm *host;    // that it was made from
    tk_device *device;
    tk_queue queue;       // of the device, which it works on
    tk_event ready, done; // of the queue of the moment, where that is another, and of its own
    bool grouped;         // between tk_group_begin and tk_group_end
    int64_t row_pieces;   // of a rank's rows, in products with gathers and sums (see ops.h); and
    bool beside;          // whether they move beside products
    bool late;      // a transport of the host's may leave collectives to a thread of the queue,
    tk_queue asked; // ... which were asked for on this queue
    void *impl;
    int64_t bytes_sent; // by this rank, as above; of what the device has done
};

// All types: TK_F32, TK_BF16, TK_I32. Sums are of ranks 0, 1, 2 ... in this order; those of bf16
// are taken in fp32 and rounded once. Counts are elements. In all calls TK_INTERNAL: a root or peer
// that is no rank of c, a buffer that does not lie in the pool (of no elements it may lie
// anywhere), and a collective or a wait inside a group.
//
// Where memory is registered (tk_device_register), all that is sent or filled lies there,
// TK_INTERNAL else: messages, what all_reduce and broadcast are given, what all_gather is given and
// gives, and what reduce_scatter is given. What that gives is written by the device, wherever it
// lies.
//
// x (n) := reduction over ranks, in place
tk_status tk_all_reduce(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r);
// out = concatenation over ranks i of counts[i] rows of `width` elements; `in` holds counts[rank]
// of them, apart from `out` or where they come to lie in it
tk_status tk_all_gather(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                        int64_t width, tk_dtype t);
// in = sum(counts) rows on each rank; out (counts[rank] rows) = this rank's share of the sum, apart
// from `in` or where that share lies in it
tk_status tk_reduce_scatter(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                            int64_t width, tk_dtype t);
tk_status tk_broadcast(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int root);

// To or from another rank. Those of one pair of ranks arrive in the order of sending.
tk_status tk_isend(tk_device_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r);
tk_status tk_irecv(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r);
tk_status tk_group_begin(tk_device_comm *c); // groups do not nest
tk_status tk_group_end(tk_device_comm *c);
tk_status tk_wait(tk_device_comm *c, tk_request *r);
// The sum over ranks as a reduce_scatter takes it, of parts that are all here. Moves nothing, and
// is work of the queue of the moment as an operator is.
tk_status tk_add_parts(tk_device_comm *c, const tk_parts *p);

// Where a device with memory of its own adds up what ranks have sent it: how many elements of each
// other rank's part it holds at a time, of a share of at most `longest`. The dry communicator of a
// device that stands for such a one takes as much memory.
int64_t tk_comm_parts(const tk_device_comm *c, int64_t longest, tk_dtype t);
void tk_comm_set_parts(size_t bytes); // of all parts at most; tests make it small

// Without a transport: of one rank (copies), and one that moves nothing and counts bytes.
void tk_device_comm_self(tk_device_comm *c, tk_comm *host, tk_device *d);
void tk_device_comm_dry(tk_device_comm *c, tk_comm *host, tk_device *d, tk_queue q);
void tk_device_comm_close(tk_device_comm *c); // all zero is fine; before the device is closed
