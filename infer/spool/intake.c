// SPDX-License-Identifier: Apache-2.0
#include "core/base/files.h"
#include "core/config/config.h"
#include "infer/spool/internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// In its folder of taking/ a file is called so, and by as much of its own name as fits: the end,
// which says what it is, is kept.
#define DROPPED "in,"
enum { DROPPED_BYTES = 240, END_BYTES = 5 };

// ---- is it a job -------------------------------------------------------------------------------

static tk_status refuse_kind(const char *path, const char *name, struct stat *s)
{
    char base[TK_SPOOL_FILE], shown[TK_SPOOL_FILE];
    const size_t n = strlen(name);
    snprintf(shown, sizeof shown, "%s", name);
    for (char *p = shown; *p; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > 126) *p = '?';
    if (lstat(path, s) != 0) return TK_FAIL(TK_INPUT, "cannot read it: %s", strerror(errno));
    if (S_ISLNK(s->st_mode))
        return TK_FAIL(TK_INPUT, "it is a link; drop the file itself, by a copy and a rename");
    if (!S_ISREG(s->st_mode))
        return TK_FAIL(TK_INPUT, "it is no file; a job is a YAML file, or a list of such");
    if (n <= 5 || strcmp(name + n - 5, ".yaml"))
        return TK_FAIL(TK_INPUT, "a job's file is called NAME.yaml, not \"%s\"", shown);
    snprintf(base, sizeof base, "%.*s", (int)(n - 5), name);
    if (!tk_spool_name_fits(base))
        return TK_FAIL(TK_INPUT,
                       "it is called \"%s\"; names are of letters, digits, '.', '-', '_' and '+', "
                       "begin with none of '.' and '-', and have at most %d bytes before .yaml",
                       shown, TK_SPOOL_NAME);
    if (s->st_nlink != 1)
        return TK_FAIL(TK_INPUT,
                       "it has other names, by which it may be written to, or is somebody "
                       "else's; drop a copy");
    if (s->st_size > TK_SPOOL_YAML)
        return TK_FAIL(TK_INPUT, "it has %lld bytes; a job's file has at most %d",
                       (long long)s->st_size, TK_SPOOL_YAML);
    if (s->st_size == 0)
        return TK_FAIL(TK_INPUT, "it is empty; write it under a name that begins with '.', and "
                                 "rename it when it is whole");
    return TK_OK;
}

// TK_INPUT, in words for its owner, where it is none. All options are read, so that a slip is told
// before anything waits.
static tk_status judge_file(const char *path, const char *name, tk_spool_record *r)
{
    tk_config c;
    tk_arena a;
    struct stat s;
    char *text;
    size_t bytes;
    TK_TRY(refuse_kind(path, name, &s));
    r->uid = s.st_uid;
    tk_arena_init(&a, 0);
    tk_config_init(&c);
    tk_status st = tk_file_read(path, TK_SPOOL_YAML, &a, &text, &bytes);
    if (st == TK_OK) st = tk_config_parse(&c, 0, name, text, bytes, 0, NULL);
    if (st == TK_OK) tk_spool_record_ask(r, &c.job);
    if (st == TK_OK) r->storyboards = c.jobs.n_storyboards;
    if (r->storyboards > TK_SPOOL_LIST)
        st = TK_FAIL(TK_INPUT, "it lists %lld storyboards; a list has at most %d",
                     (long long)r->storyboards, TK_SPOOL_LIST);
    tk_config_free(&c);
    tk_arena_free(&a);
    return st;
}

static void name_user(tk_spool_record *r)
{
    char room[4096];
    struct passwd one, *found = NULL;
    getpwuid_r((uid_t)r->uid, &one, room, sizeof room, &found);
    if (found)
        snprintf(r->user, sizeof r->user, "%s", found->pw_name);
    else
        snprintf(r->user, sizeof r->user, "%lld", (long long)r->uid);
}

// ---- a folder of taking/ -----------------------------------------------------------------------

// The file that was dropped, as it lies in the folder; false: there is none.
static bool find_dropped(const char *folder, char name[TK_SPOOL_FILE])
{
    DIR *d = opendir(folder);
    bool found = false;
    if (!d) return false;
    for (struct dirent *e; (e = readdir(d)) && !found;)
        if (!strncmp(e->d_name, DROPPED, sizeof DROPPED - 1)) {
            snprintf(name, TK_SPOOL_FILE, "%s", e->d_name);
            found = true;
        }
    closedir(d);
    return found;
}

