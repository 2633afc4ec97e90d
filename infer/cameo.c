// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // strptime
#include "infer/cameo.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/secret.h"
#include "core/base/utf8.h"
#include "data/media/media.h"
#include "infer/cameo/person.h"
#include "infer/cameo/use.h"
#include "infer/enroll/enroll.h"
#include "infer/output/people.h"
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct cameo_call { // of a verb
    const tk_consent_config *o;
    char *const *files; // behind the handle
    int n;
    tk_handle who;
    tk_cameo_store store;
    tk_arena *arena;
} cameo_call;

// ---- list, log ---------------------------------------------------------------------------------

static void print_consent(const cameo_call *c, const tk_lender *p)
{
    char words[TK_USE_WORDS], user[TK_USER_WORDS], day[TK_TIME_WORDS];
    const tk_consent *k = &p->consent;
    if (p->forged && c->store.has_registrar) {
        printf("    a consent that the registrar did not sign\n");
        return;
    }
    printf("    %s by ", tk_uses_say(k->uses, words));
    for (int i = 0; i < k->n; i++) printf("%s%s", i ? ", " : "", tk_user_say(k->user[i], user));
    printf("%s, until %s%s\n", k->everyone ? "everyone" : "", tk_time_say(k->until, day),
           p->forged ? " (consent.registrar would tell who signed)" : "");
}

static void print_person(const cameo_call *c, const tk_lender *p)
{
    char user[TK_USER_WORDS], day[TK_TIME_WORDS];
    const char *const *r = (const char *const *)tk_reference_name;
    if (!p->enrolled) {
        printf("@%s: revoked, or never enrolled\n", p->who.name);
        return;
    }
    printf("@%s: of %s, enrolled %s by %s:", p->who.name, tk_user_say(p->card.owner, user),
           tk_time_say(p->card.enrolled, day), p->card.by);
    for (int k = 0; k < TK_CAMEO_KINDS; k++)
        if (strcmp(p->card.reference[k], "none")) printf(" %s", r[k]);
    printf("\n");
    if (p->has_owner_key) printf("    may be revoked by a wish that its owner signs\n");
    if (p->consents)
        print_consent(c, p);
    else
        printf("    serves its owner alone\n");
}

static tk_status list_people(cameo_call *c)
{
    tk_handle *all;
    int n;
    TK_TRY(tk_cameo_list(&c->store, c->arena, &all, &n));
    for (int i = 0; i < n; i++) {
        tk_arena a;
        tk_lender p;
        tk_arena_init(&a, 0);
        const tk_status st = tk_lender_open(&c->store, &all[i], false, &a, &p);
        if (st == TK_OK)
            print_person(c, &p);
        else if (st == TK_INPUT)
            printf("@%s: does not hold: %s\n", all[i].name, tk_status_message());
        tk_lender_close(&p);
        tk_arena_free(&a);
        if (st != TK_OK && st != TK_INPUT) return st;
        tk_status_clear();
    }
    return TK_OK;
}

// What is told of a clip: its path, which somebody else named.
static const char *plain_path(const char *path, char words[PATH_MAX])
{
    snprintf(words, PATH_MAX, "%s", path);
    tk_utf8_plain(words, '?', "");
    return words;
}

// Lines that hold are shown, then what does not.
static tk_status show_log(cameo_call *c)
{
    tk_lender p;
    const tk_status st = tk_lender_open(&c->store, &c->who, false, c->arena, &p);
    for (int64_t i = 0; i < p.history.n; i++) {
        const tk_cameo_line *line = &p.history.line[i];
        char user[TK_USER_WORDS], day[TK_TIME_WORDS], what[PATH_MAX];
        printf("%4lld  %s  %-8s  by %s%s%s\n", (long long)i + 1, tk_time_say(line->time, day),
               tk_cameo_event_name[line->event], tk_user_say(line->user, user),
               *line->what ? ": " : "", plain_path(line->what, what));
    }
    if (st == TK_OK)
        printf("@%s: %lld lines, as the server signed them\n", c->who.name, (long long)p.history.n);
    if (st == TK_OK && p.history.beyond)
        tk_log_warn(
            "@%s: behind them are %lld bytes that nobody signed: of a run that died, or put "
            "there by somebody",
            c->who.name, (long long)p.history.beyond);
    tk_lender_close(&p);
    return st;
}

static const char registrar_signs[] = "the registrar's private key to vouch for somebody";

// ---- enroll, grant -----------------------------------------------------------------------------

