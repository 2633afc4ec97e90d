// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // O_PATH
#include "infer/cameo/folder.h"
#include "core/base/files.h"
#include "infer/cameo/seal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
// A pipe of that name is not waited for; it is refused afterwards.
enum { READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC };

static tk_status folder_trouble(const tk_folder *f, const char *name, const char *what, int error)
{
    const char *words = error == ELOOP || error == ENOTDIR ? "it is a link, or of another kind"
                                                           : tk_io_words(error);
    return TK_FAIL(tk_io_code(error), "%s%s%s: cannot %s it: %s", f->path, *name ? "/" : "", name,
                   what, words);
}

// ---- folders -----------------------------------------------------------------------------------

static tk_status name_it(tk_folder *out, const char *in, const char *name)
{
    const int n = snprintf(out->path, sizeof out->path, "%s%s%s", in, *name ? "/" : "", name);
    if (n > 0 && (size_t)n < sizeof out->path) return TK_OK;
    return TK_FAIL(TK_INPUT, "%.60s...: the path is too long", in);
}

tk_status tk_folder_open(const char *path, bool make, mode_t mode, tk_folder *out)
{
    out->fd = out->lock = -1;
    TK_TRY(name_it(out, path, ""));
    if (make) {
        TK_TRY(tk_file_make_folders(path));
        if (mkdir(path, mode) && errno != EEXIST) return folder_trouble(out, "", "make", errno);
    }
    out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return out->fd < 0 ? folder_trouble(out, "", "open", errno) : TK_OK;
}

tk_status tk_folder_enter(const tk_folder *in, const char *name, tk_folder *out, bool *there)
{
    out->fd = out->lock = -1;
    TK_TRY(name_it(out, in->path, name));
    out->fd = openat(in->fd, name, FOLDER);
    // Who may not see what is in it may still know a name there, as somebody does their own log's.
    if (out->fd < 0 && errno == EACCES) out->fd = openat(in->fd, name, FOLDER | O_PATH);
    if (there) *there = out->fd >= 0;
    if (out->fd >= 0 || (there && errno == ENOENT)) return TK_OK;
    return folder_trouble(out, "", "open", errno);
}

tk_status tk_folder_make(const tk_folder *in, const char *name, mode_t mode, tk_folder *out)
{
    out->fd = out->lock = -1;
    if (mkdirat(in->fd, name, mode) == 0) {
        // Whatever the umask said: others reach what they are to read.
        (void)fchmodat(in->fd, name, mode, 0);
        if (!tk_file_folder_synced(in->fd)) return folder_trouble(in, name, "make", errno);
    } else if (errno != EEXIST) {
        return folder_trouble(in, name, "make", errno);
    }
    return tk_folder_enter(in, name, out, NULL);
}

void tk_folder_close(tk_folder *f)
{
    if (f->lock >= 0) close(f->lock);
    if (f->fd >= 0) close(f->fd);
    f->fd = f->lock = -1;
}

