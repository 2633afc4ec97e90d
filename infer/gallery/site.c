// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // renameat2, syncfs
#include "infer/gallery/site.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "infer/gallery/pages.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 3, NUMBER = 32, NUMBER_ONCE = 16 }; // once: of sites that an older talkie made
static const char being_written[] = ".part-site-"; // in the names of folders that are

static tk_status no_path(void)
{
    return TK_FAIL(TK_MEMORY, "out of memory for a path");
}

// ---- what is in it -----------------------------------------------------------------------------

// Names that talkie gives: hexadecimal digits, or how a clip is called while it is looked at.
static bool is_numbered(const char *name, const char *suffix)
{
    const size_t n = strspn(name, "0123456789abcdef");
    const bool numbered = n == NUMBER || n == NUMBER_ONCE;
    return (numbered && !strcmp(name + n, suffix)) || !strcmp(name, "new.mp4");
}

static bool is_of_site(const char *folder, const char *name)
{
    if (!strcmp(folder, "clips")) return is_numbered(name, ".mp4");
    if (!strcmp(folder, "posters")) return is_numbered(name, ".jpg");
    for (const tk_page *p = tk_pages; p->name; p++)
        if (!strcmp(p->name, name)) return true;
    return !strcmp(name, TK_SITE_CLIPS) || !strcmp(name, "clips") || !strcmp(name, "posters");
}

// The first thing in the folder that no site has; "" where there is none. Opens nothing but folders
// that a site has.
static bool find_foreign(int at, const char *path, const char *folder, char foreign[NAME_MAX + 16])
{
    const int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    bool found = !d;
    if (!d) snprintf(foreign, NAME_MAX + 16, "%s", folder);
    if (!d && fd >= 0) close(fd);
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        if (tk_file_is_dot(e->d_name)) continue;
        found = !is_of_site(folder, e->d_name);
        if (found)
            snprintf(foreign, NAME_MAX + 16, "%s%s%s", folder, *folder ? "/" : "", e->d_name);
        const bool below =
            !*folder && (!strcmp(e->d_name, "clips") || !strcmp(e->d_name, "posters"));
        if (!found && below) found = find_foreign(dirfd(d), e->d_name, e->d_name, foreign);
    }
    if (d) closedir(d);
    return found;
}

static bool is_empty(const char *folder)
{
    DIR *d = opendir(folder);
    bool empty = d != NULL;
    for (struct dirent *e; d && empty && (e = readdir(d));) empty = tk_file_is_dot(e->d_name);
    if (d) closedir(d);
    return empty;
}

static bool is_marked(const char *folder)
{
    char name[PATH_MAX], head[sizeof TK_SITE_HEAD] = "";
    int fd;
    if (snprintf(name, sizeof name, "%s/" TK_SITE_CLIPS, folder) >= (int)sizeof name) return false;
    if (tk_file_open(name, &fd, NULL) != TK_OK) {
        tk_status_clear();
        return false;
    }
    const ssize_t n = read(fd, head, sizeof head - 1);
    close(fd);
    return n == sizeof head - 1 && !strcmp(head, TK_SITE_HEAD);
}

bool tk_site_is_one(const char *folder)
{
    return strstr(folder, being_written) || is_marked(folder);
}

// ---- removing ----------------------------------------------------------------------------------

// Folders that dead runs on this host left of the same path: nobody holds their lock.
static void remove_dead_sites(const char *folder, const char *prefix)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, prefix, strlen(prefix))) continue;
        const int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) tk_file_remove_folder(dirfd(d), e->d_name, DEPTH);
        close(fd);
    }
    if (d) closedir(d);
}

// ---- begin -------------------------------------------------------------------------------------

// Without slashes at its end; where a link leads.
static tk_status find_site(tk_site *s, const char *path)
{
    struct stat info;
    char *plain = tk_arena_strdup(&s->arena, path), *to;
    if (!plain) return no_path();
    for (size_t n = strlen(plain); n > 1 && plain[n - 1] == '/'; n--) plain[n - 1] = 0;
    const char *slash = strrchr(plain, '/'), *name = slash ? slash + 1 : plain;
    s->path = s->target = plain;
    if (!*name || tk_file_is_dot(name))
        return TK_FAIL(TK_INPUT, "cannot write %s: name a folder for the site", path);
    if (strlen(name) > NAME_MAX - 100)
        return TK_FAIL(TK_INPUT, "cannot write %.80s...: the name is too long", path);
    if (lstat(plain, &info) != 0) return TK_OK;
    if (S_ISLNK(info.st_mode)) {
        TK_ARENA_NEW(to, &s->arena, PATH_MAX);
        if (!realpath(plain, to))
            return TK_FAIL(TK_INPUT, "cannot write %s: it is a link that leads nowhere (%s)", path,
                           strerror(errno));
        s->target = to;
    }
    return TK_OK;
}

