// SPDX-License-Identifier: Apache-2.0
// Files written under a temporary name and renamed when whole. See core/base/files.h.
#define _GNU_SOURCE
#include "core/base/files.h"
#include "core/base/log.h"
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
#include <time.h>
#include <unistd.h>

enum { BASE_MAX = 150, HOST_MAX_BYTES = 40 }; // of a temporary's name, which has at most 255
enum { TRIES = 16 };
static const time_t long_dead = 24 * 3600; // seconds

// ---- names -------------------------------------------------------------------------------------

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *folder_of(const char *path, tk_arena *a)
{
    const int n = (int)(base_of(path) - path);
    return n == 0 ? "." : tk_arena_printf(a, "%.*s", n > 1 ? n - 1 : n, path);
}

// The beginning of the names of all temporaries of a path.
static const char *prefix_of(const char *target, tk_arena *a)
{
    const char *base = base_of(target);
    size_t n = strlen(base);
    if (n > BASE_MAX)
        for (n = BASE_MAX; n > 0 && ((unsigned char)base[n] & 0xC0) == 0x80;) n--;
    return tk_arena_printf(a, "%.*s.part-", (int)n, base);
}

static const char *this_host(char host[HOST_MAX_BYTES + 1])
{
    if (gethostname(host, HOST_MAX_BYTES + 1) != 0) snprintf(host, HOST_MAX_BYTES + 1, "host");
    host[HOST_MAX_BYTES] = 0;
    return host;
}

const char *tk_file_sought(const char *path, int error, tk_file_seat words)
{
    char here[PATH_MAX];
    *words = 0;
    if (*path != '/' && error == ENOENT && getcwd(here, sizeof here))
        snprintf(words, sizeof(tk_file_seat), ", looked for from %s on", here);
    return words;
}

// What stands in the way of writing `path`, in words.
static tk_status explain_unwritable(const char *path, int error)
{
    switch (error) {
    case ENAMETOOLONG:
        return TK_FAIL(TK_INPUT,
                       "cannot write %.80s...: the name is too long (%zu bytes; a name has at most "
                       "%d, a path %d)",
                       path, strlen(path), NAME_MAX, PATH_MAX - 1);
    case ENOTDIR:
        return TK_FAIL(TK_INPUT, "cannot write %s: a file stands where its folder should be", path);
    case ENOENT:
        return TK_FAIL(TK_INPUT, "cannot write %s: its folder is not there; make it first", path);
    case EACCES:
    case EPERM:
    case EROFS:
        return TK_FAIL(TK_INPUT, "cannot write %s: its folder is not writable (%s)", path,
                       strerror(error));
    case EISDIR:
        return TK_FAIL(TK_INPUT, "cannot write %s: it is a folder; name a file in it", path);
    default:
        return TK_FAIL(tk_io_code(error), "cannot write %s: %s", path, tk_io_words(error));
    }
}

static tk_status follow_link(tk_file *f)
{
    char *to = tk_arena_alloc(&f->arena, PATH_MAX);
    if (!to) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (!realpath(f->path, to))
        return errno == ENAMETOOLONG
                   ? explain_unwritable(f->path, errno)
                   : TK_FAIL(TK_INPUT, "cannot write %s: it is a link that leads nowhere (%s)",
                             f->path, strerror(errno));
    f->target = to;
    return TK_OK;
}

