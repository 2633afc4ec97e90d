// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "tests/cuda/standin/nccl.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAGIC = 0x57a9d1, HOLD_EVERY = 5, HOLD_POLLS = 3 };
enum { NCCL_BLOCKS = 132 / 5 }; // of a GPU with 132 multiprocessors, for one of five streams

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

static struct ncclComm *comms;

const char *standin_describe(const standin_launch *l, char *out, size_t size)
{
    static const char *const kinds[] = {"an all-gather", "an all-reduce", "a reduce-scatter",
                                        "a broadcast",   "the end",       "a send",
                                        "a receive"};
    const struct ncclComm *c = comms;
    while (c && c->id != l->comm) c = c->next;
    snprintf(out, size, "%s of %lld numbers of type %d over communicator %d (%s)%s", kinds[l->kind],
             (long long)l->count, l->type, l->comm, c ? c->name : "not one of its own",
             l->captured ? ", in a graph" : "");
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
static void tell(const standin_op *o)
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
    for (const standin_op *o = w->ops; o; o = o->next) tell(o);
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
    c->polls = HOLD_POLLS;
    c->state = ncclInProgress;
    return ncclInProgress;
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

static void check_memory(const standin_op *o)
{
    const size_t n = (size_t)o->launch.count * standin_size((ncclDataType_t)o->launch.type);
    const size_t ranks = (size_t)o->comm->size;
    const int kind = o->launch.kind;
    const bool gives = kind != STANDIN_BROADCAST || o->peer == o->comm->rank;
    if (o->in && gives)
        standin_needs_device("NCCL", o->in, kind == STANDIN_REDUCE_SCATTER ? ranks * n : n);
    if (o->out) standin_needs_device("NCCL", o->out, kind == STANDIN_ALL_GATHER ? ranks * n : n);
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

// ---- making communicators ----------------------------------------------------------------------
// Every rank sends an entry to the root, which sends all of them to everyone.

typedef struct entry {
    int world_rank, rank, color, key;
    char host[64]; // as NCCL knows it
} entry;

typedef struct standin_meeting {
    int n, root, rank, came; // root: a rank of the world
    entry own, *all;
    MPI_Request *request; // (n) of entries that come, or of tables that go
    MPI_Request away;
    bool tables;
    struct ncclComm *child; // of a split; NULL: the communicator itself
} standin_meeting;

static void begin_meeting(struct ncclComm *at, int n, int root, entry own, struct ncclComm *child)
{
    standin_meeting *m = calloc(1, sizeof *m);
    if (m) *m = (standin_meeting){.n = n, .root = root, .own = own, .child = child};
    if (!m || !(m->all = calloc((size_t)n, sizeof *m->all)) ||
        !(m->request = calloc((size_t)n, sizeof *m->request)))
        standin_fault("out of memory");
    for (int i = 0; i < n; i++) m->request[i] = MPI_REQUEST_NULL;
    PMPI_Isend(&m->own, (int)sizeof m->own, MPI_BYTE, root, STANDIN_TAG_ENTRY, MPI_COMM_WORLD,
               &m->away);
    at->meeting = m;
    at->state = ncclInProgress;
}

// Entries of another meeting of the root's are for that one: a rank is in one meeting at a time.
static bool collect(standin_meeting *m)
{
    while (m->came < m->n) {
        int there;
        PMPI_Iprobe(MPI_ANY_SOURCE, STANDIN_TAG_ENTRY, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
        if (!there) return false;
        PMPI_Recv(&m->all[m->came++], (int)sizeof *m->all, MPI_BYTE, MPI_ANY_SOURCE,
                  STANDIN_TAG_ENTRY, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
    return true;
}

static bool met(standin_meeting *m)
{
    int done = 0;
    if (m->root == standin_world_rank()) {
        if (!m->tables && !collect(m)) return false;
        for (int i = 0; i < m->n && !m->tables; i++)
            if (m->all[i].world_rank != m->root)
                PMPI_Isend(m->all, m->n * (int)sizeof *m->all, MPI_BYTE, m->all[i].world_rank,
                           STANDIN_TAG_TABLE, MPI_COMM_WORLD, &m->request[i]);
    } else if (!m->tables) {
        PMPI_Irecv(m->all, m->n * (int)sizeof *m->all, MPI_BYTE, m->root, STANDIN_TAG_TABLE,
                   MPI_COMM_WORLD, &m->request[0]);
    }
    m->tables = true;
    PMPI_Testall(m->n, m->request, &done, MPI_STATUSES_IGNORE);
    if (done) PMPI_Test(&m->away, &done, MPI_STATUS_IGNORE);
    return done;
}

static entry entry_of(int rank, int color, int key)
{
    entry e = {standin_world_rank(), rank, color, key, ""};
    const char *said = getenv("NCCL_HOSTID");
    if (said)
        snprintf(e.host, sizeof e.host, "%s", said);
    else
        gethostname(e.host, sizeof e.host - 1);
    return e;
}

// Two ranks of one host have the same GPU, where there is but one.
static bool doubled(const entry *line, int n)
{
    const char *gpus = getenv("TK_CUDA_GPUS");
    for (int i = 0; i < n && (!gpus || atoi(gpus) == 1); i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(line[i].host, line[k].host)) return true;
    return false;
}

static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

// The ranks of one color, in the order of their keys.
static void fill(struct ncclComm *c, const standin_meeting *m)
{
    static int made;
    entry *line = calloc((size_t)m->n, sizeof *line);
    c->world_of = calloc((size_t)m->n, sizeof *c->world_of);
    if (!line || !c->world_of) standin_fault("out of memory");
    for (int i = 0; i < m->n; i++)
        if (m->all[i].color == m->own.color) line[c->size++] = m->all[i];
    qsort(line, (size_t)c->size, sizeof *line, by_key);
    for (int i = 0; i < c->size; i++) {
        c->world_of[i] = line[i].world_rank;
        if (line[i].world_rank == standin_world_rank()) c->rank = i;
    }
    c->id = made++; // all ranks make them in one order
    c->state = doubled(line, c->size) ? ncclInvalidUsage : ncclSuccess;
    c->next = comms;
    comms = c;
    free(line);
}

static void end_meeting(struct ncclComm *at)
{
    standin_meeting *m = at->meeting;
    at->state = ncclSuccess;
    fill(m->child ? m->child : at, m);
    at->meeting = NULL;
    free(m->all);
    free(m->request);
    free(m);
}

static struct ncclComm *new_comm(const ncclConfig_t *config, const struct ncclComm *parent)
{
    struct ncclComm *c = calloc(1, sizeof *c);
    if (!c) standin_fault("out of memory");
    c->blocking = parent ? parent->blocking : true;
    if (config && config->magic != 0xcafebeef) standin_fault("a configuration without its magic");
    if (!config || config->maxCTAs < 1 || config->maxCTAs > NCCL_BLOCKS)
        standin_fault("a communicator whose kernels may leave no room for those of other streams");
    if (config && config->blocking != NCCL_CONFIG_UNDEF_INT) c->blocking = config->blocking != 0;
    snprintf(c->name, sizeof c->name, "%s",
             config && config->commName ? config->commName : "without a name");
    return c;
}

static ncclResult_t finish_meeting(struct ncclComm *at)
{
    if (!at->blocking) return ncclInProgress;
    while (!met(at->meeting)) sched_yield();
    end_meeting(at);
    return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    const int words[2] = {MAGIC, standin_world_rank()};
    memset(id, 0, sizeof *id);
    memcpy(id, words, sizeof words);
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int n, ncclUniqueId id, int rank,
                                    ncclConfig_t *config)
{
    int words[2];
    memcpy(words, &id, sizeof words);
    if (words[0] != MAGIC) standin_fault("an id that no rank has made");
    *out = new_comm(config, NULL);
    begin_meeting(*out, n, words[1], entry_of(rank, 0, rank), NULL);
    return finish_meeting(*out);
}

ncclResult_t ncclCommSplit(ncclComm_t c, int color, int key, ncclComm_t *out, ncclConfig_t *config)
{
    if (color == NCCL_SPLIT_NOCOLOR) standin_fault("a split without a color is not modelled");
    if (c->state != ncclSuccess) standin_fault("a communicator is split that is not at rest");
    *out = new_comm(config, c);
    begin_meeting(c, c->size, c->world_of[0], entry_of(c->rank, color, key), *out);
    return finish_meeting(c);
}

// ---- what the host asks ------------------------------------------------------------------------

ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *state)
{
    if (!c || c->ended) return ncclInvalidArgument;
    standin_hear();
    standin_go_on();
    if (c->meeting && met(c->meeting)) end_meeting(c);
    if (c->held && --c->polls == 0) {
        standin_work *w = c->held;
        c->held = NULL;
        c->state = ncclSuccess;
        launch(w);
    }
    *state = c->state;
    return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t c)
{
    standin_op o = {.launch = {.kind = STANDIN_CLOSING, .comm = c->id}, .comm = c};
    tell(&o);
    return ncclSuccess;
}

static ncclResult_t end(ncclComm_t c)
{
    if (!c || c->ended) standin_fault("a communicator is ended twice");
    c->ended = true; // what is under way lets go of it: it stays
    return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t c)
{
    if (c->done < c->launched)
        standin_fault("communicator %s of rank %d is destroyed while it is at work", c->name,
                      standin_world_rank());
    return end(c);
}

ncclResult_t ncclCommAbort(ncclComm_t c)
{
    return end(c);
}

// Bytes that this rank's communicators of that name have sent to other ranks.
int64_t standin_nccl_sent(const char *name);
int64_t standin_nccl_sent(const char *name)
{
    int64_t sent = 0;
    for (const struct ncclComm *c = comms; c; c = c->next)
        if (!strcmp(c->name, name)) sent += c->sent;
    return sent;
}
