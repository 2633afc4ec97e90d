// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/person.h"
#include "infer/cameo/store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const tk_reference_name[TK_CAMEO_KINDS] = {"face", "voice"};
const char tk_consent_name[] = "consent", tk_consent_next[] = "consent.next";

// ---- papers ------------------------------------------------------------------------------------

tk_status tk_card_print(const char *handle, const tk_cameo_card *x, tk_arena *a, char **out)
{
    *out = tk_arena_printf(a,
                           "talkie cameo: 1\nhandle: %s\nowner: %lld\nenrolled: %lld\nby: %s\n"
                           "face: %s\nvoice: %s\n",
                           handle, (long long)x->owner, (long long)x->enrolled, x->by,
                           x->reference[TK_CAMEO_FACE], x->reference[TK_CAMEO_VOICE]);
    return *out ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a card");
}

static bool read_word(const char **at, const char *key, char *out, size_t room)
{
    char value[TK_PAPER_VALUE];
    return tk_paper_next(at, key, value) && snprintf(out, room, "%s", value) < (int)room;
}

static bool take_card(const char *text, const char *handle, tk_cameo_card *out)
{
    char value[TK_PAPER_VALUE];
    const char *at = text;
    bool fits = tk_paper_next(&at, "talkie cameo", value) && !strcmp(value, "1") &&
                tk_paper_next(&at, "handle", value) && !strcmp(value, handle) &&
                tk_paper_number(&at, "owner", &out->owner) &&
                tk_paper_number(&at, "enrolled", &out->enrolled) &&
                read_word(&at, "by", out->by, sizeof out->by);
    for (int k = 0; k < TK_CAMEO_KINDS && fits; k++)
        fits = read_word(&at, tk_reference_name[k], out->reference[k], TK_PAPER_HASH);
    return fits && !strncmp(at, "signature: ", 11);
}

tk_status tk_consent_print(const char *handle, const char *card, const tk_consent *x, tk_arena *a,
                           char **out)
{
    unsigned char one[16];
    char id[2 * sizeof one + 1], users[TK_PAPER_VALUE] = "", words[TK_USE_WORDS];
    tk_seal_random(one, sizeof one); // no two are the same paper
    tk_seal_hex(one, sizeof one, id);
    for (int i = 0; i < x->n && !x->everyone; i++)
        snprintf(users + strlen(users), sizeof users - strlen(users), "%s%lld", i ? " " : "",
                 (long long)x->user[i]);
    *out =
        tk_arena_printf(a,
                        "talkie consent: 1\nhandle: %s\ncard: %s\nusers: %s\nuses: %s\n"
                        "from: %lld\nuntil: %lld\nnumber: %s\n",
                        handle, card, x->everyone ? "everyone" : users, tk_uses_say(x->uses, words),
                        (long long)x->from, (long long)x->until, id);
    return *out ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a consent");
}

bool tk_uses_read(const char *words, unsigned *uses)
{
    *uses = 0;
    for (const char *at = words; *at;) {
        const size_t n = strcspn(at, ", ");
        int k = 0;
        while (k < TK_USES && (strlen(tk_use_name[k]) != n || strncmp(at, tk_use_name[k], n))) k++;
        if (k == TK_USES) return false;
        *uses |= 1u << k;
        at += n;
        at += strspn(at, ", ");
    }
    return *uses != 0;
}

static bool take_users(const char *words, tk_consent *out)
{
    out->everyone = !strcmp(words, "everyone");
    for (const char *at = words; *at && !out->everyone;) {
        char *end;
        if (out->n == TK_CONSENT_USERS || strspn(at, "0123456789") == 0) return false;
        errno = 0;
        out->user[out->n++] = strtoll(at, &end, 10);
        if (errno || (*end && *end != ' ')) return false;
        at = *end ? end + 1 : end;
    }
    return out->everyone || out->n > 0;
}

static bool take_consent(const char *text, const char *handle, const char *card, tk_consent *out)
{
    char value[TK_PAPER_VALUE];
    const char *at = text;
    return tk_paper_next(&at, "talkie consent", value) && !strcmp(value, "1") &&
           tk_paper_next(&at, "handle", value) && !strcmp(value, handle) &&
           tk_paper_next(&at, "card", value) && !strcmp(value, card) &&
           tk_paper_next(&at, "users", value) && take_users(value, out) &&
           tk_paper_next(&at, "uses", value) && tk_uses_read(value, &out->uses) &&
           tk_paper_number(&at, "from", &out->from) && tk_paper_number(&at, "until", &out->until) &&
           tk_paper_next(&at, "number", value) && !strncmp(at, "signature: ", 11);
}

// ---- what the log says is in force --------------------------------------------------------------

typedef struct in_force {
    const char *card, *consent; // hashes; NULL: none
} in_force;