// Sets path and target; what is there already must be a regular file.
static tk_status find_target(tk_file *f, const char *path)
{
    struct stat s;
    f->path = f->target = tk_arena_strdup(&f->arena, path);
    if (!f->path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (!*path) return TK_FAIL(TK_INPUT, "an output has no name");
    if (!*base_of(path)) return explain_unwritable(path, EISDIR);
    if (lstat(path, &s) == 0 && S_ISLNK(s.st_mode)) TK_TRY(follow_link(f));
    if (stat(f->target, &s) != 0) return errno == ENOENT ? TK_OK : explain_unwritable(path, errno);
    if (S_ISDIR(s.st_mode)) return explain_unwritable(path, EISDIR);
    if (!S_ISREG(s.st_mode))
        return TK_FAIL(TK_INPUT, "cannot write %s: it is not a regular file", path);
    return TK_OK;
}

// ---- what dead runs left -----------------------------------------------------------------------

// A writer of this host holds its lock as long as it lives. Locks may not be seen by other hosts
// (it depends on the file system), so their temporaries must also be old.
static bool is_litter(int fd, bool own_host)
{
    struct stat s;
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode)) return false;
    if (!own_host && time(NULL) - s.st_mtime < long_dead) return false;
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static tk_status remove_litter(tk_file *f, const char *folder, const char *prefix)
{
    char host[HOST_MAX_BYTES + 1];
    const char *own = tk_arena_printf(&f->arena, "%s%s-", prefix, this_host(host));
    if (!own) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    DIR *d = opendir(folder);
    if (!d) return TK_OK; // if it cannot be written either, that is said next
    for (struct dirent *e; (e = readdir(d));) {
        if (strncmp(e->d_name, prefix, strlen(prefix))) continue;
        const int fd = openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
        if (fd < 0) continue;
        if (is_litter(fd, !strncmp(e->d_name, own, strlen(own)))) unlinkat(dirfd(d), e->d_name, 0);
        close(fd);
    }
    closedir(d);
    return TK_OK;
}

// ---- begin, commit, abort ----------------------------------------------------------------------

// Whether the file just made is locked and still there: between its making and its lock another
// run may have taken it for litter.
static bool hold(int fd)
{
    struct stat s;
    return flock(fd, LOCK_EX | LOCK_NB) != 0 ? errno != EWOULDBLOCK
                                             : fstat(fd, &s) == 0 && s.st_nlink > 0;
}

// A name that no other temporary of the path has.
static tk_status name_temporary(tk_file *f, const char *prefix, const char **tmp)
{
    char host[HOST_MAX_BYTES + 1];
    const int folder = (int)(base_of(f->target) - f->target);
    uint64_t x;
    if (getrandom(&x, sizeof x, 0) != sizeof x)
        return TK_FAIL(TK_IO, "no random numbers: %s", strerror(errno));
    *tmp = tk_arena_printf(&f->arena, "%.*s%s%s-%016llx", folder, f->target, prefix,
                           this_host(host), (unsigned long long)x);
    return *tmp ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
}

static tk_status open_temporary(tk_file *f, const char *prefix)
{
    for (int i = 0; i < TRIES; i++) {
        const char *tmp;
        TK_TRY(name_temporary(f, prefix, &tmp));
        f->fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd < 0 && errno != EEXIST) return explain_unwritable(f->path, errno);
        if (f->fd < 0) continue;
        f->tmp = tmp;
        if (hold(f->fd)) return TK_OK;
        close(f->fd);
        unlink(tmp);
        f->fd = -1, f->tmp = NULL;
    }
    return TK_FAIL(TK_IO, "cannot write %s: no temporary file beside it could be had", f->path);
}

tk_status tk_file_begin(tk_file *f, const char *path)
{
    *f = (tk_file){.fd = -1};
    tk_arena_init(&f->arena, 0);
    tk_status st = find_target(f, path);
    const char *folder = st == TK_OK ? folder_of(f->target, &f->arena) : NULL;
    const char *prefix = st == TK_OK ? prefix_of(f->target, &f->arena) : NULL;
    if (st == TK_OK && (!folder || !prefix)) st = TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (st == TK_OK) st = remove_litter(f, folder, prefix);
    if (st == TK_OK) st = open_temporary(f, prefix);
    if (st == TK_OK) return TK_OK;
    tk_file_abort(f);
    return tk_trace(st, __FILE__, __LINE__, __func__);
}

bool tk_file_folder_synced(int fd)
{
    return fsync(fd) == 0 || errno == EINVAL; // some file systems cannot sync a folder
}

