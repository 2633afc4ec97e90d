// SPDX-License-Identifier: Apache-2.0
// The checks of all calls, and the communicators that need no transport.
#include "core/device/comm/comm.h"
#include "core/base/mem.h"
#include "core/device/ledger.h"
#include "core/device/trace.h"

static int64_t bytes_of(int64_t n, tk_dtype t)
{
    return n * (int64_t)tk_dtype_size(t);
}

static int64_t total_count(const tk_device_comm *c, const int64_t *counts)
{
    int64_t n = 0;
    for (int i = 0; i < c->size; i++) n += counts[i];
    return n;
}

// ---- one rank ----------------------------------------------------------------------------------

static tk_status self_all_reduce(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    (void)c, (void)x, (void)n, (void)t, (void)r;
    return TK_OK;
}

static tk_status self_move(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                           int64_t width, tk_dtype t)
{
    if (in == out) return TK_OK;
    return tk_device_copy(c->device, out, in, (size_t)bytes_of(counts[0] * width, t));
}

static tk_status self_broadcast(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    (void)c, (void)x, (void)n, (void)t, (void)root;
    return TK_OK;
}

static tk_status no_group(tk_device_comm *c)
{
    (void)c;
    return TK_OK;
}

static tk_status no_wait(tk_device_comm *c, tk_request *r)
{
    (void)c, (void)r;
    return TK_OK;
}

static tk_status self_add_parts(tk_device_comm *c, const tk_parts *p)
{
    if (p->out == p->own) return TK_OK;
    return tk_device_copy(c->device, p->out, p->own, (size_t)bytes_of(p->n, p->type));
}

static void no_close(tk_device_comm *c)
{
    (void)c;
}

void tk_device_comm_self(tk_device_comm *c, tk_comm *host, tk_device *d)
{
    static const tk_device_comm_ops ops = {
        .all_reduce = self_all_reduce,
        .all_gather = self_move,
        .reduce_scatter = self_move,
        .broadcast = self_broadcast,
        .group_begin = no_group, // and no peers: nobody to send to
        .group_end = no_group,
        .wait = no_wait,
        .add_parts = self_add_parts,
        .close = no_close,
    };
    *c = (tk_device_comm){.ops = &ops, .size = 1, .name = host->name, .host = host, .device = d};
}

// ---- parts of sums -----------------------------------------------------------------------------

enum { PARTS_ALIGN = 16 }; // elements: parts begin where 16 bytes can be read at once

static int64_t parts_bytes = 64 << 20;

void tk_comm_set_parts(size_t bytes)
{
    parts_bytes = (int64_t)bytes;
}

int64_t tk_comm_parts(const tk_device_comm *c, int64_t longest, tk_dtype t)
{
    const int64_t most = parts_bytes / bytes_of(c->size - 1, t) / PARTS_ALIGN * PARTS_ALIGN;
    const int64_t all = (longest + PARTS_ALIGN - 1) / PARTS_ALIGN * PARTS_ALIGN;
    return all < most ? all : most;
}

// ---- dry ---------------------------------------------------------------------------------------

// Counts what this rank hands over of all the bytes that are moved.
static tk_status dry_move_between(tk_device_comm *c, tk_work_kind kind, int64_t sent, int64_t bytes,
                                  int peer)
{
    const tk_work w = {.kind = kind, .comm = c, .sent = sent, .bytes = bytes, .peer = peer};
    c->bytes_sent += sent;
    tk_ledger_note(c->device, c->queue, &w);
    return TK_OK;
}

// Of the other ranks' parts and its own one is made.
static tk_status dry_add_parts(tk_device_comm *c, const tk_parts *p)
{
    const tk_work w = {.kind = TK_WORK_COPY,
                       .read = c->size * bytes_of(p->n, p->type),
                       .written = bytes_of(p->n, p->type)};
    tk_ledger_note(c->device, c->device->queue, &w);
    return TK_OK;
}

// The memory of `parts` parts of n elements, for as long as the call.
static tk_status dry_hold(const tk_device_comm *c, int64_t parts, int64_t n, tk_dtype t)
{
    const tk_device_ops *like = c->device->stands_for;
    tk_tensor x;
    if (!like || !like->cards || n == 0) return TK_OK;
    TK_TRY(tk_device_new_for(c->device, TK_FOR_MESSAGES, t, parts, n, &x));
    tk_device_free(c->device, &x);
    return TK_OK;
}

static tk_status dry_hold_parts(const tk_device_comm *c, int64_t longest, tk_dtype t)
{
    return dry_hold(c, c->size - 1, tk_comm_parts(c, longest, t), t);
}