// Neither file nor record: its worker died, or lost the race, before it had either.
static void clear_taking(const char *folder)
{
    DIR *d = opendir(folder);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));)
        if (!strncmp(e->d_name, ".job.json.", 10) || !strcmp(e->d_name, "job.json"))
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(folder);
}

static tk_status judge_dropped(tk_spool *s, const char *file, const char *name, int64_t now,
                               tk_spool_record *r)
{
    struct stat at;
    char given[TK_SPOOL_NAME + 1], base[TK_SPOOL_FILE];
    snprintf(given, sizeof given, "%s", r->name); // by one who died with it
    *r = tk_spool_record_new();
    r->taken = now / 1000000000;
    if (lstat(file, &at) == 0) r->uid = at.st_uid;
    snprintf(r->file, sizeof r->file, "%s", name);
    const tk_status st = judge_file(file, name, r);
    if (st == TK_MEMORY) return st;
    r->state = st == TK_OK ? TK_SPOOL_WAITING : TK_SPOOL_FAILED;
    if (st != TK_OK) snprintf(r->error, sizeof r->error, "%s", tk_status_message());
    tk_status_clear();
    name_user(r);
    const size_t n = strlen(name);
    snprintf(base, sizeof base, "%.*s", (int)(n > 5 && !strcmp(name + n - 5, ".yaml") ? n - 5 : n),
             name);
    tk_spool_name_clean(base, r->name);
    if (tk_spool_name_fits(base)) snprintf(r->name, sizeof r->name, "%s", base);
    if (*given) {
        snprintf(r->name, sizeof r->name, "%s", given);
        return TK_OK;
    }
    snprintf(base, sizeof base, "%s", r->name);
    return tk_spool_give_name(s, base, r->name);
}

static bool has_yaml(const char *folder, const tk_spool_record *r)
{
    char path[TK_SPOOL_PATH];
    struct stat s;
    const bool there =
        tk_spool_path(path, folder, "%s.yaml", r->name) == TK_OK && lstat(path, &s) == 0;
    tk_status_clear();
    return there;
}

static tk_status go_where_it_belongs(tk_spool *s, const char *folder, tk_spool_record *r,
                                     time_t when)
{
    if (!when) when = r->taken;
    return r->storyboards && r->state != TK_SPOOL_FAILED ? tk_spool_become(s, folder, r, when)
                                                         : tk_spool_publish(s, folder, r, when);
}

// Goes on from wherever the one before has come to. when: the file came; 0: as it says.
static tk_status go_on_with(tk_spool *s, const char *folder, int64_t now, time_t when)
{
    tk_spool_record r;
    char dropped[TK_SPOOL_FILE], from[TK_SPOOL_PATH], to[TK_SPOOL_PATH];
    bool found;
    TK_TRY(tk_spool_record_read(folder, &r, &found));
    if (!find_dropped(folder, dropped)) {
        if (found && has_yaml(folder, &r)) return go_where_it_belongs(s, folder, &r, when);
        clear_taking(folder);
        return TK_OK;
    }
    TK_TRY(tk_spool_path(from, folder, "%s", dropped));
    if (!found) *r.name = 0;
    const bool had_name = *r.name != 0;
    TK_TRY(judge_dropped(s, from, dropped + sizeof DROPPED - 1, now, &r));
    tk_spool_at("named");
    const tk_status st = tk_spool_write_record(s, folder, &r);
    if (st != TK_OK && !had_name) tk_spool_take_name_back(s, r.name);
    TK_TRY(st);
    TK_TRY(tk_spool_path(to, folder, "%s.yaml", r.name));
    if (rename(from, to) != 0 && !has_yaml(folder, &r)) return TK_OK; // another has it
    return go_where_it_belongs(s, folder, &r, when);
}