static in_force find_in_force(tk_lender *p)
{
    in_force x = {0};
    p->owner = -1;
    for (int64_t i = 0; i < p->history.n; i++) {
        const tk_cameo_line *line = &p->history.line[i];
        if (line->event == TK_CAMEO_ENROLLED) {
            x = (in_force){line->paper, NULL};
            if (p->owner < 0) p->owner = line->user;
            p->since = line->time;
            p->has_owner_key = false;
        }
        if (line->event == TK_CAMEO_GRANTED) x.consent = line->paper;
        if (line->event == TK_CAMEO_KEYED)
            p->has_owner_key =
                tk_seal_unhex(line->what, strlen(line->what), p->owner_key, sizeof p->owner_key);
        if (line->event == TK_CAMEO_REVOKED) x = (in_force){0};
    }
    return x;
}

// *right: it is the paper that has this hash.
static tk_status find_paper(const tk_lender *p, const char *name, const char *want, tk_arena *a,
                            char **text, bool *there, bool *right)
{
    size_t bytes = 0;
    char hash[TK_PAPER_HASH] = "";
    TK_TRY(tk_folder_read(&p->folder, name, TK_PAPER_BYTES, a, text, &bytes, there));
    if (*there) tk_paper_hash(*text, bytes, hash);
    *right = *there && !strcmp(hash, want);
    return TK_OK;
}

static tk_status is_not_in_force(const tk_lender *p, const char *name, bool there)
{
    return TK_FAIL(TK_INPUT, "@%s: its %s is not the one that its log says is in force%s",
                   p->who.name, name, there ? ": it was changed, or is an earlier one" : "");
}

static tk_status read_card(const tk_cameo_store *s, tk_lender *p, const char *hash, tk_arena *a)
{
    char *text;
    bool there, right;
    TK_TRY(find_paper(p, "card", hash, a, &text, &there, &right));
    if (!right) return is_not_in_force(p, "card", there);
    snprintf(p->card.hash, sizeof p->card.hash, "%s", hash);
    p->enrolled = tk_paper_holds(text, s->server->open) && take_card(text, p->who.name, &p->card);
    return p->enrolled
               ? TK_OK
               : TK_FAIL(TK_INPUT, "@%s: its card is not signed by the server", p->who.name);
}

// One whose run died behind the log's line is still beside the one before; who writes puts it into
// its place.
static tk_status find_consent(const tk_lender *p, const char *hash, bool writes, tk_arena *a,
                              char **text)
{
    bool there, next, right;
    TK_TRY(find_paper(p, tk_consent_name, hash, a, text, &there, &right));
    if (right) return TK_OK;
    TK_TRY(find_paper(p, tk_consent_next, hash, a, text, &next, &right));
    if (!right) return is_not_in_force(p, tk_consent_name, there);
    return writes ? tk_folder_rename(&p->folder, tk_consent_next, tk_consent_name) : TK_OK;
}

static tk_status read_consent(const tk_cameo_store *s, tk_lender *p, const char *hash, bool writes,
                              tk_arena *a)
{
    char *text;
    TK_TRY(find_consent(p, hash, writes, a, &text));
    snprintf(p->consent.hash, sizeof p->consent.hash, "%s", hash);
    p->forged = !s->has_registrar || !tk_paper_holds(text, s->registrar);
    p->consents = take_consent(text, p->who.name, p->card.hash, &p->consent);
    return p->consents
               ? TK_OK
               : TK_FAIL(TK_INPUT, "@%s: its consent is of another enrolment, or no consent",
                         p->who.name);
}

static tk_status read_person(const tk_cameo_store *s, bool writes, tk_arena *a, tk_lender *p)
{
    char key[TK_HANDLE + 8];
    struct stat at;
    TK_TRY(tk_folder_lock(&p->folder, writes));
    TK_TRY(tk_history_read(&p->folder, p->who.name, s->server->open, a, &p->history));
    const in_force x = find_in_force(p);
    snprintf(key, sizeof key, "%s.key", p->who.name);
    p->has_key = s->keys.fd < 0 || fstatat(s->keys.fd, key, &at, AT_SYMLINK_NOFOLLOW) == 0;
    if (x.card) TK_TRY(read_card(s, p, x.card, a));
    return x.consent ? read_consent(s, p, x.consent, writes, a) : TK_OK;
}

tk_status tk_lender_open(const tk_cameo_store *s, const tk_handle *who, bool writes, tk_arena *a,
                         tk_lender *out)
{
    bool there;
    *out = (tk_lender){.who = *who, .owner = -1};
    TK_TRY(tk_folder_enter(&s->people, who->name, &out->folder, &there));
    if (!there) return TK_FAIL(TK_INPUT, "@%s: nobody of that handle has enrolled", who->name);
    return read_person(s, writes, a, out);
}

void tk_lender_close(tk_lender *p)
{
    tk_folder_close(&p->folder);
}

tk_standing tk_lender_standing(const tk_lender *p, const char *paper)
{
    tk_standing x = TK_STANDING_NONE;
    for (int64_t i = 0; i < p->history.n; i++) {
        const tk_cameo_line *line = &p->history.line[i];
        const bool begins = line->event == TK_CAMEO_ENROLLED || line->event == TK_CAMEO_GRANTED;
        if (begins && !strcmp(line->paper, paper)) x = TK_STANDING_NOW;
        if (x == TK_STANDING_NOW && line->event == TK_CAMEO_REVOKED) x = TK_STANDING_PAST;
    }
    return x;
}
