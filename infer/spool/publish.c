// SPDX-License-Identifier: Apache-2.0
// Where new jobs go, those of files and those of lists, and what files they may name.
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/spool/internal.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_TRIED = 100000 };

static void number_name(const char *want, int i, char name[TK_SPOOL_NAME + 1])
{
    if (i == 1)
        snprintf(name, TK_SPOOL_NAME + 1, "%s", want);
    else
        snprintf(name, TK_SPOOL_NAME + 1, "%.*s-%d", TK_SPOOL_NAME - 8, want, i);
}

static bool was_given(const tk_spool *s, const char *want, int i)
{
    char path[TK_SPOOL_PATH], name[TK_SPOOL_NAME + 1];
    struct stat info;
    number_name(want, i, name);
    return tk_spool_path(path, s->dir, "names/%s", name) == TK_OK && lstat(path, &info) == 0;
}

// A number, from `first` on, that is free or has just become so. They are given one after the
// other, so that it is found without asking for each: a service may call all its jobs the same.
static int find_free(const tk_spool *s, const char *want, int first)
{
    int given = first - 1, step = 1;
    while (given + step < NAMES_TRIED && was_given(s, want, given + step)) {
        given += step;
        step *= 2;
    }
    for (; step > 1; step /= 2)
        if (given + step / 2 < NAMES_TRIED && was_given(s, want, given + step / 2))
            given += step / 2;
    return given + 1;
}

tk_status tk_spool_give_name(const tk_spool *s, const char *want, char name[TK_SPOOL_NAME + 1])
{
    char path[TK_SPOOL_PATH];
    // A clip called job would be described in job.json, which is the job's own.
    const int first = strcmp(want, "job") ? 1 : 2;
    for (int i = find_free(s, want, first); i < NAMES_TRIED; i++) {
        number_name(want, i, name);
        TK_TRY(tk_spool_path(path, s->dir, "names/%s", name));
        if (mkdir(path, 0777) == 0) return TK_OK;
        if (errno != EEXIST)
            return TK_FAIL(tk_io_code(errno), "cannot make %s: %s", path, tk_io_words(errno));
    }
    return TK_FAIL(TK_INPUT, "too many jobs are called %s; call others otherwise", want);
}

void tk_spool_take_name_back(const tk_spool *s, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/names/%s", s->dir, name);
    rmdir(path);
}

tk_status tk_spool_publish(tk_spool *s, const char *folder, const tk_spool_record *r, time_t when)
{
    tk_spool_entry e = {.priority = (int)r->priority};
    char to[TK_SPOOL_PATH], name[TK_SPOOL_PATH];
    struct tm t;
    tk_spool_moved moved;
    if (!gmtime_r(&when, &t) || !strftime(e.time, sizeof e.time, "%Y%m%d-%H%M%S", &t))
        snprintf(e.time, sizeof e.time, "00000000-000000");
    snprintf(e.name, sizeof e.name, "%s", r->name);
    tk_spool_entry_print(&e, name, sizeof name);
    TK_TRY(tk_spool_path(to, s->dir, "%s/%s", tk_spool_folder[r->state],
                         r->state == TK_SPOOL_WAITING ? name : r->name));
    tk_spool_at("publish");
    TK_TRY(tk_spool_move(folder, to, &moved)); // gone: another goes on with it
    tk_spool_at("published");
    if (moved == TK_SPOOL_MOVED && r->state == TK_SPOOL_FAILED)
        tk_log_warn("job %s: %s", r->name, r->error);
    return TK_OK;
}

tk_status tk_spool_leads_inside(const tk_spool *s, const char *path)
{
    char full[PATH_MAX], files[TK_SPOOL_PATH];
    TK_TRY(tk_spool_path(files, s->dir, "files/"));
    if (!realpath(path, full))
        return TK_FAIL(TK_INPUT, "cannot use %s: %s; files that a job names lie in %s", path,
                       strerror(errno), files);
    if (!strncmp(full, files, strlen(files))) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s lies outside of the spool; files that a job names lie in %s", path,
                   files);
}

// By another way to it, which somebody might lay elsewhere later, it would be opened unasked.
tk_status tk_spool_inside(const tk_spool *s, const char *path)
{
    char files[TK_SPOOL_PATH];
    TK_TRY(tk_spool_leads_inside(s, path));
    TK_TRY(tk_spool_path(files, s->dir, "files/"));
    if (*path != '/' || !strncmp(path, files, strlen(files))) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: leads into the spool from outside; paths of a job begin in %s",
                   path, files);
}
