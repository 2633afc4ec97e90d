// SPDX-License-Identifier: Apache-2.0
#include "infer/spool/look.h"
#include "core/base/files.h"
#include "infer/spool/lease.h"
#include "infer/spool/spool.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// What may go forth and back is read twice, in the order in which jobs go: what went back behind
// the first reading is met by the second.
enum { NEW, TAKING, WAITING, RUNNING, BEFORE };
static const char *const before[BEFORE] = {"new", "taking", "waiting", "running"};

// ---- what lies where ---------------------------------------------------------------------------

// Whether `name` in the folder of `before` is a job's.
static bool read_seen(int folder, const char *name, tk_spool_job *j)
{
    tk_spool_entry *e = &j->entry;
    j->fresh = folder == NEW || folder == TAKING;
    switch (folder) {
    case NEW: // any name
        return true;
    case TAKING:
        return tk_spool_taking_read(name, e);
    case WAITING:
        j->state = TK_SPOOL_WAITING;
        return tk_spool_entry_read(name, e) && !*e->worker;
    case RUNNING:
        j->state = TK_SPOOL_RUNNING;
        return tk_spool_entry_read(name, e) && *e->worker;
    default:
        return false;
    }
}

static tk_status add_seen(int folder, const tk_spool_names *all, tk_arena *a, tk_spool_view *v)
{
    const char *where = before[folder];
    for (int i = 0; i < all->n; i++) {
        tk_spool_job *j = &v->job[v->n];
        *j = (tk_spool_job){.name = all->name[i]};
        if (!read_seen(folder, all->name[i], j)) continue;
        if (*j->entry.name) j->name = tk_arena_strdup(a, j->entry.name);
        j->folder = tk_arena_printf(a, "%s/%s", where, all->name[i]);
        if (!j->name || !j->folder) return TK_FAIL(TK_MEMORY, "out of memory for %s", where);
        v->n++;
    }
    return TK_OK;
}

// ---- what has ended ----------------------------------------------------------------------------

typedef struct ended_job {
    char name[TK_SPOOL_NAME + 1];
    int64_t since; // seconds
} ended_job;

typedef struct ended_jobs { // of one folder: of `all` the newest
    ended_job *job;         // (n), room for twice as many as are kept
    int n, all;
} ended_jobs;

static int newest_ended_first(const void *x, const void *y)
{
    const ended_job *a = x, *b = y;
    if (a->since != b->since) return a->since < b->since ? 1 : -1;
    return strcmp(a->name, b->name);
}

static void keep_newest(ended_jobs *e)
{
    if (e->n) qsort(e->job, (size_t)e->n, sizeof *e->job, newest_ended_first);
    if (e->n > TK_SPOOL_JOBS) e->n = TK_SPOOL_JOBS;
}

// Folders of ended jobs only grow: each entry is counted, and memory is that of those that are
// kept.
static tk_status read_ended(const char *dir, tk_spool_state state, tk_arena *a, ended_jobs *out)
{
    char path[TK_SPOOL_PATH];
    struct stat s;
    *out = (ended_jobs){0};
    TK_TRY(tk_spool_path(path, dir, "%s", tk_spool_folder[state]));
    TK_ARENA_NEW(out->job, a, 2 * TK_SPOOL_JOBS);
    DIR *d = opendir(path);
    if (!d && (errno == ENOENT || errno == ESTALE)) return TK_OK;
    if (!d) return TK_FAIL(tk_io_code(errno), "cannot read %s: %s", path, tk_io_words(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (!tk_spool_name_fits(e->d_name)) continue;
        if (fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW)) continue; // gone by now
        ended_job *j = &out->job[out->n++];
        snprintf(j->name, sizeof j->name, "%s", e->d_name);
        j->since = (int64_t)s.st_mtim.tv_sec;
        out->all++;
        if (out->n == 2 * TK_SPOOL_JOBS) keep_newest(out);
    }
    closedir(d);
    keep_newest(out);
    return TK_OK;
}

static tk_status add_ended(tk_spool_state state, const ended_jobs *e, tk_arena *a, tk_spool_view *v)
{
    for (int i = 0; i < e->n; i++) {
        tk_spool_job *j = &v->job[v->n];
        *j = (tk_spool_job){.name = e->job[i].name, .state = state};
        j->folder = tk_arena_printf(a, "%s/%s", tk_spool_folder[state], j->name);
        if (!j->folder) return TK_FAIL(TK_MEMORY, "out of memory for %s", tk_spool_folder[state]);
        v->n++;
    }
    v->count[state] += e->all - e->n;
    v->beyond += e->all - e->n;
    return TK_OK;
}

// ---- everything --------------------------------------------------------------------------------

