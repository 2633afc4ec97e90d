// SPDX-License-Identifier: Apache-2.0
#include "core/base/process.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

static unsigned long long this_machine(void)
{
    char text[512] = "";
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    size_t n = f ? fread(text, 1, 64, f) : 0;
    if (f) fclose(f);
    const ssize_t more = readlink("/proc/self/ns/pid", text + n, sizeof text - n - 1);
    return XXH3_64bits(text, n + (size_t)(more > 0 ? more : 0));
}

// Start of a process in ticks since boot; -1: there is none, or only its remains.
static long long start_of(long long pid)
{
    char path[64], text[1024], state = 0;
    long long ticks = -1;
    snprintf(path, sizeof path, "/proc/%lld/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return -1;
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *rest = strrchr(text, ')'); // a name may hold anything
    if (!rest || sscanf(rest + 1,
                        " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                        "%*s %lld",
                        &state, &ticks) != 2)
        return -1;
    return state == 'Z' || state == 'X' ? -1 : ticks;
}

void tk_process_plain(char *to, unsigned room, const char *from)
{
    snprintf(to, room, "%s", from);
    for (char *p = to; *p; p++)
        if (*p == '/' || *p == ',' || *p == ' ') *p = '_';
}

tk_process tk_process_self(void)
{
    tk_process me = {.machine = this_machine(), .pid = getpid()};
    char host[HOST_NAME_MAX + 1] = "";
    gethostname(host, sizeof host - 1);
    tk_process_plain(me.host, sizeof me.host, *host ? host : "host");
    me.ticks = start_of(me.pid);
    return me;
}

bool tk_process_here(const tk_process *p)
{
    return p->machine == this_machine();
}

bool tk_process_runs(const tk_process *p)
{
    return start_of(p->pid) == p->ticks;
}
