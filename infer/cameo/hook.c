// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/hook.h"
#include "core/base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int start_hook(char *const words[], pid_t *pid)
{
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
    char *const environment[] = {path, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&files)) return ENOMEM;
    int error = posix_spawnattr_init(&how);
    if (!error) {
        // Standard output is the command's own.
        error = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        if (!error) error = posix_spawn_file_actions_adddup2(&files, 2, 1);
        posix_spawnattr_setsigmask(&how, &none);
        posix_spawnattr_setsigdefault(&how, &all);
        posix_spawnattr_setpgroup(&how, 0);
        posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                           POSIX_SPAWN_SETPGROUP);
        if (!error) error = posix_spawn(pid, words[0], &files, &how, words, environment);
        posix_spawnattr_destroy(&how);
    }
    posix_spawn_file_actions_destroy(&files);
    return error;
}

// Its wait status; -1 where it was ended.
static int wait_for_hook(pid_t pid)
{
    int status;
    const double until = tk_now() + TK_HOOK_SECONDS;
    while (tk_now() < until) {
        const pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid) return status;
        if (got < 0 && errno != EINTR) return 0; // somebody else has waited for it
        tk_alive();
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    kill(-pid, SIGKILL); // its own group
    (void)waitpid(pid, &status, 0);
    return -1;
}

void tk_hook_run(const char *hook, const char *handle, const tk_cameo_line *line)
{
    char at[40], user[24], when[24];
    pid_t pid;
    if (!*hook) return;
    snprintf(at, sizeof at, "@%s", handle);
    snprintf(user, sizeof user, "%lld", (long long)line->user);
    snprintf(when, sizeof when, "%lld", (long long)line->time);
    char *const words[] = {
        (char *)hook, (char *)tk_cameo_event_name[line->event], at, user, when, (char *)line->what,
        NULL};
    const int error = start_hook(words, &pid);
    const int status = error ? 0 : wait_for_hook(pid);
    if (error)
        tk_log_warn("consent.hook: %s does not start: %s", hook, strerror(error));
    else if (status == -1)
        tk_log_warn("consent.hook: %s took more than %d seconds and was ended", hook,
                    TK_HOOK_SECONDS);
    else if (status)
        tk_log_warn("consent.hook: %s ended with code %d", hook,
                    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
