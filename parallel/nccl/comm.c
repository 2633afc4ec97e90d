// SPDX-License-Identifier: Apache-2.0
// Messages between devices, and making the communicators.
#define _GNU_SOURCE
#include "core/base/mem.h"
#include "core/device/cuda/beat.h"
#include "parallel/nccl/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- messages ----------------------------------------------------------------------------------
// A group is kept until its end and handed to NCCL as a whole: what NCCL gets between its own
// beginning and end of a group, whichever communicator's, it holds back.

static tk_status group_begin(tk_device_comm *c)
{
    tk_nccl_impl *m = tk_nccl_of(c);
    tk_nccl_group *g = m->spare;
    if (g) {
        m->spare = g->next;
    } else {
        TK_NEW(g, 1);
        const tk_status st = tk_event_open(&g->done, c->device);
        if (st != TK_OK) tk_free(g);
        TK_TRY(st);
    }
    g->next = NULL;
    g->waiting = 0;
    m->open = g;
    m->n = 0;
    return TK_OK;
}

static tk_status keep_message(tk_nccl_impl *m, tk_nccl_message x, tk_request *r)
{
    if (m->n == m->cap) {
        const size_t old = (size_t)m->cap, cap = old ? 2 * old : 8;
        tk_nccl_message *more = tk_realloc(m->message, old * sizeof *more, cap * sizeof *more);
        if (!more) return TK_FAIL(TK_MEMORY, "out of memory for a message");
        m->message = more;
        m->cap = (int)cap;
    }
    m->message[m->n++] = x;
    m->open->waiting++;
    r->impl = m->open;
    return TK_OK;
}

static tk_status isend(tk_device_comm *c, const void *x, int64_t n, tk_dtype t, int to,
                       tk_request *r)
{
    c->bytes_sent += n * (int64_t)tk_dtype_size(t);
    return keep_message(tk_nccl_of(c),
                        (tk_nccl_message){true, (void *)x, (size_t)n, tk_nccl_type(t), to}, r);
}

static tk_status irecv(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    return keep_message(tk_nccl_of(c),
                        (tk_nccl_message){false, x, (size_t)n, tk_nccl_type(t), from}, r);
}

static ncclResult_t move_group(const tk_nccl_impl *m, cudaStream_t stream)
{
    ncclResult_t r = tk_nccl.GroupStart();
    for (int i = 0; i < m->n && r == ncclSuccess; i++) {
        const tk_nccl_message *x = &m->message[i];
        r = x->sends ? tk_nccl.Send(x->x, x->n, x->type, x->peer, m->comm, stream)
                     : tk_nccl.Recv(x->x, x->n, x->type, x->peer, m->comm, stream);
        if (r == ncclInProgress) r = ncclSuccess; // the group's end tells
    }
    return r == ncclSuccess ? tk_nccl.GroupEnd() : r;
}

static void give_group_back(tk_nccl_impl *m, tk_nccl_group *g)
{
    g->next = m->spare;
    m->spare = g;
}

static tk_status group_end(tk_device_comm *c)
{
    tk_nccl_impl *m = tk_nccl_of(c);
    tk_nccl_group *g = m->open;
    m->open = NULL;
    if (m->n == 0) {
        give_group_back(m, g);
        return TK_OK;
    }
    tk_nccl_begin(m, "messages");
    TK_TRY(tk_nccl_check(m, move_group(m, tk_cuda_of(c->device)->stream[c->queue])));
    return tk_event_record(&g->done, c->queue);
}

static tk_status wait_for(tk_device_comm *c, tk_request *r)
{
    tk_nccl_group *g = r->impl;
    if (!g) return TK_OK;
    *r = (tk_request){0};
    TK_TRY(tk_event_wait(&g->done, c->device->queue));
    if (--g->waiting == 0) give_group_back(tk_nccl_of(c), g);
    return TK_OK;
}

// ---- making them -------------------------------------------------------------------------------