static tk_status take_left(tk_spool *s, const char *name, int64_t now)
{
    tk_spool_entry e;
    char from[TK_SPOOL_PATH], to[TK_SPOOL_PATH];
    tk_spool_moved moved = TK_SPOOL_MOVED;
    if (!tk_spool_taking_read(name, &e)) return TK_OK;
    const bool own = !strcmp(e.worker, s->lease.worker);
    if (!own && tk_lease_held(&s->lease, e.worker, now)) return TK_OK;
    TK_TRY(tk_spool_path(from, s->dir, "taking/%s", name));
    TK_TRY(tk_spool_path(to, s->dir, "taking/%s,%s", e.name, s->lease.worker));
    if (!own) TK_TRY(tk_spool_move(from, to, &moved));
    if (moved == TK_SPOOL_GONE || moved == TK_SPOOL_TAKEN) return TK_OK;
    tk_spool_sweep(to);
    return go_on_with(s, to, now, 0);
}

// It stays where it is, keeps nobody waiting, and is told once.
static tk_status leave_stuck(tk_spool *s, const char *name, int error)
{
    if (++s->stuck <= s->stuck_told) return TK_OK;
    s->stuck_told = s->stuck;
    return TK_FAIL(TK_INPUT, "%s/new/%s cannot be taken in, and is left: %s", s->dir, name,
                   strerror(error));
}

// Whether this worker may rename what was dropped; errno says why not. A folder goes elsewhere by
// whoever may write into it alone, and out of a sticky folder an entry by its owner or the
// folder's.
static bool may_move(const tk_spool *s, const char *from, const struct stat *at)
{
    char path[TK_SPOOL_PATH];
    struct stat in;
    const uid_t me = geteuid();
    if (S_ISDIR(at->st_mode) && faccessat(AT_FDCWD, from, W_OK, AT_EACCESS) != 0) return false;
    if (tk_spool_path(path, s->dir, "new") != TK_OK || stat(path, &in) != 0) return true;
    errno = EPERM;
    return !(in.st_mode & S_ISVTX) || me == 0 || me == at->st_uid || me == in.st_uid;
}

static tk_status take_new(tk_spool *s, const char *name, int64_t now)
{
    char clean[TK_SPOOL_NAME + 1], from[TK_SPOOL_PATH], folder[TK_SPOOL_PATH], to[TK_SPOOL_PATH];
    tk_spool_moved moved;
    struct stat at;
    tk_spool_name_clean(name, clean);
    TK_TRY(tk_spool_path(from, s->dir, "new/%s", name));
    TK_TRY(tk_spool_path(folder, s->dir, "taking/%s,%s", clean, s->lease.worker));
    const size_t bytes = strlen(name);
    const bool cut = bytes > DROPPED_BYTES;
    TK_TRY(tk_spool_path(to, folder, DROPPED "%.*s%s", DROPPED_BYTES - END_BYTES * cut, name,
                         cut ? name + bytes - END_BYTES : ""));
    if (lstat(from, &at) != 0) return TK_OK; // another was faster
    if (!may_move(s, from, &at)) return leave_stuck(s, name, errno);
    if (mkdir(folder, 0777) != 0) {
        if (errno == EEXIST) return TK_OK; // left from a scan that failed; the next goes on with it
        return TK_FAIL(tk_io_code(errno), "cannot make %s: %s", folder, tk_io_words(errno));
    }
    tk_spool_at("taking");
    const tk_status st = tk_spool_move(from, to, &moved);
    if (st != TK_OK) {
        rmdir(folder);
        return st;
    }
    tk_spool_at("taken");
    if (moved == TK_SPOOL_GONE || moved == TK_SPOOL_TAKEN) {
        rmdir(folder);
        return TK_OK;
    }
    return go_on_with(s, folder, now, at.st_ctim.tv_sec);
}

tk_status tk_spool_take_in(tk_spool *s, int64_t now)
{
    tk_spool_names left, fresh;
    TK_TRY(tk_spool_names_read(s->dir, "taking", TK_SPOOL_JOBS, &s->arena, &left));
    for (int i = 0; i < left.n; i++) TK_TRY(tk_spool_go_on(s, take_left(s, left.name[i], now)));
    TK_TRY(tk_spool_names_read(s->dir, "new", TK_SPOOL_JOBS, &s->arena, &fresh));
    s->stuck = 0;
    for (int i = 0; i < fresh.n && i - s->stuck < TK_SPOOL_NEW; i++)
        TK_TRY(tk_spool_go_on(s, take_new(s, fresh.name[i], now)));
    return TK_OK;
}