static tk_status read_sign(const cameo_call *c, const char *whose, tk_seal_pair *out)
{
    tk_secret pem;
    if (!*c->o->sign) return TK_FAIL(TK_INPUT, "consent.sign: missing: it takes %s", whose);
    TK_TRY(tk_secret_read("consent.sign", c->o->sign, TK_PAPER_BYTES, &pem));
    const bool read = tk_seal_read_private(pem.x, out);
    tk_secret_forget(&pem);
    return read ? TK_OK
                : TK_FAIL(TK_INPUT,
                          "consent.sign: %s is no private key of Ed25519 in PEM (openssl genpkey "
                          "-algorithm ed25519 writes one)",
                          c->o->sign);
}

// file: where its bytes are.
static tk_status check_given_media(const char *path, const char *file, tk_reference_kind kind)
{
    const tk_media_config some = {.sample_rate = 16000, .channels = 1};
    tk_media m = {0};
    bool pictures;
    TK_TRY(tk_media_has_pictures(file, &pictures));
    if (pictures != (kind == TK_CAMEO_FACE))
        return TK_FAIL(TK_INPUT,
                       "%s: has %s; FACE, a picture, comes first, then VOICE, sound alone", path,
                       pictures ? "pictures" : "no picture");
    if (kind == TK_CAMEO_VOICE) TK_TRY(tk_media_hear(file, &some, 1, &m));
    tk_media_free(&m);
    return TK_OK;
}

static tk_status keep_bytes(const cameo_call *c, tk_reference_kind kind, const char *path, int fd,
                            tk_cameo_new *x)
{
    struct stat s;
    unsigned char *all;
    if (fstat(fd, &s)) return TK_FAIL(TK_IO, "cannot look at %s: %s", path, strerror(errno));
    TK_ARENA_NEW(all, c->arena, s.st_size + 1);
    x->reference[kind] = all;
    x->bytes[kind] = (size_t)s.st_size;
    return tk_pread_all(fd, path, all, x->bytes[kind], 0);
}

static tk_status read_media(const cameo_call *c, tk_reference_kind kind, tk_cameo_new *x)
{
    const char *path = c->files[kind];
    char file[32];
    int64_t uid;
    int fd;
    TK_TRY(tk_cameo_take(path, TK_CAMEO_BYTES, &uid, &fd));
    snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
    tk_status st = kind && uid != x->owner
                       ? TK_FAIL(TK_INPUT, "%s and %s are not of one owner", c->files[0], path)
                       : TK_OK;
    if (st == TK_OK) st = tk_status_renamed(check_given_media(path, file, kind), file, path);
    if (st == TK_OK) st = keep_bytes(c, kind, path, fd, x);
    close(fd);
    x->owner = uid;
    return st;
}

// By files of which the registrar says that they are of whom they seem to be.
static tk_status enroll_person(cameo_call *c)
{
    tk_seal_pair registrar;
    if (c->n == 1) return tk_enroll_by_film(&c->store, &c->who, c->files[0]);
    tk_cameo_new x = {.who = c->who, .by = "registrar"};
    TK_TRY(read_sign(c, registrar_signs, &registrar));
    const bool counts = c->store.has_registrar &&
                        !memcmp(registrar.open, c->store.registrar, sizeof registrar.open);
    tk_seal_forget(&registrar, sizeof registrar);
    if (!counts)
        return TK_FAIL(TK_INPUT, "consent.sign: is not the key of the registrar who counts "
                                 "(consent.registrar)");
    for (int k = 0; k < c->n; k++) TK_TRY(read_media(c, (tk_reference_kind)k, &x));
    TK_TRY(tk_cameo_enroll(&c->store, &x));
    char user[TK_USER_WORDS];
    tk_log("@%s is enrolled, of %s; it serves nobody else until consent is granted", c->who.name,
           tk_user_say(x.owner, user));
    return TK_OK;
}

static tk_status give_challenge(cameo_call *c)
{
    tk_challenge x;
    char text[TK_CHALLENGE_TEXT];
    TK_TRY(tk_challenge_ask(&c->store, &c->who, &x));
    printf("%s\n", tk_challenge_say(&x, text));
    tk_log("@%s: say these words, one after the other, in a film of your face; good for %d minutes "
           "and one try",
           c->who.name, TK_CHALLENGE_SECONDS / 60);
    return TK_OK;
}

static tk_status find_user(const char *word, int64_t *uid)
{
    struct passwd one, *found = NULL;
    char room[4096], *end;
    if (getpwnam_r(word, &one, room, sizeof room, &found) == 0 && found) {
        *uid = found->pw_uid;
        return TK_OK;
    }
    errno = 0;
    *uid = strtoll(word, &end, 10);
    if (*word >= '0' && *word <= '9' && !*end && !errno && *uid <= UINT32_MAX - 1) return TK_OK;
    return TK_FAIL(TK_INPUT, "consent.users: \"%.60s\" is no user here", word);
}