static tk_status dry_all_reduce(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    const int64_t others = c->size - 1, own = tk_split_count(n, c->size, c->rank);
    const bool small = bytes_of(n, t) * c->size <= TK_COMM_SMALL;
    (void)x, (void)r;
    if (small)
        TK_TRY(dry_hold(c, c->size, n, t));
    else
        TK_TRY(dry_hold_parts(c, tk_split_count(n, c->size, 0), t));
    return dry_move_between(c, TK_WORK_ALL_REDUCE,
                            bytes_of(small ? others * n : n - own + others * own, t),
                            bytes_of(n, t), -1);
}

static tk_status dry_all_gather(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                                int64_t width, tk_dtype t)
{
    (void)in, (void)out;
    const int64_t own = counts[c->rank] * width;
    return dry_move_between(c, TK_WORK_ALL_GATHER, bytes_of((c->size - 1) * own, t),
                            bytes_of(total_count(c, counts) * width, t), -1);
}

static tk_status dry_reduce_scatter(tk_device_comm *c, const void *in, void *out,
                                    const int64_t *counts, int64_t width, tk_dtype t)
{
    (void)in, (void)out;
    const int64_t all = total_count(c, counts) * width, own = counts[c->rank] * width;
    int64_t longest = 0;
    for (int i = 0; i < c->size; i++) longest = counts[i] > longest ? counts[i] : longest;
    TK_TRY(dry_hold_parts(c, longest * width, t));
    return dry_move_between(c, TK_WORK_REDUCE_SCATTER, bytes_of(all - own, t), bytes_of(all, t),
                            -1);
}

static tk_status dry_broadcast(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    (void)x;
    const int64_t bytes = bytes_of(n, t);
    return dry_move_between(c, TK_WORK_BROADCAST, c->rank == root ? bytes : 0, bytes, root);
}

// A group takes as long as what this rank sends in it, from its end on; what it receives comes with
// that. Its messages are priced where they are asked for.
typedef struct dry_group {
    double seconds, at; // of all its messages; of the clock, when they have moved
    int waiting;        // requests that are not waited for yet
} dry_group;

static tk_status dry_group_begin(tk_device_comm *c)
{
    dry_group *g;
    TK_NEW(g, 1);
    g->waiting = 1; // its end
    c->impl = g;
    return TK_OK;
}

static void let_go_of_group(dry_group *g)
{
    if (--g->waiting == 0) tk_free(g);
}

static tk_status dry_group_end(tk_device_comm *c)
{
    dry_group *g = c->impl;
    tk_ledger *l = c->device->ledger;
    if (l) g->at = l->clock[c->queue] += g->seconds;
    let_go_of_group(g);
    return TK_OK;
}

static void dry_request(const tk_device_comm *c, tk_request *r)
{
    dry_group *g = c->impl;
    g->waiting++;
    r->impl = g;
}

static tk_status dry_isend(tk_device_comm *c, const void *x, int64_t n, tk_dtype t, int to,
                           tk_request *r)
{
    const int64_t bytes = bytes_of(n, t);
    const tk_work w = {.kind = TK_WORK_SEND, .comm = c, .sent = bytes, .bytes = bytes, .peer = to};
    (void)x;
    c->bytes_sent += bytes;
    ((dry_group *)c->impl)->seconds += tk_ledger_price(c->device, &w);
    dry_request(c, r);
    return TK_OK;
}

static tk_status dry_irecv(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int from,
                           tk_request *r)
{
    (void)x, (void)n, (void)t, (void)from;
    dry_request(c, r);
    return TK_OK;
}

// Rows in pieces are exchanged by ranks that do the same at the same time, so waiting for them is
// told here. When a message of another stage comes, its schedule tells (parallel/replay.h).
static tk_status dry_wait(tk_device_comm *c, tk_request *r)
{
    dry_group *g = r->impl;
    tk_ledger *l = c->device->ledger;
    if (!g) return TK_OK;
    if (l && c->row_pieces) tk_ledger_wait(l, c->device->queue, c->queue, g->at);
    *r = (tk_request){0};
    let_go_of_group(g);
    return TK_OK;
}

void tk_device_comm_dry(tk_device_comm *c, tk_comm *host, tk_device *d, tk_queue q)
{
    static const tk_device_comm_ops ops = {
        .all_reduce = dry_all_reduce,
        .all_gather = dry_all_gather,
        .reduce_scatter = dry_reduce_scatter,
        .broadcast = dry_broadcast,
        .group_begin = dry_group_begin,
        .isend = dry_isend,
        .irecv = dry_irecv,
        .group_end = dry_group_end,
        .wait = dry_wait,
        .add_parts = dry_add_parts,
        .close = no_close,
    };
    *c = (tk_device_comm){.ops = &ops,
                          .rank = host->rank,
                          .size = host->size,
                          .name = host->name,
                          .host = host,
                          .device = d,
                          .queue = q};
}