static void count_beyond(int folder, int n, tk_spool_view *v)
{
    v->beyond += n;
    if (folder == NEW || folder == TAKING)
        v->fresh += n;
    else
        v->count[folder == WAITING ? TK_SPOOL_WAITING : TK_SPOOL_RUNNING] += n;
}

static tk_status add_everything(const char *dir, tk_arena *a, tk_spool_view *v)
{
    tk_spool_names list[2 * BEFORE];
    ended_jobs ended[TK_SPOOL_STATES];
    int most = 0;
    for (int i = 0; i < 2 * BEFORE; i++) {
        TK_TRY(tk_spool_names_read(dir, before[i % BEFORE], TK_SPOOL_JOBS, a, &list[i]));
        if (i >= BEFORE) count_beyond(i - BEFORE, list[i].all - list[i].n, v);
        most += list[i].n;
    }
    for (int s = TK_SPOOL_DONE; s < TK_SPOOL_STATES; s++) {
        TK_TRY(read_ended(dir, (tk_spool_state)s, a, &ended[s]));
        most += ended[s].n;
    }
    TK_ARENA_NEW(v->job, a, most + 1);
    for (int i = 0; i < 2 * BEFORE; i++) TK_TRY(add_seen(i % BEFORE, &list[i], a, v));
    for (int s = TK_SPOOL_DONE; s < TK_SPOOL_STATES; s++)
        TK_TRY(add_ended((tk_spool_state)s, &ended[s], a, v));
    return TK_OK;
}

// How far along it was seen: by claims, and of one number running before it waits again.
static int64_t seen_stage(const tk_spool_job *j)
{
    if (j->state > TK_SPOOL_RUNNING) return INT64_MAX;
    return 2 * j->entry.claims + (j->state == TK_SPOOL_WAITING);
}

// By name, the one that is furthest along first. A name in new/ is not yet a job's.
static int by_job(const void *x, const void *y)
{
    const tk_spool_job *a = x, *b = y;
    if (a->fresh != b->fresh) return a->fresh - b->fresh;
    const int order = strcmp(a->name, b->name);
    if (order) return order;
    return (seen_stage(a) < seen_stage(b)) - (seen_stage(a) > seen_stage(b));
}

// Each job once. A fresh one that has gone on was seen where it went.
static void keep_each_once(const char *dir, tk_spool_view *v)
{
    int n = 0;
    qsort(v->job, (size_t)v->n, sizeof *v->job, by_job);
    for (int i = 0; i < v->n; i++) {
        tk_spool_job *j = &v->job[i];
        const tk_spool_job *last = n ? &v->job[n - 1] : NULL;
        char path[TK_SPOOL_PATH];
        struct stat s;
        if (last && last->fresh == j->fresh && !strcmp(last->name, j->name)) continue;
        const bool there =
            tk_spool_path(path, dir, "%s", j->folder) == TK_OK && lstat(path, &s) == 0;
        tk_status_clear();
        if (j->fresh && !there) continue;
        j->since = there ? (int64_t)s.st_mtim.tv_sec : 0;
        v->job[n++] = *j;
    }
    v->n = n;
}

// ---- the view ----------------------------------------------------------------------------------

static int rank_of(const tk_spool_job *j)
{
    static const int rank[TK_SPOOL_STATES] = {[TK_SPOOL_RUNNING] = 0,
                                              [TK_SPOOL_WAITING] = 1,
                                              [TK_SPOOL_FAILED] = 3,
                                              [TK_SPOOL_CANCELLED] = 4,
                                              [TK_SPOOL_DONE] = 5};
    return j->fresh ? 2 : rank[j->state];
}

static int as_shown(const void *x, const void *y)
{
    const tk_spool_job *a = x, *b = y;
    if (rank_of(a) != rank_of(b)) return rank_of(a) - rank_of(b);
    if (!a->fresh && a->state > TK_SPOOL_RUNNING && a->since != b->since)
        return a->since < b->since ? 1 : -1;
    return strcmp(a->folder, b->folder);
}

static void find_lost(const char *dir, tk_spool_view *v)
{
    const tk_lease l = {.spool = dir, .seconds = 30}; // of whoever does not say
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    const int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    for (int i = 0; i < v->n; i++) {
        tk_spool_job *j = &v->job[i];
        if (!j->fresh && j->state == TK_SPOOL_RUNNING)
            j->lost = !tk_lease_held(&l, j->entry.worker, now);
    }
}

static tk_status check_spool(const char *dir)
{
    char path[TK_SPOOL_PATH];
    struct stat s;
    if (stat(dir, &s) != 0) return TK_FAIL(TK_INPUT, "no spool at %s: %s", dir, strerror(errno));
    for (int i = 0; i < BEFORE; i++) {
        TK_TRY(tk_spool_path(path, dir, "%s", before[i]));
        if (stat(path, &s) != 0 || !S_ISDIR(s.st_mode))
            return TK_FAIL(TK_INPUT, "%s is no spool: it has no folder %s; talkie serve makes one",
                           dir, before[i]);
    }
    return TK_OK;
}

