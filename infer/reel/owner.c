// SPDX-License-Identifier: Apache-2.0
#include "infer/reel/owner.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double patience = 5; // seconds that a run has to end which was just killed

typedef struct owner_words { // what the file says
    char host[64], job[32], file[512];
    long long pid, restart;
} owner_words;

// ---- the folder --------------------------------------------------------------------------------

char *tk_reel_folder(const char *output, tk_arena *a)
{
    return tk_arena_printf(a, "%s.windows", output);
}

tk_status tk_reel_folder_make(const char *output, const char *folder)
{
    struct stat s;
    TK_TRY(tk_file_make_folders(folder));
    if (mkdir(folder, 0777) == 0) return TK_OK;
    const int error = errno;
    if (error == EEXIST && stat(folder, &s) == 0 && S_ISDIR(s.st_mode)) return TK_OK;
    if (error == EEXIST)
        return TK_FAIL(TK_INPUT,
                       "%s: finished windows are kept in the folder %s, but a file of that name is "
                       "there; name another output, or move it away",
                       output, folder);
    return TK_FAIL(tk_io_code(error), "cannot make the folder %s: %s", folder, tk_io_words(error));
}

// ---- words -------------------------------------------------------------------------------------

static owner_words own_words(const char *file)
{
    const tk_process me = tk_process_self();
    const char *job = getenv("SLURM_JOB_ID"), *restart = getenv("SLURM_RESTART_COUNT");
    owner_words w = {.pid = me.pid, .restart = restart ? atoll(restart) : 0};
    snprintf(w.host, sizeof w.host, "%s", me.host);
    tk_process_plain(w.job, sizeof w.job, job && *job ? job : "none");
    snprintf(w.file, sizeof w.file, "%s", file);
    tk_utf8_plain(w.file, '?', "");
    return w;
}

static owner_words read_owner_words(int fd)
{
    char text[1024];
    owner_words w = {"", "", "", 0, 0};
    const ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    if (sscanf(text, "%63s %lld %31s %lld %511[^\n]", w.host, &w.pid, w.job, &w.restart, w.file) !=
        5)
        w = (owner_words){"an unknown host", "", "another storyboard", 0, 0};
    tk_utf8_plain(w.host, '?', "");
    tk_utf8_plain(w.file, '?', "");
    return w;
}

static tk_status write_words(int fd, const char *path, const char *file)
{
    char text[1024];
    const owner_words w = own_words(file);
    const int n = snprintf(text, sizeof text, "%s %lld %s %lld %s\n", w.host, w.pid, w.job,
                           w.restart, w.file);
    if (ftruncate(fd, 0) != 0)
        return TK_FAIL(TK_IO, "cannot write %s: %s", path, tk_io_words(errno));
    return tk_pwrite_all(fd, path, text, (size_t)n, 0);
}

static tk_status refuse_second(const char *output, int fd)
{
    const owner_words w = read_owner_words(fd);
    return TK_FAIL(TK_INPUT,
                   "%s is being made by another run, of %s: host %s, pid %lld. Wait for it, stop "
                   "it, or name another output",
                   output, w.file, w.host, w.pid);
}

// ---- the lock ----------------------------------------------------------------------------------

typedef enum lock_found { HELD_BY_US, HELD_BY_OTHERS, HELD_GONE } lock_found;

// Whether the file is locked now, and still what the path names.
static lock_found lock_file(int fd, const char *path)
{
    struct stat own, there;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return HELD_BY_OTHERS;
    if (fstat(fd, &own) != 0 || stat(path, &there) != 0) return HELD_GONE;
    return own.st_ino == there.st_ino && own.st_dev == there.st_dev ? HELD_BY_US : HELD_GONE;
}

// Of the same Slurm job, which was started again since.
static bool is_given_up(int fd)
{
    const owner_words old = read_owner_words(fd), me = own_words("");
    return strcmp(me.job, "none") && !strcmp(old.job, me.job) && old.restart < me.restart;
}

static tk_status keep_trying(const char *output, const char *path, int fd, double until,
                             lock_found *how)
{
    bool told = false;
    while ((*how = lock_file(fd, path)) == HELD_BY_OTHERS) {
        if (is_given_up(fd)) {
            (void)unlink(path);
            *how = HELD_GONE;
            return TK_OK;
        }
        if (tk_now() > until) return refuse_second(output, fd);
        if (!told)
            tk_log("%s is being made by another run; waiting %.0f s for its end", output, patience);
        told = true;
        tk_alive();
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return TK_OK;
}

// *fd: locked; -1 where there is no such file, which happens without O_CREAT in `flags` alone.
static tk_status lock_path(const char *output, const char *folder, const char *path, int flags,
                           int *fd)
{
    const double until = tk_now() + patience;
    for (lock_found how = HELD_GONE; how == HELD_GONE;) {
        if (flags & O_CREAT) TK_TRY(tk_reel_folder_make(output, folder));
        *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0666);
        const int error = errno;
        if (*fd < 0 && error == ENOENT && (!(flags & O_CREAT) || tk_now() < until)) {
            if (flags & O_CREAT) continue; // the folder was removed by who had it before
            return TK_OK;
        }
        if (*fd < 0)
            return TK_FAIL(tk_io_code(error), "cannot write %s: %s", path, tk_io_words(error));
        const tk_status st = keep_trying(output, path, *fd, until, &how);
        if (st == TK_OK && how == HELD_BY_US) return TK_OK;
        close(*fd);
        *fd = -1;
        TK_TRY(st);
    }
    return TK_OK;
}

static tk_status name_paths(const char *output, tk_arena *a, const char **folder, const char **path)
{
    *folder = tk_reel_folder(output, a);
    *path = *folder ? tk_arena_printf(a, "%s/owner", *folder) : NULL;
    return *path ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
}

tk_status tk_reel_owner_take(const char *output, const char *file, tk_arena *a, tk_reel_owner *o)
{
    *o = (tk_reel_owner){.fd = -1};
    TK_TRY(name_paths(output, a, &o->folder, &o->path));
    tk_status st = lock_path(output, o->folder, o->path, O_CREAT, &o->fd);
    if (st == TK_OK) st = write_words(o->fd, o->path, file);
    if (st == TK_OK) return TK_OK;
    if (o->fd < 0) o->path = NULL;
    tk_reel_owner_release(o);
    return st;
}

tk_status tk_reel_owner_look(const char *output)
{
    tk_arena a;
    const char *folder, *path;
    int fd = -1;
    tk_arena_init(&a, 0);
    tk_status st = name_paths(output, &a, &folder, &path);
    if (st == TK_OK) st = lock_path(output, folder, path, 0, &fd);
    if (fd >= 0) close(fd);
    tk_arena_free(&a);
    return st;
}

void tk_reel_owner_release(tk_reel_owner *o)
{
    if (o->path) {
        struct stat own, there;
        if (fstat(o->fd, &own) == 0 && stat(o->path, &there) == 0 && own.st_ino == there.st_ino)
            (void)unlink(o->path); // while it is locked: whoever waits for it begins anew
        close(o->fd);
    }
    if (o->folder) (void)rmdir(o->folder); // where no windows are kept
    *o = (tk_reel_owner){.fd = -1};
}

void tk_reel_owner_bury(const char *output)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s.windows/owner", output) >= (int)sizeof path) return;
    const int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return;
    if (lock_file(fd, path) == HELD_BY_US) (void)unlink(path);
    close(fd);
    *strrchr(path, '/') = 0;
    (void)rmdir(path);
}
