// SPDX-License-Identifier: Apache-2.0
#include "infer/gallery/takedown.h"
#include "core/config/load.h"
#include <stddef.h>
#include <string.h>

enum { TAKEDOWNS = 20000 };

#define OF tk_takedown_entry
#define TEXT(n, field, words)                                                                      \
    {                                                                                              \
        .name = n, .kind = TK_OPT_STRING, .offset = offsetof(OF, field), .sdef = "", .help = words \
    }
static const tk_option entry_rows[] = {
    TEXT("clip", clip, "label of its manifest, its number in the gallery, or its file's name"),
    TEXT("claim", claim,
         "digits of its manifest's claim, where no other clip of that label is meant"),
    TEXT("reason", reason, "why, as the gallery will say it"),
    TEXT("from", from, "who reported it"),
    TEXT("date", date, "when it was reported"),
};
static const tk_table entry_table = TK_TABLE(entry_rows, OF, "entry");
#undef OF

static const tk_option takedown_rows[] = {
    {.name = "takedown",
     .kind = TK_OPT_ITEMS,
     .items = &entry_table,
     .offset = offsetof(tk_takedown, entry),
     .count = offsetof(tk_takedown, n),
     .imax = TAKEDOWNS,
     .help = "clips to leave out"},
};
static const tk_table takedown_table = TK_TABLE(takedown_rows, tk_takedown, "list");

static tk_status check_takedown(tk_loading *l)
{
    const tk_takedown *t = l->base;
    const tk_source *list = &l->source.row[0];
    for (int64_t i = 0; i < t->n; i++)
        if (!*t->entry[i].clip)
            TK_TRY(
                tk_config_error(l, list->item[i].at, "takedown",
                                "an entry names no clip; it needs clip: LABEL or a file's name"));
    return TK_OK;
}

tk_status tk_takedown_load(const char *path, tk_arena *a, tk_takedown *out)
{
    *out = (tk_takedown){0};
    if (!*path) return TK_OK;
    tk_loading l = {.table = &takedown_table, .base = out, .arena = a, .file = path};
    TK_TRY(tk_table_load(&l, check_takedown));
    TK_ARENA_NEW(out->met, a, out->n + 1);
    return TK_OK;
}

const tk_takedown_entry *tk_takedown_find(tk_takedown *t, const char *name, const char *claim)
{
    for (int64_t i = 0; i < t->n; i++) {
        const tk_takedown_entry *e = &t->entry[i];
        if (strcmp(e->clip, name) || (*e->claim && strcmp(e->claim, claim))) continue;
        t->met[i]++;
        return e;
    }
    return NULL;
}
