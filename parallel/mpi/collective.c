// SPDX-License-Identifier: Apache-2.0
// The collectives, as pairwise exchanges of nonblocking messages, folded here in
// rank order: the same bits on every rank, whatever algorithm the library would have chosen, and
// for the short messages of tensor parallelism on one node faster than the library's own.
#include "core/base/mem.h"
#include "parallel/mpi/internal.h"
#include <string.h>

enum { SCRATCH = 8 << 20 }; // bytes of partial sums held at a time by reduce_scatter

// ---- pieces of collectives ---------------------------------------------------------------------

static tk_status more_requests(tk_mpi_impl *m, const char *op)
{
    if (m->n < m->cap) return TK_OK;
    size_t old = (size_t)m->cap, cap = old ? 2 * old : 16;
    MPI_Request *r = tk_realloc(m->req, old * sizeof *r, cap * sizeof *r);
    if (r) m->req = r;
    int *p = r ? tk_realloc(m->peer, old * sizeof *p, cap * sizeof *p) : NULL;
    if (!p) return tk_mpi_fail(m, TK_FAIL(TK_MEMORY, "out of memory for a request of %s", op));
    m->peer = p;
    m->cap = (int)cap;
    return TK_OK;
}

static tk_status post_recv(tk_mpi_impl *m, const char *op, void *x, size_t bytes, int from)
{
    for (size_t at = 0; at < bytes; at += tk_mpi_max_message) {
        TK_TRY(more_requests(m, op));
        TK_TRY(tk_mpi_check(m, op,
                            MPI_Irecv((char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, from,
                                      TK_MPI_TAG_GATHER, m->comm, &m->req[m->n])));
        m->peer[m->n++] = from;
    }
    return TK_OK;
}

static tk_status post_send(tk_mpi_impl *m, const char *op, const void *x, size_t bytes, int to)
{
    for (size_t at = 0; at < bytes; at += tk_mpi_max_message) {
        TK_TRY(more_requests(m, op));
        TK_TRY(tk_mpi_check(m, op,
                            MPI_Isend((const char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, to,
                                      TK_MPI_TAG_GATHER, m->comm, &m->req[m->n])));
        m->peer[m->n++] = to;
    }
    m->sent += (int64_t)bytes;
    return TK_OK;
}

static tk_status finish_posted(tk_mpi_impl *m, const char *op)
{
    int n = m->n;
    m->n = 0;
    return tk_mpi_finish(m, op, n, m->req, m->peer);
}

static tk_status need_scratch(tk_mpi_impl *m, size_t bytes)
{
    if (bytes <= m->scratch_bytes) return TK_OK;
    tk_free(m->scratch);
    m->scratch_bytes = 0;
    m->scratch = tk_alloc(bytes);
    if (!m->scratch)
        return tk_mpi_fail(m,
                           TK_FAIL(TK_MEMORY, "out of memory (%zu bytes of partial sums)", bytes));
    m->scratch_bytes = bytes;
    return TK_OK;
}

static int64_t begin_of(const int64_t *counts, int rank)
{
    int64_t at = 0;
    for (int i = 0; i < rank; i++) at += counts[i];
    return at;
}

// ---- the collectives ----------------------------------------------------------------------------

tk_status tk_mpi_gather(tk_mpi_impl *m, const char *op, const void *in, void *out,
                        const int64_t *counts, size_t size)
{
    int64_t own = begin_of(counts, m->rank);
    size_t bytes = (size_t)counts[m->rank] * size;
    for (int k = 1; k < m->size; k++) {
        int from = (m->rank + m->size - k) % m->size;
        TK_TRY(post_recv(m, op, (char *)out + (size_t)begin_of(counts, from) * size,
                         (size_t)counts[from] * size, from));
    }
    for (int k = 1; k < m->size; k++) TK_TRY(post_send(m, op, in, bytes, (m->rank + k) % m->size));
    if ((char *)out + (size_t)own * size != in && bytes)
        memcpy((char *)out + (size_t)own * size, in, bytes);
    return finish_posted(m, op);
}

// Who sums: rank i holds counts[i] rows of `width` elements afterwards.
typedef struct sum {
    const char *op;
    const int64_t *counts;
    int64_t width;
    tk_dtype t;
    tk_reduce r;
} sum;

static int64_t begins(const sum *s, int rank) // elements before rank's segment
{
    return begin_of(s->counts, rank) * s->width;
}

// Of rank's segment, elements [at, at + block): how many there are.
static int64_t held(const sum *s, int rank, int64_t at, int64_t block)
{
    const int64_t left = s->counts[rank] * s->width - at;
    return left < 0 ? 0 : left < block ? left : block;
}

// Elements [at, at + block) of every rank's segment: sends them out, folds those of this rank.
static tk_status scatter_block(tk_mpi_impl *m, const sum *s, const char *in, char *out, int64_t at,
                               int64_t block)
{
    size_t size = tk_dtype_size(s->t);
    const int64_t mine = held(s, m->rank, at, block);
    for (int k = 1; k < m->size; k++) {
        int from = (m->rank + m->size - k) % m->size;
        char *to = m->scratch + (size_t)(from * block) * size;
        m->part[from] = to;
        TK_TRY(post_recv(m, s->op, to, (size_t)mine * size, from));
    }
    for (int k = 1; k < m->size; k++) {
        int to = (m->rank + k) % m->size;
        TK_TRY(post_send(m, s->op, in + (size_t)(begins(s, to) + at) * size,
                         (size_t)held(s, to, at, block) * size, to));
    }
    m->part[m->rank] = in + (size_t)(begins(s, m->rank) + at) * size;
    TK_TRY(finish_posted(m, s->op));
    if (mine) tk_mpi_fold(out + (size_t)at * size, m->part, m->size, mine, s->t, s->r);
    return TK_OK;
}

// `out` may be this rank's segment of `in`: it is written only after its block was read.
static tk_status scatter(tk_mpi_impl *m, const sum *s, const void *in, void *out)
{
    int64_t longest = 0, block = SCRATCH / (4 * m->size);
    for (int i = 0; i < m->size; i++) longest = s->counts[i] > longest ? s->counts[i] : longest;
    longest *= s->width;
    if (block > longest) block = longest;
    TK_TRY(need_scratch(m, (size_t)(block * m->size) * tk_dtype_size(s->t)));
    for (int64_t at = 0; at < longest; at += block) TK_TRY(scatter_block(m, s, in, out, at, block));
    return TK_OK;
}

tk_status tk_mpi_reduce_scatter(tk_mpi_impl *m, const void *in, void *out, const int64_t *counts,
                                int64_t width, tk_dtype t)
{
    return scatter(m, &(sum){"reduce_scatter", counts, width, t, TK_SUM}, in, out);
}

// Few elements: one exchange instead of two.
static tk_status all_reduce_small(tk_mpi_impl *m, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    size_t bytes = (size_t)n * tk_dtype_size(t);
    TK_TRY(need_scratch(m, bytes * (size_t)m->size));
    for (int i = 0; i < m->size; i++) {
        m->counts[i] = n;
        m->part[i] = m->scratch + bytes * (size_t)i;
    }
    TK_TRY(tk_mpi_gather(m, "all_reduce", x, m->scratch, m->counts, tk_dtype_size(t)));
    tk_mpi_fold(x, m->part, m->size, n, t, r);
    return TK_OK;
}

tk_status tk_mpi_all_reduce(tk_mpi_impl *m, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    size_t size = tk_dtype_size(t);
    if (m->size == 1 || n == 0) return TK_OK;
    if ((size_t)n * size * (size_t)m->size <= TK_COMM_SMALL) return all_reduce_small(m, x, n, t, r);
    for (int i = 0; i < m->size; i++) m->counts[i] = tk_split_count(n, m->size, i);
    char *own = (char *)x + (size_t)begin_of(m->counts, m->rank) * size;
    TK_TRY(scatter(m, &(sum){"all_reduce", m->counts, 1, t, r}, x, own));
    return tk_mpi_gather(m, "all_reduce", own, x, m->counts, size);
}

tk_status tk_mpi_broadcast(tk_mpi_impl *m, void *x, size_t bytes, int root)
{
    const int nobody = -1;
    if (m->size == 1) return TK_OK;
    for (size_t at = 0; at < bytes; at += tk_mpi_max_message) {
        MPI_Request req;
        TK_TRY(tk_mpi_check(
            m, "broadcast",
            MPI_Ibcast((char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, root, m->comm, &req)));
        TK_TRY(tk_mpi_finish(m, "broadcast", 1, &req, &nobody));
    }
    if (m->rank == root) m->sent += (int64_t)bytes;
    return TK_OK;
}
