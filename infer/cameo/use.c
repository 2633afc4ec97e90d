// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // memfd_create
#include "infer/cameo/use.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/cameo/hook.h"
#include "infer/cameo/person.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *tk_user_say(int64_t uid, char words[TK_USER_WORDS])
{
    struct passwd one, *found = NULL;
    char room[4096];
    if (getpwuid_r((uid_t)uid, &one, room, sizeof room, &found) == 0 && found)
        snprintf(words, TK_USER_WORDS, "%.40s (%lld)", found->pw_name, (long long)uid);
    else
        snprintf(words, TK_USER_WORDS, "%lld", (long long)uid);
    return words;
}

const char *tk_time_say(int64_t seconds, char words[TK_TIME_WORDS])
{
    const time_t t = (time_t)seconds;
    struct tm day;
    if (!gmtime_r(&t, &day) || !strftime(words, TK_TIME_WORDS, "%Y-%m-%d %H:%M:%S UTC", &day))
        snprintf(words, TK_TIME_WORDS, "%lld", (long long)seconds);
    return words;
}

static tk_status whose_wish(const char *path, const struct stat *s, int64_t *uid)
{
    if (!S_ISREG(s->st_mode) || s->st_nlink != 1)
        return TK_FAIL(TK_INPUT,
                       "%s: whose wish it is cannot be told of a link, or of a file of several "
                       "names; copy it",
                       path);
    if (s->st_mode & 022)
        return TK_FAIL(TK_INPUT,
                       "%s: others than its owner may write to it, so whose wish it is cannot be "
                       "told; chmod go-w it",
                       path);
    *uid = s->st_uid;
    return TK_OK;
}

tk_status tk_cameo_user_of(const char *path, int64_t *uid)
{
    struct stat s;
    *uid = -1;
    if (lstat(path, &s)) return TK_FAIL(TK_INPUT, "cannot look at %s: %s", path, strerror(errno));
    return whose_wish(path, &s, uid);
}

// ---- files of memory ---------------------------------------------------------------------------

static tk_status memory_open(int *fd)
{
    *fd = memfd_create("reference", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return *fd < 0 ? TK_FAIL(TK_IO, "no file of memory: %s", strerror(errno)) : TK_OK;
}

// Nothing is written to it from here on; it is closed after a failure, of this or before.
static tk_status memory_seal(tk_status st, int *fd)
{
    if (st == TK_OK &&
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL))
        st = TK_FAIL(TK_IO, "a file of memory cannot be sealed: %s", strerror(errno));
    if (st == TK_OK) return TK_OK;
    close(*fd);
    *fd = -1;
    return st;
}

static tk_status copy_taken(int from, const char *path, int64_t bytes, int to)
{
    char piece[1 << 16];
    for (int64_t at = 0; at < bytes; at += (int64_t)sizeof piece) {
        const int64_t left = bytes - at;
        const size_t n = left < (int64_t)sizeof piece ? (size_t)left : sizeof piece;
        TK_TRY(tk_pread_all(from, path, piece, n, at));
        TK_TRY(tk_pwrite_all(to, "a file of memory", piece, n, at));
    }
    return TK_OK;
}

static tk_status take_open(int from, const char *path, int64_t most, int64_t *uid, int *fd)
{
    struct stat s;
    if (fstat(from, &s)) return TK_FAIL(TK_INPUT, "cannot look at %s: %s", path, strerror(errno));
    TK_TRY(whose_wish(path, &s, uid));
    if (s.st_size > most)
        return TK_FAIL(TK_INPUT, "%s: has %lld bytes; at most %lld are possible", path,
                       (long long)s.st_size, (long long)most);
    TK_TRY(memory_open(fd));
    return memory_seal(copy_taken(from, path, s.st_size, *fd), fd);
}

tk_status tk_cameo_take(const char *path, int64_t most, int64_t *uid, int *fd)
{
    const int from = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    *uid = *fd = -1;
    if (from < 0)
        return TK_FAIL(TK_INPUT, "cannot open %s: %s", path,
                       errno == ELOOP ? "it is a link; copy it" : strerror(errno));
    const tk_status st = take_open(from, path, most, uid, fd);
    close(from);
    return st;
}

// ---- asking ------------------------------------------------------------------------------------

typedef struct complaints {
    char words[4096];
    size_t n;
} complaints;

__attribute__((format(printf, 2, 3))) static void complain(complaints *c, const char *fmt, ...)
{
    va_list ap;
    const size_t room = sizeof c->words - c->n;
    if (room < 2) return;
    const int sep = snprintf(c->words + c->n, room, "%s", c->n ? "; " : "");
    va_start(ap, fmt);
    const int n = vsnprintf(c->words + c->n + sep, room - (size_t)sep, fmt, ap);
    va_end(ap);
    c->n += (size_t)(sep + n);
    if (c->n > sizeof c->words - 1) c->n = sizeof c->words - 1;
}

