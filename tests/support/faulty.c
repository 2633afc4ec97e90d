// SPDX-License-Identifier: Apache-2.0
// talkie, with a fault on one rank: what tests of failures run under mpirun.
//
//     faulty list                          every command and its arguments, a line each
//     faulty RANK KIND N COMMAND ...       as talkie COMMAND ..., but on RANK the N-th
//         alloc       allocation fails once
//         device      call of a device fails once
//         memory      allocation and all that follow it fail
//         open        opening of a file (by a relative path) fails as if it were not readable
//         disk        the disk has N bytes free
//         slow        every write to a place in a file takes N milliseconds more
//         build       the program is another build
//         sweep       allocation fails, then others, in one process; N is FIRST:STEP:LAST
//         count       nothing fails; each rank says at the end how many of these it had
//
// Opening is caught by calls of this program's own that go before the C library's, so that files
// opened by HDF5 and libav are caught as well.
#define _GNU_SOURCE
#include "core/base/mem.h"
#include "core/base/version.h"
#include "core/config/command.h"
#include "core/device/trace.h"
#include "parallel/mpi/start.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static atomic_long opened, open_fails_at;

// Counts the opening of `path`; true when it is to fail.
static bool refused(const char *path)
{
    if (path[0] == '/') return false;
    const long n = atomic_fetch_add(&opened, 1) + 1;
    if (n != atomic_load(&open_fails_at)) return false;
    errno = EACCES;
    return true;
}

#define OPEN(name)                                                            \
    int name(const char *path, int flags, ...);                               \
    int name(const char *path, int flags, ...)                                \
    {                                                                         \
        int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, #name);        \
        va_list ap;                                                           \
        va_start(ap, flags);                                                  \
        const int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, int) : 0; \
        va_end(ap);                                                           \
        return refused(path) ? -1 : next(path, flags, mode);                  \
    }
