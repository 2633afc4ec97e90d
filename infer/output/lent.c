// SPDX-License-Identifier: Apache-2.0
#include "infer/output/lent.h"
#include "core/base/log.h"
#include "core/config/text.h"
#include "infer/reel/files.h"
#include "infer/reel/owner.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// ---- for whom ----------------------------------------------------------------------------------

static void add_user(tk_cameo_ask *x, int64_t uid)
{
    for (int i = 0; i < x->users; i++)
        if (x->user[i] == uid) return;
    x->user[x->users++] = uid;
}

// What this process wrote for somebody, as a spool does of a list, is that one's wish.
static tk_status add_owner(tk_lent *l, const char *file, const int64_t *asker)
{
    int64_t uid;
    TK_TRY(tk_cameo_user_of(file, &uid));
    if (!asker || uid != (int64_t)getuid()) add_user(&l->ask, uid);
    return TK_OK;
}

// Who runs a storyboard of somebody else's gets its clip, and may change what it says.
static tk_status find_users(tk_lent *l, const char *file, const char *top, const int64_t *asker)
{
    if (asker) add_user(&l->ask, *asker);
    TK_TRY(add_owner(l, file, asker));
    TK_TRY(add_owner(l, top, asker));
    if ((int64_t)getuid() != l->store.uid) add_user(&l->ask, (int64_t)getuid());
    memcpy(l->inherited.user, l->ask.user, sizeof l->ask.user);
    l->inherited.users = l->ask.users;
    return TK_OK;
}

static tk_status name_clip(tk_lent *l, const char *output, tk_arena *a)
{
    char here[PATH_MAX];
    if (*output != '/' && !getcwd(here, sizeof here))
        return TK_FAIL(TK_INPUT, "cameo: no working directory");
    l->clip =
        *output == '/' ? tk_arena_strdup(a, output) : tk_arena_printf(a, "%s/%s", here, output);
    return l->clip ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
}

// ---- references --------------------------------------------------------------------------------

static tk_status lend(tk_lent *l, int i, tk_reference_kind kind, tk_arena *a, tk_lent_config *out)
{
    const tk_cameo *k = &l->cameo[i];
    TK_TRY(tk_cameo_reveal(&l->store, k, kind, &l->fd[l->n]));
    *out = (tk_lent_config){
        .handle = k->who.name,
        .paper = k->paper,
        .tag = tk_arena_printf(a, "%s %d", kind == TK_CAMEO_FACE ? "face" : "voice", i + 1),
        .file = tk_arena_printf(a, "/proc/self/fd/%d", l->fd[l->n])};
    l->n++;
    return out->tag && out->file ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a cameo");
}

static tk_status lend_all(tk_lent *l, tk_wrong *w, tk_config *c, tk_arena *a)
{
    tk_lent_config *all;
    TK_ARENA_NEW(all, a, TK_CAMEO_KINDS * l->ask.n);
    TK_ARENA_NEW(l->fd, a, TK_CAMEO_KINDS * l->ask.n);
    for (int i = 0; i < l->ask.n; i++)
        for (int k = 0; k < TK_CAMEO_KINDS; k++)
            if (l->cameo[i].uses & (1u << k))
                TK_TRY(lend(l, i, (tk_reference_kind)k, a, &all[l->n]));
    for (int i = 0; i < l->n; i++)
        for (int64_t k = 0; k < c->story.n_cast; k++)
            if (!strcmp(all[i].tag, c->story.cast[k].tag)) {
                char name[48];
                snprintf(name, sizeof name, "cast[%lld].tag", (long long)k);
                tk_wrong_add(w, name, "<%s> is that of @%s; give it another number", all[i].tag,
                             all[i].handle);
            }
    c->story.lent = all;
    c->story.n_lent = l->n;
    return TK_OK;
}

// ---- who was there before ----------------------------------------------------------------------

static bool is_named_here(const tk_storyboard *b, const tk_handle *who)
{
    const size_t n = strlen(who->name);
    for (int64_t i = 0; i < b->n_cameo; i++) {
        const char *word = b->cameo[i] + (*b->cameo[i] == '@');
        if (!strncmp(word, who->name, n) && (word[n] == 0 || word[n] == ':')) return true;
    }
    return false;
}

