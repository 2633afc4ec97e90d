// SPDX-License-Identifier: Apache-2.0
// Reading regular files, and whole reads and writes at a place. See core/base/files.h.
#include "core/base/files.h"
#include "core/base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *tk_io_words(int error)
{
    bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    return full ? "disk full (or over the quota)" : strerror(error);
}

tk_status tk_io_code(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EACCES:
    case EPERM:
    case EROFS:
    case ENAMETOOLONG:
    case ELOOP:
        return TK_INPUT;
    default:
        return TK_IO;
    }
}

static char confines[PATH_MAX]; // ends in '/'; "": nothing is confined

void tk_file_confine(const char *dir)
{
    snprintf(confines, sizeof confines, "%s%s", dir ? dir : "", dir ? "/" : "");
}

// What was opened, which is no question of what its name leads to now.
static tk_status check_confined(const char *path, int fd)
{
    char opened[32], full[PATH_MAX];
    const size_t n = strlen(confines);
    if (!n || (*path == '/' && strncmp(path, confines, n))) return TK_OK;
    snprintf(opened, sizeof opened, "/proc/self/fd/%d", fd);
    if (realpath(opened, full) && !strncmp(full, confines, n)) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s lies outside of %s", path, confines);
}

// ---- held --------------------------------------------------------------------------------------

typedef struct held_file {
    struct held_file *next;
    int fd;            // its bytes as they were, in a file without a name; -1: it could not be read
    const char *words; // ... and why
    char path[];
} held_file;

static held_file *held;

static const held_file *find_held(const char *path)
{
    const held_file *h = held;
    while (h && strcmp(h->path, path)) h = h->next;
    return h;
}

bool tk_file_is_held(const char *path)
{
    return find_held(path) != NULL;
}

tk_status tk_file_add_held(const char *path, int fd, const char *words)
{
    const size_t n = strlen(path) + 1, more = strlen(words) + 1;
    held_file *h = tk_alloc(sizeof *h + n + more);
    if (!h) return TK_FAIL(TK_MEMORY, "out of memory for a copy of %s", path);
    h->next = held;
    h->fd = fd;
    memcpy(h->path, path, n);
    h->words = memcpy(h->path + n, words, more);
    held = h;
    return TK_OK;
}

void tk_file_let_go(void)
{
    while (held) {
        held_file *h = held;
        held = h->next;
        if (h->fd >= 0) close(h->fd);
        tk_free(h);
    }
}

// A way of its own into the copy, as if it had been opened by its name.
static int open_held(const held_file *h)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", h->fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

// ---- opening -----------------------------------------------------------------------------------

tk_status tk_file_open(const char *path, int *fd, int64_t *bytes)
{
    struct stat s;
    const held_file *h = find_held(path);
    *fd = -1;
    if (h && h->fd < 0) return TK_FAIL(TK_INPUT, "%s", h->words);
    *fd = h ? open_held(h) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return TK_FAIL(tk_io_code(errno), "cannot open %s: %s", path, tk_io_words(errno));
    const int error = fstat(*fd, &s) == 0 ? 0 : errno;
    if (!error && S_ISREG(s.st_mode)) {
        if (bytes) *bytes = s.st_size;
        const tk_status st = h ? TK_OK : check_confined(path, *fd);
        if (st == TK_OK) return TK_OK;
        close(*fd);
        *fd = -1;
        return st;
    }
    close(*fd);
    *fd = -1;
    if (error) return TK_FAIL(TK_IO, "cannot read %s: %s", path, strerror(error));
    return TK_FAIL(TK_INPUT, "%s is %s, not a regular file", path,
                   S_ISDIR(s.st_mode)    ? "a directory"
                   : S_ISFIFO(s.st_mode) ? "a pipe"
                                         : "a device or socket");
}

tk_status tk_file_read(const char *path, int64_t most, tk_arena *a, char **text, size_t *bytes)
{
    static const char mark[] = "\xEF\xBB\xBF";
    int fd;
    int64_t n;
    TK_TRY(tk_file_open(path, &fd, &n));
    tk_status st = TK_OK;
    if (n > most)
        st = TK_FAIL(TK_INPUT, "%s has %lld bytes; at most %lld are possible here", path,
                     (long long)n, (long long)most);
    else if (!(*text = tk_arena_alloc(a, (size_t)n + 1)))
        st = TK_FAIL(TK_MEMORY, "out of memory reading %s", path);
    if (st == TK_OK) st = tk_pread_all(fd, path, *text, (size_t)n, 0);
    close(fd);
    TK_TRY(st);
    const size_t skip = strncmp(*text, mark, 3) ? 0 : 3;
    *text += skip;
    *bytes = (size_t)n - skip;
    return TK_OK;
}

enum { SLICE = 1 << 30 }; // Linux moves a little under 2 GiB in one call

tk_status tk_pread_all(int fd, const char *path, void *x, size_t bytes, int64_t offset)
{
    for (size_t done = 0; done < bytes;) {
        size_t want = bytes - done < SLICE ? bytes - done : SLICE;
        ssize_t n = pread(fd, (char *)x + done, want, (off_t)(offset + (int64_t)done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return TK_FAIL(TK_IO, "cannot read %s at byte %lld: %s", path,
                           (long long)offset + (long long)done, strerror(errno));
        if (n == 0)
            return TK_FAIL(TK_INPUT, "%s is truncated: it ends at byte %lld, short of %lld", path,
                           (long long)offset + (long long)done,
                           (long long)offset + (long long)bytes);
        done += (size_t)n;
        tk_alive();
    }
    return TK_OK;
}

tk_status tk_pwrite_all(int fd, const char *path, const void *x, size_t bytes, int64_t offset)
{
    for (size_t done = 0; done < bytes;) {
        size_t want = bytes - done < SLICE ? bytes - done : SLICE;
        ssize_t n = pwrite(fd, (const char *)x + done, want, (off_t)(offset + (int64_t)done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return TK_FAIL(TK_IO, "cannot write %s at byte %lld: %s", path,
                           (long long)offset + (long long)done, tk_io_words(n ? errno : ENOSPC));
        done += (size_t)n;
        tk_alive();
    }
    return TK_OK;
}
