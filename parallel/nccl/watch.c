// SPDX-License-Identifier: Apache-2.0
// Waiting for NCCL, and how what fails in it ends the run.
#define _GNU_SOURCE
#include "core/base/log.h"
#include "core/device/cuda/beat.h"
#include "parallel/mpi/comm.h"
#include "parallel/mpi/start.h"
#include "parallel/nccl/internal.h"
#include <sched.h>
#include <unistd.h>

static const double LOOK_SECONDS = 0.002; // between looks in a wait for the device

static tk_nccl_impl *watched; // the newest first
static const char *last_op;   // of any of them

tk_nccl_impl *tk_nccl_watched(void)
{
    return watched;
}

static tk_nccl_impl *the_world(void)
{
    tk_nccl_impl *m = watched;
    while (m && m->next) m = m->next;
    return m;
}

// Whoever ends the run leaves no kernel of ours behind that waits for others.
static void abort_all(void)
{
    tk_nccl_impl *m = watched;
    watched = NULL;
    for (; m; m = m->next)
        if (tk_nccl_made(m)) (void)tk_nccl.CommAbort(tk_nccl_made(m));
}

void tk_nccl_begin(tk_nccl_impl *m, const char *op)
{
    m->op = last_op = op;
    m->asked++;
}

static tk_status fail(const tk_nccl_impl *m, ncclResult_t r, const char *when)
{
    const tk_nccl_impl *world = the_world();
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const char *words = tk_nccl_made(m) ? tk_nccl.GetLastError(tk_nccl_made(m)) : NULL;
    const tk_status st =
        TK_FAIL(TK_COMM,
                "world rank %d (rank %d of %d of the %s communicator) on host %s: NCCL failed %s "
                "%s, number %lld: %s%s%s (NCCL_DEBUG=WARN tells more)",
                world ? world->host->rank : m->host->rank, m->host->rank, m->host->size,
                m->host->name, host, when, m->op, (long long)m->asked, tk_nccl.GetErrorString(r),
                words && *words ? ": " : "", words ? words : "");
    tk_status_set_shared(false);
    return tk_parallel_unless_alone(m->host, st);
}

// What goes on by itself, or has failed by itself. NCCL knows no state of what it is still making.
static ncclResult_t state_of(const tk_nccl_impl *m)
{
    const ncclComm_t comm = tk_nccl_made(m);
    ncclResult_t state = ncclInProgress;
    if (comm && tk_nccl.CommGetAsyncError(comm, &state) != ncclSuccess) return ncclInternalError;
    return state;
}

tk_status tk_nccl_check(tk_nccl_impl *m, ncclResult_t r)
{
    for (bool begins = true; r == ncclInProgress; begins = false) {
        if ((r = state_of(m)) != ncclInProgress) break;
        sched_yield();
        tk_mpi_look_for(m->host, m->op, begins);
    }
    return r == ncclSuccess ? TK_OK : fail(m, r, "in");
}

// The asked-th time that the host finds the device at work.
static void look(int asked)
{
    static double looked;
    const double now = tk_now();
    if (asked && now - looked < LOOK_SECONDS) return;
    looked = now;
    for (tk_nccl_impl *m = watched; m; m = m->next) {
        const ncclResult_t state = state_of(m);
        if (state != ncclSuccess && state != ncclInProgress)
            (void)fail(m, state, "during or before");
    }
    tk_mpi_look_for(the_world()->host, last_op, asked == 0);
}

void tk_nccl_watch(tk_nccl_impl *m)
{
    m->next = watched;
    watched = m;
    tk_cuda_wait_by(look);
    tk_mpi_work_by(tk_cuda_comes_on);
    tk_parallel_before_abort(abort_all);
}

void tk_nccl_unwatch(tk_nccl_impl *m)
{
    for (tk_nccl_impl **p = &watched; *p; p = &(*p)->next)
        if (*p == m) {
            *p = m->next;
            break;
        }
    if (watched) return;
    tk_cuda_wait_by(NULL);
    tk_mpi_work_by(NULL);
    tk_parallel_before_abort(NULL);
}
