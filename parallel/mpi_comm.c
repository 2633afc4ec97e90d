// SPDX-License-Identifier: Apache-2.0
// The communicator over MPI, for devices whose memory is host memory.
//
// The collectives the model calls (all_gather, reduce_scatter, all_reduce) are pairwise exchanges
// of nonblocking messages, folded here in rank order: the same bits on every rank, whatever
// algorithm the library would have chosen. Everything waits in one place, finish(): it tests,
// and gives the core away between tests, because the rank it waits for may need that core. The
// same loop notices a wait without end (TALKIE_COMM_TIMEOUT seconds, default 600), names the rank,
// the operation and the peer, and takes the run down.
#include "parallel/mpi_comm.h"
#include "core/log.h"
#include "core/mem.h"
#include "parallel/mesh.h"
#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TAG_POINT = 1,          // isend, irecv
    TAG_GATHER = 2,         // exchanges of collectives
    SMALL = 64 << 10,       // all_reduce below these bytes in all: gather everything, then fold
    SCRATCH = 8 << 20,      // bytes of partial sums held at a time by reduce_scatter
    SPINS_PER_CLOCK = 64,   // tests between looks at the clock
    PATIENT_NS = 50 * 1000, // pause between tests once the wait is long
};
static const double LONG_WAIT = 0.02; // seconds of yielding before pausing

typedef struct pending { // an isend or irecv
    struct pending *next;
    const char *op;
    int peer, n;
    MPI_Request req[];
} pending;

typedef struct impl {
    MPI_Comm comm;
    int world_rank;
    MPI_Request *req; // (cap) requests of the collective under way
    int *peer;        // (cap) whom each one waits for
    int n, cap;
    char *scratch; // partial sums
    size_t scratch_bytes;
    pending *spare; // of one request each
} impl;

static size_t max_message = (size_t)1 << 30;

void tk_mpi_set_max_message(size_t bytes)
{
    max_message = bytes;
}

static tk_status check(tk_comm *c, const char *op, int err)
{
    char words[MPI_MAX_ERROR_STRING] = "";
    int n = 0;
    if (err == MPI_SUCCESS) return TK_OK;
    MPI_Error_string(err, words, &n);
    return TK_FAIL(TK_COMM, "%s failed on rank %d of %d of the %s communicator (world rank %d): %s",
                   op, c->rank, c->size, c->name, ((impl *)c->impl)->world_rank, words);
}

static double timeout_seconds(void)
{
    static double limit;
    if (limit == 0) {
        const char *s = getenv("TALKIE_COMM_TIMEOUT");
        double v = s ? atof(s) : 0;
        limit = v > 0 ? v : 600;
    }
    return limit;
}

// The peer of the first request still open; -1 if the operation has no single one.
static int open_peer(int n, MPI_Request *req, const int *peer)
{
    for (int i = 0; i < n; i++) {
        int done = 0;
        MPI_Test(&req[i], &done, MPI_STATUS_IGNORE);
        if (!done) return peer[i];
    }
    return -1;
}

_Noreturn static void give_up(tk_comm *c, const char *op, int n, MPI_Request *req, const int *peer)
{
    int p = open_peer(n, req, peer);
    char who[64] = "the other ranks";
    if (p >= 0) snprintf(who, sizeof who, "rank %d", p);
    fprintf(stderr,
            "talkie: world rank %d (rank %d of %d of the %s communicator) waited %.0f s in %s for "
            "%s; giving up (TALKIE_COMM_TIMEOUT sets the seconds)\n",
            ((impl *)c->impl)->world_rank, c->rank, c->size, c->name, timeout_seconds(), op, who);
    tk_parallel_abort(tk_status_exit_code(TK_COMM));
}

static tk_status finish(tk_comm *c, const char *op, int n, MPI_Request *req, const int *peer)
{
    const struct timespec pause = {0, PATIENT_NS};
    double start = 0, waited = 0;
    for (int spins = 1;; spins++) {
        int done = 0;
        int err = MPI_Testall(n, req, &done, MPI_STATUSES_IGNORE);
        if (err != MPI_SUCCESS) return check(c, op, err);
        if (done) return TK_OK;
        if (waited > LONG_WAIT)
            nanosleep(&pause, NULL);
        else
            sched_yield();
        if (spins % SPINS_PER_CLOCK) continue;
        if (start == 0) start = tk_now();
        waited = tk_now() - start;
        if (waited > timeout_seconds()) give_up(c, op, n, req, peer);
    }
}

// ---- pieces of collectives ---------------------------------------------------------------------