void tk_device_comm_close(tk_device_comm *c)
{
    if (c->ops) c->ops->close(c);
    tk_event_close(&c->ready);
    tk_event_close(&c->done);
    *c = (tk_device_comm){0};
}

// ---- the calls ---------------------------------------------------------------------------------

static tk_status check_rank(const tk_device_comm *c, const char *what, int rank)
{
    if (rank >= 0 && rank < c->size) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "%s rank %d: the %s communicator has %d", what, rank, c->name,
                   c->size);
}

static tk_status check_peer(const tk_device_comm *c, const char *what, int rank)
{
    TK_TRY(check_rank(c, what, rank));
    if (rank != c->rank) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "%s rank %d of the %s communicator, which is this rank", what, rank,
                   c->name);
}

static tk_status check_buffer(const tk_device_comm *c, const char *what, const void *x, int64_t n,
                              tk_dtype t)
{
    const tk_device *d = c->device;
    const size_t bytes = n > 0 ? (size_t)bytes_of(n, t) : 0;
    if (n == 0) return TK_OK;
    if (n > 0 && (tk_pool_holds(&d->pool, x, bytes) || tk_pool_holds(&d->registered, x, bytes)))
        return TK_OK;
    return TK_FAIL(TK_INTERNAL,
                   "%s over the %s communicator: %lld elements at %p do not lie in the pool of "
                   "device %s",
                   what, c->name, (long long)n, x, c->device->ops->name);
}

// A buffer that goes to other ranks, or is filled by them: all ranks have it in registered memory,
// or none has.
static tk_status check_sent(const tk_device_comm *c, const char *what, const void *x, int64_t n,
                            tk_dtype t)
{
    const tk_pool *p = &c->device->registered;
    TK_TRY(check_buffer(c, what, x, n, t));
    if (n == 0 || !p->bytes || c->size == 1 || tk_pool_holds(p, x, (size_t)bytes_of(n, t)))
        return TK_OK;
    return TK_FAIL(TK_INTERNAL,
                   "%s over the %s communicator: %lld elements at %p do not lie in the memory that "
                   "is registered with it",
                   what, c->name, (long long)n, x);
}

static tk_status check_alone(const tk_device_comm *c, const char *what)
{
    if (!c->grouped) return TK_OK;
    return TK_FAIL(TK_INTERNAL,
                   "%s inside a group of the %s communicator, which is for sends and receives",
                   what, c->name);
}

static tk_status check_counts(const tk_device_comm *c, const char *what, const int64_t *counts,
                              int64_t width)
{
    bool good = width >= 0;
    for (int i = 0; i < c->size; i++) good &= counts[i] >= 0;
    if (good) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "%s over the %s communicator: a negative count", what, c->name);
}

// Puts the device on the communicator's queue, behind the queue of the moment; then back on that,
// which waits for what was asked for in between.
static tk_status enter_queue(tk_device_comm *c, tk_queue *was)
{
    *was = c->asked = c->device->queue;
    if (*was == c->queue) return TK_OK;
    if (!c->ready.device) TK_TRY(tk_event_open(&c->ready, c->device));
    TK_TRY(tk_event_record(&c->ready, *was));
    TK_TRY(tk_event_wait(&c->ready, c->queue));
    tk_device_on(c->device, c->queue);
    return TK_OK;
}

static tk_status leave(tk_device_comm *c, tk_queue was, tk_status st)
{
    if (was == c->queue) return st;
    tk_device_on(c->device, was);
    TK_TRY(st);
    if (!c->done.device) TK_TRY(tk_event_open(&c->done, c->device));
    TK_TRY(tk_event_record(&c->done, c->queue));
    return tk_event_wait(&c->done, was);
}

// Traced with the bytes that this rank has for it.
static tk_status collective(const tk_device_comm *c, int64_t n, tk_dtype t)
{
    return tk_trace_call(c->device, TK_TRACE_COLLECTIVE, (size_t)bytes_of(n, t));
}

tk_status tk_all_reduce(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    tk_queue was;
    TK_TRY(check_alone(c, "all_reduce"));
    TK_TRY(check_sent(c, "all_reduce", x, n, t));
    TK_TRY(collective(c, n, t));
    TK_TRY(enter_queue(c, &was));
    return leave(c, was, c->ops->all_reduce(c, x, n, t, r));
}