// Asked for are all of them; those that the storyboard names come last.
static tk_status ask_for_shown(tk_lent *l, const tk_storyboard *b, tk_person_in *found, int n,
                               tk_arena *a)
{
    tk_person_in *sorted;
    char **names;
    int k = 0;
    TK_ARENA_NEW(sorted, a, n + 1);
    TK_ARENA_NEW(l->heir, a, n + 1);
    TK_ARENA_NEW(names, a, n + 1);
    for (int named = 0; named < 2; named++) {
        for (int i = 0; i < n; i++)
            if (is_named_here(b, &found[i].who) == named) sorted[k++] = found[i];
        if (!named) l->untold = k;
    }
    for (int i = 0; i < n; i++) names[i] = sorted[i].who.name;
    l->inherited = (tk_cameo_ask){.n = n, .names = names, .also = TK_USE_REMIX, .inherited = true};
    l->shown = sorted;
    return TK_OK;
}

static tk_status inherit_all(const tk_lent *l, tk_config *c, tk_arena *a)
{
    tk_inherited_config *all;
    TK_ARENA_NEW(all, a, l->untold + 1);
    for (int i = 0; i < l->untold; i++)
        all[i] = (tk_inherited_config){
            .handle = l->heir[i].who.name, .paper = l->heir[i].paper, .from = l->shown[i].file};
    c->story.inherited = all;
    c->story.n_inherited = l->untold;
    return TK_OK;
}

// "@ada is in first.mp4, @bo in sound.wav"
static const char *say_shown(const tk_person_in *x, int n, tk_arena *a)
{
    tk_text t = tk_text_in(a);
    for (int i = 0; i < n; i++) {
        tk_text_add(&t, i ? ", @" : "@");
        tk_text_add(&t, x[i].who.name);
        tk_text_add(&t, i ? " in " : " is in ");
        tk_text_add(&t, x[i].file);
    }
    return t.s ? t.s : "";
}

// ---- asking ------------------------------------------------------------------------------------

// Who was revoked is in no clip that could be gone on from to the bit.
static tk_status forget_person(const tk_lent *l, const tk_cameo *c)
{
    tk_arena a;
    tk_lender p;
    tk_arena_init(&a, 0);
    tk_status st = tk_lender_open(&l->store, &c->who, false, &a, &p);
    if (st == TK_OK) st = tk_people_forget_all(&p.history, &c->who);
    tk_lender_close(&p);
    tk_arena_free(&a);
    if (st == TK_INPUT) { // its log does not hold: that was told
        tk_status_clear();
        st = TK_OK;
    }
    return st == TK_OK ? tk_people_forget(l->clip, &c->who) : st;
}

static tk_status forget_gone(const tk_lent *l)
{
    for (int i = 0; i < l->ask.n; i++)
        if (l->cameo[i].gone) TK_TRY(forget_person(l, &l->cameo[i]));
    for (int i = 0; i < l->untold; i++)
        if (l->heir[i].gone) TK_TRY(forget_person(l, &l->heir[i]));
    return TK_OK;
}

// What is kept of a clip that may not be goes; what was in the way of that is told in its place.
static tk_status unless_refused(const tk_lent *l, tk_status st, bool acts)
{
    char words[8192];
    if (st != TK_INPUT || !acts) return st;
    snprintf(words, sizeof words, "%s", tk_status_message());
    TK_TRY(tk_reel_files_remove(l->clip));
    tk_reel_owner_bury(l->clip);
    TK_TRY(forget_gone(l));
    tk_status_set(st, words);
    return st;
}

static tk_status ask_inherited(tk_lent *l, tk_arena *a)
{
    char words[4200];
    const tk_status st = tk_cameos_ask(&l->store, &l->inherited, a, l->heir);
    if (st != TK_INPUT) return st;
    snprintf(words, sizeof words, "%s", tk_status_message());
    return TK_FAIL(TK_INPUT, "%s (%.2000s, which this goes on from)", words,
                   say_shown(l->shown, l->inherited.n, a));
}

// All that is missing at once, of those who are named and of those who were there before.
static tk_status ask_both(tk_lent *l, tk_arena *a)
{
    char words[4200] = "";
    tk_status st = tk_cameos_ask(&l->store, &l->ask, a, l->cameo);
    if (st != TK_INPUT) {
        TK_TRY(st);
        return ask_inherited(l, a);
    }
    snprintf(words, sizeof words, "%s", tk_status_message());
    st = ask_inherited(l, a);
    if (st != TK_OK && st != TK_INPUT) return st;
    return TK_FAIL(TK_INPUT, "%s%s%s", words, st == TK_OK ? "" : "; ",
                   st == TK_OK ? "" : tk_status_message());
}

static tk_status ask_again(tk_lent *l, bool acts)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    l->ask.time = l->inherited.time = time(NULL);
    tk_status st = acts ? tk_people_take_wishes(&l->store) : TK_OK;
    if (st == TK_OK) st = ask_both(l, &a);
    tk_arena_free(&a);
    return st;
}