#define OPEN_2(name)                                              \
    int name(const char *path, int flags);                        \
    int name(const char *path, int flags)                         \
    {                                                             \
        int (*next)(const char *, int) = dlsym(RTLD_NEXT, #name); \
        return refused(path) ? -1 : next(path, flags);            \
    }
#define FOPEN(name)                                                          \
    FILE *name(const char *path, const char *mode);                          \
    FILE *name(const char *path, const char *mode)                           \
    {                                                                        \
        FILE *(*next)(const char *, const char *) = dlsym(RTLD_NEXT, #name); \
        return refused(path) ? NULL : next(path, mode);                      \
    }
OPEN(open)
OPEN(open64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
FOPEN(fopen)
FOPEN(fopen64)

static atomic_long disk_free = -1; // bytes; negative: as it is

int statvfs(const char *path, struct statvfs *s)
{
    int (*next)(const char *, struct statvfs *) = dlsym(RTLD_NEXT, "statvfs");
    const int got = next(path, s);
    const long n = atomic_load(&disk_free);
    if (got == 0 && n >= 0) s->f_bavail = (fsblkcnt_t)n / s->f_frsize;
    return got;
}

static atomic_long slow; // milliseconds

ssize_t pwrite(int fd, const void *x, size_t bytes, off_t at)
{
    ssize_t (*next)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
    const long n = atomic_load(&slow);
    nanosleep(&(struct timespec){.tv_sec = n / 1000, .tv_nsec = n % 1000 * 1000000}, NULL);
    return next(fd, x, bytes, at);
}

static bool other_build;

const char *tk_revision(void) // in the place of the program's
{
    return other_build ? "another build" : "a build of the tests";
}

static int list(void)
{
    for (const tk_command *c = tk_commands; c->name; c++) printf("%s\t%s\n", c->name, c->arguments);
    return 0;
}

// What all ranks must have made of one failure: the same status, known to all.
static bool agreed(tk_comm *world, tk_status st)
{
    int mine[2] = {(int)st, tk_status_shared()}, all[64][2] = {{0}};
    if (world->size > 64 || tk_comm_all_gather(world, mine, all, sizeof mine) != TK_OK)
        return false;
    for (int i = 0; i < world->size; i++)
        if (all[i][0] != TK_MEMORY || !all[i][1]) return false;
    return true;
}

// Every step-th allocation from n to `last` fails in turn, the command running again and again. A
// failure that takes all ranks down has said "at N" before.
static tk_status sweep(tk_comm *world, int rank, int64_t n, int64_t step, int64_t last, int argc,
                       char **argv)
{
    for (; n <= last; n += step) {
        const int64_t before = tk_alloc_count();
        if (world->rank == rank) printf("at %lld\n", (long long)n);
        fflush(stdout);
        if (world->rank == rank) tk_alloc_fail_at(n, false);
        tk_status st = tk_command_run(tk_commands, world, argc, argv);
        tk_alloc_fail_at(0, false);
        int64_t made = tk_alloc_count() - before;
        TK_TRY(tk_comm_broadcast(world, &made, sizeof made, rank));
        if (made >= n && !agreed(world, st))
            return TK_FAIL(TK_INTERNAL, "allocation %lld: status %d, %s: %s", (long long)n, (int)st,
                           tk_status_shared() ? "shared" : "not shared", tk_status_message());
    }
    return TK_OK;
}

static void arm(const char *kind, long n)
{
    if (!strcmp(kind, "open")) atomic_store(&open_fails_at, n);
    if (!strcmp(kind, "build")) other_build = true;
    if (!strcmp(kind, "disk")) atomic_store(&disk_free, n);
    if (!strcmp(kind, "slow")) atomic_store(&slow, n);
    if (!strcmp(kind, "alloc")) tk_alloc_fail_at(n, false);
    if (!strcmp(kind, "memory")) tk_alloc_fail_at(n, true);
    if (!strcmp(kind, "device")) tk_trace_fail_at(n);
}

typedef struct count {
    int64_t allocations, calls, files;
} count;

static count counted(void)
{
    return (count){tk_alloc_count(), tk_trace_count(), atomic_load(&opened)};
}

static void report(const char *kind, bool here, long n, int rank, count before, count now)
{
    const int64_t allocations = now.allocations - before.allocations;
    const int64_t calls = now.calls - before.calls, files = now.files - before.files;
    const bool missed = (!strcmp(kind, "alloc") && allocations < n) ||
                        (!strcmp(kind, "device") && calls < n) ||
                        (!strcmp(kind, "open") && files < n);
    if (here && missed) printf("not reached\n"); // dealt work went to another rank this time
    if (!strcmp(kind, "count"))
        printf("rank %d: %lld allocations, %lld device calls, %lld files\n", rank,
               (long long)allocations, (long long)calls, (long long)files);
}

int main(int argc, char **argv)
{
    tk_comm world = {0};
    if (argc == 2 && !strcmp(argv[1], "list")) return list();
    if (argc < 5) return 64;
    const int rank = atoi(argv[1]);
    const char *kind = argv[2];
    long n = 0, step = 1, last = 0;
    sscanf(argv[3], "%ld:%ld:%ld", &n, &step, &last);
    argv[3] = argv[0]; // the command's argv[0]
    tk_status st = tk_parallel_start(&argc, &argv, &world);
    const bool here = st == TK_OK && world.rank == rank;
    atomic_store(&opened, 0);
    const count before = counted();
    if (here) arm(kind, n);
    if (st == TK_OK)
        st = strcmp(kind, "sweep") ? tk_command_run(tk_commands, &world, argc - 3, argv + 3)
                                   : sweep(&world, rank, n, step, last, argc - 3, argv + 3);
    tk_alloc_fail_at(0, false);
    tk_trace_fail_at(0);
    report(kind, here, n, world.rank, before, counted());
    return tk_parallel_end(&world, st);
}
