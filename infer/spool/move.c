// SPDX-License-Identifier: Apache-2.0
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/spool/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 5 };

tk_spool_seams tk_spool_seam;

void tk_spool_at(const char *point)
{
    if (tk_spool_seam.at) tk_spool_seam.at(point);
}

tk_status tk_spool_go_on(tk_spool *s, tk_status st)
{
    if (st == TK_OK || st == TK_MEMORY) return st;
    if (st != TK_FENCED && strncmp(s->warned, tk_status_message(), sizeof s->warned - 1)) {
        snprintf(s->warned, sizeof s->warned, "%s", tk_status_message());
        tk_log_warn("%s", s->warned);
    }
    tk_status_clear();
    return TK_OK;
}

static bool lies_there(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0;
}

tk_status tk_spool_move(const char *from, const char *to, tk_spool_moved *moved)
{
    int error = 0;
    for (int i = 0; i < LOOKS; i++) {
        *moved = TK_SPOOL_MOVED;
        if ((tk_spool_seam.rename ? tk_spool_seam.rename : rename)(from, to) == 0) return TK_OK;
        error = errno;
        const bool left = !lies_there(from), there = lies_there(to);
        *moved = !left && there ? TK_SPOOL_TAKEN : there ? TK_SPOOL_SEEN : TK_SPOOL_GONE;
        if (left || there) return TK_OK;
        if (error != ENOENT && error != ESTALE)
            return TK_FAIL(TK_IO, "cannot rename %s to %s: %s", from, to, tk_io_words(error));
        // A folder of `to` is missing, or what this machine remembers is old: later it knows more.
        nanosleep(&(struct timespec){.tv_nsec = 20000000L << i}, NULL);
    }
    return TK_OK; // gone, to anyone who asks the server
}

tk_status tk_spool_write_record(tk_spool *s, const char *folder, const tk_spool_record *r)
{
    char path[TK_SPOOL_PATH], tmp[TK_SPOOL_PATH], *text;
    tk_arena a;
    TK_TRY(tk_spool_path(path, folder, "job.json"));
    TK_TRY(tk_spool_path(tmp, folder, ".job.json.%s.%llu", s->lease.worker,
                         (unsigned long long)++s->named));
    tk_arena_init(&a, 0);
    tk_status st = tk_spool_record_print(r, &a, &text);
    const int fd = st == TK_OK ? open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
    if (st == TK_OK && fd < 0)
        st = errno == ENOENT || errno == ESTALE
                 ? TK_FAIL(TK_FENCED, "%s is another worker's now", folder)
                 : TK_FAIL(tk_io_code(errno), "cannot write %s: %s", path, tk_io_words(errno));
    if (st == TK_OK) st = tk_pwrite_all(fd, path, text, strlen(text), 0);
    if (st == TK_OK && fsync(fd) != 0)
        st = TK_FAIL(TK_IO, "cannot write %s: %s", path, tk_io_words(errno));
    if (fd >= 0) close(fd);
    tk_arena_free(&a);
    if (st != TK_OK) {
        if (fd >= 0) unlink(tmp);
        return st;
    }
    tk_spool_at("record");
    if (rename(tmp, path) == 0 || !lies_there(tmp)) return TK_OK;
    st = TK_FAIL(TK_IO, "cannot write %s: %s", path, tk_io_words(errno));
    unlink(tmp);
    return st;
}