static tk_status check_replaced(tk_site *s)
{
    char foreign[NAME_MAX + 16] = "";
    struct stat info;
    if (stat(s->target, &info) != 0)
        return errno == ENOENT
                   ? TK_OK
                   : TK_FAIL(tk_io_code(errno), "cannot write %s: %s", s->path, tk_io_words(errno));
    if (!S_ISDIR(info.st_mode))
        return TK_FAIL(TK_INPUT, "cannot write %s: it is there and no folder; name another",
                       s->path);
    s->replaces = true;
    if (is_empty(s->target)) return TK_OK;
    if (!is_marked(s->target))
        return TK_FAIL(TK_INPUT,
                       "cannot write %s: it is there already and no site of talkie gallery; name "
                       "another folder, or move it away",
                       s->path);
    if (find_foreign(AT_FDCWD, s->target, "", foreign))
        return TK_FAIL(
            TK_INPUT,
            "cannot write %s: %s in it is nothing that talkie gallery made, and would be "
            "lost; move it away",
            s->path, foreign);
    return TK_OK;
}

// Between its making and its lock another run may have taken the folder for a dead one's.
static bool hold_folder(int fd)
{
    struct stat info;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
    return fstat(fd, &info) == 0 && info.st_nlink > 0;
}

static tk_status make_site_folder(tk_site *s, const char *folder, const char *prefix)
{
    uint64_t x;
    if (getrandom(&x, sizeof x, 0) != sizeof x)
        return TK_FAIL(TK_IO, "no random numbers: %s", strerror(errno));
    char *tmp = tk_arena_printf(&s->arena, "%s/%s%016llx", folder, prefix, (unsigned long long)x);
    if (!tmp) return no_path();
    if (mkdir(tmp, 0777) != 0)
        return TK_FAIL(tk_io_code(errno), "cannot write %s: the folder it is to lie in: %s",
                       s->path, tk_io_words(errno));
    s->tmp = tmp;
    s->fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->fd >= 0 && !hold_folder(s->fd))
        return TK_FAIL(TK_IO, "cannot write %s: another run took its folder away; run again",
                       s->path);
    if (s->fd < 0 || mkdirat(s->fd, "clips", 0777) != 0 || mkdirat(s->fd, "posters", 0777) != 0)
        return TK_FAIL(tk_io_code(errno), "cannot write %s: %s", s->path, tk_io_words(errno));
    return TK_OK;
}

static tk_status begin_site(tk_site *s, const char *path)
{
    const tk_process self = tk_process_self();
    TK_TRY(find_site(s, path));
    TK_TRY(check_replaced(s));
    const char *slash = strrchr(s->target, '/');
    const int n = slash ? (int)(slash - s->target) : 0;
    const char *folder = !slash ? "." : tk_arena_printf(&s->arena, "%.*s", n ? n : 1, s->target);
    const char *prefix = tk_arena_printf(&s->arena, "%s%s%.40s-", slash ? slash + 1 : s->target,
                                         being_written, self.host);
    if (!folder || !prefix) return no_path();
    TK_TRY(tk_file_make_folders(s->target));
    remove_dead_sites(folder, prefix);
    return make_site_folder(s, folder, prefix);
}

tk_status tk_site_check(const char *path)
{
    tk_site s = {.fd = -1};
    tk_arena_init(&s.arena, 0);
    tk_status st = find_site(&s, path);
    if (st == TK_OK) st = check_replaced(&s);
    tk_site_abort(&s);
    return st;
}

tk_status tk_site_begin(tk_site *s, const char *path)
{
    *s = (tk_site){.fd = -1};
    tk_arena_init(&s->arena, 0);
    const tk_status st = begin_site(s, path);
    if (st != TK_OK) tk_site_abort(s);
    return st;
}

// ---- files -------------------------------------------------------------------------------------

