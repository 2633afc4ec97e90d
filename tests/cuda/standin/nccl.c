// SPDX-License-Identifier: Apache-2.0
// What is asked of NCCL, and how it is launched.
#include "tests/cuda/standin/nccl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOLD_EVERY = 5, HOLD_POLLS = 3 };

// ---- words -------------------------------------------------------------------------------------

int standin_world_rank(void)
{
    static int rank = -1;
    if (rank < 0) PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}

size_t standin_size(ncclDataType_t t)
{
    if (t == ncclFloat32 || t == ncclInt32) return 4;
    if (t == ncclBfloat16) return 2;
    standin_fault("numbers of type %d are not modelled", (int)t);
}

const char *standin_describe(const standin_launch *l, char *out, size_t size)
{
    static const char *const kinds[] = {"an all-gather", "an all-reduce", "a reduce-scatter",
                                        "a broadcast",   "the end",       "a send",
                                        "a receive"};
    const struct ncclComm *c = standin_comms();
    while (c && c->id != l->comm) c = c->next;
    snprintf(out, size, "%s of %lld numbers of type %d over communicator %d (%s)%s%s",
             kinds[l->kind], (long long)l->count, l->type, l->comm,
             c ? c->name : "not one of its own", l->captured ? ", in a graph" : "",
             l->registered ? ", in registered memory" : "");
    return out;
}

// ---- from the environment ----------------------------------------------------------------------

// "RANK:N" where that is this rank; 0: not.
static long long asked_for(const char *name)
{
    const char *s = getenv(name), *colon = s ? strchr(s, ':') : NULL;
    return colon && atoi(s) == standin_world_rank() ? atoll(colon + 1) : 0;
}

ncclResult_t ncclGetVersion(int *version)
{
    const char *s = getenv("STANDIN_NCCL_VERSION");
    const long long own = asked_for("STANDIN_NCCL_VERSION");
    *version = own ? (int)own : s && !strchr(s, ':') ? atoi(s) : NCCL_VERSION_CODE;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t r)
{
    static const char *const words[ncclNumResults] = {
        "no error",
        "unhandled cuda error",
        "unhandled system error",
        "internal error",
        "invalid argument",
        "invalid usage",
        "remote process exited or there was a network error",
        "NCCL operation in progress"};
    return r >= 0 && r < ncclNumResults ? words[r] : "unknown result code";
}

const char *ncclGetLastError(ncclComm_t c)
{
    if (c && c->state == ncclInvalidUsage) return "two ranks of one host have one GPU";
    return c && c->state == ncclRemoteError ? "injected by STANDIN_NCCL_ERROR" : "";
}

// ---- launching ---------------------------------------------------------------------------------

static int depth; // of groups
static standin_op *group, **group_end = &group;
static long long launches;

static standin_turn do_work(void *what)
{
    return standin_move(*(standin_work **)what);
}

static void renew_work(void *what);

static void launch(standin_work *w)
{
    if (standin_enqueue_again(w->stream, "nccl", do_work, renew_work, &w, sizeof w) != cudaSuccess)
        standin_fault("NCCL cannot launch: an error of CUDA's came before");
}

// To all that it concerns, once a work: the operations of one work are one launch.
void standin_tell(const standin_op *o)
{
    const struct ncclComm *c = o->comm;
    const bool message = o->launch.kind == STANDIN_SEND || o->launch.kind == STANDIN_RECEIVE;
    for (int k = 0; k < c->size; k++)
        if (k != c->rank && (!message || k == o->peer)) standin_told(&o->launch, c->world_of[k]);
}

static void check_mixing(const struct ncclComm *c, bool captured)
{
    const char *mixing = getenv("NCCL_GRAPH_MIXING_SUPPORT");
    if (!mixing || atoi(mixing) || c->done == c->launched || c->last_captured == captured) return;
    standin_fault("communicator %s of rank %d is at work for a graph and beside it, with "
                  "NCCL_GRAPH_MIXING_SUPPORT=0",
                  c->name, standin_world_rank());
}

