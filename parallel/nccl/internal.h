// SPDX-License-Identifier: Apache-2.0
// Insides of the communicators over NCCL. The files, each using those before it: library.c (the
// library's functions), watch.c (waiting for it, and failing), register.c (memory that it knows),
// collective.c, comm.c (messages, and making communicators).
#pragma once
#include "core/device/cuda/cuda.h"
#include "parallel/nccl/comm.h"
#include <nccl.h>

#if NCCL_VERSION_CODE < NCCL_VERSION(2, 23, 0)
#error \
    "nccl.h is of a version before 2.23, which cannot register what is sent: build with a newer one"
#endif

// ---- the library -------------------------------------------------------------------------------

#define TK_NCCL_FUNCTIONS(X) \
    X(AllGather)             \
    X(Broadcast)             \
    X(CommAbort)             \
    X(CommDeregister)        \
    X(CommDestroy)           \
    X(CommFinalize)          \
    X(CommGetAsyncError)     \
    X(CommInitRankConfig)    \
    X(CommRegister)          \
    X(CommSplit)             \
    X(GetErrorString)        \
    X(GetLastError)          \
    X(GetUniqueId)           \
    X(GetVersion)            \
    X(GroupEnd)              \
    X(GroupStart)            \
    X(MemAlloc)              \
    X(MemFree)               \
    X(Recv)                  \
    X(Send)

typedef struct tk_nccl_functions {
#define X(name) __typeof__(&nccl##name) name;
    TK_NCCL_FUNCTIONS(X)
#undef X
} tk_nccl_functions;
extern tk_nccl_functions tk_nccl; // once loaded

// Loads it, once. Collective; all ranks have the same version.
tk_status tk_nccl_load(tk_comm *world);

// ---- communicators -----------------------------------------------------------------------------

typedef struct tk_nccl_group {  // messages that move together
    struct tk_nccl_group *next; // spare
    tk_event done;
    int waiting; // requests that are not waited for yet
} tk_nccl_group;

typedef struct tk_nccl_message {
    bool sends;
    void *x;
    size_t n;
    ncclDataType_t type;
    int peer;
} tk_nccl_message;

typedef struct tk_nccl_impl {
    struct tk_nccl_impl *next; // of this process; the world's is the last
    ncclComm_t comm;           // set by a thread of NCCL's once it is made: see tk_nccl_made()
    tk_comm *host;
    tk_device *device;
    void *memory;   // of the world's: the block that all know; NULL: there is none
    void *known;    // NCCL's handle of that block; NULL: it does not know it
    const char *op; // asked for last
    int64_t asked;  // operations so far
    tk_nccl_group *open, *spare;
    tk_nccl_message *message; // (cap) of the open group
    int n, cap;
    int64_t *counts; // (size) of the collective under way
} tk_nccl_impl;

static inline tk_nccl_impl *tk_nccl_of(const tk_device_comm *c)
{
    return (tk_nccl_impl *)c->impl;
}

// Its communicator; NULL: NCCL is still making it.
static inline ncclComm_t tk_nccl_made(const tk_nccl_impl *m)
{
    return __atomic_load_n(&m->comm, __ATOMIC_ACQUIRE);
}

// An operation is asked for: what is said of a failure from here on.
void tk_nccl_begin(tk_nccl_impl *m, const char *op);
// What NCCL said to a call of m's. Waits where the call goes on by itself: whatever is asked of the
// stream after this comes behind it. What fails ends the run (see comm.h); it is returned only
// where there is one rank.
tk_status tk_nccl_check(tk_nccl_impl *m, ncclResult_t r);
// Communicators that are looked after where the host waits.
void tk_nccl_watch(tk_nccl_impl *m);
void tk_nccl_unwatch(tk_nccl_impl *m);

tk_nccl_impl *tk_nccl_watched(void); // the newest, and those before

// register.c: it knows no memory any more. Then, the world's, once all are gone: that goes back.
void tk_nccl_forget_memory(tk_nccl_impl *m);
void tk_nccl_free_memory(tk_nccl_impl *m);

ncclDataType_t tk_nccl_type(tk_dtype t);

// collective.c: of tk_device_comm_ops.
tk_status tk_nccl_all_reduce(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r);
tk_status tk_nccl_all_gather(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                             int64_t width, tk_dtype t);
tk_status tk_nccl_reduce_scatter(tk_device_comm *c, const void *in, void *out,
                                 const int64_t *counts, int64_t width, tk_dtype t);
tk_status tk_nccl_add_parts(tk_device_comm *c, const tk_parts *p);
tk_status tk_nccl_broadcast(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int root);
