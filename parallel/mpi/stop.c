// SPDX-License-Identifier: Apache-2.0
#include "parallel/mpi/stop.h"
#include <signal.h>
#include <stddef.h>
#include <time.h>

static volatile sig_atomic_t stop_requested;

static void request_stop(int number)
{
    (void)number;
    stop_requested = 1;
}

static void interrupt(int number)
{
    enum { PATIENCE = 3 }; // seconds
    static volatile time_t first;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (first && now.tv_sec - first > PATIENCE) {
        signal(number, SIG_DFL);
        raise(number);
    }
    if (!first) first = now.tv_sec;
    stop_requested = 1;
}

void tk_stop_watch(void)
{
    struct sigaction a = {.sa_handler = request_stop, .sa_flags = SA_RESTART};
    struct sigaction b = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
    stop_requested = 0;
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGINT, &b, NULL);
}

bool tk_stop_asked(void)
{
    return stop_requested != 0;
}
