// SPDX-License-Identifier: Apache-2.0
// Signs of life: how a rank that waits tells one that works long from one that is lost.
//
// Who waits long asks those it waits for, again and again, on a communicator of its own. Every rank
// answers while it waits itself (tk_mpi_look) and now and then while it works (tk_alive, which long
// loops call). An answer says how long ago the rank last knew of anybody at work: 0 when it works
// itself, or its GPU has come on while it waits (tk_mpi_work_by). So a wait goes on for hours where
// the other works for hours, and ends in two cases only:
// someone has not answered for the limit's seconds (stopped, lost, or in a loop without end), or
// all answer but nobody has been at work for as long (each waits for the other).
#include "core/base/log.h"
#include "core/base/mem.h"
#include "parallel/mpi/internal.h"
#include "parallel/mpi/start.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 8 };                       // rounds of questions within the limit
static const double LISTEN_SECONDS = 0.05; // between looks for questions while at work
static const double AROUND_SECONDS = 2;    // between looks around in a wait

typedef struct answer {
    double idle;    // seconds since the rank last knew of anybody at work
    double silence; // of the rank it waits for
    int32_t lost;   // that rank, of the world; -1: none, it is at work
    char op[28];    // it waits in
} answer;

typedef struct other { // what is known of a rank of the world
    char host[64];
    double heard; // when it last answered
    bool asked;   // and has not answered yet
    answer said, told;
    MPI_Request question, reply;
} other;

static struct {
    MPI_Comm comm;
    int rank, size;
    other *of;        // (size)
    pthread_t thread; // the host
    double listened, limit;
    const tk_mpi_wait *wait; // under way, NULL: at work
    void (*deals)(int from, int tag);
    bool (*comes_on)(void);
} pulse;

static double limit_seconds(void)
{
    const char *s = getenv("TALKIE_COMM_TIMEOUT");
    const double v = s ? atof(s) : 0;
    return v > 0 ? v : 600;
}

tk_status tk_mpi_pulse_open(MPI_Comm world)
{
    char host[MPI_MAX_PROCESSOR_NAME] = "", *hosts;
    const size_t room = sizeof pulse.of[0].host;
    int n;
    MPI_Comm_rank(world, &pulse.rank);
    MPI_Comm_size(world, &pulse.size);
    MPI_Get_processor_name(host, &n);
    host[room - 1] = 0;
    TK_NEW(pulse.of, pulse.size);
    hosts = tk_alloc((size_t)pulse.size * room);
    if (!hosts) return TK_FAIL(TK_MEMORY, "out of memory for the names of %d hosts", pulse.size);
    const bool good =
        MPI_Comm_dup(world, &pulse.comm) == MPI_SUCCESS &&
        MPI_Allgather(host, (int)room, MPI_CHAR, hosts, (int)room, MPI_CHAR, world) == MPI_SUCCESS;
    for (int i = 0; i < pulse.size && good; i++) {
        other *o = &pulse.of[i];
        memcpy(o->host, hosts + (size_t)i * room, room);
        o->question = o->reply = MPI_REQUEST_NULL;
    }
    tk_free(hosts);
    if (!good) return TK_FAIL(TK_COMM, "MPI cannot make a communicator for signs of life");
    MPI_Comm_set_errhandler(pulse.comm, MPI_ERRORS_RETURN); // who is lost is found by its silence
    pulse.thread = pthread_self();
    pulse.limit = limit_seconds();
    tk_alive_by(tk_mpi_alive);
    return TK_OK;
}

// After MPI has ended: until then it may still send from these.
void tk_mpi_pulse_close(void)
{
    tk_alive_by(NULL);
    tk_free(pulse.of);
    memset(&pulse, 0, sizeof pulse);
}

// The earlier answer to that rank was received, or it would not ask again: no wait.
static void reply(int to, double now)
{
    other *o = &pulse.of[to];
    const tk_mpi_wait *w = pulse.wait;
    MPI_Wait(&o->reply, MPI_STATUS_IGNORE);
    o->told = (answer){.lost = -1};
    if (w) {
        o->told = (answer){.idle = now - w->since, .silence = now - w->heard, .lost = w->lost};
        snprintf(o->told.op, sizeof o->told.op, "%s", w->op);
    }
    MPI_Isend(&o->told, (int)sizeof o->told, MPI_BYTE, to, TK_MPI_TAG_ANSWER, pulse.comm,
              &o->reply);
}

// A message of that tag, if one is there; false: none is.
static bool hear_one(int tag, double now)
{
    int there = 0;
    MPI_Status s;
    if (MPI_Iprobe(MPI_ANY_SOURCE, tag, pulse.comm, &there, &s) != MPI_SUCCESS || !there)
        return false;
    const int from = s.MPI_SOURCE;
    other *o = &pulse.of[from];
    if (tag == TK_MPI_TAG_ASK) {
        MPI_Recv(NULL, 0, MPI_BYTE, from, tag, pulse.comm, MPI_STATUS_IGNORE);
        reply(from, now);
    } else if (tag == TK_MPI_TAG_ANSWER) {
        MPI_Recv(&o->said, (int)sizeof o->said, MPI_BYTE, from, tag, pulse.comm, MPI_STATUS_IGNORE);
        o->heard = now;
        o->asked = false;
    } else {
        if (!pulse.deals) return false;
        pulse.deals(from, tag);
    }
    return true;
}

