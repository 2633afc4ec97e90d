// SPDX-License-Identifier: Apache-2.0
// The communicators that need no transport (self, dry) and the agreements built on the host calls.
#include "core/comm/comm.h"
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

static int64_t bytes_of(int64_t n, tk_dtype t)
{
    return n * (int64_t)tk_dtype_size(t);
}

static int64_t total(const tk_comm *c, const int64_t *counts)
{
    int64_t n = 0;
    for (int i = 0; i < c->size; i++) n += counts[i];
    return n;
}

// What self and dry have in common: the values of one rank are the values of all ------------------

static tk_status nothing_all_reduce(tk_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    (void)x, (void)r;
    if (c->size > 1) c->bytes_sent += bytes_of(n, t);
    return TK_OK;
}

static tk_status nothing_broadcast(tk_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    (void)x;
    if (c->size > 1 && c->rank == root) c->bytes_sent += bytes_of(n, t);
    return TK_OK;
}

static tk_status nothing_wait(tk_comm *c, tk_request *r)
{
    (void)c, (void)r;
    return TK_OK;
}

static tk_status nothing_host_broadcast(tk_comm *c, void *x, size_t bytes, int root)
{
    (void)c, (void)x, (void)bytes, (void)root;
    return TK_OK;
}

static tk_status copies_host_all_gather(tk_comm *c, const void *in, void *out, size_t bytes_each)
{
    for (int i = 0; i < c->size; i++) {
        char *to = (char *)out + (size_t)i * bytes_each;
        if (to != in) memmove(to, in, bytes_each);
    }
    return TK_OK;
}

static tk_status nothing_host_sum_f64(tk_comm *c, double *x, int n)
{
    (void)c, (void)x, (void)n;
    return TK_OK;
}

static tk_status nothing_host_sum_u64(tk_comm *c, uint64_t *x, int n)
{
    (void)c, (void)x, (void)n;
    return TK_OK;
}

static tk_status nothing_barrier(tk_comm *c)
{
    (void)c;
    return TK_OK;
}

// Self ----------------------------------------------------------------------------------------

static tk_status self_move(tk_comm *c, const void *in, void *out, const int64_t *counts,
                           int64_t width, tk_dtype t)
{
    (void)c;
    if (in != out) memmove(out, in, (size_t)bytes_of(counts[0] * width, t));
    return TK_OK;
}

static tk_status self_isend(tk_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r)
{
    (void)c, (void)x, (void)n, (void)t, (void)r;
    return TK_FAIL(TK_INTERNAL, "send to rank %d of a communicator of one rank", to);
}

static tk_status self_irecv(tk_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    (void)c, (void)x, (void)n, (void)t, (void)r;
    return TK_FAIL(TK_INTERNAL, "receive from rank %d of a communicator of one rank", from);
}

tk_comm *tk_comm_self(void)
{
    static const tk_comm_ops ops = {
        .all_reduce = nothing_all_reduce,
        .all_gather = self_move,
        .reduce_scatter = self_move,
        .broadcast = nothing_broadcast,
        .isend = self_isend,
        .irecv = self_irecv,
        .wait = nothing_wait,
        .host_broadcast = nothing_host_broadcast,
        .host_all_gather = copies_host_all_gather,
        .host_sum_f64 = nothing_host_sum_f64,
        .host_sum_u64 = nothing_host_sum_u64,
        .barrier = nothing_barrier,
    };
    static tk_comm self = {.ops = &ops, .rank = 0, .size = 1, .name = "self"};
    return &self;
}

// Dry -----------------------------------------------------------------------------------------

static tk_status dry_all_gather(tk_comm *c, const void *in, void *out, const int64_t *counts,
                                int64_t width, tk_dtype t)
{
    (void)in, (void)out;
    if (c->size > 1) c->bytes_sent += bytes_of(counts[c->rank] * width, t);
    return TK_OK;
}

static tk_status dry_reduce_scatter(tk_comm *c, const void *in, void *out, const int64_t *counts,
                                    int64_t width, tk_dtype t)
{
    (void)in, (void)out;
    if (c->size > 1) c->bytes_sent += bytes_of(total(c, counts) * width, t);
    return TK_OK;
}

static tk_status dry_isend(tk_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r)
{
    (void)x, (void)to;
    *r = (tk_request){0};
    c->bytes_sent += bytes_of(n, t);
    return TK_OK;
}

static tk_status dry_irecv(tk_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    (void)c, (void)x, (void)n, (void)t, (void)from;
    *r = (tk_request){0};
    return TK_OK;
}

void tk_comm_dry(tk_comm *c, const char *name, int rank, int size)
{
    static const tk_comm_ops ops = {
        .all_reduce = nothing_all_reduce,
        .all_gather = dry_all_gather,
        .reduce_scatter = dry_reduce_scatter,
        .broadcast = nothing_broadcast,
        .isend = dry_isend,
        .irecv = dry_irecv,
        .wait = nothing_wait,
        .host_broadcast = nothing_host_broadcast,
        .host_all_gather = copies_host_all_gather,
        .host_sum_f64 = nothing_host_sum_f64,
        .host_sum_u64 = nothing_host_sum_u64,
        .barrier = nothing_barrier,
    };
    *c = (tk_comm){.ops = &ops, .rank = rank, .size = size, .name = name};
}

// Device calls --------------------------------------------------------------------------------

static tk_status check_rank(const tk_comm *c, const char *what, int rank)
{
    if (rank >= 0 && rank < c->size) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "%s rank %d: the %s communicator has %d", what, rank, c->name,
                   c->size);
}

