// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/wish.h"
#include "infer/cameo/use.h"
#include <string.h>
#include <time.h>

tk_status tk_wish_sign(const tk_handle *who, int64_t at, int64_t until, const tk_seal_pair *by,
                       tk_arena *a, char **out)
{
    unsigned char once[16]; // two of one second are not the same
    char hex[2 * sizeof once + 1];
    tk_seal_random(once, sizeof once);
    tk_seal_hex(once, sizeof once, hex);
    char *text = tk_arena_printf(
        a, "talkie wish: 1\nhandle: %s\nwish: revoke\nat: %lld\nuntil: %lld\nonce: %s\n", who->name,
        (long long)at, (long long)until, hex);
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
           tk_paper_next(&at, "once", value) && !strncmp(at, "signature: ", 11);
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