tk_status tk_spool_look(const char *dir, tk_arena *a, tk_spool_view *v)
{
    *v = (tk_spool_view){0};
    TK_TRY(check_spool(dir));
    TK_TRY(add_everything(dir, a, v));
    keep_each_once(dir, v);
    find_lost(dir, v);
    qsort(v->job, (size_t)v->n, sizeof *v->job, as_shown);
    for (int i = 0; i < v->n; i++) {
        if (v->job[i].fresh)
            v->fresh++;
        else
            v->count[v->job[i].state]++;
    }
    return TK_OK;
}

tk_status tk_spool_look_at(const char *dir, const tk_spool_job *j, tk_spool_record *r)
{
    char path[TK_SPOOL_PATH];
    bool found;
    TK_TRY(tk_spool_path(path, dir, "%s", j->folder));
    TK_TRY(tk_spool_record_read(path, r, &found));
    const bool ended = !j->fresh && j->state > TK_SPOOL_RUNNING;
    if (!j->fresh && j->state == TK_SPOOL_RUNNING &&
        (r->claim != j->entry.claims || strcmp(r->worker, j->entry.worker))) {
        r->done = r->total = 0; // of an earlier claim
        r->seconds_left = -1;
    }
    if (j->fresh) r->priority = -1;
    if (!j->fresh && !ended) {
        r->priority = j->entry.priority;
        snprintf(r->worker, sizeof r->worker, "%s", j->entry.worker);
    }
    r->state = j->state;
    snprintf(r->name, sizeof r->name, "%s", j->name);
    return TK_OK;
}

// ---- cancelling --------------------------------------------------------------------------------

static tk_status may_cancel(const char *dir, const tk_spool_job *j)
{
    tk_spool_record r;
    struct stat owner;
    const uid_t me = geteuid();
    if (j->state > TK_SPOOL_RUNNING)
        return TK_FAIL(TK_INPUT, "job %s has ended: it lies in %s", j->name, j->folder);
    TK_TRY(tk_spool_look_at(dir, j, &r));
    if (stat(dir, &owner) != 0) return TK_FAIL(TK_INPUT, "no spool at %s", dir);
    if (me == 0 || me == owner.st_uid || (int64_t)me == r.uid || r.uid < 0) return TK_OK;
    return TK_FAIL(TK_INPUT, "job %s is %s's: only they and the spool's owner can cancel it",
                   j->name, *r.user ? r.user : "somebody else");
}

// Whether it is among more jobs than are looked at: its name was given, and it has not ended. Who
// asks is asked by the worker that meets it.
static bool is_beyond(const char *dir, const char *name, const tk_spool_view *v)
{
    char path[TK_SPOOL_PATH];
    struct stat s;
    if (!v->beyond) return false;
    for (int i = TK_SPOOL_DONE; i < TK_SPOOL_STATES; i++)
        if (tk_spool_path(path, dir, "%s/%s", tk_spool_folder[i], name) != TK_OK ||
            lstat(path, &s) == 0)
            return false;
    return tk_spool_path(path, dir, "names/%s", name) == TK_OK && lstat(path, &s) == 0;
}

static tk_status find_and_ask(const char *dir, const char *name, tk_arena *a)
{
    tk_spool_view v;
    char path[TK_SPOOL_PATH];
    bool found = false;
    TK_TRY(tk_spool_look(dir, a, &v));
    for (int i = 0; i < v.n; i++) {
        if (v.job[i].fresh || strcmp(v.job[i].name, name)) continue;
        TK_TRY(may_cancel(dir, &v.job[i]));
        found = true;
    }
    if (!found && !is_beyond(dir, name, &v))
        return TK_FAIL(TK_INPUT,
                       "no job in %s is called %s; see talkie jobs %s (what lies in new/ still is "
                       "cancelled by removing it)",
                       dir, name, dir);
    TK_TRY(tk_spool_path(path, dir, "cancel/%s", name));
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno != EEXIST)
        return TK_FAIL(tk_io_code(errno), "cannot write %s: %s", path, tk_io_words(errno));
    if (fd >= 0) close(fd);
    return TK_OK;
}

tk_status tk_spool_cancel(const char *dir, const char *name)
{
    tk_arena a;
    if (!tk_spool_name_fits(name)) return TK_FAIL(TK_INPUT, "no job can be called \"%s\"", name);
    tk_arena_init(&a, 0);
    const tk_status st = find_and_ask(dir, name, &a);
    tk_arena_free(&a);
    return st;
}