tk_status tk_all_reduce(tk_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    return c->ops->all_reduce(c, x, n, t, r);
}

tk_status tk_all_gather(tk_comm *c, const void *in, void *out, const int64_t *counts, int64_t width,
                        tk_dtype t)
{
    return c->ops->all_gather(c, in, out, counts, width, t);
}

tk_status tk_reduce_scatter(tk_comm *c, const void *in, void *out, const int64_t *counts,
                            int64_t width, tk_dtype t)
{
    return c->ops->reduce_scatter(c, in, out, counts, width, t);
}

tk_status tk_broadcast(tk_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    TK_TRY(check_rank(c, "broadcast from", root));
    return c->ops->broadcast(c, x, n, t, root);
}

tk_status tk_isend(tk_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r)
{
    TK_TRY(check_rank(c, "send to", to));
    return c->ops->isend(c, x, n, t, to, r);
}

tk_status tk_irecv(tk_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    TK_TRY(check_rank(c, "receive from", from));
    return c->ops->irecv(c, x, n, t, from, r);
}

tk_status tk_wait(tk_comm *c, tk_request *r)
{
    return c->ops->wait(c, r);
}

// Host calls ----------------------------------------------------------------------------------

tk_status tk_comm_broadcast(tk_comm *c, void *x, size_t bytes, int root)
{
    TK_TRY(check_rank(c, "broadcast from", root));
    return c->ops->host_broadcast(c, x, bytes, root);
}

tk_status tk_comm_all_gather(tk_comm *c, const void *in, void *out, size_t bytes_each)
{
    return c->ops->host_all_gather(c, in, out, bytes_each);
}

tk_status tk_comm_sum_f64(tk_comm *c, double *x, int n)
{
    return c->ops->host_sum_f64(c, x, n);
}

tk_status tk_comm_sum_u64(tk_comm *c, uint64_t *x, int n)
{
    return c->ops->host_sum_u64(c, x, n);
}

tk_status tk_comm_barrier(tk_comm *c)
{
    return c->ops->barrier(c);
}

// Agreement -----------------------------------------------------------------------------------

// A set of ranks as bits, summed over ranks a window at a time: it needs no memory, so that running
// out of it can be agreed upon too.
enum { WINDOW_WORDS = 64, WINDOW = WINDOW_WORDS * 64 };

typedef struct rank_list { // the first few members of such a set
    int count, first[16];
} rank_list;

static tk_status gather_set(tk_comm *c, bool mine, rank_list *list)
{
    list->count = 0;
    for (int begin = 0; begin < c->size; begin += WINDOW) {
        uint64_t words[WINDOW_WORDS] = {0};
        int n = c->size - begin < WINDOW ? c->size - begin : WINDOW, me = c->rank - begin;
        if (mine && me >= 0 && me < n) words[me / 64] = (uint64_t)1 << me % 64;
        TK_TRY(tk_comm_sum_u64(c, words, (n + 63) / 64));
        for (int i = 0; i < n; i++)
            if (words[i / 64] >> i % 64 & 1) {
                if (list->count < 16) list->first[list->count] = begin + i;
                list->count++;
            }
    }
    return TK_OK;
}

static bool names_a_rank(const char *message)
{
    int rank, end = 0;
    return sscanf(message, "rank %d: %n", &rank, &end) == 1 && end > 0;
}

tk_status tk_agree(tk_comm *c, tk_status mine)
{
    rank_list failed;
    TK_TRY(gather_set(c, mine != TK_OK, &failed));
    if (!failed.count) return TK_OK;
    struct {
        int32_t code;
        char message[8192], trace[4096];
    } word = {0}; // of the lowest failing rank
    int from = failed.first[0];
    if (c->rank == from) {
        const char *said = tk_status_message();
        word.code = mine;
        if (!*said) said = tk_status_words(mine);
        if (c->size > 1 && !names_a_rank(said)) // it does when this was agreed on before
            snprintf(word.message, sizeof word.message, "rank %d: %s", from, said);
        else
            snprintf(word.message, sizeof word.message, "%s", said);
        snprintf(word.trace, sizeof word.trace, "%s", tk_status_trace());
    }
    TK_TRY(tk_comm_broadcast(c, &word, sizeof word, from));
    if (c->ops->host_broadcast == nothing_host_broadcast) return mine;
    tk_status code = (tk_status)word.code;
    tk_status_set(code, word.message);
    tk_status_set_trace(word.trace);
    tk_status_set_shared(true);
    return code;
}

tk_status tk_same(tk_comm *c, const char *what, const void *x, size_t bytes)
{
    XXH128_hash_t hash = XXH3_128bits(x, bytes);
    uint64_t mine[3] = {bytes, hash.low64, hash.high64}, root[3];
    memcpy(root, mine, sizeof root);
    TK_TRY(tk_comm_broadcast(c, root, sizeof root, 0));
    rank_list differ;
    TK_TRY(gather_set(c, memcmp(mine, root, sizeof root) != 0, &differ));
    if (!differ.count) return TK_OK;
    char names[256] = "";
    int shown = differ.count < 16 ? differ.count : 16;
    for (int i = 0, used = 0; i < shown; i++)
        used += snprintf(names + used, sizeof names - (size_t)used, "%s%d", i ? ", " : "",
                         differ.first[i]);
    const tk_status st =
        TK_FAIL(TK_INPUT, "%s differs between ranks: rank%s %s%s of %d (%s) not the same as rank 0",
                what, differ.count > 1 ? "s" : "", names, differ.count > shown ? " and more" : "",
                c->size, c->name);
    tk_status_set_shared(true);
    return st;
}