// "@ada", "@ada:face".
static tk_status read_name(const char *word, tk_cameo *out)
{
    char handle[80];
    const char *colon = strchr(word, ':');
    const size_t n = colon ? (size_t)(colon - word) : strlen(word);
    snprintf(handle, sizeof handle, "%.*s", n > 70 ? 70 : (int)n, word);
    TK_TRY(tk_handle_read(handle, &out->who));
    out->uses = TK_USE_FACE | TK_USE_VOICE;
    if (colon && !tk_uses_read(colon + 1, &out->uses)) out->uses = 0;
    if (out->uses && !(out->uses & ~(unsigned)(TK_USE_FACE | TK_USE_VOICE))) return TK_OK;
    return TK_FAIL(TK_INPUT, "\"%.80s\": after the colon comes face or voice", word);
}

// Those of the two that the person gave, where both are asked for because none was named.
static unsigned given_uses(const tk_lender *p, const char *word, unsigned uses)
{
    if (strchr(word, ':')) return uses;
    for (int k = 0; k < TK_CAMEO_KINDS; k++)
        if (!strcmp(p->card.reference[k], "none")) uses &= ~(1u << k);
    return uses;
}

static bool covers(const tk_consent *x, int64_t user)
{
    for (int i = 0; i < x->n; i++)
        if (x->user[i] == user) return true;
    return x->everyone;
}

static void check_paper(const tk_cameo_store *s, const tk_lender *p, const tk_cameo_ask *x,
                        unsigned uses, complaints *c)
{
    const tk_consent *k = &p->consent;
    const char *who = p->who.name;
    char day[TK_TIME_WORDS], words[TK_USE_WORDS], user[TK_USER_WORDS];
    if (p->forged) {
        complain(c, "@%s: its consent is not signed by the registrar who counts%s", who,
                 s->has_registrar ? "" : " (consent.registrar names none)");
        return;
    }
    if (x->time < k->from) complain(c, "@%s: consent begins on %s", who, tk_time_say(k->from, day));
    if (x->time >= k->until)
        complain(c, "@%s: consent ended on %s", who, tk_time_say(k->until, day));
    if (uses & ~k->uses)
        complain(c, "@%s: does not consent to %s", who, tk_uses_say(uses & ~k->uses, words));
    for (int i = 0; i < x->users; i++)
        if (x->user[i] != p->card.owner && !covers(k, x->user[i]))
            complain(c, "@%s: does not consent to a use by %s", who, tk_user_say(x->user[i], user));
}

static void check_person(const tk_cameo_store *s, const tk_lender *p, const tk_cameo_ask *x,
                         const char *word, tk_cameo *out, complaints *c)
{
    char user[TK_USER_WORDS];
    int other = -1;
    if (!p->enrolled || !p->has_key) {
        complain(c, "@%s: was revoked, or never enrolled", p->who.name);
        out->gone = true;
        return;
    }
    out->vouched = !strcmp(p->card.by, "registrar") || (p->consents && !p->forged);
    out->uses = x->inherited ? 0 : given_uses(p, word, out->uses);
    for (int k = 0; k < TK_CAMEO_KINDS; k++)
        if ((out->uses & (1u << k)) && !strcmp(p->card.reference[k], "none"))
            complain(c, "@%s: has no %s", p->who.name, tk_reference_name[k]);
    for (int i = 0; i < x->users; i++)
        if (x->user[i] != p->card.owner) other = i;
    const char *paper = other < 0 ? p->card.hash : p->consent.hash;
    snprintf(out->paper, sizeof out->paper, "%s", paper);
    if (other < 0) return;
    if (p->consents)
        check_paper(s, p, x, out->uses | x->also, c);
    else
        complain(c, "@%s: serves its owner alone, not %s, until a registrar's consent is granted",
                 p->who.name, tk_user_say(x->user[other], user));
}

static tk_status ask_one(const tk_cameo_store *s, const tk_cameo_ask *x, int i, tk_arena *a,
                         tk_cameo *out, complaints *c)
{
    tk_lender p = {.folder = {-1, -1, ""}};
    tk_status st = read_name(x->names[i], out);
    if (st == TK_OK) st = tk_lender_open(s, &out->who, false, a, &p);
    if (st == TK_OK) check_person(s, &p, x, x->names[i], out, c);
    tk_lender_close(&p);
    if (st != TK_INPUT) return st;
    complain(c, "%s", tk_status_message());
    tk_status_clear();
    return TK_OK;
}