static void free_groups(tk_nccl_impl *m)
{
    for (tk_nccl_group *g = m->spare, *next; g; g = next) {
        next = g->next;
        tk_event_close(&g->done);
        tk_free(g);
    }
}

static void free_impl(tk_nccl_impl *m)
{
    if (!m) return;
    free_groups(m);
    tk_free(m->message);
    tk_free(m->counts);
    tk_free(m);
}

// What it moves is done: its ranks come here together, and NCCL lets go of what they share.
static void close_comm(tk_device_comm *c)
{
    tk_nccl_impl *m = tk_nccl_of(c);
    (void)tk_device_sync(c->device);
    tk_nccl_forget_memory(m);
    tk_nccl_begin(m, "closing");
    (void)tk_nccl_check(m, tk_nccl.CommFinalize(m->comm));
    tk_nccl_unwatch(m);
    (void)tk_nccl.CommDestroy(m->comm);
    tk_nccl_free_memory(m);
    free_impl(m);
}

static const tk_device_comm_ops ops = {
    .all_reduce = tk_nccl_all_reduce,
    .all_gather = tk_nccl_all_gather,
    .reduce_scatter = tk_nccl_reduce_scatter,
    .broadcast = tk_nccl_broadcast,
    .group_begin = group_begin,
    .isend = isend,
    .irecv = irecv,
    .group_end = group_end,
    .wait = wait_for,
    .add_parts = tk_nccl_add_parts,
    .close = close_comm,
};

static tk_status new_impl(tk_comm *host, tk_nccl_impl **out)
{
    tk_nccl_impl *m;
    TK_NEW(m, 1);
    m->host = host;
    *out = m;
    TK_NEW(m->counts, host->size);
    return tk_cuda_beats_start();
}

static void fill_comm(tk_device_comm *out, tk_comm *host, tk_device *d, tk_queue q, tk_nccl_impl *m)
{
    *out = (tk_device_comm){.ops = &ops,
                            .rank = host->rank,
                            .size = host->size,
                            .name = host->name,
                            .host = host,
                            .device = d,
                            .queue = q,
                            .impl = m};
    m->device = d;
}

// NCCL refuses two ranks of one host that have the same GPU. Each of them gets a host of its own,
// to go by: then they reach each other by sockets.
static void part_hosts(const cudaUUID_t *all, int rank, int size)
{
    char name[300] = "";
    int sharing = 0;
    for (int i = 0; i < size; i++) sharing += memcmp(&all[i], &all[rank], sizeof *all) == 0;
    if (sharing == 1) return;
    gethostname(name, sizeof name - 32);
    snprintf(name + strlen(name), 32, "-rank-%d", rank);
    setenv("NCCL_HOSTID", name, 0);
}

static tk_status find_shared(tk_comm *host, const tk_device *d)
{
    struct cudaDeviceProp *p = tk_alloc(sizeof *p);
    cudaUUID_t *all = tk_alloc((size_t)host->size * sizeof *all);
    tk_status st = p && all ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory");
    if (st == TK_OK)
        st = tk_cuda_check(d, cudaGetDeviceProperties(p, tk_cuda_of(d)->device), "its name");
    st = tk_agree(host, st);
    if (st == TK_OK) st = tk_comm_all_gather(host, &p->uuid, all, sizeof *all);
    if (st == TK_OK) part_hosts(all, host->rank, host->size);
    tk_free(all);
    tk_free(p);
    return st;
}

// What all communicators are made with. On each queue but that of copies one kernel of NCCL may be
// at work, and wait for its peers: none takes more blocks than leave room for those of the others,
// a block on each multiprocessor (parallel/mesh.h says what for).
static tk_status configure(const tk_device *d, const tk_comm *host, bool shares, ncclConfig_t *out)
{
    struct cudaDeviceProp *p;
    TK_NEW(p, 1);
    const cudaError_t error = cudaGetDeviceProperties(p, tk_cuda_of(d)->device);
    const int most = p->multiProcessorCount / (TK_QUEUES - 1);
    tk_free(p);
    *out = (ncclConfig_t)NCCL_CONFIG_INITIALIZER;
    out->blocking = 0;
    out->splitShare = shares;
    out->commName = host->name;
    out->maxCTAs = most > 1 ? most : 1;
    return tk_cuda_check(d, error, "the number of its multiprocessors");
}

