// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"
#include "infer/cameo/hook.h"
#include "infer/cameo/person.h"
#include "infer/cameo/use.h"
#include "infer/cameo/wish.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// A person who is changed, and the line that the log has of it.
typedef struct changing {
    const tk_cameo_store *s;
    tk_lender p;
    tk_cameo_line line;
    bool told, revoked;
    bool judged; // whether a wish counts could be told
    tk_arena a;
} changing;

static tk_status tell_history(changing *c, tk_cameo_event event, int64_t user, const char *what,
                              const char *paper)
{
    tk_lender *p = &c->p;
    c->line = (tk_cameo_line){event, time(NULL), user, tk_arena_strdup(&c->a, what), "", ""};
    if (!c->line.what) return TK_FAIL(TK_MEMORY, "out of memory for a log's line");
    snprintf(c->line.paper, sizeof c->line.paper, "%s", paper);
    TK_TRY(tk_history_add(&p->folder, p->who.name, c->s->server, &p->history, &c->line, &c->a));
    c->told = true;
    return TK_OK;
}

// The hook is told once nobody has to wait for it.
static tk_status end_changing(changing *c, tk_status st)
{
    tk_lender_close(&c->p);
    if (c->told) tk_hook_run(c->s->hook, c->p.who.name, &c->line);
    tk_arena_free(&c->a);
    return st;
}

static changing begin_changing(const tk_cameo_store *s)
{
    changing c = {.s = s, .p = {.folder = {-1, -1, ""}}};
    tk_arena_init(&c.a, 0);
    return c;
}

// ---- enrolling ---------------------------------------------------------------------------------

static tk_status seal_references(const tk_lender *p, const tk_cameo_new *x,
                                 const unsigned char key[TK_SEAL_KEY], tk_arena *a,
                                 tk_cameo_card *card)
{
    for (int k = 0; k < TK_CAMEO_KINDS; k++) {
        unsigned char *sealed;
        size_t bytes;
        char label[64];
        snprintf(card->reference[k], TK_PAPER_HASH, "none");
        if (!x->reference[k]) continue;
        snprintf(label, sizeof label, "@%s: %s", p->who.name, tk_reference_name[k]);
        TK_TRY(tk_seal_close(key, label, x->reference[k], x->bytes[k], a, &sealed, &bytes));
        tk_paper_hash((const char *)sealed, bytes, card->reference[k]);
        TK_TRY(tk_folder_write(&p->folder, tk_reference_name[k], 0600, sealed, bytes));
    }
    return TK_OK;
}

// The log's line comes last: until it is there nobody is enrolled.
static tk_status write_person(changing *c, const tk_cameo_new *x,
                              const unsigned char key[TK_SEAL_KEY])
{
    const tk_lender *p = &c->p;
    tk_arena *a = &c->a;
    tk_cameo_card card = {.owner = x->owner, .enrolled = time(NULL)};
    char *text, *paper, hash[TK_PAPER_HASH], name[TK_HANDLE + 8];
    snprintf(card.by, sizeof card.by, "%s", x->by);
    TK_TRY(seal_references(p, x, key, a, &card));
    TK_TRY(tk_card_print(p->who.name, &card, a, &text));
    TK_TRY(tk_paper_sign(text, c->s->server, a, &paper));
    tk_paper_hash(paper, strlen(paper), hash);
    TK_TRY(tk_folder_write(&p->folder, "card", 0644, paper, strlen(paper)));
    snprintf(name, sizeof name, "%s.key", p->who.name);
    TK_TRY(tk_folder_write(&c->s->keys, name, 0600, key, TK_SEAL_KEY));
    return tell_history(c, TK_CAMEO_ENROLLED, x->owner, x->by, hash);
}

static tk_status enroll_in(changing *c, const tk_cameo_new *x)
{
    unsigned char key[TK_SEAL_KEY];
    tk_lender *p = &c->p;
    TK_TRY(tk_lender_open(c->s, &x->who, true, &c->a, p));
    if (p->owner >= 0 && p->owner != x->owner)
        return TK_FAIL(TK_INPUT,
                       "@%s: the handle is that of another user, who enrolled first; choose "
                       "another one",
                       p->who.name);
    if (p->enrolled && p->has_key)
        return TK_FAIL(TK_INPUT,
                       "@%s: is enrolled already; `talkie cameo revoke @%s` first, which ends all "
                       "that is consented to",
                       p->who.name, p->who.name);
    TK_TRY(tk_history_takes(&p->history, p->who.name, TK_CAMEO_ENROLLED));
    tk_seal_random(key, sizeof key);
    const tk_status st = write_person(c, x, key);
    tk_seal_forget(key, sizeof key);
    p->owner = x->owner;
    return st;
}

