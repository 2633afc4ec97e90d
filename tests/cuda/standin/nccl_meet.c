// SPDX-License-Identifier: Apache-2.0
// Making communicators, and ending them. Every rank sends an entry to the root, which sends all of
// them to everyone.
#define _GNU_SOURCE
#include "tests/cuda/standin/nccl.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAGIC = 0x57a9d1 };
enum { NCCL_BLOCKS = 132 / 5 }; // of a GPU with 132 multiprocessors, for one of five streams

static struct ncclComm *comms;

struct ncclComm *standin_comms(void)
{
    return comms;
}

// ---- meeting -----------------------------------------------------------------------------------

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
    struct ncclComm *parent, *made; // parent: of a split; NULL: there is none
    ncclComm_t *out;                // the caller's, which has it once it is made
} standin_meeting;

static standin_meeting *under_way; // one at a time

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
    standin_soon(c, doubled(line, c->size) ? ncclInvalidUsage : ncclSuccess);
    c->next = comms;
    comms = c;
    free(line);
}

// The caller has it from now on, before its state says that it is ready.
static void end_meeting(standin_meeting *m)
{
    fill(m->made, m);
    if (m->parent) m->parent->state = ncclSuccess;
    *m->out = m->made;
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

// What NCCL's own thread does.
static void go_on(void)
{
    standin_meeting *const m = under_way;
    if (!m || !met(m)) return;
    under_way = NULL;
    end_meeting(m);
}

static ncclResult_t begin_meeting(standin_meeting begun)
{
    const int n = begun.n, root = begun.root;
    standin_meeting *m = calloc(1, sizeof *m);
    if (m) *m = begun;
    if (!m || !(m->all = calloc((size_t)n, sizeof *m->all)) ||
        !(m->request = calloc((size_t)n, sizeof *m->request)))
        standin_fault("out of memory");
    for (int i = 0; i < n; i++) m->request[i] = MPI_REQUEST_NULL;
    PMPI_Isend(&m->own, (int)sizeof m->own, MPI_BYTE, root, STANDIN_TAG_ENTRY, MPI_COMM_WORLD,
               &m->away);
    if (under_way) standin_fault("two communicators are made at once");
    under_way = m;
    *m->out = NULL;
    if (m->parent) m->parent->state = ncclInProgress;
    standin_beside(go_on);
    if (!m->made->blocking) return ncclInProgress;
    while (under_way) go_on(), sched_yield();
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
    return begin_meeting((standin_meeting){.n = n,
                                           .root = words[1],
                                           .own = entry_of(rank, 0, rank),
                                           .made = new_comm(config, NULL),
                                           .out = out});
}

ncclResult_t ncclCommSplit(ncclComm_t c, int color, int key, ncclComm_t *out, ncclConfig_t *config)
{
    if (color == NCCL_SPLIT_NOCOLOR) standin_fault("a split without a color is not modelled");
    if (c->state != ncclSuccess) standin_fault("a communicator is split that is not at rest");
    return begin_meeting((standin_meeting){.n = c->size,
                                           .root = c->world_of[0],
                                           .own = entry_of(c->rank, color, key),
                                           .parent = c,
                                           .made = new_comm(config, c),
                                           .out = out});
}

// ---- ending ------------------------------------------------------------------------------------

ncclResult_t ncclCommFinalize(ncclComm_t c)
{
    const standin_op o = {.launch = {.kind = STANDIN_CLOSING, .comm = c->id}, .comm = c};
    standin_tell(&o);
    return standin_soon(c, c->state);
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
    if (c->known)
        standin_fault("communicator %s of rank %d is destroyed while memory is registered with it",
                      c->name, standin_world_rank());
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
