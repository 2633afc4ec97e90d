// SPDX-License-Identifier: Apache-2.0
// The communicator of host memory: what ranks tell each other, always over MPI. core declares it,
// parallel/ implements it. Device memory goes another way: core/device/comm/comm.h.
//
// Every rank of a communicator makes the same calls in the same order. They are complete on return,
// but for tk_comm_sum_begin.
// A communicator of size 1 (tk_comm_self) does nothing but copy where in != out.
#pragma once
#include "core/base/status.h"
#include <stdint.h>

typedef struct tk_comm tk_comm;
// What a transport implements, called by the functions below alone, which say what is promised.
typedef struct tk_comm_ops {
    tk_status (*broadcast)(tk_comm *c, void *x, size_t bytes, int root);
    tk_status (*all_gather)(tk_comm *c, const void *in, void *out, size_t bytes_each);
    tk_status (*sum_f64)(tk_comm *c, double *x, int n);
    tk_status (*sum_u64)(tk_comm *c, uint64_t *x, int n);
    tk_status (*barrier)(tk_comm *c);
    tk_status (*sum_begin)(tk_comm *c);
    tk_status (*sum_end)(tk_comm *c);
} tk_comm_ops;

struct tk_comm {
    const tk_comm_ops *ops;
    int rank, size;
    const char *name; // "world", "tensor", "pipeline", "data": for messages
    void *impl;
    uint64_t begun; // of a sum under way, what this rank gives,
    bool summing;   // ... while there is one
};

// A root that is no rank of c is TK_INTERNAL.
tk_status tk_comm_broadcast(tk_comm *c, void *x, size_t bytes, int root);
// out = bytes_each bytes of every rank, in rank order
tk_status tk_comm_all_gather(tk_comm *c, const void *in, void *out, size_t bytes_each);
tk_status tk_comm_sum_f64(tk_comm *c, double *x, int n); // in rank order, in place
tk_status tk_comm_sum_u64(tk_comm *c, uint64_t *x, int n);
tk_status tk_comm_barrier(tk_comm *c);
// The sum of one number in two halves, between which ranks do other things, also other calls:
// nobody waits for who comes late before the end. One at a time, TK_INTERNAL else.
tk_status tk_comm_sum_begin(tk_comm *c, uint64_t x);
tk_status tk_comm_sum_end(tk_comm *c, uint64_t *sum);
// *x becomes the most that any rank gives.
tk_status tk_comm_most(tk_comm *c, size_t *x);

tk_comm *tk_comm_self(void); // size 1, never freed
// A communicator that pretends to be `rank` of `size` and moves nothing (for `talkie plan`).
void tk_comm_dry(tk_comm *c, const char *name, int rank, int size);
bool tk_comm_is_dry(const tk_comm *c);

// Collective. Every rank passes its own status; all get the same one back: TK_OK if all are ok,
// else that of the lowest failing rank, whose message (prefixed "rank N: " when size > 1) is then
// every rank's message. Use at phase edges: config, open, resume, commit.
tk_status tk_agree(tk_comm *c, tk_status mine);
// Collective. TK_INPUT naming `what` and the ranks that differ unless all ranks pass equal bytes.
tk_status tk_same(tk_comm *c, const char *what, const void *x, size_t bytes);