// The end of the day.
static tk_status read_until(const char *text, int64_t *out)
{
    struct tm day = {0};
    const char *end = strptime(text, "%Y-%m-%d", &day);
    const int asked = day.tm_mday;
    const time_t t = end && !*end ? timegm(&day) : -1; // February 30 becomes March 2
    if (t < 0 || day.tm_mday != asked)
        return TK_FAIL(TK_INPUT, "consent.until: \"%.40s\" is no day; write it as 2027-12-31",
                       text);
    *out = (int64_t)t + 24 * 3600;
    return TK_OK;
}

static tk_status read_consent_options(const tk_consent_config *o, tk_consent *x)
{
    *x = (tk_consent){.from = time(NULL), .uses = TK_USE_FACE | TK_USE_VOICE};
    if (o->n_users == 0)
        return TK_FAIL(TK_INPUT, "consent.users: missing: who may make clips? [bo, carl], or "
                                 "everyone");
    for (int64_t i = 0; i < o->n_users; i++) {
        if (!strcmp(o->users[i], "everyone"))
            x->everyone = true;
        else
            TK_TRY(find_user(o->users[i], &x->user[x->n++]));
    }
    if (o->n_uses) x->uses = 0;
    for (int64_t i = 0; i < o->n_uses; i++) {
        unsigned one;
        if (!tk_uses_read(o->uses[i], &one))
            return TK_FAIL(TK_INPUT, "consent.uses: \"%.40s\" is none of face, voice, remix",
                           o->uses[i]);
        x->uses |= one;
    }
    return read_until(o->until, &x->until);
}

static tk_status grant_consent(cameo_call *c)
{
    tk_seal_pair registrar;
    tk_consent x;
    TK_TRY(read_consent_options(c->o, &x));
    TK_TRY(read_sign(c, registrar_signs, &registrar));
    const tk_status st = tk_cameo_grant(&c->store, &c->who, &x, &registrar);
    tk_seal_forget(&registrar, sizeof registrar);
    if (st == TK_OK) tk_log("@%s: granted, in the place of any consent before", c->who.name);
    return st;
}

// ---- revoke ------------------------------------------------------------------------------------

// Whether the clip of a line `made` did not come to be: the next line of it says so, and none is
// there.
static bool came_to_nothing(const tk_history *h, int64_t i, tk_arena *a)
{
    const char *what = h->line[i].what;
    for (int64_t k = i + 1; k < h->n; k++) {
        if (strcmp(h->line[k].what, what)) continue;
        const char *film = tk_arena_printf(a, "%s.mp4", what);
        return h->line[k].event == TK_CAMEO_UNMADE && film && access(film, F_OK) != 0;
    }
    return false;
}

// Those that were made are told; what is kept of them beside the film goes, and of clips that were
// never finished.
static tk_status tell_clips(const cameo_call *c, const tk_history *h)
{
    int64_t made = 0;
    for (int64_t i = 0; i < h->n; i++) {
        const tk_cameo_line *line = &h->line[i];
        char user[TK_USER_WORDS], day[TK_TIME_WORDS], what[PATH_MAX];
        if (line->event != TK_CAMEO_MADE || came_to_nothing(h, i, c->arena)) continue;
        printf("%s.mp4  made %s by %s\n", plain_path(line->what, what),
               tk_time_say(line->time, day), tk_user_say(line->user, user));
        made++;
    }
    tk_log("@%s: revoked; %lld clips were made with it, which stay where they are", c->who.name,
           (long long)made);
    return tk_people_forget_all(h, &c->who);
}

static tk_status tell_revoked(cameo_call *c)
{
    tk_lender p;
    tk_status st = tk_lender_open(&c->store, &c->who, false, c->arena, &p);
    if (st == TK_OK) st = tell_clips(c, &p.history);
    tk_lender_close(&p);
    return st;
}

// What did not hold before is told behind the clips. By a log that does not hold none are: its
// lines may be anybody's.
static tk_status revoke_cameo(cameo_call *c)
{
    bool done;
    char words[1200];
    const tk_status before = tk_cameo_revoke(&c->store, &c->who, (int64_t)getuid(), &done);
    if (!done) return before;
    snprintf(words, sizeof words, "%s", tk_status_message());
    const tk_status st = tell_revoked(c);
    if (before == TK_OK || (st != TK_OK && st != TK_INPUT)) return st;
    return TK_FAIL(before, "%s", words);
}

// ---- wishes ------------------------------------------------------------------------------------