static tk_status check_new(const tk_cameo_new *x)
{
    bool any = false;
    for (int k = 0; k < TK_CAMEO_KINDS; k++) {
        any |= x->reference[k] != NULL;
        if (x->reference[k] && (x->bytes[k] == 0 || x->bytes[k] > TK_CAMEO_BYTES))
            return TK_FAIL(TK_INPUT, "@%s: its %s has %zu bytes; between 1 and %d are possible",
                           x->who.name, tk_reference_name[k], x->bytes[k], TK_CAMEO_BYTES);
    }
    return any ? TK_OK : TK_FAIL(TK_INPUT, "@%s: there is neither face nor voice", x->who.name);
}

tk_status tk_cameo_enroll(const tk_cameo_store *s, const tk_cameo_new *x)
{
    tk_folder made;
    TK_TRY(check_new(x));
    TK_TRY(tk_folder_make(&s->people, x->who.name, 0711, &made));
    tk_folder_close(&made);
    changing c = begin_changing(s);
    return end_changing(&c, enroll_in(&c, x));
}

// ---- granting ----------------------------------------------------------------------------------

static tk_status check_registrar(const tk_cameo_store *s, const tk_seal_pair *registrar)
{
    if (!s->has_registrar)
        return TK_FAIL(TK_INPUT, "consent.registrar: missing: name the public key of the registrar "
                                 "whose signature counts");
    if (memcmp(s->registrar, registrar->open, sizeof s->registrar))
        return TK_FAIL(TK_INPUT, "consent.sign: is not the key of the registrar who counts "
                                 "(consent.registrar)");
    return TK_OK;
}

static tk_status check_consent(const tk_consent *x)
{
    if (!x->everyone && x->n == 0) return TK_FAIL(TK_INPUT, "consent.users: names nobody");
    if (!x->uses) return TK_FAIL(TK_INPUT, "consent.uses: names no use");
    return x->until > x->from ? TK_OK : TK_FAIL(TK_INPUT, "consent.until: ends before it begins");
}

// A consent that does not hold is in nobody's way: another comes into its place. Log and card were
// found right before it was looked at.
static tk_status open_to_grant(changing *c, const tk_handle *who)
{
    tk_lender *p = &c->p;
    const tk_status st = tk_lender_open(c->s, who, true, &c->a, p);
    if (st == TK_INPUT && p->enrolled && p->has_key) {
        tk_status_clear();
        return TK_OK;
    }
    TK_TRY(st);
    if (p->enrolled && p->has_key) return TK_OK;
    return TK_FAIL(TK_INPUT, "@%s: is not enrolled (or was revoked)", who->name);
}

// The consent before is in force until the log has the line, the new one from then on.
static tk_status grant_in(changing *c, const tk_handle *who, const tk_consent *x,
                          const tk_seal_pair *registrar)
{
    tk_lender *p = &c->p;
    tk_arena *a = &c->a;
    char *text, *paper, hash[TK_PAPER_HASH], words[TK_USE_WORDS];
    TK_TRY(open_to_grant(c, who));
    TK_TRY(tk_consent_print(who->name, p->card.hash, x, a, &text));
    TK_TRY(tk_paper_sign(text, registrar, a, &paper));
    tk_paper_hash(paper, strlen(paper), hash);
    TK_TRY(tk_folder_write(&p->folder, tk_consent_next, 0644, paper, strlen(paper)));
    TK_TRY(tell_history(c, TK_CAMEO_GRANTED, (int64_t)getuid(), tk_uses_say(x->uses, words), hash));
    return tk_folder_rename(&p->folder, tk_consent_next, tk_consent_name);
}

tk_status tk_cameo_grant(const tk_cameo_store *s, const tk_handle *who, const tk_consent *x,
                         const tk_seal_pair *registrar)
{
    TK_TRY(check_registrar(s, registrar));
    TK_TRY(check_consent(x));
    changing c = begin_changing(s);
    return end_changing(&c, grant_in(&c, who, x, registrar));
}

// ---- the owner's key ---------------------------------------------------------------------------