// What NCCL must know where its operations may become part of graphs. The host waits between a
// graph and what is none. Memory of the pool lies in pieces behind one range of addresses, which
// NCCL cannot register as one; what register.c registers stays so in graphs as well.
static void tell_of_graphs(void)
{
    setenv("NCCL_GRAPH_MIXING_SUPPORT", "0", 0);
    setenv("NCCL_GRAPH_REGISTER", "0", 0);
}

static tk_status begin_world(tk_comm *host, const tk_device *d, tk_nccl_impl *m)
{
    ncclConfig_t config;
    ncclUniqueId id = {{0}};
    TK_TRY(tk_agree(host, configure(d, host, true, &config)));
    tell_of_graphs();
    tk_nccl_begin(m, "start");
    tk_status st = TK_OK;
    if (host->rank == 0 && tk_nccl.GetUniqueId(&id) != ncclSuccess)
        st = TK_FAIL(TK_COMM, "NCCL cannot begin: %s (NCCL_DEBUG=WARN tells more)",
                     tk_nccl.GetLastError(NULL));
    TK_TRY(tk_agree(host, st));
    TK_TRY(tk_comm_broadcast(host, &id, sizeof id, 0));
    return tk_nccl_check(m,
                         tk_nccl.CommInitRankConfig(&m->comm, host->size, id, host->rank, &config));
}

tk_status tk_nccl_world(tk_comm *host, tk_device *d, tk_device_comm *out)
{
    tk_nccl_impl *m = NULL;
    *out = (tk_device_comm){0};
    TK_TRY(tk_nccl_load(host));
    tk_status st = tk_agree(host, new_impl(host, &m));
    if (st == TK_OK) st = find_shared(host, d);
    if (st == TK_OK) st = begin_world(host, d, m);
    if (st != TK_OK) free_impl(m);
    TK_TRY(st);
    tk_nccl_watch(m);
    fill_comm(out, host, d, TK_QUEUE_COMPUTE, m);
    return TK_OK;
}

// Communicators of one queue never move anything at once, so they may share what NCCL needs to
// move it. One of another queue has its own: sharing would put it in line behind the others, and
// two ranks could wait in a circle.
static tk_status split_world(const tk_device_comm *world, tk_comm *host, tk_queue q,
                             tk_nccl_impl *m)
{
    ncclConfig_t config;
    tk_nccl_impl *from = tk_nccl_of(world);
    int color = 0;
    TK_TRY(tk_agree(world->host, configure(world->device, host, q == world->queue, &config)));
    tk_nccl_begin(m, "start");
    if (host->rank == 0) color = world->rank; // which rank of the world leads this line
    TK_TRY(tk_comm_broadcast(host, &color, sizeof color, 0));
    tk_nccl_begin(from, "split");
    TK_TRY(
        tk_nccl_check(from, tk_nccl.CommSplit(from->comm, color, host->rank, &m->comm, &config)));
    return tk_nccl_check(m, ncclInProgress);
}

tk_status tk_nccl_split(const tk_device_comm *world, tk_comm *host, tk_queue q, tk_device_comm *out)
{
    tk_nccl_impl *m = NULL;
    *out = (tk_device_comm){0};
    tk_status st = tk_agree(world->host, new_impl(host, &m));
    if (st == TK_OK) st = split_world(world, host, q, m);
    if (st != TK_OK) free_impl(m);
    TK_TRY(st);
    tk_nccl_watch(m);
    fill_comm(out, host, world->device, q, m);
    return TK_OK;
}
