// SPDX-License-Identifier: Apache-2.0
// Ending the run at once: for failures that only this rank knows of.
#include "core/base/utf8.h"
#include "parallel/mpi/internal.h"
#include "parallel/mpi/start.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ABORT_SECONDS = 5 }; // on each of two ranks: the one that ends the run, and one it reaches

static volatile sig_atomic_t abort_code;
static void (*before_abort)(void);

static void leave_now(int signal_number)
{
    (void)signal_number;
    _exit(abort_code);
}

void tk_parallel_before_abort(void (*f)(void))
{
    before_abort = f;
}

_Noreturn void tk_parallel_abort(int exit_code)
{
    static atomic_flag ends = ATOMIC_FLAG_INIT;
    int on = 0, off = 0;
    while (atomic_flag_test_and_set(&ends)) pause(); // another thread of this process does it
    fflush(NULL);
    abort_code = exit_code;
    signal(SIGALRM, leave_now); // should what follows hang
    alarm(ABORT_SECONDS);
    if (before_abort) before_abort();
    MPI_Initialized(&on);
    MPI_Finalized(&off);
    if (on && !off) MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
}

void tk_mpi_say(const char *who, tk_status st)
{
    char words[8192];
    fflush(stdout);
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_utf8_plain(words, '?', "\n\t");
    fprintf(stderr, "talkie: %s%s\n", who, words);
    if (st == TK_INTERNAL) fprintf(stderr, "%s", tk_status_trace());
}

_Noreturn void tk_mpi_end_alone(tk_status st)
{
    char who[32];
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    snprintf(who, sizeof who, "rank %d: ", rank);
    tk_mpi_say(who, st);
    tk_parallel_abort(tk_status_exit_code(st));
}

tk_status tk_parallel_unless_alone(const tk_comm *c, tk_status st)
{
    if (st == TK_OK || c->size == 1 || tk_status_shared()) return st;
    tk_mpi_end_alone(st);
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
    const tk_status st = still_wanted ? still_wanted(watched) : TK_OK;
    if (st != TK_OK) tk_mpi_end_alone(st);
}
