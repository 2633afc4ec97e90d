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

enum { MAX_CPUS = 8192 };

static tk_comm *started; // what tk_parallel_start filled in
static bool threads;     // MPI may be called by several at once

// Whether a launcher started this process as a rank: mpirun and srun by PMIx, others by PMI; in a
// step of Slurm's without either MPI says what is missing.
static bool is_launched(void)
{
    static const char *const signs[] = {"PMIX_NAMESPACE", "PMI_RANK", "PMI_FD", "SLURM_STEP_ID"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (getenv(signs[i])) return true;
    return false;
}

// A process without PMIx that MPI is to start all the same gets no daemon of Open MPI's for ranks
// that it may spawn. Without one all such processes have one number, and so one folder for their
// files, which they would take away from each other: they need none.
static void need_no_daemon(void)
{
    setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    setenv("OMPI_MCA_orte_create_session_dirs", "0", 0);
}

// One rank has nobody to talk to: MPI, which takes a third of a second to start, stays off.
static tk_status start_alone(tk_comm *world)
{
    *world = *tk_comm_self();
    world->name = "world";
    threads = true;
    return TK_OK;
}

tk_status tk_parallel_start(int *argc, char ***argv, tk_comm *world)
{
    int provided = 0;
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow so far: the write fails, in words
    if (!is_launched()) return start_alone(world);
    if (!getenv("PMIX_NAMESPACE")) need_no_daemon();
    int err = MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &provided);
    if (err != MPI_SUCCESS) return TK_FAIL(TK_COMM, "MPI does not start (error %d)", err);
    if (provided < MPI_THREAD_FUNNELED)
        return TK_FAIL(TK_COMM, "this MPI does not allow other threads in the process");
    threads = provided == MPI_THREAD_MULTIPLE;
    TK_TRY(tk_mpi_world(world));
    started = world;
    return tk_mpi_pulse_open(((const tk_mpi_impl *)world->impl)->comm);
}

bool tk_mpi_threads(void)
{
    return threads;
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

// Also where MPI started and talkie did not.
int tk_parallel_end(tk_comm *world, tk_status st)
{
    int on = 0, size = 1, rank = 0;
    const int code = tk_status_exit_code(st);
    MPI_Initialized(&on);
    if (on) MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (on) MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (st != TK_OK && size > 1 && !tk_status_shared()) tk_mpi_end_alone(st);
    if (st != TK_OK && rank == 0) tk_mpi_say("", st);
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

tk_status tk_mpi_node(tk_comm *world, int *ranks_on_node, int *rank_on_node, int *cores)
{
    _Alignas(cpu_set_t) unsigned char mine[MAX_CPUS / 8] = {0};
    tk_comm node;
    TK_TRY(tk_mpi_split_node(world, &node));
    *ranks_on_node = node.size;
    *rank_on_node = node.rank;
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