static tk_status sync_open(int fd, const char *path, bool folder)
{
    if (folder ? tk_file_folder_synced(fd) : fsync(fd) == 0) return TK_OK;
    return TK_FAIL(TK_IO, "cannot write %s to disk: %s", path, tk_io_words(errno));
}

static tk_status sync_named(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return TK_FAIL(TK_IO, "cannot open %s to commit it: %s", path, strerror(errno));
    const tk_status st = sync_open(fd, path, (flags & O_DIRECTORY) != 0);
    close(fd);
    return st;
}

tk_status tk_file_sync_folder(const char *path)
{
    return sync_named(path, O_RDONLY | O_DIRECTORY);
}

static tk_status rename_and_sync(const char *tmp, const char *path, tk_arena *a)
{
    const char *folder = folder_of(path, a);
    if (!folder) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (rename(tmp, path))
        return TK_FAIL(TK_IO, "cannot rename %s to %s: %s", tmp, path, tk_io_words(errno));
    return tk_file_sync_folder(folder);
}

tk_status tk_commit_file(const char *tmp, const char *path)
{
    tk_arena a;
    TK_TRY(sync_named(tmp, O_RDONLY));
    tk_arena_init(&a, 0);
    const tk_status st = rename_and_sync(tmp, path, &a);
    tk_arena_free(&a);
    return st;
}

static void release_file(tk_file *f)
{
    if (f->fd >= 0) close(f->fd);
    tk_arena_free(&f->arena);
    *f = (tk_file){.fd = -1};
}

// ---- several as one ----------------------------------------------------------------------------

typedef struct replaced { // what lay under a file's name
    const char *name;     // under which it lies meanwhile, a temporary's; NULL: there was nothing
    int fd;               // its lock, so that nobody takes it for litter; -1: none could be had
} replaced;

