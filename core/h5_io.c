// SPDX-License-Identifier: Apache-2.0
// Durable files: whole reads and writes, and commit by rename.
#include "core/h5_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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

static tk_status sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return TK_FAIL(TK_IO, "cannot open %s to commit it: %s", path, strerror(errno));
    int failed = fsync(fd) ? errno : 0;
    if (close(fd) && !failed) failed = errno;
    // Some file systems cannot sync a directory, and say so with EINVAL.
    if (failed == EINVAL && (flags & O_DIRECTORY)) failed = 0;
    return failed ? TK_FAIL(TK_IO, "cannot write %s to disk: %s", path, tk_io_words(failed))
                  : TK_OK;
}

tk_status tk_commit_file(const char *tmp, const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) + (slash == path) : 0;
    if ((size_t)n >= sizeof dir) return TK_FAIL(TK_INPUT, "%.80s...: the path is too long", path);
    snprintf(dir, sizeof dir, "%.*s", slash ? n : 1, slash ? path : ".");
    TK_TRY(sync_path(tmp, O_RDONLY));
    if (rename(tmp, path))
        return TK_FAIL(TK_IO, "cannot rename %s to %s: %s", tmp, path, tk_io_words(errno));
    return sync_path(dir, O_RDONLY | O_DIRECTORY);
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
    }
    return TK_OK;
}