static void hear_all(double now)
{
    pulse.listened = now;
    for (int tag = TK_MPI_TAG_ASK; tag <= TK_MPI_TAG_STEPS; tag++)
        while (hear_one(tag, now)) continue;
}

void tk_mpi_hear_by(void (*deals)(int from, int tag))
{
    pulse.deals = deals;
}

void tk_mpi_work_by(bool (*comes_on)(void))
{
    pulse.comes_on = comes_on;
}

MPI_Comm tk_mpi_pulse_comm(void)
{
    return pulse.comm;
}

bool tk_mpi_is_host(void)
{
    return pulse.size > 0 && pthread_equal(pthread_self(), pulse.thread);
}

void tk_mpi_alive(void)
{
    if (pulse.size < 2 || !tk_mpi_is_host()) return;
    const double now = tk_now();
    if (now - pulse.listened < LISTEN_SECONDS) return;
    hear_all(now);
}

// ---- waiting -----------------------------------------------------------------------------------

_Noreturn static void give_up(const tk_mpi_wait *w, double now)
{
    const tk_mpi_impl *m = w->m;
    const other *o = &pulse.of[w->lost];
    char why[96];
    tk_mpi_look_around(); // who is not wanted any more has a better reason to end
    if (now - w->heard > pulse.limit / 2)
        snprintf(why, sizeof why, "has given no sign of life for %.0f s", now - w->heard);
    else
        snprintf(why, sizeof why, "waits itself, in %s, and nobody is at work", o->said.op);
    fprintf(stderr,
            "talkie: world rank %d (rank %d of %d of the %s communicator) on host %s waited %.0f s "
            "in %s for world rank %d on host %s, which %s; giving up (TALKIE_COMM_TIMEOUT sets the "
            "seconds)\n",
            pulse.rank, m->rank, m->size, m->name, pulse.of[pulse.rank].host, now - w->began, w->op,
            w->lost, o->host, why);
    tk_parallel_abort(tk_status_exit_code(TK_COMM));
}

// Takes what a world rank that is waited for answered last, and asks it again.
static void ask_rank(tk_mpi_wait *w, int rank, int *quietest)
{
    other *o = &pulse.of[rank];
    if (rank == pulse.rank) return;
    if (o->heard <= w->began) // not in this wait
        o->heard = w->began;
    else if (o->heard - o->said.idle > w->since)
        w->since = o->heard - o->said.idle;
    if (*quietest < 0 || o->heard < pulse.of[*quietest].heard) *quietest = rank;
    if (o->asked) return;
    o->asked = true;
    MPI_Wait(&o->question, MPI_STATUS_IGNORE); // the last one was answered
    MPI_Isend(NULL, 0, MPI_BYTE, rank, TK_MPI_TAG_ASK, pulse.comm, &o->question);
}

// Of a chain of ranks that wait for each other the last one is to name, if it is silent.
static void ask_all(tk_mpi_wait *w, double now)
{
    const int *world = w->m->world_of;
    int quietest = -1;
    for (int i = 0; i < w->n; i++) {
        int done = 0;
        if (w->req) MPI_Test(&w->req[i], &done, MPI_STATUS_IGNORE);
        if (done) continue;
        if (w->peer[i] >= 0) ask_rank(w, world[w->peer[i]], &quietest);
        for (int k = 0; k < w->m->size && w->peer[i] < 0; k++) ask_rank(w, world[k], &quietest);
    }
    w->lost = quietest;
    if (quietest < 0) return;
    const other *o = &pulse.of[quietest];
    w->heard = o->heard;
    if (o->heard > w->began && o->said.lost >= 0 && o->said.silence > pulse.limit / 2) {
        w->lost = o->said.lost;
        w->heard = o->heard - o->said.silence;
    }
    if (now - w->heard > pulse.limit || now - w->since > pulse.limit) give_up(w, now);
}

void tk_mpi_look(tk_mpi_wait *w)
{
    const double now = tk_now(), round = pulse.limit / ROUNDS;
    if (w->began == 0 || now - w->looked > round) { // or this rank itself was stopped for a while
        w->began = w->since = w->asked = w->heard = w->around = now;
        w->lost = -1;
    }
    w->looked = now;
    if (pulse.comes_on && pulse.comes_on()) w->since = now;
    pulse.wait = w;
    hear_all(now);
    if (now - w->asked > round) {
        w->asked = now;
        ask_all(w, now);
    }
    pulse.wait = NULL;
    if (now - w->around > AROUND_SECONDS) {
        w->around = now;
        tk_mpi_look_around();
    }
}
