// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // descriptors closed from the third on
#include "core/base/aside.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VARIABLES = 8 };

bool tk_aside_is(int argc, char **argv, const char *word)
{
    return argc == 2 && !strcmp(argv[1], word);
}

// What is asked for, and where libraries lie.
static void fill_environment(const char *const *variables, char *out[VARIABLES + 2],
                             char *libraries, size_t bytes)
{
    const char *here = getenv("LD_LIBRARY_PATH");
    int n = 0;
    for (; variables[n] && n < VARIABLES; n++) out[n] = (char *)variables[n];
    if (here && strlen(here) + 32 < bytes) {
        snprintf(libraries, bytes, "LD_LIBRARY_PATH=%s", here);
        out[n++] = libraries;
    }
    out[n] = NULL;
}

// The signals that limits send are not blocked or ignored there, whatever they are here.
static int spawn_aside(const tk_aside_start *s, int socket, pid_t *pid)
{
    static const int limits[] = {SIGALRM, SIGXCPU, SIGPROF};
    char *const words[] = {(char *)"talkie", (char *)s->word, NULL};
    char *variables[VARIABLES + 2], libraries[4096];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    fill_environment(s->variables, variables, libraries, sizeof libraries);
    if (posix_spawn_file_actions_init(&actions)) return ENOMEM;
    sigemptyset(&none);
    sigemptyset(&all);
    for (int k = 0; k < 3; k++) sigaddset(&all, limits[k]);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_adddup2(&actions, socket, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    const int error = posix_spawn(pid, s->program, &actions, &attributes, words, variables);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

tk_status tk_aside_begin(const tk_aside_start *s, tk_aside *a)
{
    int ends[2];
    if (a->owner == getpid()) return TK_OK;
    if (a->owner) close(a->socket); // of the process that this one was forked from
    *a = (tk_aside){0};
    if (socketpair(AF_UNIX, s->kind | SOCK_CLOEXEC, 0, ends))
        return TK_FAIL(TK_IO, "no socket to %s: %s", s->purpose, strerror(errno));
    const int error = spawn_aside(s, ends[1], &a->pid);
    close(ends[1]);
    if (error) {
        close(ends[0]);
        return TK_FAIL(TK_IO, "cannot start a process to %s: %s", s->purpose, strerror(error));
    }
    a->socket = ends[0];
    a->owner = getpid();
    return TK_OK;
}

int tk_aside_end(tk_aside *a)
{
    int ended = 0;
    if (a->owner != getpid()) return 0;
    close(a->socket);
    kill(a->pid, SIGKILL);
    while (waitpid(a->pid, &ended, 0) < 0 && errno == EINTR) continue;
    *a = (tk_aside){0};
    return ended;
}
