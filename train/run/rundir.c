// SPDX-License-Identifier: Apache-2.0
#include "train/run/rundir.h"
#include "core/base/log.h"
#include "core/store/h5.h"
#include "train/checkpoint/checkpoint.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char ANEW[] = "anew.txt";

static tk_status make_dirs(const char *dir)
{
    char path[PATH_MAX];
    if (!*dir || strlen(dir) >= sizeof path)
        return TK_FAIL(TK_INPUT, "train.out must name a directory");
    snprintf(path, sizeof path, "%s", dir);
    for (char *p = path + 1;; p++) {
        const char was = *p;
        if (was != '/' && was) continue;
        *p = 0;
        if (mkdir(path, 0777) && errno != EEXIST)
            return TK_FAIL(errno == ENOSPC || errno == EIO ? TK_IO : TK_INPUT,
                           "train.out: cannot make directory %s: %s", path, strerror(errno));
        *p = was;
        if (!was) break;
    }
    struct stat s;
    if (stat(dir, &s) || !S_ISDIR(s.st_mode))
        return TK_FAIL(TK_INPUT, "train.out: %s is not a directory", dir);
    return TK_OK;
}

// Counts the files `dir` holds of a run; moves them to `to` unless that is NULL.
static tk_status each_file(const char *dir, const char *to, int *checkpoints)
{
    char a[PATH_MAX], b[PATH_MAX];
    DIR *d = opendir(dir);
    if (!d) return TK_FAIL(TK_IO, "cannot read directory %s: %s", dir, strerror(errno));
    tk_status st = TK_OK;
    *checkpoints = 0;
    for (struct dirent *e; st == TK_OK && (e = readdir(d));) {
        const bool checkpoint = tk_checkpoint_step(e->d_name) >= 0;
        *checkpoints += checkpoint;
        if (!to ||
            (!checkpoint && strcmp(e->d_name, "metrics.jsonl") && strcmp(e->d_name, "check.jsonl")))
            continue;
        snprintf(a, sizeof a, "%s/%s", dir, e->d_name);
        snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        if (rename(a, b)) st = TK_FAIL(TK_IO, "cannot move %s to %s: %s", a, b, strerror(errno));
    }
    closedir(d);
    return st;
}

static tk_status set_aside(const char *dir, int checkpoints)
{
    char to[PATH_MAX];
    struct stat s;
    int n = 1;
    do snprintf(to, sizeof to, "%s/before-%d", dir, n++);
    while (stat(to, &s) == 0);
    if (mkdir(to, 0777)) return TK_FAIL(TK_IO, "cannot make %s: %s", to, strerror(errno));
    tk_log("train.resume=0: %d checkpoints of an earlier run move to %s", checkpoints, to);
    return each_file(dir, to, &checkpoints);
}

// Who began is told last: who fails before that has begun nothing, and the next one moves the rest.
tk_status tk_rundir_begin_anew(const tk_owner *o)
{
    int checkpoints;
    TK_TRY(tk_owner_check(o)); // else they are another run's
    TK_TRY(each_file(o->dir, NULL, &checkpoints));
    if (checkpoints) TK_TRY(set_aside(o->dir, checkpoints));
    return tk_rundir_text(o, ANEW, o->token);
}

// What cannot be read tells of nobody.
bool tk_rundir_came_back(const char *dir)
{
    enum { MOST = 4096 };
    tk_arena a;
    size_t bytes;
    char *token = NULL;
    tk_arena_init(&a, 0);
    const char *path = tk_arena_printf(&a, "%s/%s", dir, ANEW);
    const bool told =
        path && !access(path, F_OK) && tk_file_read(path, MOST, &a, &token, &bytes) == TK_OK;
    const bool came = told && tk_owner_restarts(token);
    tk_arena_free(&a);
    if (!told) tk_status_clear();
    return came;
}

static tk_status open_first(const char *dir, bool want, tk_owner *o, int32_t *resume)
{
    int checkpoints;
    TK_TRY(make_dirs(dir));
    TK_TRY(tk_owner_take(o, dir));
    TK_TRY(each_file(dir, NULL, &checkpoints));
    *resume = checkpoints && (want || tk_rundir_came_back(dir));
    return TK_OK;
}

tk_status tk_rundir_open(tk_comm *world, const char *dir, bool want, tk_owner *o, bool *resume)
{
    int32_t found = 0;
    TK_TRY(tk_agree(world, world->rank ? TK_OK : open_first(dir, want, o, &found)));
    TK_TRY(tk_comm_broadcast(world, &found, sizeof found, 0));
    *resume = found != 0;
    char staging[PATH_MAX] = "";
    if (world->rank == 0) snprintf(staging, sizeof staging, "%s", o->staging);
    TK_TRY(tk_comm_broadcast(world, staging, sizeof staging, 0));
    if (world->rank) {
        *o = (tk_owner){0};
        tk_arena_init(&o->arena, 0);
        o->dir = tk_arena_strdup(&o->arena, dir);
        o->staging = tk_arena_strdup(&o->arena, staging);
    }
    TK_TRY(tk_agree(world, o->dir && o->staging ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory")));
    return TK_OK;
}

tk_status tk_rundir_text(const tk_owner *o, const char *name, const char *text)
{
    tk_arena a;
    tk_file f = {.fd = -1};
    const size_t n = strlen(text);
    tk_arena_init(&a, 0);
    const char *path = tk_arena_printf(&a, "%s/%s", o->staging, name);
    tk_status st = path ? tk_file_begin(&f, path) : TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (st == TK_OK) st = tk_pwrite_all(f.fd, path, text, n, 0);
    if (st == TK_OK && n && text[n - 1] != '\n')
        st = tk_pwrite_all(f.fd, path, "\n", 1, (int64_t)n);
    if (st == TK_OK) st = tk_file_commit(&f);
    tk_file_abort(&f);
    tk_arena_free(&a);
    TK_TRY(tk_owner_blame(o, st));
    return tk_owner_commit(o, name);
}
