// SPDX-License-Identifier: Apache-2.0
// The communicator over MPI, for devices whose memory is host memory.
//
// Everything waits in one place, tk_mpi_finish(): it tests, and gives the core away between tests,
// because the rank it waits for may need that core. The same loop looks for signs of life of those
// it waits for (pulse.c), so that no wait is without end.
#include "core/base/log.h"
#include "core/base/mem.h"
#include "parallel/mpi/internal.h"
#include "parallel/mpi/start.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    SUM_WORDS = 4096,       // of a window of host sums, at least
    SPINS_PER_CLOCK = 64,   // tests between looks at the clock
    PATIENT_NS = 50 * 1000, // pause between tests once the wait is long
};
static const double LONG_WAIT = 0.02; // seconds of yielding before pausing

size_t tk_mpi_max_message = (size_t)1 << 30;

void tk_mpi_set_max_message(size_t bytes)
{
    tk_mpi_max_message = bytes;
}

tk_status tk_mpi_fail(const tk_comm *c, tk_status st)
{
    tk_status_set_shared(false);
    return tk_parallel_unless_alone(c, st);
}

tk_status tk_mpi_check(tk_comm *c, const char *op, int err)
{
    char words[MPI_MAX_ERROR_STRING] = "";
    int n = 0;
    if (err == MPI_SUCCESS) return TK_OK;
    MPI_Error_string(err, words, &n);
    return tk_mpi_fail(
        c, TK_FAIL(TK_COMM, "%s failed on rank %d of %d of the %s communicator (world rank %d): %s",
                   op, c->rank, c->size, c->name, ((tk_mpi_impl *)c->impl)->world_rank, words));
}

tk_status tk_mpi_finish(tk_comm *c, const char *op, int n, MPI_Request *req, const int *peer)
{
    const struct timespec pause = {0, PATIENT_NS};
    tk_mpi_wait w = {.c = c, .op = op, .n = n, .req = req, .peer = peer};
    tk_mpi_alive();
    for (int spins = 1;; spins++) {
        int done = 0;
        int err = MPI_Testall(n, req, &done, MPI_STATUSES_IGNORE);
        if (err != MPI_SUCCESS) return tk_mpi_check(c, op, err);
        if (done) return TK_OK;
        if (w.looked - w.began > LONG_WAIT)
            nanosleep(&pause, NULL);
        else
            sched_yield();
        if (spins % SPINS_PER_CLOCK == 0) tk_mpi_look(&w);
    }
}

// ---- host calls and broadcasts -----------------------------------------------------------------

static tk_status finish_one(tk_comm *c, const char *op, int err, MPI_Request *req)
{
    int nobody = -1;
    TK_TRY(tk_mpi_check(c, op, err));
    return tk_mpi_finish(c, op, 1, req, &nobody);
}