// Its place in the order of launches, told to the others.
static void number_work(standin_work *w)
{
    struct ncclComm *c = w->comm;
    const long long n = ++launches;
    check_mixing(c, w->captured);
    c->last_captured = w->captured;
    w->turn = c->launched++;
    w->lost = n == asked_for("STANDIN_NCCL_HANG");
    if (n == asked_for("STANDIN_NCCL_ERROR")) {
        w->lost = true;
        c->state = ncclRemoteError;
    }
    for (const standin_op *o = w->ops; o; o = o->next) {
        standin_count_given(o);
        standin_tell(o);
    }
    standin_hear();
}

// A captured work stays as it is, and each launch of its graph has one like it.
static void renew_work(void *what)
{
    standin_work *const captured = *(standin_work **)what, *w = malloc(sizeof *w);
    if (!w) standin_fault("out of memory");
    *w = *captured;
    standin_op **end = &w->ops;
    for (const standin_op *o = captured->ops; o; o = o->next) {
        standin_op *copy = malloc(sizeof *copy);
        if (!copy) standin_fault("out of memory");
        *copy = *o;
        *end = copy;
        end = &copy->next;
    }
    number_work(w);
    memcpy(what, &w, sizeof w);
}

ncclResult_t standin_soon(struct ncclComm *c, ncclResult_t then)
{
    if (c->blocking) return c->state = then;
    c->then = then;
    c->polls = HOLD_POLLS;
    return c->state = ncclInProgress;
}

static ncclResult_t launch_work(standin_work *w)
{
    static standin_work *all_captured; // to the end of the process: graphs may hold them
    struct ncclComm *c = w->comm;
    w->captured = standin_captures(w->stream);
    if (w->captured) {
        for (standin_op *o = w->ops; o; o = o->next) o->launch.captured = true;
        w->next = all_captured;
        all_captured = w;
        w->turn = c->captured++;
    } else {
        number_work(w);
    }
    if (c->blocking || c->state != ncclSuccess || w->turn % HOLD_EVERY) {
        launch(w);
        return ncclSuccess;
    }
    c->held = w;
    return standin_soon(c, ncclSuccess);
}

// All operations of one communicator that were asked for in the group, in their order.
static standin_work *take_work(void)
{
    standin_work *w = calloc(1, sizeof *w);
    if (!w) standin_fault("out of memory");
    standin_op **end = &w->ops;
    w->comm = group->comm;
    for (standin_op **p = &group; *p;) {
        standin_op *o = *p;
        if (o->comm != w->comm) {
            p = &o->next;
            continue;
        }
        *p = o->next;
        o->next = NULL;
        *end = o;
        end = &o->next;
    }
    group_end = &group;
    while (*group_end) group_end = &(*group_end)->next;
    return w;
}

ncclResult_t ncclGroupStart(void); // which nccl.h declares without arguments
ncclResult_t ncclGroupStart(void)
{
    depth++;
    return ncclSuccess;
}

static cudaStream_t group_stream;

ncclResult_t ncclGroupEnd(void);
ncclResult_t ncclGroupEnd(void)
{
    ncclResult_t r = ncclSuccess;
    if (depth == 0) standin_fault("ncclGroupEnd without ncclGroupStart");
    if (--depth) return ncclSuccess;
    while (group) {
        standin_work *w = take_work();
        w->stream = group_stream;
        if (launch_work(w) == ncclInProgress) r = ncclInProgress;
    }
    return r;
}

void standin_buffers(const standin_op *o, standin_buffer out[2])
{
    const size_t n = (size_t)o->launch.count * standin_size((ncclDataType_t)o->launch.type);
    const size_t ranks = (size_t)o->comm->size;
    const int kind = o->launch.kind;
    const bool gives = kind != STANDIN_BROADCAST || o->peer == o->comm->rank;
    out[0] = out[1] = (standin_buffer){0};
    if (o->in && gives)
        out[0] = (standin_buffer){o->in, kind == STANDIN_REDUCE_SCATTER ? ranks * n : n};
    if (o->out) out[1] = (standin_buffer){o->out, kind == STANDIN_ALL_GATHER ? ranks * n : n};
}

