// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/wishes.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/cameo/use.h"
#include "infer/cameo/wish.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// Whether a file ends as a signed paper does.
static bool ends_as_paper(const char *text, size_t bytes)
{
    static const char word[] = "signature: ";
    const size_t line = sizeof word - 1 + 2 * TK_SEAL_SIGNATURE + 1;
    return bytes > line && text[bytes - 1] == '\n' && text[bytes - line - 1] == '\n' &&
           !memcmp(text + bytes - line, word, sizeof word - 1);
}

static bool is_old(const tk_folder *f, const char *name)
{
    struct stat s;
    return fstatat(f->fd, name, &s, AT_SYMLINK_NOFOLLOW) || s.st_mtime < time(NULL) - TK_WISH_WHOLE;
}

// Folders stay, which are no wishes and do no harm.
static void remove_wish(const tk_folder *f, const char *name)
{
    if (unlinkat(f->fd, name, 0) && errno != ENOENT && errno != EISDIR && errno != EPERM)
        tk_log_warn("%s/%s cannot be removed: %s", f->path, name, strerror(errno));
}

static void refuse_wish(const tk_folder *f, const char *name, const char *why)
{
    struct stat s;
    if (fstatat(f->fd, name, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(s.st_mode)) return;
    tk_log_warn("a wish is refused (%s): %s", name, why);
    remove_wish(f, name);
}

// What the server may not read, or a disk does not give: for an hour somebody may see to it.
static tk_status keep_unread(const tk_folder *f, const char *name)
{
    if (is_old(f, name)) return TK_INPUT;
    tk_log_warn("a wish is not read: %s", tk_status_message());
    tk_status_clear();
    return TK_OK;
}

// TK_INPUT: refused. *text NULL: gone, not to be read, or not whole yet.
static tk_status read_wish(const tk_folder *f, const char *name, tk_arena *a, const char **text,
                           tk_wish *out)
{
    char *all;
    size_t bytes;
    bool there;
    *text = NULL;
    const tk_status st = tk_folder_read(f, name, TK_PAPER_BYTES, a, &all, &bytes, &there);
    if (st == TK_MEMORY || (st == TK_OK && !there)) return st;
    if (st != TK_OK) return st == TK_INPUT ? st : keep_unread(f, name);
    if (!ends_as_paper(all, bytes) && !is_old(f, name)) return TK_OK;
    if (!ends_as_paper(all, bytes) || strlen(all) != bytes || !tk_wish_read(all, out))
        return TK_FAIL(TK_INPUT, "is no wish as `talkie cameo wish` writes it");
    *text = all;
    return TK_OK;
}

// One that cannot be judged waits for a log that holds, as long as it says that it counts; workers
// that ask all the time say so once an hour.
static tk_status keep_unjudged(const tk_folder *f, const char *name, const tk_wish *w)
{
    static int64_t silent_until;
    const int64_t now = time(NULL);
    if (now >= w->until) return TK_INPUT;
    if (now >= silent_until) {
        tk_log_warn("a wish waits (%s/%s): whether it counts nobody can tell: %s", f->path, name,
                    tk_status_message());
        silent_until = now + TK_WISH_WHOLE;
    }
    tk_status_clear();
    return TK_OK;
}

static tk_status take_wish(const tk_cameo_store *s, const char *name, tk_arena *a,
                           tk_status (*revoked)(const tk_cameo_store *s, const tk_handle *who))
{
    const tk_folder *f = &s->wishes;
    const char *text;
    tk_wish w;
    bool judged = true;
    tk_status st = read_wish(f, name, a, &text, &w);
    if (st == TK_OK && !text) return TK_OK;
    if (st == TK_OK) st = tk_cameo_revoke_as_wished(s, &w, &judged);
    if (!judged && st == TK_INPUT) {
        st = keep_unjudged(f, name, &w);
        if (st == TK_OK) return TK_OK;
    }
    if (st == TK_INPUT) {
        refuse_wish(f, name, tk_status_message());
        tk_status_clear();
        return TK_OK;
    }
    TK_TRY(st);
    tk_log("@%s: is revoked, as its owner wishes (%s/%s)", w.who.name, f->path, name);
    TK_TRY(revoked(s, &w.who));
    remove_wish(f, name);
    return TK_OK;
}

tk_status tk_wishes_take(const tk_cameo_store *s,
                         tk_status (*revoked)(const tk_cameo_store *s, const tk_handle *who))
{
    if (s->wishes.fd < 0) return TK_OK;
    const int fd = openat(s->wishes.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    tk_status st = TK_OK;
    int n = 0;
    if (!d) {
        const int error = errno;
        if (fd >= 0) close(fd);
        return TK_FAIL(tk_io_code(error), "cannot read %s: %s", s->wishes.path, tk_io_words(error));
    }
    for (struct dirent *e; st == TK_OK && n < TK_WISHES && (e = readdir(d));) {
        tk_arena a;
        if (e->d_name[0] == '.') continue; // not yet dropped
        tk_arena_init(&a, 0);
        st = take_wish(s, e->d_name, &a, revoked);
        tk_arena_free(&a);
        n++;
    }
    closedir(d);
    return st;
}