// Whose file it is says whose key it is, as with faces.
static tk_status give_key(cameo_call *c)
{
    char *pem;
    size_t bytes;
    int64_t uid;
    unsigned char key[TK_SEAL_PUBLIC];
    TK_TRY(tk_cameo_user_of(c->files[0], &uid));
    TK_TRY(tk_file_read(c->files[0], TK_PAPER_BYTES, c->arena, &pem, &bytes));
    if (!tk_seal_read_public(pem, key))
        return TK_FAIL(TK_INPUT,
                       "%s: is no public key of Ed25519 in PEM (openssl pkey -pubout writes one)",
                       c->files[0]);
    TK_TRY(tk_cameo_give_key(&c->store, &c->who, uid, key));
    tk_log(
        "@%s: whoever has the private half of %s may revoke it by a wish (talkie cameo wish @%s)",
        c->who.name, c->files[0], c->who.name);
    return TK_OK;
}

// On stdout: to be dropped where the store is.
static tk_status write_wish(cameo_call *c)
{
    tk_seal_pair own;
    char *text;
    const int64_t now = time(NULL);
    int64_t until = now + TK_WISH_SECONDS;
    TK_TRY(tk_seal_ready());
    if (*c->o->until) TK_TRY(read_until(c->o->until, &until));
    if (until <= now) return TK_FAIL(TK_INPUT, "consent.until: the wish ends before it begins");
    TK_TRY(read_sign(c, "the private key whose public half the cameo was given", &own));
    const tk_status st = tk_wish_sign(&c->who, now, until, &own, c->arena, &text);
    tk_seal_forget(&own, sizeof own);
    if (st == TK_OK && (fputs(text, stdout) == EOF || fflush(stdout)))
        return TK_FAIL(TK_IO, "the wish cannot be written: %s", strerror(errno));
    return st;
}

static tk_status take_wishes(cameo_call *c)
{
    (void)c; // it was done when the store was opened
    return TK_OK;
}

// ---- the command -------------------------------------------------------------------------------

static const struct cameo_verb {
    const char *name, *usage;
    int files;          // behind the handle
    bool handle, alone; // alone: without a store
    tk_store_for store;
    tk_status (*run)(cameo_call *c);
} verbs[] = {
    {"list", "list", 0, false, false, TK_STORE_TO_LOOK, list_people},
    {"log", "log @HANDLE", 0, true, false, TK_STORE_TO_LOOK, show_log},
    {"challenge", "challenge @HANDLE", 0, true, false, TK_STORE_TO_MAKE, give_challenge},
    {"enroll", "enroll @HANDLE FILM|FACE VOICE", 2, true, false, TK_STORE_TO_MAKE, enroll_person},
    {"grant", "grant @HANDLE", 0, true, false, TK_STORE_TO_USE, grant_consent},
    {"revoke", "revoke @HANDLE", 0, true, false, TK_STORE_TO_USE, revoke_cameo},
    {"key", "key @HANDLE PUBLIC", 1, true, false, TK_STORE_TO_MAKE, give_key},
    {"wish", "wish @HANDLE", 0, true, true, TK_STORE_TO_LOOK, write_wish},
    {"take", "take", 0, false, false, TK_STORE_TO_USE, take_wishes},
};

static tk_status call_verb(const tk_invocation *in, tk_arena *a)
{
    const struct cameo_verb *v = NULL;
    cameo_call c = {.o = &in->config.consent, .files = in->files + 2, .arena = a};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(in->files[0], verbs[i].name)) v = &verbs[i];
    if (!v)
        return TK_FAIL(TK_INPUT,
                       "talkie cameo: \"%.40s\" is none of list, log, challenge, enroll, grant, "
                       "revoke, key, wish, take",
                       in->files[0]);
    c.n = in->n_files - 1 - v->handle;
    if (c.n != v->files && !(v->files == 2 && c.n == 1))
        return TK_FAIL(TK_INPUT, "usage: talkie cameo %s %s [key=value ...]", v->usage,
                       v->alone ? "consent.sign=FILE" : "consent.store=FOLDER");
    if (v->handle) TK_TRY(tk_handle_read(in->files[1], &c.who));
    if (v->alone) return v->run(&c);
    TK_TRY(tk_cameo_store_open(c.o, v->store, &c.store));
    tk_status st = tk_people_take_wishes(&c.store);
    if (st == TK_OK) st = v->run(&c);
    tk_cameo_store_close(&c.store);
    return st;
}

tk_status tk_cameo_command(tk_comm *world, tk_invocation *in)
{
    tk_arena a;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    if (world->rank == 0) st = call_verb(in, &a);
    tk_arena_free(&a);
    return tk_agree(world, st);
}