static tk_status more_requests(impl *m)
{
    if (m->n < m->cap) return TK_OK;
    size_t old = (size_t)m->cap, cap = old ? 2 * old : 16;
    MPI_Request *r = tk_realloc(m->req, old * sizeof *r, cap * sizeof *r);
    if (r) m->req = r;
    int *p = r ? tk_realloc(m->peer, old * sizeof *p, cap * sizeof *p) : NULL;
    if (!p) return TK_FAIL(TK_MEMORY, "out of memory (%zu requests)", cap);
    m->peer = p;
    m->cap = (int)cap;
    return TK_OK;
}

static int part_bytes(size_t bytes, size_t at)
{
    return (int)(bytes - at < max_message ? bytes - at : max_message);
}

static tk_status post_recv(tk_comm *c, const char *op, void *x, size_t bytes, int from)
{
    impl *m = c->impl;
    for (size_t at = 0; at < bytes; at += max_message) {
        TK_TRY(more_requests(m));
        TK_TRY(check(c, op,
                     MPI_Irecv((char *)x + at, part_bytes(bytes, at), MPI_BYTE, from, TAG_GATHER,
                               m->comm, &m->req[m->n])));
        m->peer[m->n++] = from;
    }
    return TK_OK;
}

static tk_status post_send(tk_comm *c, const char *op, const void *x, size_t bytes, int to)
{
    impl *m = c->impl;
    for (size_t at = 0; at < bytes; at += max_message) {
        TK_TRY(more_requests(m));
        TK_TRY(check(c, op,
                     MPI_Isend((const char *)x + at, part_bytes(bytes, at), MPI_BYTE, to,
                               TAG_GATHER, m->comm, &m->req[m->n])));
        m->peer[m->n++] = to;
    }
    c->bytes_sent += (int64_t)bytes;
    return TK_OK;
}

static tk_status finish_posted(tk_comm *c, const char *op)
{
    impl *m = c->impl;
    int n = m->n;
    m->n = 0;
    return finish(c, op, n, m->req, m->peer);
}

static tk_status need_scratch(impl *m, size_t bytes)
{
    if (bytes <= m->scratch_bytes) return TK_OK;
    tk_free(m->scratch);
    m->scratch_bytes = 0;
    m->scratch = tk_alloc(bytes);
    if (!m->scratch) return TK_FAIL(TK_MEMORY, "out of memory (%zu bytes of partial sums)", bytes);
    m->scratch_bytes = bytes;
    return TK_OK;
}

static int64_t begin_of(const int64_t *counts, int rank)
{
    int64_t at = 0;
    for (int i = 0; i < rank; i++) at += counts[i];
    return at;
}

// ---- device calls ------------------------------------------------------------------------------

static tk_status gather(tk_comm *c, const char *op, const void *in, void *out,
                        const int64_t *counts, size_t size)
{
    int64_t own = begin_of(counts, c->rank);
    size_t bytes = (size_t)counts[c->rank] * size;
    for (int k = 1; k < c->size; k++) {
        int from = (c->rank + c->size - k) % c->size;
        TK_TRY(post_recv(c, op, (char *)out + (size_t)begin_of(counts, from) * size,
                         (size_t)counts[from] * size, from));
    }
    for (int k = 1; k < c->size; k++) TK_TRY(post_send(c, op, in, bytes, (c->rank + k) % c->size));
    if ((char *)out + (size_t)own * size != in && bytes)
        memcpy((char *)out + (size_t)own * size, in, bytes);
    return finish_posted(c, op);
}

static tk_status all_gather(tk_comm *c, const void *in, void *out, const int64_t *counts,
                            tk_dtype t)
{
    return gather(c, "all_gather", in, out, counts, tk_dtype_size(t));
}

// Elements [at, at + block) of every rank's segment: sends them out, folds those of this rank.
static tk_status scatter_block(tk_comm *c, const char *op, const char *in, char *out,
                               const int64_t *counts, int64_t at, int64_t block, tk_dtype t,
                               tk_reduce r)
{
    impl *m = c->impl;
    size_t size = tk_dtype_size(t);
    int64_t mine = counts[c->rank] - at < block ? counts[c->rank] - at : block;
    if (mine < 0) mine = 0;
    const void *part[c->size];
    for (int k = 1; k < c->size; k++) {
        int from = (c->rank + c->size - k) % c->size;
        char *to = m->scratch + (size_t)(from * block) * size;
        part[from] = to;
        TK_TRY(post_recv(c, op, to, (size_t)mine * size, from));
    }
    for (int k = 1; k < c->size; k++) {
        int to = (c->rank + k) % c->size;
        int64_t n = counts[to] - at < block ? counts[to] - at : block;
        if (n > 0)
            TK_TRY(post_send(c, op, in + (size_t)(begin_of(counts, to) + at) * size,
                             (size_t)n * size, to));
    }
    part[c->rank] = in + (size_t)(begin_of(counts, c->rank) + at) * size;
    TK_TRY(finish_posted(c, op));
    if (mine) tk_mpi_fold(out + (size_t)at * size, part, c->size, mine, t, r);
    return TK_OK;
}