// It keeps its own name beside the other one, where the file system has links.
static tk_status set_old_aside(tk_file *f, replaced *was)
{
    struct stat s;
    if (lstat(f->target, &s) != 0)
        return errno == ENOENT ? TK_OK : explain_unwritable(f->path, errno);
    if (!S_ISREG(s.st_mode))
        return TK_FAIL(TK_IO, "cannot write %s: it is not a regular file any more", f->path);
    const char *prefix = prefix_of(f->target, &f->arena), *name;
    if (!prefix) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(name_temporary(f, prefix, &name));
    was->fd = open(f->target, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (was->fd >= 0) (void)flock(was->fd, LOCK_EX | LOCK_NB);
    if (link(f->target, name) != 0 && rename(f->target, name) != 0)
        return TK_FAIL(TK_IO, "cannot set aside %s: %s", f->path, tk_io_words(errno));
    was->name = name;
    return TK_OK;
}

// What others have put there meanwhile stays.
static void put_back(const tk_file *f, const replaced *was)
{
    struct stat own, there;
    const bool empty = lstat(f->target, &there) != 0;
    const bool ours = !empty && fstat(f->fd, &own) == 0 && own.st_dev == there.st_dev &&
                      own.st_ino == there.st_ino;
    if (was->name && (empty || ours)) (void)rename(was->name, f->target);
    if (!was->name && ours) (void)unlink(f->target);
}

static void forget_old(replaced *was)
{
    if (was->name) (void)unlink(was->name);
    if (was->fd >= 0) close(was->fd);
}

// Those that have their names already are taken back, the last one first. (Who is killed between
// two names leaves the first ones: no file system has one step for several.)
static tk_status rename_all(int n, tk_file *f, replaced *was)
{
    tk_status st = TK_OK;
    int i = 0;
    for (; i < n && st == TK_OK; i++) {
        if (n > 1) st = set_old_aside(&f[i], &was[i]);
        if (st == TK_OK) st = rename_and_sync(f[i].tmp, f[i].target, &f[i].arena);
    }
    while (n > 1 && st != TK_OK && i-- > 0) put_back(&f[i], &was[i]);
    return st;
}

tk_status tk_files_commit(int n, tk_file *f)
{
    replaced *was = n ? tk_arena_alloc(&f[0].arena, (size_t)n * sizeof *was) : NULL;
    tk_status st = !n || was ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for names");
    for (int i = 0; i < n && was; i++) was[i] = (replaced){.fd = -1};
    for (int i = 0; i < n && st == TK_OK; i++) st = sync_open(f[i].fd, f[i].path, false);
    if (st == TK_OK) st = rename_all(n, f, was);
    for (int i = 0; i < n && was; i++) forget_old(&was[i]);
    for (int i = n; i-- > 0;) // the first one's memory last
        if (st == TK_OK)
            release_file(&f[i]);
        else
            tk_file_abort(&f[i]);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_file_commit(tk_file *f)
{
    return tk_files_commit(1, f);
}

void tk_file_abort(tk_file *f)
{
    if (f->tmp) unlink(f->tmp);
    release_file(f);
}

tk_status tk_file_scratch(const char *path, int *fd)
{
    tk_file f;
    TK_TRY(tk_file_begin(&f, path));
    *fd = fcntl(f.fd, F_DUPFD_CLOEXEC, 0); // what is removed now is the name
    const int code = errno;
    tk_file_abort(&f);
    if (*fd < 0) return TK_FAIL(TK_IO, "cannot write %s: %s", path, tk_io_words(code));
    return TK_OK;
}

tk_status tk_file_claim(int fd, const char *path)
{
    struct stat s;
    int failed;
    if (fstat(fd, &s)) return TK_FAIL(TK_IO, "cannot stat %s: %s", path, tk_io_words(errno));
    do failed = s.st_size && fallocate(fd, 0, 0, s.st_size);
    while (failed && errno == EINTR);
    if (!failed || errno == EOPNOTSUPP || errno == ENOSYS) return TK_OK;
    return TK_FAIL(TK_IO, "cannot write %s: %lld bytes are needed: %s", path, (long long)s.st_size,
                   tk_io_words(errno));
}

tk_status tk_file_copy(int from, const char *path, int64_t at, int64_t bytes, int to,
                       const char *name)
{
    enum { PIECE = 1 << 20 };
    char *piece = tk_alloc(PIECE);
    tk_status st = piece ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a copy of %s", path);
    for (int64_t done = 0; done < bytes && st == TK_OK; done += PIECE) {
        const size_t n = bytes - done < PIECE ? (size_t)(bytes - done) : PIECE;
        st = tk_pread_all(from, path, piece, n, at + done);
        if (st == TK_OK) st = tk_pwrite_all(to, name, piece, n, done);
        tk_alive();
    }
    tk_free(piece);
    return st;
}

// ---- holding -----------------------------------------------------------------------------------

// What cannot be read now stays so.
static tk_status hold_unread(const char *path)
{
    const tk_status st = tk_file_add_held(path, -1, tk_status_message());
    if (st == TK_OK) tk_status_clear();
    return st;
}

// A file without a name is some process's own, as what a worker has in memory of another job; who
// names it goes by /proc.
static tk_status check_has_name(const char *path, int fd)
{
    struct stat s;
    if (fstat(fd, &s) == 0 && s.st_nlink > 0) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "cannot open %s: a process keeps it for itself; name a file of a folder", path);
}

tk_status tk_file_hold(const char *path, const char *beside)
{
    char copy[2 * PATH_MAX + 32];
    int from, fd = -1;
    int64_t bytes;
    if (tk_file_is_held(path)) return TK_OK;
    tk_status st = tk_file_open(path, &from, &bytes);
    if (st != TK_OK) return st == TK_INPUT ? hold_unread(path) : st;
    if (check_has_name(path, from) != TK_OK) {
        close(from);
        return hold_unread(path);
    }
    st = tk_file_scratch(beside, &fd);
    snprintf(copy, sizeof copy, "a copy of %s beside %s", path, beside);
    if (st == TK_OK) st = tk_file_copy(from, path, 0, bytes, fd, copy);
    if (st == TK_OK) st = tk_file_add_held(path, fd, "");
    if (st != TK_OK && fd >= 0) close(fd);
    close(from);
    return st;
}
