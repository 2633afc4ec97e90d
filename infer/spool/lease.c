// SPDX-License-Identifier: Apache-2.0
#include "infer/spool/lease.h"
#include "core/base/files.h"
#include "core/base/process.h"
#include "infer/spool/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { BEATS = 5, TRIES = 4 }; // in a lease; to make what others bury

static tk_status heartbeat_path(const tk_lease *l, const char *worker, char path[TK_SPOOL_PATH])
{
    return tk_spool_path(path, l->spool, "workers/%s/heartbeat", worker);
}

// Touches the heartbeat, which is made where it is missing (others bury who was stopped for long).
// futimens without times asks the server for its own. *at (may be NULL): the time it gave.
static tk_status touch(const tk_lease *l, int64_t *at)
{
    char path[TK_SPOOL_PATH], folder[TK_SPOOL_PATH];
    struct stat s;
    TK_TRY(heartbeat_path(l, l->worker, path));
    TK_TRY(tk_spool_path(folder, l->spool, "workers/%s", l->worker));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    for (int i = 0; i < TRIES && fd < 0 && (errno == ENOENT || errno == ESTALE); i++) {
        if (mkdir(folder, 0777) != 0 && errno != EEXIST && errno != ESTALE) break;
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    }
    if (fd < 0) return TK_FAIL(tk_io_code(errno), "cannot write %s: %s", path, tk_io_words(errno));
    const ssize_t n = (ssize_t)strlen(l->line);
    const bool ok =
        pwrite(fd, l->line, (size_t)n, 0) == n && futimens(fd, NULL) == 0 && fstat(fd, &s) == 0;
    const int error = errno;
    if (close(fd) != 0 || !ok)
        return TK_FAIL(TK_IO, "cannot write %s: %s", path, tk_io_words(error));
    if (at) *at = (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
    return TK_OK;
}

static void show_life(void *ctx)
{
    if (touch(ctx, NULL) != TK_OK) tk_status_clear(); // it is the others who judge that
}

tk_status tk_lease_open(tk_lease *l, const char *spool, double seconds)
{
    const tk_process me = tk_process_self();
    char host[40];
    struct timespec t;
    *l = (tk_lease){.spool = spool, .seconds = seconds};
    clock_gettime(CLOCK_REALTIME, &t);
    const uint64_t unique[] = {me.machine, (uint64_t)me.pid, (uint64_t)me.ticks, (uint64_t)t.tv_sec,
                               (uint64_t)t.tv_nsec};
    tk_process_plain(host, sizeof host, me.host);
    snprintf(l->worker, sizeof l->worker, "%s-%lld-%08llx", host, me.pid,
             (unsigned long long)XXH3_64bits(unique, sizeof unique) & 0xffffffff);
    snprintf(l->line, sizeof l->line, "%s %llx %lld %lld %.3f\n", me.host, me.machine, me.pid,
             me.ticks, seconds);
    TK_TRY(touch(l, NULL));
    return tk_ticker_start(&l->heart, seconds / BEATS, show_life, l);
}

void tk_lease_close(tk_lease *l)
{
    const bool beating = l->heart.runs;
    tk_ticker_stop(&l->heart);
    if (beating) tk_lease_bury(l, l->worker);
    *l = (tk_lease){0};
}

tk_status tk_lease_now(tk_lease *l, int64_t *now)
{
    return touch(l, now);
}

// Opened, not only asked for: over NFS that is what looks at the server's copy.
static bool read_heartbeat(const char *path, char *line, size_t room, int64_t *at)
{
    struct stat s;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return false;
    const ssize_t n = read(fd, line, room - 1);
    const bool ok = n >= 0 && fstat(fd, &s) == 0;
    close(fd);
    if (!ok) return false;
    line[n] = 0;
    *at = (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
    return true;
}

// A heartbeat that is ahead of `now` by more than a lease: that was asked for long ago, or the file
// system's clock was set back since, and would have to catch up with what a dead worker left.
static bool is_ahead_by_little(const tk_lease *l, int64_t at, int64_t now, double lease)
{
    if (*l->worker && touch(l, &now) != TK_OK) tk_status_clear();
    return (double)(at - now) <= lease * 1e9;
}

bool tk_lease_held(const tk_lease *l, const char *worker, int64_t now)
{
    char path[TK_SPOOL_PATH], line[256];
    tk_process p = {0};
    double lease = 0;
    int64_t at;
    if (!strcmp(worker, l->worker)) return true;
    if (heartbeat_path(l, worker, path) != TK_OK) {
        tk_status_clear();
        return false;
    }
    if (!read_heartbeat(path, line, sizeof line, &at)) return false;
    const bool known =
        sscanf(line, "%63s %llx %lld %lld %lf", p.host, &p.machine, &p.pid, &p.ticks, &lease) == 5;
    if (!known || !(lease > 0)) lease = l->seconds; // being written, or no worker's
    bool held = (double)(now - at) <= lease * 1e9;
    if ((double)(at - now) > lease * 1e9) held = is_ahead_by_little(l, at, now, lease);
    if (known && tk_process_here(&p) && !tk_process_runs(&p)) held = false;
    return tk_spool_seam.held ? tk_spool_seam.held(held) : held;
}

// The words of a failure before it stay: this is how a worker that failed ends.
void tk_lease_bury(const tk_lease *l, const char *worker)
{
    char path[PATH_MAX], folder[PATH_MAX];
    snprintf(path, sizeof path, "%s/workers/%s/heartbeat", l->spool, worker);
    snprintf(folder, sizeof folder, "%s/workers/%s", l->spool, worker);
    unlink(path);
    rmdir(folder);
}
