// SPDX-License-Identifier: Apache-2.0
// The collectives the model calls, as pairwise exchanges of nonblocking messages, folded here in
// rank order: the same bits on every rank, whatever algorithm the library would have chosen, and
// for the short messages of tensor parallelism on one node faster than the library's own.
#include "core/base/mem.h"
#include "parallel/mpi/internal.h"
#include <string.h>

enum { SCRATCH = 8 << 20 }; // bytes of partial sums held at a time by reduce_scatter

// ---- pieces of collectives ---------------------------------------------------------------------

static tk_status more_requests(tk_comm *c, const char *op)
{
    tk_mpi_impl *m = c->impl;
    if (m->n < m->cap) return TK_OK;
    size_t old = (size_t)m->cap, cap = old ? 2 * old : 16;
    MPI_Request *r = tk_realloc(m->req, old * sizeof *r, cap * sizeof *r);
    if (r) m->req = r;
    int *p = r ? tk_realloc(m->peer, old * sizeof *p, cap * sizeof *p) : NULL;
    if (!p) return tk_mpi_fail(c, TK_FAIL(TK_MEMORY, "out of memory for a request of %s", op));
    m->peer = p;
    m->cap = (int)cap;
    return TK_OK;
}

static tk_status post_recv(tk_comm *c, const char *op, void *x, size_t bytes, int from)
{
    tk_mpi_impl *m = c->impl;
    for (size_t at = 0; at < bytes; at += tk_mpi_max_message) {
        TK_TRY(more_requests(c, op));
        TK_TRY(tk_mpi_check(c, op,
                            MPI_Irecv((char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, from,
                                      TK_MPI_TAG_GATHER, m->comm, &m->req[m->n])));
        m->peer[m->n++] = from;
    }
    return TK_OK;
}

static tk_status post_send(tk_comm *c, const char *op, const void *x, size_t bytes, int to)
{
    tk_mpi_impl *m = c->impl;
    for (size_t at = 0; at < bytes; at += tk_mpi_max_message) {
        TK_TRY(more_requests(c, op));
        TK_TRY(tk_mpi_check(c, op,
                            MPI_Isend((const char *)x + at, tk_mpi_part(bytes, at), MPI_BYTE, to,
                                      TK_MPI_TAG_GATHER, m->comm, &m->req[m->n])));
        m->peer[m->n++] = to;
    }
    c->bytes_sent += (int64_t)bytes;
    return TK_OK;
}

static tk_status finish_posted(tk_comm *c, const char *op)
{
    tk_mpi_impl *m = c->impl;
    int n = m->n;
    m->n = 0;
    return tk_mpi_finish(c, op, n, m->req, m->peer);
}

static tk_status need_scratch(tk_comm *c, size_t bytes)
{
    tk_mpi_impl *m = c->impl;
    if (bytes <= m->scratch_bytes) return TK_OK;
    tk_free(m->scratch);
    m->scratch_bytes = 0;
    m->scratch = tk_alloc(bytes);
    if (!m->scratch)
        return tk_mpi_fail(c,
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

// ---- device calls ------------------------------------------------------------------------------

tk_status tk_mpi_gather(tk_comm *c, const char *op, const void *in, void *out,
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

tk_status tk_mpi_all_gather(tk_comm *c, const void *in, void *out, const int64_t *counts,
                            int64_t width, tk_dtype t)
{
    return tk_mpi_gather(c, "all_gather", in, out, counts, (size_t)width * tk_dtype_size(t));
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
static tk_status scatter_block(tk_comm *c, const sum *s, const char *in, char *out, int64_t at,
                               int64_t block)
{
    tk_mpi_impl *m = c->impl;
    size_t size = tk_dtype_size(s->t);
    const int64_t mine = held(s, c->rank, at, block);
    for (int k = 1; k < c->size; k++) {
        int from = (c->rank + c->size - k) % c->size;
        char *to = m->scratch + (size_t)(from * block) * size;
        m->part[from] = to;
        TK_TRY(post_recv(c, s->op, to, (size_t)mine * size, from));
    }
    for (int k = 1; k < c->size; k++) {
        int to = (c->rank + k) % c->size;
        TK_TRY(post_send(c, s->op, in + (size_t)(begins(s, to) + at) * size,
                         (size_t)held(s, to, at, block) * size, to));
    }
    m->part[c->rank] = in + (size_t)(begins(s, c->rank) + at) * size;
    TK_TRY(finish_posted(c, s->op));
    if (mine) tk_mpi_fold(out + (size_t)at * size, m->part, c->size, mine, s->t, s->r);
    return TK_OK;
}

// `out` may be this rank's segment of `in`: it is written only after its block was read.
static tk_status scatter(tk_comm *c, const sum *s, const void *in, void *out)
{
    int64_t longest = 0, block = SCRATCH / (4 * c->size);
    for (int i = 0; i < c->size; i++) longest = s->counts[i] > longest ? s->counts[i] : longest;
    longest *= s->width;
    if (block > longest) block = longest;
    TK_TRY(need_scratch(c, (size_t)(block * c->size) * tk_dtype_size(s->t)));
    for (int64_t at = 0; at < longest; at += block) TK_TRY(scatter_block(c, s, in, out, at, block));
    return TK_OK;
}

tk_status tk_mpi_reduce_scatter(tk_comm *c, const void *in, void *out, const int64_t *counts,
                                int64_t width, tk_dtype t)
{
    return scatter(c, &(sum){"reduce_scatter", counts, width, t, TK_SUM}, in, out);
}

// Few elements: one exchange instead of two.
static tk_status all_reduce_small(tk_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    tk_mpi_impl *m = c->impl;
    size_t bytes = (size_t)n * tk_dtype_size(t);
    TK_TRY(need_scratch(c, bytes * (size_t)c->size));
    for (int i = 0; i < c->size; i++) {
        m->counts[i] = n;
        m->part[i] = m->scratch + bytes * (size_t)i;
    }
    TK_TRY(tk_mpi_gather(c, "all_reduce", x, m->scratch, m->counts, tk_dtype_size(t)));
    tk_mpi_fold(x, m->part, c->size, n, t, r);
    return TK_OK;
}

tk_status tk_mpi_all_reduce(tk_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    tk_mpi_impl *m = c->impl;
    size_t size = tk_dtype_size(t);
    if (c->size == 1 || n == 0) return TK_OK;
    if ((size_t)n * size * (size_t)c->size <= TK_MPI_SMALL) return all_reduce_small(c, x, n, t, r);
    for (int i = 0; i < c->size; i++) m->counts[i] = tk_split_count(n, c->size, i);
    char *own = (char *)x + (size_t)begin_of(m->counts, c->rank) * size;
    TK_TRY(scatter(c, &(sum){"all_reduce", m->counts, 1, t, r}, x, own));
    return tk_mpi_gather(c, "all_reduce", own, x, m->counts, size);
}
