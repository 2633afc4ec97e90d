// SPDX-License-Identifier: Apache-2.0
#include "infer/output/lent.h"
#include "infer/reel/files.h"
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

// Who runs a storyboard of somebody else's gets its clip, and may change what it says.
static tk_status find_users(tk_lent *l, const char *file, const char *top)
{
    int64_t uid;
    TK_TRY(tk_cameo_user_of(file, &uid));
    add_user(&l->ask, uid);
    TK_TRY(tk_cameo_user_of(top, &uid));
    add_user(&l->ask, uid);
    if ((int64_t)getuid() != l->store.uid) add_user(&l->ask, (int64_t)getuid());
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

static tk_status lend_all(tk_lent *l, tk_config *c, tk_arena *a)
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
            if (!strcmp(all[i].tag, c->story.cast[k].tag))
                return TK_FAIL(TK_INPUT, "cast[%lld]: <%s> is that of @%s; give it another number",
                               (long long)k, all[i].tag, all[i].handle);
    c->story.lent = all;
    c->story.n_lent = l->n;
    return TK_OK;
}

// ---- asking ------------------------------------------------------------------------------------

// What is kept of a clip that may not be goes; what was in the way of that is told in its place.
static tk_status unless_refused(const tk_lent *l, tk_status st, bool acts)
{
    char words[4096];
    if (st != TK_INPUT || !acts) return st;
    snprintf(words, sizeof words, "%s", tk_status_message());
    TK_TRY(tk_reel_files_remove(l->clip));
    tk_status_set(st, words);
    return st;
}

static tk_status ask_again(tk_lent *l)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    l->ask.time = time(NULL);
    const tk_status st = tk_cameos_ask(&l->store, &l->ask, &a, l->cameo);
    tk_arena_free(&a);
    return st;
}

static tk_status open_lent(tk_lent *l, tk_config *c, const char *file, const char *top,
                           const char *output, bool acts, tk_arena *a)
{
    const int n = (int)c->story.n_cameo;
    TK_ARENA_NEW(l->cameo, a, n);
    TK_TRY(name_clip(l, output, a));
    TK_TRY(find_users(l, file, top));
    l->ask.names = c->story.cameo;
    l->ask.n = n;
    TK_TRY(unless_refused(l, ask_again(l), acts));
    return lend_all(l, c, a);
}

tk_status tk_lent_open(tk_lent *l, tk_config *c, const char *file, const char *top,
                       const char *output, bool acts, tk_arena *a)
{
    *l = (tk_lent){.ask = {.n = 0}};
    if (c->story.n_cameo == 0) return TK_OK;
    if (c->story.n_cameo > TK_CAMEOS)
        return TK_FAIL(TK_INPUT, "cameo: names %lld people; at most %d are possible",
                       (long long)c->story.n_cameo, TK_CAMEOS);
    TK_TRY(tk_cameo_store_open(&c->consent, TK_STORE_TO_USE, &l->store));
    const tk_status st = open_lent(l, c, file, top, output, acts, a);
    if (st != TK_OK) tk_lent_close(l);
    return st;
}

void tk_lent_close(tk_lent *l)
{
    if (l->store.people.path[0]) tk_cameo_store_close(&l->store);
    for (int i = 0; i < l->n; i++) close(l->fd[i]);
    *l = (tk_lent){.ask = {.n = 0}};
}

tk_status tk_lent_stands(tk_lent *l)
{
    return l->ask.n ? unless_refused(l, ask_again(l), true) : TK_OK;
}

tk_status tk_lent_tell(tk_lent *l, tk_cameo_event event, const char *clip)
{
    if (l->ask.n == 0) return TK_OK;
    if (event == TK_CAMEO_USED) TK_TRY(tk_lent_stands(l));
    return tk_cameos_tell(&l->store, &l->ask, l->cameo, event, clip ? clip : l->clip);
}