// `out` may be this rank's segment of `in`: it is written only after its block was read.
static tk_status scatter(tk_comm *c, const char *op, const void *in, void *out,
                         const int64_t *counts, tk_dtype t, tk_reduce r)
{
    int64_t longest = 0, block = SCRATCH / (4 * c->size);
    for (int i = 0; i < c->size; i++) longest = counts[i] > longest ? counts[i] : longest;
    if (block > longest) block = longest;
    TK_TRY(need_scratch(c->impl, (size_t)(block * c->size) * tk_dtype_size(t)));
    for (int64_t at = 0; at < longest; at += block)
        TK_TRY(scatter_block(c, op, in, out, counts, at, block, t, r));
    return TK_OK;
}

static tk_status reduce_scatter(tk_comm *c, const void *in, void *out, const int64_t *counts,
                                tk_dtype t)
{
    return scatter(c, "reduce_scatter", in, out, counts, t, TK_SUM);
}

// Few elements: one exchange instead of two.
static tk_status all_reduce_small(tk_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    impl *m = c->impl;
    size_t bytes = (size_t)n * tk_dtype_size(t);
    int64_t counts[c->size];
    const void *part[c->size];
    TK_TRY(need_scratch(m, bytes * (size_t)c->size));
    for (int i = 0; i < c->size; i++) {
        counts[i] = n;
        part[i] = m->scratch + bytes * (size_t)i;
    }
    TK_TRY(gather(c, "all_reduce", x, m->scratch, counts, tk_dtype_size(t)));
    tk_mpi_fold(x, part, c->size, n, t, r);
    return TK_OK;
}

static tk_status all_reduce(tk_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    size_t size = tk_dtype_size(t);
    if (c->size == 1 || n == 0) return TK_OK;
    if ((size_t)n * size * (size_t)c->size <= SMALL) return all_reduce_small(c, x, n, t, r);
    int64_t counts[c->size];
    for (int i = 0; i < c->size; i++) counts[i] = tk_split_count(n, c->size, i);
    char *own = (char *)x + (size_t)begin_of(counts, c->rank) * size;
    TK_TRY(scatter(c, "all_reduce", x, own, counts, t, r));
    return gather(c, "all_reduce", own, x, counts, size);
}

static tk_status finish_one(tk_comm *c, const char *op, int err, MPI_Request *req)
{
    int nobody = -1;
    TK_TRY(check(c, op, err));
    return finish(c, op, 1, req, &nobody);
}

