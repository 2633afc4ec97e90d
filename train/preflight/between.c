// SPDX-License-Identifier: Apache-2.0
// Links are measured in pairs, so that a slow one is one line's: of a ring of ranks first those
// between 0 and 1, 2 and 3 ..., then those between 1 and 2, 3 and 4 ..., and at last, where their
// number is odd, the one that closes it.
#include "core/base/log.h"
#include "train/preflight/measure.h"
#include <string.h>

enum { ROUNDS = 5 };

// ---- numbers -----------------------------------------------------------------------------------

static float of_rank(int rank, size_t i)
{
    return (float)(rank + (int)(i & 1023));
}

static tk_status put_own(tk_flight_gauge *g, const tk_tensor *t, int rank)
{
    for (size_t i = 0; i < g->bytes / sizeof(float); i++) ((float *)g->host)[i] = of_rank(rank, i);
    TK_TRY(tk_device_upload(g->device, t->data, g->host, g->bytes));
    return tk_device_sync(g->device);
}

// Whether element i of the tensor is `each` times i's part of a number, and `more`.
static tk_status is_right(tk_flight_gauge *g, const tk_tensor *t, int each, float more, bool *right)
{
    TK_TRY(tk_device_download(g->device, g->host, t->data, g->bytes));
    TK_TRY(tk_device_sync(g->device));
    *right = true;
    for (size_t i = 0; i < g->bytes / sizeof(float); i++)
        *right &= ((float *)g->host)[i] == (float)each * of_rank(0, i) + more;
    return TK_OK;
}

// ---- sums --------------------------------------------------------------------------------------

typedef struct summing {
    tk_flight_gauge *gauge;
    tk_device_comm *comm;
} summing;

static tk_status sum_once(void *ctx)
{
    const summing *s = ctx;
    const tk_tensor *a = &s->gauge->a;
    return tk_all_reduce(s->comm, a->data, tk_count(a), TK_F32, TK_SUM);
}

// Bytes of the tensor a second, whatever goes over the wires; 0 of one rank.
static tk_status time_sum(tk_flight_gauge *g, tk_device_comm *c, tk_flight_rank *own, double *rate)
{
    summing s = {g, c};
    double seconds;
    bool right;
    *rate = 0;
    if (c->size < 2) return TK_OK;
    TK_TRY(put_own(g, &g->a, c->rank));
    TK_TRY(sum_once(&s));
    TK_TRY(is_right(g, &g->a, c->size, (float)(c->size * (c->size - 1) / 2), &right));
    own->wrong_sum |= !right;
    TK_TRY(tk_device_zero(g->device, g->a.data, g->bytes)); // sums of sums would grow
    TK_TRY(tk_flight_time(g, sum_once, &s, ROUNDS, &seconds));
    *rate = (double)g->bytes / seconds;
    return TK_OK;
}

// ---- messages ----------------------------------------------------------------------------------

typedef struct exchange {
    tk_flight_gauge *gauge;
    int to, from; // ranks of the world
} exchange;

static tk_status send_and_take(void *ctx)
{
    const exchange *e = ctx;
    const tk_flight_gauge *g = e->gauge;
    tk_device_comm *c = &g->mesh->world_device;
    const int64_t n = tk_count(&g->a);
    tk_request sent = {0}, came = {0};
    TK_TRY(tk_group_begin(c));
    TK_TRY(tk_isend(c, g->a.data, n, TK_F32, e->to, &sent));
    TK_TRY(tk_irecv(c, g->b.data, n, TK_F32, e->from, &came));
    TK_TRY(tk_group_end(c));
    TK_TRY(tk_wait(c, &sent));
    return tk_wait(c, &came);
}

static tk_status nothing(void *ctx)
{
    (void)ctx;
    return TK_OK;
}

// A ring of `n` ranks of the world, `apart` from each other, of which this is number `i`.
typedef struct ring {
    int n, i, apart;
} ring;

static int of_ring(const ring *r, int rank, int k)
{
    return rank + ((r->i + k + r->n) % r->n - r->i) * r->apart;
}

// The rate of the link to the next rank of the ring: *other is the rank there, -1 where there is
// none, or where that one tells of it. Every rank of the world makes the same turns.
static tk_status time_links(tk_flight_gauge *g, const ring *r, tk_flight_rank *own, int *other,
                            double *rate)
{
    const int rank = g->mesh->world.rank, turns = r->n < 2 ? 0 : r->n == 2 ? 1 : 2 + r->n % 2;
    *other = -1;
    for (int turn = 0; turn < turns; turn++) {
        const bool closes = turn == 2, odd = r->n % 2;
        const bool begins =
            closes ? r->i == r->n - 1 : r->i % 2 == turn && !(odd && r->i == r->n - 1);
        const bool ends = closes ? r->i == 0 : r->i % 2 != turn && !(odd && turn == 1 && r->i == 0);
        const int peer = of_ring(r, rank, begins ? 1 : -1);
        exchange e = {g, peer, peer};
        double seconds;
        bool right = true;
        TK_TRY(put_own(g, &g->a, rank));
        if (!begins && !ends) {
            TK_TRY(tk_flight_time(g, nothing, NULL, ROUNDS, &seconds));
            continue;
        }
        TK_TRY(send_and_take(&e));
        TK_TRY(is_right(g, &g->b, 1, (float)peer, &right));
        if (!right) own->wrong_from = peer;
        TK_TRY(tk_flight_time(g, send_and_take, &e, ROUNDS, &seconds));
        if (!begins) continue;
        *other = peer;
        *rate = 2 * (double)g->bytes / seconds;
    }
    return TK_OK;
}

// All send to the next and take from the one before, at once.
static tk_status time_ring(tk_flight_gauge *g, double *rate)
{
    const tk_comm *w = &g->mesh->world;
    exchange e = {g, (w->rank + 1) % w->size, (w->rank + w->size - 1) % w->size};
    double seconds;
    *rate = 0;
    if (w->size < 2) return TK_OK;
    TK_TRY(tk_flight_time(g, send_and_take, &e, ROUNDS, &seconds));
    *rate = 2 * (double)g->bytes / seconds;
    return TK_OK;
}

tk_status tk_flight_between(tk_flight_gauge *g, int each, tk_flight_rank *own, tk_flight_whole *all)
{
    const tk_comm *w = &g->mesh->world;
    const ring near = {.n = each, .i = w->rank % each, .apart = 1};
    const ring far = {.n = w->size / each, .i = w->rank / each, .apart = each};
    own->wrong_from = -1;
    TK_TRY(time_sum(g, &g->mesh->axis[TK_AXIS_TENSOR].device, own, &own->figure[TK_FLIGHT_SUM]));
    TK_TRY(time_links(g, &near, own, &own->near, &own->figure[TK_FLIGHT_NEAR]));
    TK_TRY(time_links(g, &far, own, &own->far, &own->figure[TK_FLIGHT_FAR]));
    TK_TRY(time_sum(g, &g->mesh->world_device, own, &all->sum));
    return time_ring(g, &all->ring);
}