tk_status tk_folder_lock(tk_folder *f, bool writes)
{
    const int how = writes ? O_RDWR | O_CREAT : O_RDONLY;
    f->lock = openat(f->fd, "lock", how | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (f->lock < 0 && !writes && (errno == ENOENT || errno == EACCES)) return TK_OK;
    if (f->lock < 0) return folder_trouble(f, "lock", "write", errno);
    while (flock(f->lock, writes ? LOCK_EX : LOCK_SH))
        if (errno != EINTR) return folder_trouble(f, "lock", "lock", errno);
    return TK_OK;
}

// ---- files -------------------------------------------------------------------------------------

// More than one name: whoever made the other one may not be who may write this one.
static tk_status check_plain(const tk_folder *f, const char *name, int fd, int64_t most,
                             int64_t *bytes)
{
    struct stat s;
    if (fstat(fd, &s)) return folder_trouble(f, name, "look at", errno);
    if (!S_ISREG(s.st_mode) || s.st_nlink != 1)
        return TK_FAIL(TK_INPUT, "%s/%s: is no plain file of one name", f->path, name);
    if (s.st_size > most)
        return TK_FAIL(TK_INPUT, "%s/%s: has %lld bytes; at most %lld are possible", f->path, name,
                       (long long)s.st_size, (long long)most);
    *bytes = s.st_size;
    return TK_OK;
}

static tk_status read_plain(const tk_folder *f, const char *name, int fd, int64_t most, tk_arena *a,
                            char **out, size_t *bytes)
{
    int64_t size;
    TK_TRY(check_plain(f, name, fd, most, &size));
    TK_ARENA_NEW(*out, a, size + 1);
    TK_TRY(tk_pread_all(fd, name, *out, (size_t)size, 0));
    *bytes = (size_t)size;
    return TK_OK;
}

tk_status tk_folder_read(const tk_folder *f, const char *name, int64_t most, tk_arena *a,
                         char **out, size_t *bytes, bool *there)
{
    const int fd = openat(f->fd, name, READ);
    if (there) *there = fd >= 0;
    if (fd < 0 && there && errno == ENOENT) return TK_OK;
    if (fd < 0) return folder_trouble(f, name, "read", errno);
    const tk_status st = read_plain(f, name, fd, most, a, out, bytes);
    close(fd);
    return st;
}

tk_status tk_folder_read_secret(const tk_folder *f, const char *name, int64_t most, tk_secret *out)
{
    char path[sizeof f->path + 80];
    int64_t size;
    const int fd = openat(f->fd, name, READ);
    if (fd < 0) return folder_trouble(f, name, "read", errno);
    snprintf(path, sizeof path, "%s/%.75s", f->path, name);
    tk_status st = check_plain(f, name, fd, most, &size);
    if (st == TK_OK) st = tk_secret_take(fd, "consent.keys", path, most, out);
    close(fd);
    return st;
}

tk_status tk_folder_write(const tk_folder *f, const char *name, mode_t mode, const void *x,
                          size_t bytes)
{
    char tmp[80];
    snprintf(tmp, sizeof tmp, ".%.60s.new", name);
    (void)unlinkat(f->fd, tmp, 0); // of a run that died
    const int fd = openat(f->fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) return folder_trouble(f, name, "write", errno);
    tk_status st = tk_pwrite_all(fd, name, x, bytes, 0);
    if (st == TK_OK && (fchmod(fd, mode) || fsync(fd) || renameat(f->fd, tmp, f->fd, name) ||
                        !tk_file_folder_synced(f->fd)))
        st = folder_trouble(f, name, "write", errno);
    if (st != TK_OK) (void)unlinkat(f->fd, tmp, 0);
    close(fd);
    return st;
}

tk_status tk_folder_rename(const tk_folder *f, const char *from, const char *to)
{
    if (renameat(f->fd, from, f->fd, to) || !tk_file_folder_synced(f->fd))
        return folder_trouble(f, to, "write", errno);
    return TK_OK;
}

// Where a file system or a container does not let root give files away, the file stays root's.
static void give_file(int fd, int64_t uid)
{
    if (geteuid() == 0 && uid > 0) (void)!fchown(fd, (uid_t)uid, (gid_t)-1);
}

tk_status tk_folder_append_for(const tk_folder *f, int64_t uid, const char *name, int64_t at,
                               const void *x, size_t bytes)
{
    int64_t size;
    const int fd =
        openat(f->fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0) return folder_trouble(f, name, "write", errno);
    tk_status st = check_plain(f, name, fd, INT64_MAX, &size);
    if (st == TK_OK && size > at && ftruncate(fd, at)) st = folder_trouble(f, name, "cut", errno);
    if (st == TK_OK) st = tk_pwrite_all(fd, name, x, bytes, at);
    if (st == TK_OK) give_file(fd, uid);
    if (st == TK_OK && (fchmod(fd, 0600) || fsync(fd)))
        st = folder_trouble(f, name, "write", errno);
    close(fd);
    return st;
}

static tk_status overwrite(const tk_folder *f, const char *name, int fd)
{
    unsigned char noise[4096];
    int64_t size;
    TK_TRY(check_plain(f, name, fd, INT64_MAX, &size));
    for (int64_t at = 0; at < size; at += (int64_t)sizeof noise) {
        const int64_t left = size - at, n = left < (int64_t)sizeof noise ? left : 4096;
        tk_seal_random(noise, sizeof noise);
        TK_TRY(tk_pwrite_all(fd, name, noise, (size_t)n, at));
    }
    return fsync(fd) ? folder_trouble(f, name, "overwrite", errno) : TK_OK;
}

tk_status tk_folder_destroy(const tk_folder *f, const char *name)
{
    const int fd = openat(f->fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return TK_OK;
    if (fd < 0) return folder_trouble(f, name, "destroy", errno);
    const tk_status st = overwrite(f, name, fd);
    close(fd);
    // A disk that takes no more bytes still lets go of the name.
    if (unlinkat(f->fd, name, 0) || !tk_file_folder_synced(f->fd))
        return folder_trouble(f, name, "remove", errno);
    return st;
}