static tk_status broadcast_bytes(tk_comm *c, void *x, size_t bytes, int root)
{
    impl *m = c->impl;
    if (c->size == 1) return TK_OK;
    for (size_t at = 0; at < bytes; at += max_message) {
        MPI_Request req;
        int err = MPI_Ibcast((char *)x + at, part_bytes(bytes, at), MPI_BYTE, root, m->comm, &req);
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

static tk_status new_pending(impl *m, size_t bytes, const char *op, int peer, pending **out)
{
    int parts = (int)((bytes + max_message - 1) / max_message);
    pending *p = parts == 1 ? m->spare : NULL;
    if (p)
        m->spare = p->next;
    else
        p = tk_alloc(sizeof *p + (size_t)parts * sizeof p->req[0]);
    if (!p) return TK_FAIL(TK_MEMORY, "out of memory (%d requests)", parts);
    *p = (pending){.op = op, .peer = peer, .n = parts};
    *out = p;
    return TK_OK;
}

static tk_status isend(tk_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r)
{
    impl *m = c->impl;
    size_t bytes = (size_t)n * tk_dtype_size(t);
    pending *p;
    *r = (tk_request){0};
    if (!n) return TK_OK;
    TK_TRY(new_pending(m, bytes, "send", to, &p));
    r->impl = p;
    for (int i = 0; i < p->n; i++) {
        size_t at = (size_t)i * max_message;
        TK_TRY(check(c, "send",
                     MPI_Isend((const char *)x + at, part_bytes(bytes, at), MPI_BYTE, to, TAG_POINT,
                               m->comm, &p->req[i])));
    }
    c->bytes_sent += (int64_t)bytes;
    return TK_OK;
}

static tk_status irecv(tk_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    impl *m = c->impl;
    size_t bytes = (size_t)n * tk_dtype_size(t);
    pending *p;
    *r = (tk_request){0};
    if (!n) return TK_OK;
    TK_TRY(new_pending(m, bytes, "receive", from, &p));
    r->impl = p;
    for (int i = 0; i < p->n; i++) {
        size_t at = (size_t)i * max_message;
        TK_TRY(check(c, "receive",
                     MPI_Irecv((char *)x + at, part_bytes(bytes, at), MPI_BYTE, from, TAG_POINT,
                               m->comm, &p->req[i])));
    }
    return TK_OK;
}

static tk_status wait_request(tk_comm *c, tk_request *r)
{
    impl *m = c->impl;
    pending *p = r->impl;
    if (!p) return TK_OK;
    int peer[p->n];
    for (int i = 0; i < p->n; i++) peer[i] = p->peer;
    TK_TRY(finish(c, p->op, p->n, p->req, peer));
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
    impl *m = c->impl;
    if (bytes_each == 0) return TK_OK;
    if (bytes_each <= SMALL) {
        MPI_Request req;
        int n = (int)bytes_each;
        int err = MPI_Iallgather(in, n, MPI_BYTE, out, n, MPI_BYTE, m->comm, &req);
        c->bytes_sent += (int64_t)bytes_each;
        return finish_one(c, "host_all_gather", err, &req);
    }
    int64_t counts[c->size];
    for (int i = 0; i < c->size; i++) counts[i] = (int64_t)bytes_each;
    return gather(c, "host_all_gather", in, out, counts, 1);
}

static tk_status host_sum_f64(tk_comm *c, double *x, int n)
{
    if (c->size == 1 || n == 0) return TK_OK;
    double *all;
    TK_NEW(all, n * c->size);
    tk_status st = host_all_gather(c, x, all, (size_t)n * sizeof *x);
    for (int i = 0; st == TK_OK && i < n; i++) {
        x[i] = all[i];
        for (int r = 1; r < c->size; r++) x[i] += all[r * n + i];
    }
    tk_free(all);
    return st;
}

static tk_status host_sum_u64(tk_comm *c, uint64_t *x, int n)
{
    if (c->size == 1 || n == 0) return TK_OK;
    uint64_t *all;
    TK_NEW(all, n * c->size);
    tk_status st = host_all_gather(c, x, all, (size_t)n * sizeof *x);
    for (int i = 0; st == TK_OK && i < n; i++) {
        x[i] = all[i];
        for (int r = 1; r < c->size; r++) x[i] += all[r * n + i];
    }
    tk_free(all);
    return st;
}

static tk_status barrier(tk_comm *c)
{
    MPI_Request req;
    int err = MPI_Ibarrier(((impl *)c->impl)->comm, &req);
    return finish_one(c, "barrier", err, &req);
}

static const tk_comm_ops mpi_ops = {
    .all_reduce = all_reduce,
    .all_gather = all_gather,
    .reduce_scatter = reduce_scatter,
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

static tk_status wrap(MPI_Comm comm, const char *name, int world_rank, tk_comm *out)
{
    impl *m;
    *out = (tk_comm){.ops = &mpi_ops, .name = name};
    TK_NEW(m, 1);
    m->comm = comm;
    m->world_rank = world_rank;
    out->impl = m;
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm, &out->rank);
    MPI_Comm_size(comm, &out->size);
    return TK_OK;
}

tk_status tk_mpi_split(tk_comm *parent, const char *name, int color, tk_comm *out)
{
    impl *from = parent->impl;
    MPI_Comm comm;
    TK_TRY(check(parent, "splitting", MPI_Comm_split(from->comm, color, parent->rank, &comm)));
    return wrap(comm, name, from->world_rank, out);
}

tk_status tk_mpi_world(tk_comm *out)
{
    MPI_Comm comm;
    int rank = 0;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (MPI_Comm_dup(MPI_COMM_WORLD, &comm) != MPI_SUCCESS)
        return TK_FAIL(TK_COMM, "MPI cannot duplicate the communicator of all ranks");
    return wrap(comm, "world", rank, out);
}

void tk_mpi_close(tk_comm *c)
{
    impl *m = c->impl;
    int finalized = 0;
    if (!m) return;
    MPI_Finalized(&finalized);
    if (!finalized) MPI_Comm_free(&m->comm);
    for (pending *p = m->spare, *next; p; p = next) {
        next = p->next;
        tk_free(p);
    }
    tk_free(m->req);
    tk_free(m->peer);
    tk_free(m->scratch);
    tk_free(m);
    *c = (tk_comm){0};
}

tk_status tk_mpi_split_node(tk_comm *world, tk_comm *node)
{
    impl *from = world->impl;
    MPI_Comm comm;
    TK_TRY(check(
        world, "splitting by node",
        MPI_Comm_split_type(from->comm, MPI_COMM_TYPE_SHARED, world->rank, MPI_INFO_NULL, &comm)));
    return wrap(comm, "node", from->world_rank, node);
}
