// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/wish.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/cameo/use.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// ---- papers ------------------------------------------------------------------------------------

tk_status tk_wish_sign(const tk_handle *who, int64_t at, int64_t until, const tk_seal_pair *by,
                       tk_arena *a, char **out)
{
    char *text =
        tk_arena_printf(a, "talkie wish: 1\nhandle: %s\nwish: revoke\nat: %lld\nuntil: %lld\n",
                        who->name, (long long)at, (long long)until);
    return text ? tk_paper_sign(text, by, a, out) : TK_FAIL(TK_MEMORY, "out of memory for a wish");
}

static bool take_handle(const char *word, tk_handle *out)
{
    if (tk_handle_read(word, out) == TK_OK) return true;
    tk_status_clear();
    return false;
}

bool tk_wish_read(const char *text, tk_wish *out)
{
    char value[TK_PAPER_VALUE];
    const char *at = text;
    *out = (tk_wish){.text = text};
    tk_paper_hash(text, strlen(text), out->hash);
    return tk_paper_next(&at, "talkie wish", value) && !strcmp(value, "1") &&
           tk_paper_next(&at, "handle", value) && *value != '@' && take_handle(value, &out->who) &&
           tk_paper_next(&at, "wish", value) && !strcmp(value, "revoke") &&
           tk_paper_number(&at, "at", &out->at) && tk_paper_number(&at, "until", &out->until) &&
           !strncmp(at, "signature: ", 11);
}

static bool was_taken_up_before(const tk_lender *p, const tk_wish *w)
{
    bool taken = false, again = false;
    for (int64_t i = 0; i < p->history.n; i++) {
        const tk_cameo_line *line = &p->history.line[i];
        taken |= line->event == TK_CAMEO_REVOKED && !strcmp(line->paper, w->hash);
        again |= taken && line->event == TK_CAMEO_ENROLLED;
    }
    return again;
}

tk_status tk_wish_counts(const tk_wish *w, const tk_lender *p)
{
    const char *who = p->who.name;
    const int64_t now = time(NULL);
    char day[TK_TIME_WORDS];
    if (!p->has_owner_key)
        return TK_FAIL(TK_INPUT,
                       "@%s: no key of its owner's is known by which a wish could be signed "
                       "(talkie cameo key @%s gives it one)",
                       who, who);
    if (!tk_paper_holds(w->text, p->owner_key))
        return TK_FAIL(TK_INPUT, "@%s: the wish is not signed by the key of its owner", who);
    if (w->at > now + TK_WISH_AHEAD)
        return TK_FAIL(TK_INPUT, "@%s: the wish is of a time to come, %s", who,
                       tk_time_say(w->at, day));
    if (now >= w->until)
        return TK_FAIL(TK_INPUT, "@%s: the wish ended on %s; its owner may sign another one", who,
                       tk_time_say(w->until, day));
    if (w->at < p->since || was_taken_up_before(p, w))
        return TK_FAIL(TK_INPUT,
                       "@%s: the wish is of an earlier enrolment than that of %s; its owner may "
                       "sign another one",
                       who, tk_time_say(p->since, day));
    return TK_OK;
}

// ---- what lies there ---------------------------------------------------------------------------

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

static tk_status take_wish(const tk_cameo_store *s, const char *name, tk_arena *a,
                           tk_status (*revoked)(const tk_cameo_store *s, const tk_handle *who))
{
    const tk_folder *f = &s->wishes;
    const char *text;
    tk_wish w;
    tk_status st = read_wish(f, name, a, &text, &w);
    if (st == TK_OK && !text) return TK_OK;
    if (st == TK_OK) st = tk_cameo_revoke_as_wished(s, &w);
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
