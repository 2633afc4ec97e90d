// SPDX-License-Identifier: Apache-2.0
#include "parallel/mpi/stop.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// A thread that computes may run no handler. While oneDNN 2 multiplies on AVX-512 its stack pointer
// points into a workspace on the heap, and what the kernel pushes for a handler overwrites what
// lies before it. So the wishes are blocked in the thread that asks for them and in all that it
// starts, and a thread that only listens takes them.

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

static void *listen_on(void *wishes)
{
    pthread_sigmask(SIG_UNBLOCK, wishes, NULL);
    for (;;) pause();
    return NULL;
}

// Once in a process; it ends with it.
static int start_listening(void)
{
    static bool listens;
    static sigset_t wishes;
    pthread_t thread;
    if (listens) return 0;
    sigemptyset(&wishes);
    sigaddset(&wishes, SIGTERM);
    sigaddset(&wishes, SIGUSR1);
    sigaddset(&wishes, SIGINT);
    pthread_sigmask(SIG_BLOCK, &wishes, NULL);
    const int failed = pthread_create(&thread, NULL, listen_on, &wishes);
    if (failed)
        pthread_sigmask(SIG_UNBLOCK, &wishes, NULL);
    else
        pthread_detach(thread);
    listens = !failed;
    return failed;
}

tk_status tk_stop_watch(void)
{
    struct sigaction a = {.sa_handler = request_stop, .sa_flags = SA_RESTART};
    struct sigaction b = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
    const int failed = start_listening();
    if (failed)
        return TK_FAIL(TK_MEMORY, "cannot start a thread that listens for signals: %s",
                       strerror(failed));
    stop_requested = 0;
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGINT, &b, NULL);
    return TK_OK;
}

bool tk_stop_asked(void)
{
    return stop_requested != 0;
}