tk_status tk_all_gather(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                        int64_t width, tk_dtype t)
{
    tk_queue was;
    TK_TRY(check_alone(c, "all_gather"));
    TK_TRY(check_counts(c, "all_gather", counts, width));
    TK_TRY(check_sent(c, "all_gather from", in, counts[c->rank] * width, t));
    TK_TRY(check_sent(c, "all_gather to", out, total_count(c, counts) * width, t));
    TK_TRY(collective(c, counts[c->rank] * width, t));
    TK_TRY(enter_queue(c, &was));
    return leave(c, was, c->ops->all_gather(c, in, out, counts, width, t));
}

tk_status tk_reduce_scatter(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                            int64_t width, tk_dtype t)
{
    tk_queue was;
    TK_TRY(check_alone(c, "reduce_scatter"));
    TK_TRY(check_counts(c, "reduce_scatter", counts, width));
    TK_TRY(check_sent(c, "reduce_scatter from", in, total_count(c, counts) * width, t));
    TK_TRY(check_buffer(c, "reduce_scatter to", out, counts[c->rank] * width, t));
    TK_TRY(collective(c, total_count(c, counts) * width, t));
    TK_TRY(enter_queue(c, &was));
    return leave(c, was, c->ops->reduce_scatter(c, in, out, counts, width, t));
}

tk_status tk_broadcast(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    tk_queue was;
    TK_TRY(check_alone(c, "broadcast"));
    TK_TRY(check_rank(c, "broadcast from", root));
    TK_TRY(check_sent(c, "broadcast", x, n, t));
    TK_TRY(collective(c, n, t));
    TK_TRY(enter_queue(c, &was));
    return leave(c, was, c->ops->broadcast(c, x, n, t, root));
}

// Ends the group, where all went well in it.
static tk_status end_group(tk_device_comm *c, tk_status st)
{
    tk_queue was;
    c->grouped = false;
    TK_TRY(st);
    TK_TRY(enter_queue(c, &was));
    st = c->ops->group_end(c);
    tk_device_on(c->device, was);
    return st;
}

static tk_status check_message(tk_device_comm *c, bool sends, const void *x, int64_t n, tk_dtype t,
                               int peer)
{
    TK_TRY(check_peer(c, sends ? "send to" : "receive from", peer));
    TK_TRY(check_sent(c, sends ? "send" : "receive", x, n, t));
    if (n == 0) return TK_OK;
    return tk_trace_call(c->device, TK_TRACE_MESSAGE, (size_t)bytes_of(n, t));
}

tk_status tk_isend(tk_device_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r)
{
    *r = (tk_request){0};
    TK_TRY(check_message(c, true, x, n, t, to));
    if (n == 0) return TK_OK;
    if (c->grouped) return c->ops->isend(c, x, n, t, to, r);
    TK_TRY(tk_group_begin(c));
    return end_group(c, c->ops->isend(c, x, n, t, to, r));
}

tk_status tk_irecv(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    *r = (tk_request){0};
    TK_TRY(check_message(c, false, x, n, t, from));
    if (n == 0) return TK_OK;
    if (c->grouped) return c->ops->irecv(c, x, n, t, from, r);
    TK_TRY(tk_group_begin(c));
    return end_group(c, c->ops->irecv(c, x, n, t, from, r));
}

tk_status tk_group_begin(tk_device_comm *c)
{
    TK_TRY(check_alone(c, "a group"));
    TK_TRY(c->ops->group_begin(c));
    c->grouped = true;
    return TK_OK;
}

tk_status tk_group_end(tk_device_comm *c)
{
    if (!c->grouped)
        return TK_FAIL(TK_INTERNAL, "the end of a group that has not begun, on the %s communicator",
                       c->name);
    return end_group(c, TK_OK);
}

tk_status tk_wait(tk_device_comm *c, tk_request *r)
{
    TK_TRY(check_alone(c, "a wait"));
    return c->ops->wait(c, r);
}

tk_status tk_add_parts(tk_device_comm *c, const tk_parts *p)
{
    TK_TRY(check_alone(c, "a sum of parts"));
    if (p->n == 0) return TK_OK;
    TK_TRY(check_buffer(c, "a sum of parts to", p->out, p->n, p->type));
    TK_TRY(check_buffer(c, "a sum of parts of", p->own, p->n, p->type));
    TK_TRY(check_buffer(c, "a sum of parts of", p->others, (c->size - 1) * p->stride, p->type));
    TK_TRY(tk_trace_call(c->device, TK_TRACE_OPERATOR, 0));
    return c->ops->add_parts(c, p);
}
