// SPDX-License-Identifier: Apache-2.0
#include "infer/filter/log.h"
#include "core/base/files.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

tk_status tk_log_file_open(const char *path, int *fd)
{
    struct stat s;
    *fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (*fd < 0)
        return TK_FAIL(tk_io_code(errno), "cannot open the log %s: %s", path,
                       errno == ELOOP ? "it is a link" : tk_io_words(errno));
    if (fstat(*fd, &s) == 0 && S_ISREG(s.st_mode)) return TK_OK;
    close(*fd);
    *fd = -1;
    return TK_FAIL(TK_INPUT, "cannot open the log %s: it is no regular file", path);
}

// A writer that died, or found no room, may have left a line without an end.
static bool ends_within_line(int fd)
{
    struct stat s;
    char last = '\n';
    return fstat(fd, &s) == 0 && s.st_size > 0 && pread(fd, &last, 1, s.st_size - 1) == 1 &&
           last != '\n';
}

static tk_status write_whole(int fd, const char *path, const char *x, size_t n)
{
    while (n > 0) {
        const ssize_t done = write(fd, x, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0)
            return TK_FAIL(TK_IO, "cannot write the log %s: %s", path, tk_io_words(errno));
        x += done;
        n -= (size_t)done;
    }
    return TK_OK;
}

tk_status tk_log_file_add(int fd, const char *path, const char *line)
{
    const size_t n = strlen(line);
    char *all = tk_alloc(n + 2);
    if (!all) return TK_FAIL(TK_MEMORY, "out of memory for a line of %s", path);
    while (flock(fd, LOCK_EX) != 0 && errno == EINTR) {
    }
    const size_t before = ends_within_line(fd);
    if (before) all[0] = '\n';
    memcpy(all + before, line, n);
    all[before + n] = '\n';
    tk_status st = write_whole(fd, path, all, before + n + 1);
    if (st == TK_OK && fdatasync(fd) != 0 && errno != EINVAL)
        st = TK_FAIL(TK_IO, "cannot write the log %s: %s", path, tk_io_words(errno));
    flock(fd, LOCK_UN);
    tk_free(all);
    return st;
}
