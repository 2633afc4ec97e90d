// SPDX-License-Identifier: Apache-2.0
// Memory of NCCL's own, and what communicators know of it.
#include "tests/cuda/standin/nccl.h"
#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 4096 };

typedef struct block { // of ncclMemAlloc
    struct block *next;
    uintptr_t at;
    size_t bytes;
} block;

typedef struct knowledge { // of a communicator: a handle
    struct knowledge *next;
    struct ncclComm *comm;
    uintptr_t at;
    size_t bytes;
} knowledge;

static block *blocks;
static knowledge *known;
static int64_t given[2]; // bytes of buffers: in other memory, and in registered

static bool lies_in(uintptr_t at, size_t bytes, const void *x, size_t n)
{
    const uintptr_t a = (uintptr_t)x;
    return a >= at && a - at <= bytes && n <= bytes - (a - at);
}

// ---- its own -----------------------------------------------------------------------------------

ncclResult_t ncclMemAlloc(void **x, size_t bytes)
{
    block *b = calloc(1, sizeof *b);
    if (!b) standin_fault("out of memory");
    *x = standin_memory_new(bytes);
    if (!*x) {
        free(b);
        return ncclUnhandledCudaError;
    }
    *b = (block){blocks, (uintptr_t)*x, bytes};
    blocks = b;
    return ncclSuccess;
}

static void tell_given(void)
{
    if (!getenv("STANDIN_NCCL_TELL")) return;
    fprintf(stderr,
            "stand-in: rank %d: NCCL was given %lld bytes in registered memory, %lld in other\n",
            standin_world_rank(), (long long)given[1], (long long)given[0]);
}

ncclResult_t ncclMemFree(void *x)
{
    block **p = &blocks;
    while (*p && (*p)->at != (uintptr_t)x) p = &(*p)->next;
    block *b = *p;
    if (!b) standin_fault("ncclMemFree of %p, which is not NCCL's", x);
    for (const knowledge *k = known; k; k = k->next)
        if (lies_in(b->at, b->bytes, (void *)k->at, 1))
            standin_fault("memory of NCCL's is freed while it is registered with communicator %s",
                          k->comm->name);
    tell_given();
    standin_memory_free(x, b->bytes);
    *p = b->next;
    free(b);
    return ncclSuccess;
}

// ---- registering -------------------------------------------------------------------------------

ncclResult_t ncclCommRegister(const ncclComm_t c, void *x, size_t bytes, void **handle)
{
    const char *registers = getenv("NCCL_LOCAL_REGISTER");
    const block *b = blocks;
    if (!c || c->ended || c->state != ncclSuccess)
        standin_fault("memory is registered with a communicator that is not ready");
    while (b && !lies_in(b->at, b->bytes, x, bytes)) b = b->next;
    if (!b) standin_fault("%zu bytes at %p are registered, which are not NCCL's", bytes, x);
    if ((uintptr_t)x % PAGE) standin_fault("memory at %p is registered, within a page", x);
    *handle = NULL;
    if (registers && !atoi(registers)) return ncclSuccess;
    knowledge *k = calloc(1, sizeof *k);
    if (!k) standin_fault("out of memory");
    *k = (knowledge){known, c, (uintptr_t)x, bytes};
    known = k;
    c->known++;
    *handle = k;
    return ncclSuccess;
}

ncclResult_t ncclCommDeregister(const ncclComm_t c, void *handle)
{
    knowledge **p = &known;
    while (*p && *p != handle) p = &(*p)->next;
    if (!*p || (*p)->comm != c)
        standin_fault("what is deregistered was not registered with communicator %s", c->name);
    if (c->done < c->launched)
        standin_fault("memory is deregistered while communicator %s is at work", c->name);
    knowledge *k = *p;
    *p = k->next;
    c->known--;
    free(k);
    return ncclSuccess;
}

// ---- what it is given --------------------------------------------------------------------------

static bool is_known(const struct ncclComm *c, const standin_buffer *b)
{
    const knowledge *k = known;
    while (k && (k->comm != c || !lies_in(k->at, k->bytes, b->x, b->bytes))) k = k->next;
    return k || b->bytes == 0;
}

bool standin_registered(const struct ncclComm *c, const standin_buffer b[2])
{
    return is_known(c, &b[0]) && is_known(c, &b[1]);
}

void standin_count_given(const standin_op *o)
{
    standin_buffer b[2];
    standin_buffers(o, b);
    for (int i = 0; i < 2; i++) given[is_known(o->comm, &b[i])] += (int64_t)b[i].bytes;
}

// Bytes of buffers so far: 0 in other memory, 1 in registered.
int64_t standin_nccl_given(int registered);
int64_t standin_nccl_given(int registered)
{
    return given[registered];
}
