// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/by_mark.h"
#include "core/base/log.h"
#include <string.h>

static bool tells_of(const tk_history *h, const char *mark)
{
    for (int64_t i = 0; i < h->n; i++)
        if (!strcmp(h->line[i].mark, mark)) return true;
    return false;
}

static tk_status read_person_history(const tk_cameo_store *s, const tk_handle *who, tk_arena *a,
                                     tk_history *out)
{
    tk_folder f;
    TK_TRY(tk_folder_enter(&s->people, who->name, &f, NULL));
    tk_status st = tk_folder_lock(&f, false);
    if (st == TK_OK) st = tk_history_read(&f, who->name, s->server->open, a, out);
    tk_folder_close(&f);
    return st;
}

// Whoever spoils a log of their own is not in the way of others.
static tk_status was_in(const tk_cameo_store *s, const tk_handle *who, const char *mark, bool *yes)
{
    tk_arena a;
    tk_history h = {0};
    tk_arena_init(&a, 0);
    const tk_status st = read_person_history(s, who, &a, &h);
    *yes = tells_of(&h, mark);
    tk_arena_free(&a);
    if (st != TK_INPUT) return st;
    tk_log_warn_once("@%s: does not hold, so that it may not tell all clips: %s", who->name,
                     tk_status_message());
    tk_status_clear();
    return TK_OK;
}

tk_status tk_cameo_by_mark(const tk_cameo_store *s, const char *mark, tk_arena *a, tk_handle **out,
                           int *n)
{
    int all;
    tk_handle *each;
    *n = 0;
    TK_TRY(tk_cameo_list(s, a, &each, &all));
    TK_ARENA_NEW(*out, a, all + 1);
    for (int i = 0; i < all; i++) {
        bool yes;
        TK_TRY(was_in(s, &each[i], mark, &yes));
        if (yes) (*out)[(*n)++] = each[i];
    }
    return TK_OK;
}
