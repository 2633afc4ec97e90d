// SPDX-License-Identifier: Apache-2.0
#include "train/run/owner.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD = 4, PERIODS = 3, TRIES = 8, TOKEN_ROOM = 200, NAME_ROOM = 128 };

typedef struct identity { // what a token says
    tk_process process;
    char job[32];
    long long time, restart;
} identity;

// ---- tokens ------------------------------------------------------------------------------------

static identity who_am_i(void)
{
    identity me = {.process = tk_process_self(), .time = time(NULL)};
    const char *job = getenv("SLURM_JOB_ID"), *restart = getenv("SLURM_RESTART_COUNT");
    tk_process_plain(me.job, sizeof me.job, job && *job ? job : "none");
    me.restart = restart ? atoll(restart) : 0;
    return me;
}

static bool read_token(const char *token, identity *who)
{
    tk_process *p = &who->process;
    return sscanf(token, "%63[^,],%llx,%lld,%lld,%lld,%31[^,],%lld", p->host, &p->machine, &p->pid,
                  &p->ticks, &who->time, who->job, &who->restart) == 7;
}

static bool restarts(const identity *me, const identity *old)
{
    return strcmp(old->job, "none") && !strcmp(old->job, me->job) && me->restart > old->restart;
}

bool tk_owner_restarts(const char *token)
{
    const identity me = who_am_i();
    identity old = {0};
    return read_token(token, &old) && restarts(&me, &old);
}

// ---- the old owner -----------------------------------------------------------------------------

static long long heartbeat_of(const char *dir, const char *token)
{
    char path[PATH_MAX], text[32] = "";
    snprintf(path, sizeof path, "%s/owner/%s/heartbeat", dir, token);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? atoll(text) : -1;
}

static bool beats(const char *dir, const char *token)
{
    const long long before = heartbeat_of(dir, token);
    tk_log("%s/owner names a run on another host; listening %d s for a sign of life", dir,
           PERIOD * PERIODS);
    for (int i = 0; i < 4 * PERIOD * PERIODS; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
        if (heartbeat_of(dir, token) != before) return true;
    }
    return false;
}

static bool alive(const char *dir, const char *token, const identity *me, const identity *old)
{
    if (restarts(me, old)) return false;
    if (!strcmp(old->process.host, me->process.host) && tk_process_here(&old->process))
        return tk_process_runs(&old->process);
    return beats(dir, token);
}

// The token in `dir`/owner; false when there is none.
static bool find_token(const char *dir, char token[TOKEN_ROOM])
{
    char path[PATH_MAX];
    *token = 0;
    snprintf(path, sizeof path, "%s/owner", dir);
    DIR *d = opendir(path);
    if (!d) return false;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') snprintf(token, TOKEN_ROOM, "%s", e->d_name);
    closedir(d);
    return *token;
}

// ---- folders -----------------------------------------------------------------------------------

// Removes a folder of folders of files, two deep; `keep`: only the files.
static void clear(const char *path, bool keep)
{
    char inner[PATH_MAX];
    DIR *d = opendir(path);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (unlink(inner) == 0 || errno == ENOENT) continue;
        DIR *in = opendir(inner);
        for (struct dirent *f; in && (f = readdir(in));)
            if (strcmp(f->d_name, ".") && strcmp(f->d_name, ".."))
                unlinkat(dirfd(in), f->d_name, 0);
        if (in) closedir(in);
        if (!keep) rmdir(inner);
    }
    closedir(d);
    if (!keep) rmdir(path);
}

// A newcomer's folder that never became the owner's: its process, of this machine, is gone.
static bool died_claiming(const char *name)
{
    identity who;
    return !strncmp(name, "owner.", 6) && read_token(name + 6, &who) &&
           tk_process_here(&who.process) && !tk_process_runs(&who.process);
}

// What earlier runs were fenced off to, and what others left that died before they took the
// directory; `but`: the one that must keep its name (see fence).
static void clear_fenced(const char *dir, const char *but)
{
    char path[PATH_MAX];
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        const bool fenced = !strncmp(e->d_name, "fenced.", 7);
        if (!fenced && !died_claiming(e->d_name)) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        clear(path, fenced && !strcmp(e->d_name + 7, but));
    }
    closedir(d);
}

// The folder the old owner goes to has its name and stays, not empty: of two newcomers that both
// held it for dead, the slower cannot fence the faster by mistake.
static tk_status fence(const char *dir, const char *token)
{
    char from[PATH_MAX], to[PATH_MAX];
    snprintf(from, sizeof from, "%s/owner", dir);
    snprintf(to, sizeof to, "%s/fenced.%s", dir, token);
    if (rename(from, to) == 0 || errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT)
        return TK_OK;
    return TK_FAIL(TK_IO, "cannot move %s to %s: %s", from, to, strerror(errno));
}

static tk_status write_heartbeat(const char *staging, int flags, long long n)
{
    char path[PATH_MAX], text[32];
    snprintf(path, sizeof path, "%s/heartbeat", staging);
    const int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
    if (fd < 0) return TK_FAIL(TK_IO, "cannot write %s: %s", path, strerror(errno));
    snprintf(text, sizeof text, "%020lld\n", n);
    const bool ok = pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text);
    if (close(fd) == 0 && ok) return TK_OK;
    return TK_FAIL(TK_IO, "cannot write %s: %s", path, strerror(errno));
}