static void check_memory(standin_op *o)
{
    standin_buffer b[2];
    standin_buffers(o, b);
    for (int i = 0; i < 2; i++) standin_needs_device("NCCL", b[i].x, b[i].bytes);
    o->launch.registered = standin_registered(o->comm, b);
}

static ncclResult_t ask(standin_op given, cudaStream_t stream)
{
    standin_op *o = malloc(sizeof *o);
    struct ncclComm *c = given.comm;
    if (!o) standin_fault("out of memory");
    if (!c || c->ended) standin_fault("a communicator is used that is not there any more");
    if (c->state == ncclInProgress)
        standin_fault("communicator %s of rank %d is asked for more while it is at work: its state "
                      "was not waited for",
                      c->name, standin_world_rank());
    *o = given;
    o->launch.comm = c->id;
    check_memory(o);
    ncclGroupStart();
    if (group && stream != group_stream) standin_fault("a group on two streams is not modelled");
    group_stream = stream;
    *group_end = o;
    group_end = &o->next;
    return ncclGroupEnd();
}

// ---- operations --------------------------------------------------------------------------------

ncclResult_t ncclAllGather(const void *in, void *out, size_t n, ncclDataType_t t, ncclComm_t c,
                           cudaStream_t s)
{
    return ask((standin_op){.launch = {.kind = STANDIN_ALL_GATHER, .type = t, .count = (int64_t)n},
                            .comm = c,
                            .in = in,
                            .out = out},
               s);
}

ncclResult_t ncclAllReduce(const void *in, void *out, size_t n, ncclDataType_t t, ncclRedOp_t how,
                           ncclComm_t c, cudaStream_t s)
{
    return ask(
        (standin_op){
            .launch = {.kind = STANDIN_ALL_REDUCE, .type = t, .count = (int64_t)n, .detail = how},
            .comm = c,
            .in = in,
            .out = out},
        s);
}

ncclResult_t ncclReduceScatter(const void *in, void *out, size_t n, ncclDataType_t t,
                               ncclRedOp_t how, ncclComm_t c, cudaStream_t s)
{
    return ask((standin_op){.launch = {.kind = STANDIN_REDUCE_SCATTER,
                                       .type = t,
                                       .count = (int64_t)n,
                                       .detail = how},
                            .comm = c,
                            .in = in,
                            .out = out},
               s);
}

ncclResult_t ncclBroadcast(const void *in, void *out, size_t n, ncclDataType_t t, int root,
                           ncclComm_t c, cudaStream_t s)
{
    return ask(
        (standin_op){
            .launch = {.kind = STANDIN_BROADCAST, .type = t, .count = (int64_t)n, .detail = root},
            .comm = c,
            .in = in,
            .out = out,
            .peer = root},
        s);
}

ncclResult_t ncclSend(const void *x, size_t n, ncclDataType_t t, int to, ncclComm_t c,
                      cudaStream_t s)
{
    if (to == c->rank) standin_fault("a message from a rank to itself is not modelled");
    return ask((standin_op){.launch = {.kind = STANDIN_SEND, .type = t, .count = (int64_t)n},
                            .comm = c,
                            .in = x,
                            .peer = to},
               s);
}

ncclResult_t ncclRecv(void *x, size_t n, ncclDataType_t t, int from, ncclComm_t c, cudaStream_t s)
{
    if (from == c->rank) standin_fault("a message from a rank to itself is not modelled");
    return ask((standin_op){.launch = {.kind = STANDIN_RECEIVE, .type = t, .count = (int64_t)n},
                            .comm = c,
                            .out = x,
                            .peer = from},
               s);
}

// ---- what the host asks ------------------------------------------------------------------------

ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *state)
{
    if (!c || c->ended) return ncclInvalidArgument;
    standin_hear();
    standin_go_on();
    if (c->polls && --c->polls == 0) {
        standin_work *w = c->held;
        c->held = NULL;
        c->state = c->then;
        if (w) launch(w);
    }
    *state = c->state;
    return ncclSuccess;
}