static tk_status open_lent(tk_lent *l, tk_wrong *w, tk_config *c, const char *file, const char *top,
                           const int64_t *asker, const char *output, bool acts, tk_arena *a)
{
    const int before = w->n;
    const int n = (int)c->story.n_cameo;
    TK_ARENA_NEW(l->cameo, a, n + 1);
    TK_TRY(name_clip(l, output, a));
    TK_TRY(find_users(l, file, top, asker));
    l->ask.names = c->story.cameo;
    l->ask.n = n;
    TK_TRY(tk_wrong_with(w, "cameo", unless_refused(l, ask_again(l, acts), acts)));
    if (w->n > before) return TK_OK;
    TK_TRY(inherit_all(l, c, a));
    return lend_all(l, w, c, a);
}

static tk_status open_for_people(tk_lent *l, tk_wrong *w, tk_config *c, const char *file,
                                 const char *top, const int64_t *asker, const char *output,
                                 bool acts, tk_arena *a)
{
    const int before = w->n;
    TK_TRY(ask_for_shown(l, &c->story, l->people.person, l->people.n, a));
    tk_status st = tk_cameo_store_open(&c->consent, TK_STORE_TO_USE, &l->store);
    if (st != TK_OK) return tk_wrong_with(w, "consent.store", st);
    st = open_lent(l, w, c, file, top, asker, output, acts, a);
    if (st != TK_OK || w->n > before) tk_lent_close(l);
    return st;
}

tk_status tk_lent_open(tk_lent *l, tk_wrong *w, tk_config *c, const char *file, const char *top,
                       const int64_t *asker, const char *output, bool acts, tk_arena *a)
{
    const bool made = w->n == 0; // nothing is wrong with it so far
    *l = (tk_lent){.clip = NULL};
    if (c->story.n_cameo > TK_CAMEOS) {
        tk_wrong_add(w, "cameo", "names %lld people; at most %d are possible",
                     (long long)c->story.n_cameo, TK_CAMEOS);
        return TK_OK;
    }
    if (made) TK_TRY(tk_people_find(w, c, a, &l->people));
    if (c->story.n_cameo == 0 && l->people.n == 0) return TK_OK;
    if (l->people.n && !*c->consent.store) {
        tk_wrong_add(w, "consent.store",
                     "missing: %.1000s, which this goes on from, and that takes their consent to a "
                     "remix; name the folder in which their cameos are kept",
                     say_shown(l->people.person, l->people.n, a));
        return TK_OK;
    }
    return open_for_people(l, w, c, file, top, asker, output, acts && made && !w->n, a);
}

void tk_lent_close(tk_lent *l)
{
    if (l->store.people.path[0]) tk_cameo_store_close(&l->store);
    for (int i = 0; i < l->n; i++) close(l->fd[i]);
    *l = (tk_lent){.clip = NULL};
}

// ---- while it is made --------------------------------------------------------------------------

tk_status tk_lent_stands(tk_lent *l)
{
    return l->clip ? unless_refused(l, ask_again(l, true), true) : TK_OK;
}

static tk_status tell_all(const tk_lent *l, tk_cameo_event event, const char *clip)
{
    tk_cameo_ask named = l->ask, others = l->inherited;
    named.mark = others.mark = *l->mark ? l->mark : NULL;
    others.n = l->untold;
    TK_TRY(tk_cameos_tell(&l->store, &named, l->cameo, event, clip));
    return tk_cameos_tell(&l->store, &others, l->heir, event, clip);
}

tk_status tk_lent_tell(tk_lent *l, tk_cameo_event event, const char *clip)
{
    if (!l->clip) return TK_OK;
    if (event == TK_CAMEO_USED) TK_TRY(tk_lent_stands(l));
    return tell_all(l, event, clip ? clip : l->clip);
}

void tk_lent_tell_unmade(tk_lent *l, const char *clip, tk_status st)
{
    char words[4096];
    if (!l->clip) return;
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_status_clear();
    if (tell_all(l, TK_CAMEO_UNMADE, clip ? clip : l->clip) != TK_OK)
        tk_log_warn("%s.mp4 is not there, though logs may say that it was made: %s", l->clip,
                    tk_status_message());
    tk_status_clear();
    tk_status_set(st, words);
}

// Who revokes while the film is written finds it among those that were made.
tk_status tk_lent_look(tk_lent *l)
{
    const tk_status st = tk_lent_stands(l);
    if (st != TK_INPUT) return st;
    tk_log_warn("%s.mp4 was being written when: %s", l->clip, tk_status_message());
    tk_status_clear();
    return TK_OK;
}
