// SPDX-License-Identifier: Apache-2.0
#include "core/base/secret.h"
#include "core/base/files.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- memory ------------------------------------------------------------------------------------

// Pages within one allocation, so that it comes through the seam of core/base/mem.h.
tk_status tk_secret_new(size_t bytes, tk_secret *out)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes / page + 1) * page;
    *out = (tk_secret){0};
    char *block = tk_alloc(pages + page);
    if (!block) return TK_FAIL(TK_MEMORY, "out of memory for a key (%zu bytes)", bytes);
    char *x = block + (page - (uintptr_t)block % page) % page;
    if (madvise(x, pages, MADV_DONTDUMP)) {
        tk_free(block);
        return TK_FAIL(TK_MEMORY, "a key's memory cannot be kept out of core dumps: %s",
                       strerror(errno));
    }
    (void)mlock(x, pages); // not into swap either, where the limit of such memory lets it
    *out = (tk_secret){x, bytes, pages, block};
    return TK_OK;
}

void tk_secret_forget(tk_secret *s)
{
    if (s->block) {
        explicit_bzero(s->x, s->pages);
        (void)munlock(s->x, s->pages);
        (void)madvise(s->x, s->pages, MADV_DODUMP);
        tk_free(s->block);
    }
    *s = (tk_secret){0};
}

__attribute__((noinline)) void tk_secret_forget_stack(void)
{
    char below[64 << 10];
    explicit_bzero(below, sizeof below);
}

// ---- files -------------------------------------------------------------------------------------

// For a shell: names with spaces in quotes.
static const char *quote(const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
    return path[strspn(path, plain)] ? "'" : "";
}

static tk_status check_owner(const struct stat *s, const char *option, const char *path)
{
    const uid_t user = geteuid();
    if (s->st_uid == user || s->st_uid == 0 || user == 0) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s: %s is a key of user %u (mode %04o), and this runs as user %u: whose key it "
                   "is may change it; have one of your own (install -m 600 %s%s%s COPY)",
                   option, path, (unsigned)s->st_uid, (unsigned)s->st_mode & 07777, (unsigned)user,
                   quote(path), path, quote(path));
}

static tk_status check_mode(const struct stat *s, const char *option, const char *path)
{
    const bool lent = s->st_uid == 0 && geteuid() != 0;
    const mode_t mode = s->st_mode & 07777, wrong = mode & (lent ? 037 : 077);
    if (!wrong) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s: %s has mode %04o: others than its owner may %s it; chmod %s %s%s%s, and "
                   "think of who did",
                   option, path, (unsigned)mode,
                   !(wrong & 022) ? !(wrong & 044) ? "run" : "read"
                   : wrong & 044  ? "read and write"
                                  : "write",
                   lent ? "640" : "600", quote(path), path, quote(path));
}

tk_status tk_secret_take(int fd, const char *option, const char *path, int64_t most, tk_secret *out)
{
    struct stat s;
    *out = (tk_secret){0};
    if (fstat(fd, &s))
        return TK_FAIL(TK_IO, "%s: cannot look at %s: %s", option, path, strerror(errno));
    if (!S_ISREG(s.st_mode)) return TK_FAIL(TK_INPUT, "%s: %s is no plain file", option, path);
    TK_TRY(check_owner(&s, option, path));
    TK_TRY(check_mode(&s, option, path));
    if (s.st_size > most)
        return TK_FAIL(TK_INPUT, "%s: %s is no key: it has %lld bytes; at most %lld are possible",
                       option, path, (long long)s.st_size, (long long)most);
    TK_TRY(tk_secret_new((size_t)s.st_size, out));
    const tk_status st = tk_pread_all(fd, path, out->x, out->bytes, 0);
    if (st != TK_OK) tk_secret_forget(out);
    return st;
}

tk_status tk_secret_read(const char *option, const char *path, int64_t most, tk_secret *out)
{
    int fd;
    *out = (tk_secret){0};
    TK_TRY(tk_file_open(path, &fd, NULL));
    const tk_status st = tk_secret_take(fd, option, path, most, out);
    close(fd);
    return st;
}
