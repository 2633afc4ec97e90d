// SPDX-License-Identifier: Apache-2.0
// A list of storyboards becomes its jobs, each exactly once, whoever dies when.
//
//     taking/NAME,WORKER/making/00003,CHILD/   a job as it will be, job.json last
//     taking/NAME,WORKER/ready/...             all of them are: making/ renamed
//     waiting/... failed/CHILD                 one renamed out of ready/
//     done/NAME                                the list, once its job.json says that all are
//
// All of it lies in the folder that goes to whoever takes over, so what one has not yet done the
// next finds as it is, and paths of the one before lead nowhere.
#include "core/base/files.h"
#include "core/config/config.h"
#include "infer/spool/internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct listed { // a list that becomes its jobs
    tk_spool *s;
    const char *folder;       // taking/NAME,WORKER
    const tk_spool_record *r; // the list's
    const char *text;         // of its file
    size_t bytes;
    tk_config config; // what it says
    tk_arena arena;
} listed;

// ---- what a job of it asks for -----------------------------------------------------------------

tk_status tk_spool_layer(tk_config *c, const char *list, const char *list_text, size_t list_bytes,
                         const char *name, const char *text, size_t bytes)
{
    if (list) {
        TK_TRY(tk_config_parse(c, 0, list, list_text, list_bytes, 0, NULL));
        c->jobs = (tk_jobs_config){0};
        c->story.output = c->output = "";
    }
    TK_TRY(tk_config_parse(c, 0, name, text, bytes, 0, NULL));
    if (!list || !c->jobs.n_storyboards) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: storyboards: it is a list too; a list is of storyboards", name);
}

// A storyboard of the list's, in the spool's files. Asked is where the file lies that is open: its
// name may lead elsewhere from one call to the next.
static tk_status read_storyboard(const listed *l, const char *path, tk_arena *a, char **text,
                                 size_t *bytes)
{
    char full[TK_SPOOL_PATH], opened[32];
    int fd;
    snprintf(full, sizeof full, "%s", path);
    if (*path != '/') TK_TRY(tk_spool_path(full, l->s->dir, "files/%s", path));
    if (!l->s->open) TK_TRY(tk_spool_inside(l->s, full));
    TK_TRY(tk_file_open(full, &fd, NULL));
    snprintf(opened, sizeof opened, "/proc/self/fd/%d", fd);
    tk_status st = l->s->open ? TK_OK : tk_spool_leads_inside(l->s, opened);
    if (st == TK_OK) st = tk_file_read(opened, TK_SPOOL_YAML, a, text, bytes);
    close(fd);
    return tk_status_renamed(st, opened, full);
}

static tk_status judge_listed(const listed *l, const char *path, tk_arena *a, char **text,
                              size_t *bytes, tk_spool_record *r)
{
    tk_config c;
    TK_TRY(read_storyboard(l, path, a, text, bytes));
    tk_config_init(&c);
    const tk_status st = tk_spool_layer(&c, l->r->file, l->text, l->bytes, path, *text, *bytes);
    if (st == TK_OK) tk_spool_record_ask(r, &c.job);
    tk_config_free(&c);
    return st;
}

// ---- making ------------------------------------------------------------------------------------

static tk_status write_listed(const char *path, const char *text, size_t bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return errno == ENOENT || errno == ESTALE
                   ? TK_FAIL(TK_FENCED, "%s is another worker's now", path)
                   : TK_FAIL(tk_io_code(errno), "cannot write %s: %s", path, tk_io_words(errno));
    tk_status st = tk_pwrite_all(fd, path, text, bytes, 0);
    if (st == TK_OK && fsync(fd) != 0)
        st = TK_FAIL(TK_IO, "cannot write %s: %s", path, tk_io_words(errno));
    close(fd);
    return st;
}