static tk_status give_key_in(changing *c, const tk_handle *who, int64_t owner,
                             const unsigned char key[TK_SEAL_PUBLIC])
{
    const tk_lender *p = &c->p;
    char hex[TK_SEAL_HEX], user[TK_USER_WORDS];
    TK_TRY(tk_lender_open(c->s, who, true, &c->a, &c->p));
    if (!p->enrolled || !p->has_key)
        return TK_FAIL(TK_INPUT, "@%s: is not enrolled (or was revoked)", who->name);
    if (owner != p->card.owner)
        return TK_FAIL(TK_INPUT, "@%s: is the cameo of %s, who alone may give it a key", who->name,
                       tk_user_say(p->card.owner, user));
    tk_seal_hex(key, TK_SEAL_PUBLIC, hex);
    return tell_history(c, TK_CAMEO_KEYED, owner, hex, "");
}

tk_status tk_cameo_give_key(const tk_cameo_store *s, const tk_handle *who, int64_t owner,
                            const unsigned char key[TK_SEAL_PUBLIC])
{
    if (!memcmp(key, s->server->open, TK_SEAL_PUBLIC))
        return TK_FAIL(TK_INPUT, "@%s: that is the server's own key; it takes one of its owner's",
                       who->name);
    changing c = begin_changing(s);
    return end_changing(&c, give_key_in(&c, who, owner, key));
}

// ---- revoking ----------------------------------------------------------------------------------

static tk_status may_revoke(const tk_cameo_store *s, const tk_lender *p, int64_t user)
{
    if (user == 0 || user == s->uid || (p->owner >= 0 && user == p->owner)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "@%s: is not yours to revoke: it is its owner's, the server's and "
                   "root's",
                   p->who.name);
}

// A log that does not hold gets no further line.
static tk_status note_end(changing *c, int64_t user, const tk_wish *w)
{
    tk_lender *p = &c->p;
    const tk_status st =
        tk_history_read(&p->folder, p->who.name, c->s->server->open, &c->a, &p->history);
    const int64_t n = p->history.n;
    if (st == TK_OK && n && p->history.line[n - 1].event == TK_CAMEO_REVOKED) return TK_OK;
    if (st == TK_OK)
        return tell_history(c, TK_CAMEO_REVOKED, user, w ? "as its owner wishes" : "",
                            w ? w->hash : "");
    if (st == TK_INPUT) tk_status_clear();
    return st == TK_INPUT ? TK_OK : st;
}

// The key goes first; what comes after is of no use to anybody without it.
// `wish`: in the place of a user; NULL: it is none.
static tk_status revoke_in(changing *c, const tk_handle *who, int64_t user, const tk_wish *wish)
{
    const tk_cameo_store *s = c->s;
    tk_lender *p = &c->p;
    char name[TK_HANDLE + 8], words[1024];
    const tk_status holds = tk_lender_open(s, who, true, &c->a, p);
    // The owner is known by a log that holds, if anybody ever enrolled; and so is the owner's key.
    c->judged = holds == TK_OK || p->folder.fd < 0 || p->owner >= 0;
    if (p->folder.fd < 0) return holds;
    snprintf(words, sizeof words, "%s", holds == TK_OK ? "" : tk_status_message());
    if (wish && !c->judged) return holds;
    TK_TRY(wish ? tk_wish_counts(wish, p) : may_revoke(s, p, user));
    snprintf(name, sizeof name, "%s.key", who->name);
    TK_TRY(tk_folder_destroy(&s->keys, name));
    for (int k = 0; k < TK_CAMEO_KINDS; k++)
        TK_TRY(tk_folder_destroy(&p->folder, tk_reference_name[k]));
    TK_TRY(note_end(c, wish ? p->owner : user, wish));
    TK_TRY(tk_folder_destroy(&p->folder, "card"));
    TK_TRY(tk_folder_destroy(&p->folder, tk_consent_name));
    TK_TRY(tk_folder_destroy(&p->folder, tk_consent_next));
    c->revoked = true;
    if (holds == TK_OK) return TK_OK;
    if (!wish)
        return TK_FAIL(TK_INPUT, "@%s: is revoked, its key destroyed; but before that: %s",
                       who->name, words);
    tk_log_warn("@%s: before it was revoked: %s", who->name, words);
    return TK_OK;
}

tk_status tk_cameo_revoke(const tk_cameo_store *s, const tk_handle *who, int64_t user, bool *done)
{
    changing c = begin_changing(s);
    const tk_status st = end_changing(&c, revoke_in(&c, who, user, NULL));
    if (done) *done = c.revoked;
    return st;
}

tk_status tk_cameo_revoke_as_wished(const tk_cameo_store *s, const tk_wish *w, bool *judged)
{
    changing c = begin_changing(s);
    const tk_status st = end_changing(&c, revoke_in(&c, &w->who, -1, w));
    *judged = c.judged;
    return st;
}
