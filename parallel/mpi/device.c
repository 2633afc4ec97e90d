// SPDX-License-Identifier: Apache-2.0
// Device calls over MPI, for devices whose pool is host memory: on a communicator of MPI's of their
// own, so that they and the host's calls cannot be taken for each other.
//
// Messages are posted and waited for by the host. So are collectives that operators wait for;
// others, asked for on a queue of messages, hold the host up for nothing: where the communicator
// may be late, a thread of its queue (core/device/late.h) makes them. It waits as the host does,
// without answering for the rank's life: that is the host's, which works meanwhile, or waits for
// the thread and then asks in its place.
#include "core/base/mem.h"
#include "parallel/mpi/comm.h"
#include "parallel/mpi/internal.h"
#include <string.h>

// ---- collectives -------------------------------------------------------------------------------

typedef enum mpi_collective_kind { REDUCE, GATHER, SCATTER, BROADCAST } mpi_collective_kind;

typedef struct mpi_collective { // a collective
    tk_device_comm *comm;
    mpi_collective_kind kind;
    const void *in;
    void *out;
    int64_t n; // elements; of a gather and a scatter those of a row
    tk_dtype type;
    tk_reduce how;
    int root;
    int64_t counts[]; // (ranks) of a gather and a scatter
} mpi_collective;

// What was sent so far is counted in m.
static tk_status done(tk_device_comm *c, tk_status st)
{
    c->bytes_sent = ((const tk_mpi_impl *)c->impl)->sent;
    return st;
}

static tk_status do_collective(const mpi_collective *x, const int64_t *counts)
{
    tk_mpi_impl *m = x->comm->impl;
    const size_t size = (size_t)x->n * tk_dtype_size(x->type);
    switch (x->kind) {
    case REDUCE:
        return tk_mpi_all_reduce(m, x->out, x->n, x->type, x->how);
    case GATHER:
        return tk_mpi_gather(m, "all_gather", x->in, x->out, counts, size);
    case SCATTER:
        return tk_mpi_reduce_scatter(m, x->in, x->out, counts, x->n, x->type);
    case BROADCAST:
        return tk_mpi_broadcast(m, x->out, size, x->root);
    }
    return TK_OK;
}

// By the queue's thread. What fails there, nobody hears of.
static void do_late(void *work)
{
    mpi_collective *x = work;
    const tk_status st = done(x->comm, do_collective(x, x->counts));
    if (st != TK_OK) tk_mpi_end_alone(st);
    tk_free(x);
}

static void look_for(const void *host, const char *op, bool begins)
{
    tk_mpi_look_for((tk_comm *)host, op, begins);
}

static tk_status leave_to_thread(const mpi_collective *x, const int64_t *counts, const char *op)
{
    tk_device_comm *c = x->comm;
    const size_t ranks = counts ? (size_t)c->size : 0;
    mpi_collective *late = tk_alloc(sizeof *late + ranks * sizeof *counts);
    if (!late) return TK_FAIL(TK_MEMORY, "out of memory for an %s", op);
    *late = *x;
    if (ranks) memcpy(late->counts, counts, ranks * sizeof *counts);
    const tk_late_job job = {do_late, late, look_for, c->host, op};
    const tk_status st = tk_device_post(c->device, &job);
    if (st != TK_OK) tk_free(late);
    return st;
}

// Whether a queue does nothing but wait for other ranks, so that a thread may do it. Operators and
// copies are the host's work, and who asks for a collective between them waits for it at once.
static bool waits_alone(tk_queue q)
{
    return q != TK_QUEUE_COMPUTE && q != TK_QUEUE_COPY;
}

static tk_status ask_collective(const mpi_collective *x, const int64_t *counts, const char *op)
{
    tk_device_comm *c = x->comm;
    if (c->late && tk_device_posts(c->device) && waits_alone(c->asked))
        return leave_to_thread(x, counts, op);
    tk_device_reach(c->device, c->queue);
    return done(c, do_collective(x, counts));
}

static tk_status all_reduce(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    return ask_collective(
        &(mpi_collective){.comm = c, .kind = REDUCE, .out = x, .n = n, .type = t, .how = r}, NULL,
        "all_reduce");
}

static tk_status all_gather(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                            int64_t width, tk_dtype t)
{
    return ask_collective(
        &(mpi_collective){.comm = c, .kind = GATHER, .in = in, .out = out, .n = width, .type = t},
        counts, "all_gather");
}

static tk_status reduce_scatter(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                                int64_t width, tk_dtype t)
{
    return ask_collective(
        &(mpi_collective){.comm = c, .kind = SCATTER, .in = in, .out = out, .n = width, .type = t},
        counts, "reduce_scatter");
}

static tk_status broadcast(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    return ask_collective(
        &(mpi_collective){.comm = c, .kind = BROADCAST, .out = x, .n = n, .type = t, .root = root},
        NULL, "broadcast");
}

// ---- messages ----------------------------------------------------------------------------------