// The job's folder as it will wait, or lie in failed/ with what is wrong; job.json last.
static tk_status fill_listed(const listed *l, const char *to, const char *path, tk_arena *a,
                             tk_spool_record *r)
{
    char file[TK_SPOOL_PATH], *text = NULL;
    size_t bytes = 0;
    const tk_status st = judge_listed(l, path, a, &text, &bytes, r);
    if (st == TK_MEMORY) return st;
    r->state = st == TK_OK ? TK_SPOOL_WAITING : TK_SPOOL_FAILED;
    if (st != TK_OK) snprintf(r->error, sizeof r->error, "%s", tk_status_message());
    tk_status_clear();
    TK_TRY(tk_spool_path(file, to, "%s.yaml", r->name));
    if (text) TK_TRY(write_listed(file, text, bytes));
    TK_TRY(tk_spool_path(file, to, "%s" TK_SPOOL_LIST_FILE, r->name));
    TK_TRY(write_listed(file, l->text, l->bytes));
    return tk_spool_write_record(l->s, to, r);
}

// Its folder is what keeps a name for it.
static tk_status make_listed_place(const listed *l, const char *to)
{
    if (mkdir(to, 0777) == 0 || errno == EEXIST) return TK_OK;
    return errno == ENOENT || errno == ESTALE
               ? TK_FAIL(TK_FENCED, "%s is another worker's now", l->folder)
               : TK_FAIL(tk_io_code(errno), "cannot make %s: %s", to, tk_io_words(errno));
}

static tk_status make_listed(const listed *l, int64_t i, const char *name)
{
    char to[TK_SPOOL_PATH], base[TK_SPOOL_FILE], want[TK_SPOOL_NAME + 1];
    tk_spool_record r = tk_spool_record_new();
    tk_arena a;
    const char *path = l->config.jobs.storyboards[i], *slash = strrchr(path, '/');
    snprintf(base, sizeof base, "%s", slash ? slash + 1 : path);
    snprintf(r.file, sizeof r.file, "%s", base);
    snprintf(r.list, sizeof r.list, "%s", l->r->name);
    snprintf(r.user, sizeof r.user, "%s", l->r->user);
    r.uid = l->r->uid, r.taken = l->r->taken;
    char *end = strrchr(base, '.');
    if (end && !strcmp(end, ".yaml")) *end = 0;
    tk_spool_name_clean(base, want);
    snprintf(r.name, sizeof r.name, "%s", name);
    if (!*name) TK_TRY(tk_spool_give_name(l->s, want, r.name));
    tk_spool_at("listed");
    TK_TRY(tk_spool_path(to, l->folder, "making/%05" PRId64 ",%s", i, r.name));
    tk_status st = make_listed_place(l, to);
    if (st != TK_OK && !*name) tk_spool_take_name_back(l->s, r.name);
    TK_TRY(st);
    tk_spool_sweep(to);
    tk_arena_init(&a, 0);
    st = fill_listed(l, to, path, &a, &r);
    tk_arena_free(&a);
    return st;
}

// What the one before had made of job i: its name, and whether it is whole.
static const char *find_made(const listed *l, const tk_spool_names *made, int64_t i, bool *whole)
{
    char folder[TK_SPOOL_PATH];
    tk_spool_record r;
    *whole = false;
    for (int k = 0; k < made->n; k++) {
        const char *comma = strchr(made->name[k], ',');
        if (!comma || strtoll(made->name[k], NULL, 10) != i) continue;
        if (tk_spool_path(folder, l->folder, "making/%s", made->name[k]) == TK_OK)
            (void)tk_spool_record_read(folder, &r, whole);
        return comma + 1;
    }
    return "";
}

