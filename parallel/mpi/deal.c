// SPDX-License-Identifier: Apache-2.0
// Dealing by messages on the communicator of signs of life: one outstanding request a rank, and now
// and then the count of its steps, which nobody waits for.
#include "parallel/mpi/deal.h"
#include "core/base/mem.h"
#include "parallel/mpi/internal.h"

static const double TELL_SECONDS = 0.5; // between counts of steps told to rank 0

enum { SHARES = 2 }; // into how many a group's part of what is left is cut, at least

typedef struct word { // of a rank to rank 0, in the deal of that number
    int64_t deal;
    int64_t steps; // done by now
    int64_t most;  // items it would take
    bool failed;   // it has
} word;

typedef struct items {
    int64_t first, n;
} items;

typedef struct hand { // of one rank, kept by rank 0
    int64_t steps;
    items dealt;
    MPI_Request reply;
} hand;

struct tk_deal {
    tk_comm *world, *group;
    int64_t number, n, next; // next: rank 0
    int64_t steps;           // of this rank
    hand *hand;              // (size); rank 0
    word told;
    double told_at;
    MPI_Request telling;
    tk_progress progress;
};

static tk_deal *current; // of rank 0, which must answer
static int64_t deals;    // of several ranks, opened so far: the same number on all

// ---- rank 0 ------------------------------------------------------------------------------------

static void show_progress(tk_deal *d)
{
    int64_t sum = 0;
    for (int i = 0; i < d->world->size; i++) sum += d->hand[i].steps;
    tk_progress_at(&d->progress, sum, "");
}

static items take_items(tk_deal *d, int64_t most)
{
    const int64_t left = d->n - d->next, groups = d->world->size / d->group->size;
    int64_t n = left / (SHARES * groups);
    n = n > most ? most : n;
    n = n < 1 && left > 0 ? 1 : n;
    const items got = {d->next, n};
    d->next += n;
    return got;
}

static void stop_dealing(tk_deal *d)
{
    d->next = d->n;
}

static void hear_rank(int from, int tag)
{
    MPI_Comm comm = tk_mpi_pulse_comm();
    word w;
    MPI_Recv(&w, (int)sizeof w, MPI_BYTE, from, tag, comm, MPI_STATUS_IGNORE);
    tk_deal *d = current;
    if (!d || d->number != w.deal) return; // a late count
    hand *h = &d->hand[from];
    if (w.steps > h->steps) h->steps = w.steps;
    if (w.failed) stop_dealing(d);
    if (tag == TK_MPI_TAG_WANT) {
        MPI_Wait(&h->reply, MPI_STATUS_IGNORE); // it has come, or there were no other request
        h->dealt = take_items(d, w.most);
        MPI_Isend(&h->dealt, (int)sizeof h->dealt, MPI_BYTE, from, TK_MPI_TAG_DEALT, comm,
                  &h->reply);
    }
    show_progress(d);
}

// ---- all ---------------------------------------------------------------------------------------

static tk_status make_deal(tk_comm *world, tk_comm *group, int64_t n, tk_deal **out)
{
    tk_deal *d;
    if (world->size > 1) deals++; // also where memory runs out on this rank alone
    TK_NEW(d, 1);
    *d = (tk_deal){.world = world, .group = group, .number = deals, .n = n};
    d->telling = MPI_REQUEST_NULL;
    *out = d;
    if (world->rank) return TK_OK;
    TK_NEW(d->hand, world->size);
    for (int i = 0; i < world->size; i++) d->hand[i].reply = MPI_REQUEST_NULL;
    if (world->size > 1) current = d;
    tk_mpi_hear_by(hear_rank);
    return TK_OK;
}

static void discard(tk_deal *d)
{
    if (!d) return;
    if (current == d) current = NULL;
    for (int i = 0; d->hand && d->world->size > 1 && i < d->world->size; i++)
        MPI_Wait(&d->hand[i].reply, MPI_STATUS_IGNORE);
    if (d->world->size > 1) MPI_Wait(&d->telling, MPI_STATUS_IGNORE);
    tk_free(d->hand);
    tk_free(d);
}