tk_status tk_cameos_ask(const tk_cameo_store *s, const tk_cameo_ask *x, tk_arena *a, tk_cameo *out)
{
    complaints c = {.n = 0};
    const int most = x->inherited ? TK_INHERITED : TK_CAMEOS;
    if (x->n > most)
        return TK_FAIL(TK_INPUT, "cameo: names %d people; at most %d are possible", x->n, most);
    for (int i = 0; i < x->n; i++) {
        out[i] = (tk_cameo){0};
        TK_TRY(ask_one(s, x, i, a, &out[i], &c));
        for (int k = 0; k < i; k++)
            if (*out[i].who.name && !strcmp(out[i].who.name, out[k].who.name))
                complain(&c, "@%s: is named twice", out[i].who.name);
    }
    return c.n ? TK_FAIL(TK_INPUT, "cameo: %s", c.words) : TK_OK;
}

// ---- telling -----------------------------------------------------------------------------------

static tk_status tell_one(const tk_cameo_store *s, const tk_cameo *c, tk_cameo_line *line,
                          tk_arena *a)
{
    tk_lender p;
    snprintf(line->paper, sizeof line->paper, "%s", c->paper);
    tk_status st = tk_lender_open(s, &c->who, true, a, &p);
    if (st == TK_OK) st = tk_history_add(&p.folder, c->who.name, s->server, &p.history, line, a);
    tk_lender_close(&p);
    return st;
}

tk_status tk_cameos_tell(const tk_cameo_store *s, const tk_cameo_ask *x, const tk_cameo *cameo,
                         tk_cameo_event event, const char *what)
{
    tk_arena a;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    for (int i = 0; i < x->n && st == TK_OK; i++) {
        tk_cameo_line line = {event, (int64_t)time(NULL), x->users ? x->user[0] : -1, what, "", ""};
        if (x->mark) snprintf(line.mark, sizeof line.mark, "%s", x->mark);
        st = tell_one(s, &cameo[i], &line, &a);
        if (st == TK_OK) tk_hook_run(s->hook, cameo[i].who.name, &line);
    }
    tk_arena_free(&a);
    return st;
}

// ---- revealing ---------------------------------------------------------------------------------

static tk_status memory_file(const void *x, size_t bytes, int *fd)
{
    TK_TRY(memory_open(fd));
    return memory_seal(tk_pwrite_all(*fd, "a file of memory", x, bytes, 0), fd);
}

static tk_status unseal_reference(const tk_cameo_store *s, const tk_lender *p,
                                  tk_reference_kind kind, tk_arena *a, int *fd)
{
    char label[64], name[TK_HANDLE + 8], *sealed, hash[TK_PAPER_HASH];
    unsigned char *plain;
    size_t n;
    tk_secret key;
    const char *what = tk_reference_name[kind];
    if (!p->enrolled || !p->has_key)
        return TK_FAIL(TK_INPUT, "@%s: was revoked, or never enrolled", p->who.name);
    snprintf(name, sizeof name, "%s.key", p->who.name);
    snprintf(label, sizeof label, "@%s: %s", p->who.name, what);
    TK_TRY(tk_folder_read(&p->folder, what, TK_CAMEO_BYTES + (1 << 20), a, &sealed, &n, NULL));
    tk_paper_hash(sealed, n, hash);
    if (strcmp(hash, p->card.reference[kind]))
        return TK_FAIL(TK_INPUT, "%s: is not what was enrolled: the card has another hash", label);
    TK_TRY(tk_folder_read_secret(&s->keys, name, TK_SEAL_KEY, &key));
    tk_status st = key.bytes == TK_SEAL_KEY ? TK_OK : TK_FAIL(TK_INPUT, "%s: is no key", name);
    if (st == TK_OK)
        st = tk_seal_open((const unsigned char *)key.x, label, (const unsigned char *)sealed, n, a,
                          &plain, &n);
    tk_secret_forget(&key);
    TK_TRY(st);
    st = memory_file(plain, n, fd);
    tk_seal_forget(plain, n);
    return st;
}

tk_status tk_cameo_reveal(const tk_cameo_store *s, const tk_cameo *c, tk_reference_kind kind,
                          int *fd)
{
    tk_arena a;
    tk_lender p;
    *fd = -1;
    tk_arena_init(&a, 0);
    tk_status st = tk_lender_open(s, &c->who, false, &a, &p);
    if (st == TK_OK) st = unseal_reference(s, &p, kind, &a, fd);
    tk_lender_close(&p);
    tk_arena_free(&a);
    return st;
}