static tk_status failed_to_put(const tk_site *s, const char *name, int error)
{
    return TK_FAIL(tk_io_code(error) == TK_INPUT ? TK_IO : tk_io_code(error),
                   "cannot write %s/%s: %s", s->path, name, tk_io_words(error));
}

static tk_status copy_file(tk_site *s, const char *from, const char *name)
{
    struct stat info;
    int64_t bytes;
    int in;
    TK_TRY(tk_file_open(from, &in, &bytes));
    const int out = openat(s->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    tk_status st =
        out < 0 ? failed_to_put(s, name, errno) : tk_file_copy(in, from, 0, bytes, out, s->path);
    if (st == TK_OK && fstat(in, &info) == 0)
        futimens(out, (struct timespec[]){info.st_atim, info.st_mtim});
    if (out >= 0 && close(out) != 0 && st == TK_OK) st = failed_to_put(s, name, errno);
    close(in);
    return st;
}

tk_status tk_site_take(tk_site *s, const char *from, const char *name, const char **path)
{
    struct stat info;
    *path = tk_arena_printf(&s->arena, "%s/%s", s->tmp, name);
    if (!*path) return no_path();
    if (stat(from, &info) != 0)
        return TK_FAIL(tk_io_code(errno), "cannot read %s: %s", from, tk_io_words(errno));
    if (!S_ISREG(info.st_mode))
        return TK_FAIL(TK_INPUT, "cannot read %s: it is not a regular file", from);
    // What others may write to would change under its manifest that held.
    const bool own = info.st_uid == geteuid() && !(info.st_mode & 022);
    if (own && linkat(AT_FDCWD, from, s->fd, name, AT_SYMLINK_FOLLOW) == 0) return TK_OK;
    return copy_file(s, from, name);
}

tk_status tk_site_rename(tk_site *s, const char *from, const char *to)
{
    return renameat(s->fd, from, s->fd, to) == 0 ? TK_OK : failed_to_put(s, to, errno);
}

void tk_site_drop(tk_site *s, const char *name)
{
    unlinkat(s->fd, name, 0);
}

tk_status tk_site_put(tk_site *s, const char *name, const void *x, size_t bytes)
{
    const char *path = tk_arena_printf(&s->arena, "%s/%s", s->path, name); // for messages
    if (!path) return no_path();
    const int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return failed_to_put(s, name, errno);
    tk_status st = tk_pwrite_all(fd, path, x, bytes, 0);
    if (close(fd) != 0 && st == TK_OK) st = failed_to_put(s, name, errno);
    return st;
}

// ---- commit ------------------------------------------------------------------------------------

static void release_site(tk_site *s)
{
    if (s->fd >= 0) close(s->fd);
    tk_arena_free(&s->arena);
    *s = (tk_site){.fd = -1};
}

// Where a file system cannot exchange two folders the old one steps aside first.
static int exchange_folders(const char *tmp, const char *target, const char *aside)
{
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, target, RENAME_EXCHANGE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    if (rename(target, aside) != 0) return -1;
    if (rename(tmp, target) == 0) return rename(aside, tmp);
    const int error = errno;
    rename(aside, target);
    errno = error;
    return -1;
}

static tk_status commit_site(tk_site *s)
{
    const char *aside = tk_arena_printf(&s->arena, "%s-old", s->tmp);
    if (!aside) return no_path();
    if (syncfs(s->fd) != 0)
        return TK_FAIL(TK_IO, "cannot write %s to disk: %s", s->path, tk_io_words(errno));
    if ((s->replaces ? exchange_folders(s->tmp, s->target, aside) : rename(s->tmp, s->target)) != 0)
        return TK_FAIL(TK_IO, "cannot rename %s to %s: %s", s->tmp, s->target, tk_io_words(errno));
    if (s->replaces) tk_file_remove_folder(AT_FDCWD, s->tmp, DEPTH); // the one before
    s->tmp = NULL;
    syncfs(s->fd);
    return TK_OK;
}

tk_status tk_site_commit(tk_site *s)
{
    tk_status st = check_replaced(s); // what lies there now is what is removed
    if (st == TK_OK) st = commit_site(s);
    if (st != TK_OK) {
        tk_site_abort(s);
        return st;
    }
    release_site(s);
    return TK_OK;
}

void tk_site_abort(tk_site *s)
{
    if (s->tmp) tk_file_remove_folder(AT_FDCWD, s->tmp, DEPTH);
    release_site(s);
}
