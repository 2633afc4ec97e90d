// SPDX-License-Identifier: Apache-2.0
// Starting and ending MPI, and this rank's share of its node.
#define _GNU_SOURCE
#include "parallel/mpi/start.h"
#include "core/base/mem.h"
#include "parallel/mpi/internal.h"
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_CPUS = 8192, ABORT_SECONDS = 10 };

static tk_comm *started; // what tk_parallel_start filled in

tk_status tk_parallel_start(int *argc, char ***argv, tk_comm *world)
{
    int provided = 0;
    int err = MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
    if (err != MPI_SUCCESS) return TK_FAIL(TK_COMM, "MPI does not start (error %d)", err);
    if (provided < MPI_THREAD_FUNNELED)
        return TK_FAIL(TK_COMM, "this MPI does not allow other threads in the process");
    TK_TRY(tk_mpi_world(world));
    started = world;
    return TK_OK;
}

void tk_parallel_stop(void)
{
    int on = 0, off = 0;
    MPI_Initialized(&on);
    MPI_Finalized(&off);
    if (started) tk_mpi_close(started);
    started = NULL;
    if (on && !off) MPI_Finalize();
    tk_mpi_pulse_close();
}

static volatile sig_atomic_t abort_code;

static void leave_now(int signal_number)
{
    (void)signal_number;
    _exit(abort_code);
}

_Noreturn void tk_parallel_abort(int exit_code)
{
    int on = 0, off = 0;
    fflush(NULL);
    abort_code = exit_code;
    signal(SIGALRM, leave_now); // should MPI_Abort itself hang
    alarm(ABORT_SECONDS);
    MPI_Initialized(&on);
    MPI_Finalized(&off);
    if (on && !off) MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
}

static void say(const char *who, tk_status st)
{
    fflush(stdout);
    fprintf(stderr, "talkie: %s%s\n", who, tk_status_message());
    if (st == TK_INTERNAL) fprintf(stderr, "%s", tk_status_trace());
}

_Noreturn static void end_alone(int rank, tk_status st)
{
    char who[32];
    snprintf(who, sizeof who, "rank %d: ", rank);
    say(who, st);
    tk_parallel_abort(tk_status_exit_code(st));
}

tk_status tk_parallel_unless_alone(const tk_comm *c, tk_status st)
{
    int rank = 0;
    if (st == TK_OK || c->size == 1 || tk_status_shared()) return st;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    end_alone(rank, st);
}

static tk_status (*still_wanted)(const void *context);
static const void *watched;

void tk_parallel_watch(tk_status (*still)(const void *context), const void *context)
{
    still_wanted = still;
    watched = context;
}

void tk_mpi_look_around(void)
{
    int rank = 0;
    const tk_status st = still_wanted ? still_wanted(watched) : TK_OK;
    if (st == TK_OK) return;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    end_alone(rank, st);
}

// Also where MPI started and talkie did not.
int tk_parallel_end(tk_comm *world, tk_status st)
{
    int on = 0, size = 1, rank = 0;
    const int code = tk_status_exit_code(st);
    MPI_Initialized(&on);
    if (on) MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (on) MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (st != TK_OK && size > 1 && !tk_status_shared()) end_alone(rank, st);
    if (st != TK_OK && rank == 0) say("", st);
    tk_parallel_stop();
    *world = (tk_comm){0};
    return code;
}

// CPU time a control group grants, in whole cores (rounded up); MAX_CPUS when there is no limit.
static int cores_granted(void)
{
    long quota = 0, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!f) return MAX_CPUS;
    int fields = fscanf(f, "%ld %ld", &quota, &period);
    fclose(f);
    if (fields != 2 || quota <= 0 || period <= 0) return MAX_CPUS;
    long cores = (quota + period - 1) / period;
    return cores < MAX_CPUS ? (int)cores : MAX_CPUS;
}

// all: (ranks, MAX_CPUS / 8) masks. A core that k ranks may run on counts 1/k, so ranks bound to
// cores of their own keep them and unbound ranks share the node.
static int fair_share(const unsigned char *all, int ranks, int rank)
{
    double share = 0;
    for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
        int users = 0, at = cpu / 8, bit = 1 << cpu % 8;
        if (!(all[rank * (MAX_CPUS / 8) + at] & bit)) continue;
        for (int r = 0; r < ranks; r++) users += (all[r * (MAX_CPUS / 8) + at] & bit) != 0;
        share += 1.0 / users;
    }
    double granted = (double)cores_granted() / ranks;
    int cores = (int)((share < granted ? share : granted) + 1e-6);
    return cores > 1 ? cores : 1;
}

tk_status tk_mpi_node(tk_comm *world, int *ranks_on_node, int *cores)
{
    _Alignas(cpu_set_t) unsigned char mine[MAX_CPUS / 8] = {0};
    tk_comm node;
    TK_TRY(tk_mpi_split_node(world, &node));
    *ranks_on_node = node.size;
    *cores = 1;
    sched_getaffinity(0, sizeof mine, (cpu_set_t *)mine); // fails: an empty mask, one core
    unsigned char *all = tk_alloc((size_t)node.size * sizeof mine);
    tk_status st = tk_agree(world, all ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory"));
    if (st == TK_OK) st = tk_comm_all_gather(&node, mine, all, sizeof mine);
    if (st == TK_OK) *cores = fair_share(all, node.size, node.rank);
    tk_free(all);
    tk_mpi_close(&node);
    return st;
}