// *got: `dir`/owner is ours now; else another run has it.
static tk_status claim(const char *dir, const char *token, bool *got)
{
    char mine[PATH_MAX], staging[PATH_MAX], owner[PATH_MAX];
    snprintf(mine, sizeof mine, "%s/owner.%s", dir, token);
    snprintf(staging, sizeof staging, "%s/%s", mine, token);
    snprintf(owner, sizeof owner, "%s/owner", dir);
    if ((mkdir(mine, 0777) && errno != EEXIST) || (mkdir(staging, 0777) && errno != EEXIST))
        return TK_FAIL(tk_io_code(errno), "train.out: cannot write in %s: %s", dir,
                       strerror(errno));
    TK_TRY(write_heartbeat(staging, O_CREAT, 0));
    *got = rename(mine, owner) == 0;
    if (*got || errno == ENOTEMPTY || errno == EEXIST) return TK_OK;
    return TK_FAIL(TK_IO, "cannot rename %s to %s: %s", mine, owner, strerror(errno));
}

// ---- heartbeat ---------------------------------------------------------------------------------

static void beat(void *ctx)
{
    tk_owner *o = ctx;
    if (write_heartbeat(o->staging, 0, ++o->beats) != TK_OK && tk_owner_check(o) != TK_OK)
        o->fenced = true;
    tk_status_clear();
}

// ---- taking ------------------------------------------------------------------------------------

static tk_status refuse_run(const char *dir, const char *token, const identity *old)
{
    char at[64] = "an unknown time";
    struct tm t;
    const time_t when = (time_t)old->time;
    if (localtime_r(&when, &t)) strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S", &t);
    return TK_FAIL(
        TK_INPUT,
        "%s belongs to a run that is alive: host %s, pid %lld, started %s (%s/owner/%s). "
        "Wait for it, stop it, or give this run a train.out of its own",
        dir, old->process.host, old->process.pid, at, dir, token);
}

static tk_status take_directory(const char *dir, const char *token, const identity *me)
{
    char before[TOKEN_ROOM] = "", fenced[TOKEN_ROOM] = "";
    for (int i = 0; i < TRIES; i++) {
        bool got = false;
        if (find_token(dir, before)) {
            identity old = {0};
            const bool known = read_token(before, &old);
            if (known ? alive(dir, before, me, &old) : beats(dir, before))
                return refuse_run(dir, before, &old);
            TK_TRY(fence(dir, before));
            memcpy(fenced, before, sizeof fenced);
        }
        TK_TRY(claim(dir, token, &got));
        if (!got) continue;
        if (*fenced) tk_log("taking %s over from a run that ended without a word", dir);
        clear_fenced(dir, fenced);
        return TK_OK;
    }
    return TK_FAIL(TK_INPUT, "%s: other runs take it again and again", dir);
}

tk_status tk_owner_take(tk_owner *o, const char *dir)
{
    const identity me = who_am_i();
    *o = (tk_owner){0};
    tk_arena_init(&o->arena, 0);
    o->dir = tk_arena_strdup(&o->arena, dir);
    o->token = tk_arena_printf(&o->arena, "%s,%llx,%lld,%lld,%lld,%s,%lld", me.process.host,
                               me.process.machine, me.process.pid, me.process.ticks, me.time,
                               me.job, me.restart);
    if (o->dir && o->token) o->staging = tk_arena_printf(&o->arena, "%s/owner/%s", dir, o->token);
    if (!o->staging) return TK_FAIL(TK_MEMORY, "out of memory");
    if (strlen(o->staging) + NAME_ROOM > PATH_MAX)
        return TK_FAIL(TK_INPUT, "train.out: the path is too long");
    const tk_status st = take_directory(o->dir, o->token, &me);
    if (st != TK_OK) {
        char mine[PATH_MAX];
        snprintf(mine, sizeof mine, "%s/owner.%s", dir, o->token);
        clear(mine, false);
        o->staging = NULL;
        return tk_trace(st, __FILE__, __LINE__, __func__);
    }
    return tk_ticker_start(&o->heart, PERIOD, beat, o);
}

tk_status tk_owner_check(const tk_owner *o)
{
    struct stat s;
    if (!o->fenced && (stat(o->staging, &s) == 0 || (errno != ENOENT && errno != ESTALE)))
        return TK_OK;
    return TK_FAIL(TK_FENCED,
                   "fenced: another run has taken %s over from this one (host and pid: %s/owner). "
                   "Nothing more of this one is written; the other goes on",
                   o->dir, o->dir);
}

tk_status tk_owner_blame(const tk_owner *o, tk_status st)
{
    if (st != TK_OK) TK_TRY(tk_owner_check(o));
    return st;
}

tk_status tk_owner_commit(const tk_owner *o, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    snprintf(from, sizeof from, "%s/%s", o->staging, name);
    snprintf(to, sizeof to, "%s/%s", o->dir, name);
    return tk_owner_blame(o, tk_commit_file(from, to));
}

void tk_owner_release(tk_owner *o)
{
    const bool owns = o->heart.runs; // ranks that only know where to stage do not
    tk_ticker_stop(&o->heart);
    if (owns) {
        char owner[PATH_MAX];
        clear(o->staging, false); // only ours: the path names us
        snprintf(owner, sizeof owner, "%s/owner", o->dir);
        if (rmdir(owner) == 0) clear_fenced(o->dir, "");
    }
    tk_arena_free(&o->arena);
    *o = (tk_owner){0};
}