static tk_status new_pending(tk_mpi_impl *m, size_t bytes, const char *op, int peer, tk_request *r)
{
    const int parts = (int)((bytes + tk_mpi_max_message - 1) / tk_mpi_max_message);
    tk_mpi_pending *p = parts == 1 ? m->spare : NULL;
    if (p)
        m->spare = p->next;
    else
        p = tk_alloc(sizeof *p + (size_t)parts * (sizeof p->req[0] + sizeof p->peer[0]));
    if (!p)
        return tk_mpi_fail(m, TK_FAIL(TK_MEMORY, "out of memory for a %s of %zu bytes", op, bytes));
    *p = (tk_mpi_pending){.op = op, .n = parts, .peer = (int *)(p->req + parts)};
    for (int i = 0; i < parts; i++) p->peer[i] = peer;
    r->impl = p;
    return TK_OK;
}

static tk_status isend(tk_device_comm *c, const void *x, int64_t n, tk_dtype t, int to,
                       tk_request *r)
{
    tk_mpi_impl *m = c->impl;
    const size_t bytes = (size_t)n * tk_dtype_size(t);
    tk_device_reach(c->device, c->queue);
    TK_TRY(new_pending(m, bytes, "send", to, r));
    tk_mpi_pending *p = r->impl;
    for (int i = 0; i < p->n; i++) {
        const size_t at = (size_t)i * tk_mpi_max_message;
        TK_TRY(tk_mpi_check(m, "send",
                            MPI_Isend((const char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, to,
                                      TK_MPI_TAG_POINT, m->comm, &p->req[i])));
    }
    m->sent += (int64_t)bytes;
    return done(c, TK_OK);
}

static tk_status irecv(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    tk_mpi_impl *m = c->impl;
    const size_t bytes = (size_t)n * tk_dtype_size(t);
    tk_device_reach(c->device, c->queue);
    TK_TRY(new_pending(m, bytes, "receive", from, r));
    tk_mpi_pending *p = r->impl;
    for (int i = 0; i < p->n; i++) {
        const size_t at = (size_t)i * tk_mpi_max_message;
        TK_TRY(tk_mpi_check(m, "receive",
                            MPI_Irecv((char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, from,
                                      TK_MPI_TAG_POINT, m->comm, &p->req[i])));
    }
    return TK_OK;
}

// Messages of MPI do not hold each other up: a group needs no more than that they are posted.
static tk_status group(tk_device_comm *c)
{
    (void)c;
    return TK_OK;
}

static tk_status wait_for(tk_device_comm *c, tk_request *r)
{
    tk_mpi_impl *m = c->impl;
    tk_mpi_pending *p = r->impl;
    if (!p) return TK_OK;
    TK_TRY(tk_mpi_finish(m, p->op, p->n, p->req, p->peer));
    if (p->n == 1) {
        p->next = m->spare;
        m->spare = p;
    } else {
        tk_free(p);
    }
    *r = (tk_request){0};
    return TK_OK;
}

static tk_status add_parts(tk_device_comm *c, const tk_parts *p)
{
    tk_mpi_impl *m = c->impl;
    const size_t stride = (size_t)p->stride * tk_dtype_size(p->type);
    tk_device_reach(c->device, c->queue); // m is this thread's
    tk_device_reach(c->device, c->device->queue);
    for (int i = 0; i < m->size; i++)
        m->part[i] = i == m->rank
                         ? p->own
                         : (const char *)p->others + (size_t)(i < m->rank ? i : i - 1) * stride;
    tk_mpi_fold(p->out, m->part, m->size, p->n, p->type, TK_SUM);
    return TK_OK;
}

// ---- making them -------------------------------------------------------------------------------

static void close_comm(tk_device_comm *c)
{
    tk_device_reach(c->device, c->queue);
    tk_mpi_free(c->impl);
}

// Of a world of one rank, without MPI.
static tk_status alone(tk_device_comm *out, tk_comm *host, tk_device *d)
{
    tk_device_comm_self(out, host, d);
    return TK_OK;
}

tk_status tk_mpi_device(tk_comm *host, tk_device *d, tk_queue q, bool late, tk_device_comm *out)
{
    static const tk_device_comm_ops ops = {
        .all_reduce = all_reduce,
        .all_gather = all_gather,
        .reduce_scatter = reduce_scatter,
        .broadcast = broadcast,
        .group_begin = group,
        .isend = isend,
        .irecv = irecv,
        .group_end = group,
        .wait = wait_for,
        .add_parts = add_parts,
        .close = close_comm,
    };
    const tk_mpi_impl *from = host->impl;
    tk_mpi_impl *m;
    MPI_Comm comm;
    *out = (tk_device_comm){0};
    if (!from) return alone(out, host, d);
    TK_TRY(tk_comm_barrier(host)); // who waits inside MPI_Comm_dup answers nobody
    TK_TRY(tk_mpi_check(from, "duplicating", MPI_Comm_dup(from->comm, &comm)));
    const tk_status st = tk_agree(host, tk_mpi_new(comm, host->name, &m));
    if (st != TK_OK) tk_mpi_free(m);
    if (st != TK_OK) return st;
    *out = (tk_device_comm){.ops = &ops,
                            .rank = host->rank,
                            .size = host->size,
                            .name = host->name,
                            .host = host,
                            .device = d,
                            .queue = q,
                            .late = late && tk_mpi_threads(),
                            .impl = m};
    return TK_OK;
}
