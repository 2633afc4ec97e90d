// SPDX-License-Identifier: Apache-2.0
// The communicator over MPI: host calls, and making it.
#include "core/base/mem.h"
#include "parallel/mpi/internal.h"

enum { SUM_WORDS = 4096 }; // of a window of host sums, at least

// Sums gather and add in rank order, a window at a time in memory held since the start: agreeing
// that memory ran out must not need memory.
static int sum_words(int size)
{
    return size > SUM_WORDS ? size : SUM_WORDS;
}

// ---- what is behind one ------------------------------------------------------------------------

static tk_status find_world(tk_mpi_impl *m)
{
    MPI_Group own, world;
    int *rank;
    TK_NEW(m->world_of, m->size);
    TK_NEW(rank, m->size);
    for (int i = 0; i < m->size; i++) rank[i] = i;
    MPI_Comm_group(m->comm, &own);
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_translate_ranks(own, m->size, rank, world, m->world_of);
    MPI_Group_free(&own);
    MPI_Group_free(&world);
    tk_free(rank);
    m->world_rank = m->world_of[m->rank];
    return TK_OK;
}

static tk_status fill(tk_mpi_impl *m)
{
    MPI_Comm_set_errhandler(m->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(m->comm, &m->rank);
    MPI_Comm_size(m->comm, &m->size);
    TK_NEW(m->counts, m->size);
    TK_NEW(m->part, m->size);
    TK_NEW(m->words, sum_words(m->size));
    return find_world(m);
}

tk_status tk_mpi_new(MPI_Comm comm, const char *name, tk_mpi_impl **out)
{
    *out = tk_alloc(sizeof **out);
    if (!*out) {
        MPI_Comm_free(&comm);
        return TK_FAIL(TK_MEMORY, "out of memory for the %s communicator", name);
    }
    **out = (tk_mpi_impl){.comm = comm, .name = name};
    const tk_status st = fill(*out);
    if (st == TK_OK) return TK_OK;
    tk_mpi_free(*out);
    *out = NULL;
    return tk_trace(st, __FILE__, __LINE__, __func__);
}

void tk_mpi_free(tk_mpi_impl *m)
{
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
}

// ---- host calls --------------------------------------------------------------------------------

static tk_status finish_one(tk_mpi_impl *m, const char *op, int err, MPI_Request *req)
{
    const int nobody = -1;
    TK_TRY(tk_mpi_check(m, op, err));
    return tk_mpi_finish(m, op, 1, req, &nobody);
}

static tk_status broadcast(tk_comm *c, void *x, size_t bytes, int root)
{
    return tk_mpi_broadcast(c->impl, x, bytes, root);
}

static tk_status all_gather(tk_comm *c, const void *in, void *out, size_t bytes_each)
{
    static const char op[] = "host_all_gather";
    tk_mpi_impl *m = c->impl;
    if (bytes_each == 0) return TK_OK;
    if (bytes_each <= TK_COMM_SMALL) {
        MPI_Request req;
        const int n = (int)bytes_each;
        const int err = MPI_Iallgather(in, n, MPI_BYTE, out, n, MPI_BYTE, m->comm, &req);
        return finish_one(m, op, err, &req);
    }
    for (int i = 0; i < m->size; i++) m->counts[i] = (int64_t)bytes_each;
    return tk_mpi_gather(m, op, in, out, m->counts, 1);
}

// all: what each rank has of n words, which are numbers of double precision or whole numbers.
static tk_mpi_word sum_of(const tk_mpi_word *all, int ranks, int n, bool real)
{
    tk_mpi_word sum = all[0];
    for (int r = 1; r < ranks; r++)
        if (real)
            sum.f += all[r * n].f;
        else
            sum.u += all[r * n].u;
    return sum;
}

static tk_status sum_words_of(tk_comm *c, tk_mpi_word *x, int n, bool real)
{
    const int window = sum_words(c->size) / c->size;
    tk_mpi_word *all = ((tk_mpi_impl *)c->impl)->words;
    for (int at = 0; at < n && c->size > 1; at += window) {
        const int m = n - at < window ? n - at : window;
        TK_TRY(all_gather(c, x + at, all, (size_t)m * sizeof *x));
        for (int i = 0; i < m; i++) x[at + i] = sum_of(all + i, c->size, m, real);
    }
    return TK_OK;
}

static tk_status sum_f64(tk_comm *c, double *x, int n)
{
    return sum_words_of(c, (tk_mpi_word *)x, n, true);
}

static tk_status sum_u64(tk_comm *c, uint64_t *x, int n)
{
    return sum_words_of(c, (tk_mpi_word *)x, n, false);
}

static tk_status barrier(tk_comm *c)
{
    tk_mpi_impl *m = c->impl;
    MPI_Request req;
    const int err = MPI_Ibarrier(m->comm, &req);
    return finish_one(m, "barrier", err, &req);
}

// The library adds up: whole numbers have one sum in any order.
static tk_status sum_begin(tk_comm *c)
{
    tk_mpi_impl *m = c->impl;
    m->give = c->begun;
    return tk_mpi_check(
        m, "host_sum",
        MPI_Iallreduce(&m->give, &m->sum, 1, MPI_UINT64_T, MPI_SUM, m->comm, &m->summing));
}

static tk_status sum_end(tk_comm *c)
{
    tk_mpi_impl *m = c->impl;
    TK_TRY(finish_one(m, "host_sum", MPI_SUCCESS, &m->summing));
    c->begun = m->sum;
    return TK_OK;
}

// ---- making them -------------------------------------------------------------------------------

static tk_status wrap(MPI_Comm comm, const char *name, tk_comm *out)
{
    static const tk_comm_ops ops = {
        .broadcast = broadcast,
        .all_gather = all_gather,
        .sum_f64 = sum_f64,
        .sum_u64 = sum_u64,
        .barrier = barrier,
        .sum_begin = sum_begin,
        .sum_end = sum_end,
    };
    tk_mpi_impl *m;
    *out = (tk_comm){0};
    TK_TRY(tk_mpi_new(comm, name, &m));
    *out = (tk_comm){.ops = &ops, .rank = m->rank, .size = m->size, .name = name, .impl = m};
    return TK_OK;
}

// A part of `parent`: all of its ranks have theirs, or none has.
static tk_status wrap_agreed(tk_comm *parent, MPI_Comm comm, const char *name, tk_comm *out)
{
    const tk_status st = tk_agree(parent, wrap(comm, name, out));
    if (st != TK_OK) tk_mpi_close(out);
    return st;
}

// A part of a world of one rank, without MPI.
static tk_status split_alone(const tk_comm *parent, const char *name, tk_comm *out)
{
    *out = *parent;
    out->name = name;
    return TK_OK;
}

tk_status tk_mpi_split(tk_comm *parent, const char *name, int color, tk_comm *out)
{
    const tk_mpi_impl *from = parent->impl;
    MPI_Comm comm;
    if (!from) return split_alone(parent, name, out);
    TK_TRY(barrier(parent)); // who waits inside MPI_Comm_split answers nobody
    TK_TRY(tk_mpi_check(from, "splitting", MPI_Comm_split(from->comm, color, parent->rank, &comm)));
    return wrap_agreed(parent, comm, name, out);
}

tk_status tk_mpi_split_node(tk_comm *world, tk_comm *node)
{
    const tk_mpi_impl *from = world->impl;
    MPI_Comm comm;
    if (!from) return split_alone(world, "node", node);
    TK_TRY(barrier(world));
    TK_TRY(tk_mpi_check(
        from, "splitting by node",
        MPI_Comm_split_type(from->comm, MPI_COMM_TYPE_SHARED, world->rank, MPI_INFO_NULL, &comm)));
    return wrap_agreed(world, comm, "node", node);
}

tk_status tk_mpi_world(tk_comm *out)
{
    MPI_Comm comm;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (MPI_Comm_dup(MPI_COMM_WORLD, &comm) != MPI_SUCCESS)
        return TK_FAIL(TK_COMM, "MPI cannot duplicate the communicator of all ranks");
    return wrap(comm, "world", out);
}

void tk_mpi_close(tk_comm *c)
{
    tk_mpi_free(c->impl);
    *c = (tk_comm){0};
}
