// SPDX-License-Identifier: Apache-2.0
// Everything waits in one place, tk_mpi_finish(): it tests, and gives the core away between tests,
// because the rank it waits for may need that core. The same loop looks for signs of life of those
// it waits for (pulse.c), so that no wait is without end. A thread of a device's queue only tests:
// the host looks, when it waits for that thread.
#include "core/base/log.h"
#include "parallel/mpi/internal.h"
#include <math.h>
#include <sched.h>
#include <time.h>

enum { EAGER_TESTS = 64 }; // of a queue's thread, before it is patient
// Seconds of yielding before pausing. Ranks that share cores and go on yielding take turns with who
// works.
static const double LONG_WAIT = 0.001;
// A pause is this share of the wait until then, so that tests cost little of a long wait and come
// late by little; seconds at least and at most. (Long messages go on by tests alone.)
static const double PAUSE_SHARE = 0.05, SHORTEST_PAUSE = 50e-6, LONGEST_PAUSE = 200e-6;
// Between looks around, by the clock: a core given away may stay away. Each look gives it away some
// times more, where ranks share cores.
static const double LOOK_SECONDS = 0.03;

size_t tk_mpi_max_message = (size_t)1 << 30;

void tk_mpi_set_max_message(size_t bytes)
{
    tk_mpi_max_message = bytes;
}

tk_status tk_mpi_fail(const tk_mpi_impl *m, tk_status st)
{
    tk_status_set_shared(false);
    if (m->size == 1) return st;
    tk_mpi_end_alone(st);
}

tk_status tk_mpi_check(const tk_mpi_impl *m, const char *op, int err)
{
    char words[MPI_MAX_ERROR_STRING] = "";
    int n = 0;
    if (err == MPI_SUCCESS) return TK_OK;
    MPI_Error_string(err, words, &n);
    return tk_mpi_fail(
        m, TK_FAIL(TK_COMM, "%s failed on rank %d of %d of the %s communicator (world rank %d): %s",
                   op, m->rank, m->size, m->name, m->world_rank, words));
}

// Between two tests, after so many seconds; the first ones of a wait come at once.
static void pause_between(bool patient, double waited)
{
    const double seconds = fmin(fmax(PAUSE_SHARE * waited, SHORTEST_PAUSE), LONGEST_PAUSE);
    const struct timespec pause = {0, (long)(seconds * 1e9)};
    if (patient)
        nanosleep(&pause, NULL);
    else
        sched_yield();
}

tk_status tk_mpi_finish(const tk_mpi_impl *m, const char *op, int n, MPI_Request *req,
                        const int *peer)
{
    tk_mpi_wait w = {.m = m, .op = op, .n = n, .req = req, .peer = peer};
    const bool looks = tk_mpi_is_host();
    const double began = tk_now();
    double looked = began, now = began;
    if (looks) tk_mpi_alive();
    for (int tests = 1;; tests++) {
        int done = 0;
        int err = MPI_Testall(n, req, &done, MPI_STATUSES_IGNORE);
        if (err != MPI_SUCCESS) return tk_mpi_check(m, op, err);
        if (done) return TK_OK;
        pause_between(looks ? now - began > LONG_WAIT : tests > EAGER_TESTS, now - began);
        now = tk_now();
        if (!looks || now - looked < LOOK_SECONDS) continue;
        tk_mpi_look(&w);
        looked = now;
    }
}

void tk_mpi_look_for(tk_comm *c, const char *op, bool begins)
{
    static const int anybody = -1;
    static tk_mpi_wait w;
    if (begins) w = (tk_mpi_wait){.m = c->impl, .op = op, .n = 1, .peer = &anybody};
    tk_mpi_look(&w);
}