tk_status tk_deal_open(tk_comm *world, tk_comm *group, int64_t n, const char *what,
                       const char *unit, int64_t steps, tk_deal **out)
{
    *out = NULL;
    const tk_status st = tk_agree(world, make_deal(world, group, n, out));
    if (st == TK_OK) {
        tk_progress_begin(&(*out)->progress, what, unit, steps);
        return TK_OK;
    }
    discard(*out);
    *out = NULL;
    return st;
}

static tk_status tell(tk_deal *d, int tag, int64_t most, bool failed)
{
    d->told = (word){.deal = d->number, .steps = d->steps, .most = most, .failed = failed};
    d->told_at = tk_now();
    return tk_mpi_check(d->world->impl, "deal",
                        MPI_Isend(&d->told, (int)sizeof d->told, MPI_BYTE, 0, tag,
                                  tk_mpi_pulse_comm(), &d->telling));
}

static const int dealer[2] = {0, 0};

// What was told before has left, so that it may be changed again.
static tk_status finish_telling(tk_deal *d)
{
    MPI_Request req[1] = {d->telling};
    d->telling = MPI_REQUEST_NULL;
    return tk_mpi_finish(d->world->impl, "deal", 1, req, dealer);
}

// The first rank of a group that is not rank 0's.
static tk_status ask_for_items(tk_deal *d, int64_t most, items *got)
{
    MPI_Request req[2];
    TK_TRY(finish_telling(d));
    TK_TRY(tk_mpi_check(d->world->impl, "deal",
                        MPI_Irecv(got, (int)sizeof *got, MPI_BYTE, 0, TK_MPI_TAG_DEALT,
                                  tk_mpi_pulse_comm(), &req[1])));
    TK_TRY(tell(d, TK_MPI_TAG_WANT, most, false));
    req[0] = d->telling;
    d->telling = MPI_REQUEST_NULL;
    return tk_mpi_finish(d->world->impl, "deal", 2, req, dealer);
}

tk_status tk_deal_next_few(tk_deal *d, int64_t most, int64_t *first, int64_t *n)
{
    items got = {0, 0};
    tk_status st = TK_OK;
    *first = *n = 0;
    if (d->world->rank == 0)
        got = take_items(d, most);
    else if (d->group->rank == 0)
        st = ask_for_items(d, most, &got);
    TK_TRY(st);
    TK_TRY(tk_comm_broadcast(d->group, &got, sizeof got, 0));
    *first = got.first;
    *n = got.n;
    return TK_OK;
}

tk_status tk_deal_next(tk_deal *d, int64_t *item)
{
    int64_t n;
    const tk_status st = tk_deal_next_few(d, 1, item, &n);
    if (st != TK_OK || n == 0) *item = -1;
    return st;
}

void tk_deal_step(void *deal)
{
    tk_deal *d = deal;
    int sent = 1;
    d->steps++;
    if (d->world->rank == 0) {
        d->hand[0].steps = d->steps;
        show_progress(d);
    }
    if (d->world->rank == 0 || d->group->rank || tk_now() - d->told_at < TELL_SECONDS) return;
    MPI_Test(&d->telling, &sent, MPI_STATUS_IGNORE);
    if (sent) (void)tell(d, TK_MPI_TAG_STEPS, 0, false); // a count that is lost is no harm
}

int64_t tk_deal_done(const tk_deal *d)
{
    return d->steps;
}

// This group has failed: nobody gets any more.
static tk_status call_off(tk_deal *d)
{
    if (d->world->rank == 0) stop_dealing(d);
    if (d->world->rank == 0 || d->group->rank) return TK_OK;
    TK_TRY(finish_telling(d));
    return tell(d, TK_MPI_TAG_STEPS, 0, true);
}

tk_status tk_deal_close(tk_deal *d, tk_status st)
{
    if (st != TK_OK && st != TK_COMM) (void)call_off(d); // or the others go on for nothing
    uint64_t steps = d->group->rank ? 0 : (uint64_t)d->steps;
    st = tk_agree(d->world, st);
    if (st == TK_OK) st = tk_comm_sum_u64(d->world, &steps, 1);
    if (st == TK_OK) tk_progress_at(&d->progress, (int64_t)steps, "");
    tk_progress_end(&d->progress);
    discard(d);
    return st;
}