static tk_status broadcast_bytes(tk_comm *c, void *x, size_t bytes, int root)
{
    tk_mpi_impl *m = c->impl;
    if (c->size == 1) return TK_OK;
    for (size_t at = 0; at < bytes; at += tk_mpi_max_message) {
        MPI_Request req;
        int err = MPI_Ibcast((char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, root, m->comm, &req);
        TK_TRY(finish_one(c, "broadcast", err, &req));
    }
    if (c->rank == root) c->bytes_sent += (int64_t)bytes;
    return TK_OK;
}

static tk_status broadcast(tk_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    return broadcast_bytes(c, x, (size_t)n * tk_dtype_size(t), root);
}

// ---- point to point ----------------------------------------------------------------------------

static tk_status new_pending(tk_comm *c, size_t bytes, const char *op, int peer,
                             tk_mpi_pending **out)
{
    tk_mpi_impl *m = c->impl;
    int parts = (int)((bytes + tk_mpi_max_message - 1) / tk_mpi_max_message);
    tk_mpi_pending *p = parts == 1 ? m->spare : NULL;
    if (p)
        m->spare = p->next;
    else
        p = tk_alloc(sizeof *p + (size_t)parts * (sizeof p->req[0] + sizeof p->peer[0]));
    if (!p)
        return tk_mpi_fail(c, TK_FAIL(TK_MEMORY, "out of memory for a %s of %zu bytes", op, bytes));
    *p = (tk_mpi_pending){.op = op, .n = parts, .peer = (int *)(p->req + parts)};
    for (int i = 0; i < parts; i++) p->peer[i] = peer;
    *out = p;
    return TK_OK;
}

static tk_status isend(tk_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r)
{
    tk_mpi_impl *m = c->impl;
    size_t bytes = (size_t)n * tk_dtype_size(t);
    tk_mpi_pending *p = NULL;
    *r = (tk_request){0};
    if (!n) return TK_OK;
    TK_TRY(new_pending(c, bytes, "send", to, &p));
    r->impl = p;
    for (int i = 0; i < p->n; i++) {
        size_t at = (size_t)i * tk_mpi_max_message;
        TK_TRY(tk_mpi_check(c, "send",
                            MPI_Isend((const char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, to,
                                      TK_MPI_TAG_POINT, m->comm, &p->req[i])));
    }
    c->bytes_sent += (int64_t)bytes;
    return TK_OK;
}

static tk_status irecv(tk_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    tk_mpi_impl *m = c->impl;
    size_t bytes = (size_t)n * tk_dtype_size(t);
    tk_mpi_pending *p = NULL;
    *r = (tk_request){0};
    if (!n) return TK_OK;
    TK_TRY(new_pending(c, bytes, "receive", from, &p));
    r->impl = p;
    for (int i = 0; i < p->n; i++) {
        size_t at = (size_t)i * tk_mpi_max_message;
        TK_TRY(tk_mpi_check(c, "receive",
                            MPI_Irecv((char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, from,
                                      TK_MPI_TAG_POINT, m->comm, &p->req[i])));
    }
    return TK_OK;
}

static tk_status wait_request(tk_comm *c, tk_request *r)
{
    tk_mpi_impl *m = c->impl;
    tk_mpi_pending *p = r->impl;
    if (!p) return TK_OK;
    TK_TRY(tk_mpi_finish(c, p->op, p->n, p->req, p->peer));
    if (p->n == 1) {
        p->next = m->spare;
        m->spare = p;
    } else {
        tk_free(p);
    }
    *r = (tk_request){0};
    return TK_OK;
}

// ---- host calls --------------------------------------------------------------------------------

static tk_status host_all_gather(tk_comm *c, const void *in, void *out, size_t bytes_each)
{
    tk_mpi_impl *m = c->impl;
    if (bytes_each == 0) return TK_OK;
    if (bytes_each <= TK_MPI_SMALL) {
        MPI_Request req;
        int n = (int)bytes_each;
        int err = MPI_Iallgather(in, n, MPI_BYTE, out, n, MPI_BYTE, m->comm, &req);
        c->bytes_sent += (int64_t)bytes_each;
        return finish_one(c, "host_all_gather", err, &req);
    }
    for (int i = 0; i < c->size; i++) m->counts[i] = (int64_t)bytes_each;
    return tk_mpi_gather(c, "host_all_gather", in, out, m->counts, 1);
}

// Sums gather and add in rank order, a window at a time in memory held since the start: agreeing
// that memory ran out must not need memory.
static int sum_words(int size)
{
    return size > SUM_WORDS ? size : SUM_WORDS;
}

static int sum_window(const tk_comm *c, int n)
{
    const int most = sum_words(c->size) / c->size;
    return n < most ? n : most;
}

static tk_status host_sum_f64(tk_comm *c, double *x, int n)
{
    if (c->size == 1 || n == 0) return TK_OK;
    int window = sum_window(c, n);
    tk_mpi_word *all = ((tk_mpi_impl *)c->impl)->words;
    for (int at = 0; at < n; at += window) {
        int m = n - at < window ? n - at : window;
        TK_TRY(host_all_gather(c, x + at, all, (size_t)m * sizeof *x));
        for (int i = 0; i < m; i++) {
            double sum = all[i].f;
            for (int r = 1; r < c->size; r++) sum += all[r * m + i].f;
            x[at + i] = sum;
        }
    }
    return TK_OK;
}

static tk_status host_sum_u64(tk_comm *c, uint64_t *x, int n)
{
    if (c->size == 1 || n == 0) return TK_OK;
    int window = sum_window(c, n);
    tk_mpi_word *all = ((tk_mpi_impl *)c->impl)->words;
    for (int at = 0; at < n; at += window) {
        int m = n - at < window ? n - at : window;
        TK_TRY(host_all_gather(c, x + at, all, (size_t)m * sizeof *x));
        for (int i = 0; i < m; i++) {
            uint64_t sum = all[i].u;
            for (int r = 1; r < c->size; r++) sum += all[r * m + i].u;
            x[at + i] = sum;
        }
    }
    return TK_OK;
}

static tk_status barrier(tk_comm *c)
{
    MPI_Request req;
    int err = MPI_Ibarrier(((tk_mpi_impl *)c->impl)->comm, &req);
    return finish_one(c, "barrier", err, &req);
}

static const tk_comm_ops mpi_ops = {
    .all_reduce = tk_mpi_all_reduce,
    .all_gather = tk_mpi_all_gather,
    .reduce_scatter = tk_mpi_reduce_scatter,
    .broadcast = broadcast,
    .isend = isend,
    .irecv = irecv,
    .wait = wait_request,
    .host_broadcast = broadcast_bytes,
    .host_all_gather = host_all_gather,
    .host_sum_f64 = host_sum_f64,
    .host_sum_u64 = host_sum_u64,
    .barrier = barrier,
};

// ---- making them -------------------------------------------------------------------------------

static tk_status find_world(tk_mpi_impl *m, int size)
{
    MPI_Group own, world;
    int *rank;
    TK_NEW(m->world_of, size);
    TK_NEW(rank, size);
    for (int i = 0; i < size; i++) rank[i] = i;
    MPI_Comm_group(m->comm, &own);
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_translate_ranks(own, size, rank, world, m->world_of);
    MPI_Group_free(&own);
    MPI_Group_free(&world);
    tk_free(rank);
    return TK_OK;
}

static tk_status wrap(MPI_Comm comm, const char *name, int world_rank, tk_comm *out)
{
    tk_mpi_impl *m;
    *out = (tk_comm){.ops = &mpi_ops, .name = name};
    TK_NEW(m, 1);
    m->comm = comm;
    m->world_rank = world_rank;
    out->impl = m;
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm, &out->rank);
    MPI_Comm_size(comm, &out->size);
    TK_NEW(m->counts, out->size);
    TK_NEW(m->part, out->size);
    TK_NEW(m->words, sum_words(out->size));
    return find_world(m, out->size);
}

// A part of `parent`: all of its ranks have theirs, or none has.
static tk_status wrap_agreed(tk_comm *parent, MPI_Comm comm, const char *name, tk_comm *out)
{
    const tk_mpi_impl *from = parent->impl;
    const tk_status st = tk_agree(parent, wrap(comm, name, from->world_rank, out));
    if (st == TK_OK) return TK_OK;
    if (out->impl)
        tk_mpi_close(out);
    else
        MPI_Comm_free(&comm);
    return st;
}

tk_status tk_mpi_split(tk_comm *parent, const char *name, int color, tk_comm *out)
{
    tk_mpi_impl *from = parent->impl;
    MPI_Comm comm;
    TK_TRY(barrier(parent)); // who waits inside MPI_Comm_split answers nobody
    TK_TRY(
        tk_mpi_check(parent, "splitting", MPI_Comm_split(from->comm, color, parent->rank, &comm)));
    return wrap_agreed(parent, comm, name, out);
}

tk_status tk_mpi_world(tk_comm *out)
{
    MPI_Comm comm;
    int rank = 0;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (MPI_Comm_dup(MPI_COMM_WORLD, &comm) != MPI_SUCCESS)
        return TK_FAIL(TK_COMM, "MPI cannot duplicate the communicator of all ranks");
    TK_TRY(wrap(comm, "world", rank, out));
    return tk_mpi_pulse_open(comm);
}

void tk_mpi_close(tk_comm *c)
{
    tk_mpi_impl *m = c->impl;
    int finalized = 0;
    if (!m) return;
    MPI_Finalized(&finalized);
    if (!finalized) MPI_Comm_free(&m->comm);
    for (tk_mpi_pending *p = m->spare, *next; p; p = next) {
        next = p->next;
        tk_free(p);
    }
    tk_free(m->world_of);
    tk_free(m->req);
    tk_free(m->peer);
    tk_free(m->counts);
    tk_free(m->part);
    tk_free(m->words);
    tk_free(m->scratch);
    tk_free(m);
    *c = (tk_comm){0};
}

tk_status tk_mpi_split_node(tk_comm *world, tk_comm *node)
{
    tk_mpi_impl *from = world->impl;
    MPI_Comm comm;
    TK_TRY(barrier(world));
    TK_TRY(tk_mpi_check(
        world, "splitting by node",
        MPI_Comm_split_type(from->comm, MPI_COMM_TYPE_SHARED, world->rank, MPI_INFO_NULL, &comm)));
    return wrap_agreed(world, comm, "node", node);
}
