// SPDX-License-Identifier: Apache-2.0
// The communicator interface. core declares it, parallel/ implements it (MPI now, NCCL next), so
// the model never knows which transport carries it or how many ranks it runs on.
//
// Buffers are device buffers of the communicator's own device; calls are enqueued on that
// device's stream in call order and return without waiting (MPI over host buffers completes
// them before returning, which satisfies this). Only tk_wait and the host calls wait. Every rank of
// a communicator makes the same calls in the same order. Counts are elements. A communicator of
// size 1 (tk_comm_self) does nothing but copy where in != out.
#pragma once
#include "core/base/status.h"
#include "core/numbers/tensor.h"

typedef enum tk_reduce { TK_SUM, TK_MAX } tk_reduce;

// An isend or irecv under way; opaque to callers. All zero it stands for none: waiting for it
// returns at once, and a wait leaves it so.
typedef struct tk_request {
    void *impl;
    int64_t id;
} tk_request;

typedef struct tk_comm tk_comm;
// What a transport implements, called by the functions below alone, which say what is promised.
typedef struct tk_comm_ops {
    tk_status (*all_reduce)(tk_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r);
    tk_status (*all_gather)(tk_comm *c, const void *in, void *out, const int64_t *counts,
                            int64_t width, tk_dtype t);
    tk_status (*reduce_scatter)(tk_comm *c, const void *in, void *out, const int64_t *counts,
                                int64_t width, tk_dtype t);
    tk_status (*broadcast)(tk_comm *c, void *x, int64_t n, tk_dtype t, int root);
    tk_status (*isend)(tk_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r);
    tk_status (*irecv)(tk_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r);
    tk_status (*wait)(tk_comm *c, tk_request *r);
    tk_status (*host_broadcast)(tk_comm *c, void *x, size_t bytes, int root);
    tk_status (*host_all_gather)(tk_comm *c, const void *in, void *out, size_t bytes_each);
    tk_status (*host_sum_f64)(tk_comm *c, double *x, int n);
    tk_status (*host_sum_u64)(tk_comm *c, uint64_t *x, int n);
    tk_status (*barrier)(tk_comm *c);
} tk_comm_ops;

struct tk_comm {
    const tk_comm_ops *ops;
    int rank, size;
    const char *name; // "world", "tensor", "pipeline", "data": for messages
    void *impl;
    int64_t bytes_sent; // payload handed to the transport by this rank, for metrics
};

// In all calls, a root or peer that is no rank of c is TK_INTERNAL.
//
// Device calls. x (n) := reduction over ranks, in place
tk_status tk_all_reduce(tk_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r);
// out = concatenation over ranks i of counts[i] rows of `width` elements; `in` holds counts[rank]
// of them
tk_status tk_all_gather(tk_comm *c, const void *in, void *out, const int64_t *counts, int64_t width,
                        tk_dtype t);
// in = sum(counts) rows on each rank; out (counts[rank] rows) = this rank's share of the sum
tk_status tk_reduce_scatter(tk_comm *c, const void *in, void *out, const int64_t *counts,
                            int64_t width, tk_dtype t);
tk_status tk_broadcast(tk_comm *c, void *x, int64_t n, tk_dtype t, int root);
tk_status tk_isend(tk_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r);
tk_status tk_irecv(tk_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r);
tk_status tk_wait(tk_comm *c, tk_request *r);

// Host calls: host memory, complete on return.
tk_status tk_comm_broadcast(tk_comm *c, void *x, size_t bytes, int root);
// out = bytes_each bytes of every rank, in rank order
tk_status tk_comm_all_gather(tk_comm *c, const void *in, void *out, size_t bytes_each);
tk_status tk_comm_sum_f64(tk_comm *c, double *x, int n); // in rank order, in place
tk_status tk_comm_sum_u64(tk_comm *c, uint64_t *x, int n);
tk_status tk_comm_barrier(tk_comm *c);

tk_comm *tk_comm_self(void); // size 1, never freed
// A communicator that pretends to be `rank` of `size` and moves nothing (for `talkie plan`).
void tk_comm_dry(tk_comm *c, const char *name, int rank, int size);

// Collective. Every rank passes its own status; all get the same one back: TK_OK if all are ok,
// else that of the lowest failing rank, whose message (prefixed "rank N: " when size > 1) is then
// every rank's message. Use at phase edges: config, open, resume, commit.
tk_status tk_agree(tk_comm *c, tk_status mine);
// Collective. TK_INPUT naming `what` and the ranks that differ unless all ranks pass equal bytes.
tk_status tk_same(tk_comm *c, const char *what, const void *x, size_t bytes);
