// SPDX-License-Identifier: Apache-2.0
// The communicators that need no transport (self, dry) and the agreements built on the calls.
#include "core/comm/comm.h"
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

// What self and dry have in common: the values of one rank are the values of all ------------------

static tk_status nothing_broadcast(tk_comm *c, void *x, size_t bytes, int root)
{
    (void)c, (void)x, (void)bytes, (void)root;
    return TK_OK;
}

static tk_status copies_all_gather(tk_comm *c, const void *in, void *out, size_t bytes_each)
{
    for (int i = 0; i < c->size; i++) {
        char *to = (char *)out + (size_t)i * bytes_each;
        if (to != in) memmove(to, in, bytes_each);
    }
    return TK_OK;
}

static tk_status nothing_sum_f64(tk_comm *c, double *x, int n)
{
    (void)c, (void)x, (void)n;
    return TK_OK;
}

static tk_status nothing_sum_u64(tk_comm *c, uint64_t *x, int n)
{
    (void)c, (void)x, (void)n;
    return TK_OK;
}

static tk_status nothing_barrier(tk_comm *c)
{
    (void)c;
    return TK_OK;
}

static const tk_comm_ops nothing = {
    .broadcast = nothing_broadcast,
    .all_gather = copies_all_gather,
    .sum_f64 = nothing_sum_f64,
    .sum_u64 = nothing_sum_u64,
    .barrier = nothing_barrier,
    .sum_begin = nothing_barrier,
    .sum_end = nothing_barrier,
};

tk_comm *tk_comm_self(void)
{
    static tk_comm self = {.ops = &nothing, .rank = 0, .size = 1, .name = "self"};
    return &self;
}

void tk_comm_dry(tk_comm *c, const char *name, int rank, int size)
{
    *c = (tk_comm){.ops = &nothing, .rank = rank, .size = size, .name = name};
}

bool tk_comm_is_dry(const tk_comm *c)
{
    return c->ops == &nothing && c->size > 1;
}

// The calls -----------------------------------------------------------------------------------

tk_status tk_comm_broadcast(tk_comm *c, void *x, size_t bytes, int root)
{
    if (root < 0 || root >= c->size)
        return TK_FAIL(TK_INTERNAL, "broadcast from rank %d: the %s communicator has %d", root,
                       c->name, c->size);
    return c->ops->broadcast(c, x, bytes, root);
}

tk_status tk_comm_all_gather(tk_comm *c, const void *in, void *out, size_t bytes_each)
{
    return c->ops->all_gather(c, in, out, bytes_each);
}

tk_status tk_comm_sum_f64(tk_comm *c, double *x, int n)
{
    return c->ops->sum_f64(c, x, n);
}

tk_status tk_comm_sum_u64(tk_comm *c, uint64_t *x, int n)
{
    return c->ops->sum_u64(c, x, n);
}

tk_status tk_comm_barrier(tk_comm *c)
{
    return c->ops->barrier(c);
}

tk_status tk_comm_sum_begin(tk_comm *c, uint64_t x)
{
    if (c->summing)
        return TK_FAIL(TK_INTERNAL, "two sums at a time on the %s communicator", c->name);
    c->begun = x;
    c->summing = true;
    return c->ops->sum_begin(c);
}

tk_status tk_comm_sum_end(tk_comm *c, uint64_t *sum)
{
    if (!c->summing)
        return TK_FAIL(TK_INTERNAL, "no sum was begun on the %s communicator", c->name);
    c->summing = false;
    TK_TRY(c->ops->sum_end(c));
    *sum = c->begun;
    return TK_OK;
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

// A byte at a time, the highest first: ranks with a lower one are out.
tk_status tk_comm_most(tk_comm *c, size_t *x)
{
    enum { BYTE = 8, VALUES = 1 << BYTE };
    size_t most = 0;
    bool in = true;
    for (int shift = (int)sizeof *x * BYTE - BYTE; shift >= 0; shift -= BYTE) {
        uint64_t ranks[VALUES] = {0};
        size_t top = VALUES - 1;
        const size_t own = *x >> shift & (VALUES - 1);
        if (in) ranks[own] = 1;
        TK_TRY(tk_comm_sum_u64(c, ranks, VALUES));
        while (top > 0 && !ranks[top]) top--;
        in &= own == top;
        most = most << BYTE | top;
    }
    *x = most;
    return TK_OK;
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
    if (c->ops->broadcast == nothing_broadcast) return mine;
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