static tk_status make_all_listed(listed *l)
{
    char making[TK_SPOOL_PATH], ready[TK_SPOOL_PATH];
    tk_spool_names made;
    tk_spool_moved moved;
    TK_TRY(tk_spool_path(making, l->folder, "making"));
    TK_TRY(tk_spool_path(ready, l->folder, "ready"));
    TK_TRY(tk_spool_names_read(l->folder, "making", TK_SPOOL_LIST, &l->arena, &made));
    if (mkdir(making, 0777) != 0 && errno != EEXIST)
        return TK_FAIL(tk_io_code(errno), "cannot make %s: %s", making, tk_io_words(errno));
    for (int64_t i = 0; i < l->config.jobs.n_storyboards; i++) {
        bool whole;
        const char *name = find_made(l, &made, i, &whole);
        if (!whole) TK_TRY(make_listed(l, i, name));
    }
    TK_TRY(tk_spool_move(making, ready, &moved));
    if (moved != TK_SPOOL_MOVED && moved != TK_SPOOL_SEEN)
        return TK_FAIL(TK_FENCED, "%s is another worker's now", l->folder);
    tk_spool_at("ready");
    return TK_OK;
}

// ---- the list ----------------------------------------------------------------------------------

static tk_status open_list(listed *l)
{
    char path[TK_SPOOL_PATH];
    TK_TRY(tk_spool_path(path, l->folder, "%s.yaml", l->r->name));
    TK_TRY(tk_file_read(path, TK_SPOOL_YAML, &l->arena, (char **)&l->text, &l->bytes));
    return tk_config_parse(&l->config, 0, l->r->file, l->text, l->bytes, 0, NULL);
}

static tk_status publish_all_listed(listed *l, time_t when)
{
    char folder[TK_SPOOL_PATH];
    tk_spool_names ready;
    tk_spool_record r;
    bool found;
    TK_TRY(tk_spool_names_read(l->folder, "ready", TK_SPOOL_LIST, &l->arena, &ready));
    for (int i = 0; i < ready.n; i++) {
        TK_TRY(tk_spool_path(folder, l->folder, "ready/%s", ready.name[i]));
        TK_TRY(tk_spool_record_read(folder, &r, &found));
        if (!found) return TK_FAIL(TK_FENCED, "%s is another worker's now", l->folder);
        TK_TRY(tk_spool_publish(l->s, folder, &r, when));
    }
    return TK_OK;
}

static tk_status become(listed *l, time_t when)
{
    char ready[TK_SPOOL_PATH];
    struct stat s;
    TK_TRY(tk_spool_path(ready, l->folder, "ready"));
    if (lstat(ready, &s) != 0) {
        TK_TRY(open_list(l));
        TK_TRY(make_all_listed(l));
    }
    TK_TRY(publish_all_listed(l, when));
    tk_spool_names left;
    TK_TRY(tk_spool_names_read(l->folder, "ready", 1, &l->arena, &left));
    if (lstat(ready, &s) != 0) return TK_FAIL(TK_FENCED, "%s is another worker's now", l->folder);
    if (left.n == 0) return TK_OK;
    return TK_FAIL(TK_IO, "%s/%s cannot go on: where it belongs something lies already", ready,
                   left.name[0]);
}

tk_status tk_spool_become(tk_spool *s, const char *folder, tk_spool_record *r, time_t when)
{
    listed l = {.s = s, .folder = folder, .r = r};
    char ready[TK_SPOOL_PATH];
    tk_status st = TK_OK;
    tk_arena_init(&l.arena, 0);
    tk_config_init(&l.config);
    if (r->state == TK_SPOOL_WAITING) st = become(&l, when);
    if (st == TK_OK && r->state == TK_SPOOL_WAITING) {
        r->state = TK_SPOOL_DONE;
        r->done = r->total = r->storyboards;
        snprintf(r->unit, sizeof r->unit, "jobs");
        st = tk_spool_write_record(s, folder, r);
    }
    tk_config_free(&l.config);
    tk_arena_free(&l.arena);
    TK_TRY(st);
    TK_TRY(tk_spool_path(ready, folder, "ready"));
    rmdir(ready);
    return tk_spool_publish(s, folder, r, when);
}
