// SPDX-License-Identifier: Apache-2.0
// The strings of a config with the places where they were given, and the noting of all places.
#include "core/config/load.h"
#include <inttypes.h>
#include <string.h>

typedef struct text_walk { // of a struct
    unsigned command;      // 0: all
    const tk_loading *l;   // notes places of all options, and of lists' items and theirs,
    tk_config *c;          // ... in this config,
    tk_arena *a;           // ... or lists strings here
    tk_config_text **out;  // NULL: counts
    int64_t n;
} text_walk;

static tk_status note_place(const text_walk *v, const char *name, const tk_source *from)
{
    return from && from->given ? tk_config_note_place(v->c, name, from->at) : TK_OK;
}

static tk_status note_items(const text_walk *v, const char *name, const tk_source *list)
{
    for (int64_t k = 0; list && k < list->n_items; k++) {
        char item[TK_NAME_MAX];
        snprintf(item, sizeof item, "%.160s[%" PRId64 "]", name, k);
        TK_TRY(note_place(v, item, &list->item[k]));
    }
    return TK_OK;
}

static tk_status visit_text(text_walk *v, const char *name, char *const *at)
{
    if (!*at || !**at) return TK_OK;
    if (v->out) {
        tk_config_text *t = &(*v->out)[v->n];
        *t = (tk_config_text){tk_arena_strdup(v->a, name), at, ""};
        if (!t->name) return TK_FAIL(TK_MEMORY, "out of memory for names");
    }
    v->n++;
    return TK_OK;
}

static tk_status visit_struct(text_walk *v, const tk_table *t, void *base, const tk_source *from,
                              const char *before)
{
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)); i++) {
        char name[TK_NAME_MAX];
        const tk_source *s = from && from->row ? &from->row[i] : NULL;
        if (!*before && !tk_option_of(o, v->command)) continue;
        snprintf(name, sizeof name, "%.95s%s%.90s", before, *before ? "." : "", o->name);
        const bool text = o->kind == TK_OPT_STRING && !o->path;
        if (v->l) TK_TRY(note_place(v, name, s));
        if (v->l) TK_TRY(note_items(v, name, s));
        if (!v->l && text) TK_TRY(visit_text(v, name, tk_option_at(o, base)));
        if (o->kind != TK_OPT_ITEMS) continue;
        const int64_t n = *tk_option_count_at(o, base);
        for (int64_t k = 0; k < n; k++) {
            char item[TK_NAME_MAX];
            snprintf(item, sizeof item, "%.160s[%" PRId64 "]", name, k);
            const tk_source *own = s && s->item ? &s->item[k] : NULL;
            TK_TRY(visit_struct(v, o->items, tk_option_item(o, base, k), own, item));
        }
    }
    return TK_OK;
}

tk_status tk_config_note_places(const tk_loading *l)
{
    text_walk v = {.l = l, .c = l->base};
    return visit_struct(&v, l->table, l->base, &l->source, "");
}

tk_status tk_config_texts(const tk_config *c, unsigned command, tk_arena *a, tk_config_text **out,
                          int64_t *n)
{
    tk_config *all = (tk_config *)c; // nothing of it is changed
    text_walk v = {.command = command, .a = a};
    TK_TRY(visit_struct(&v, &tk_config_table, all, NULL, ""));
    TK_ARENA_NEW(*out, a, v.n + 1);
    v.out = out;
    v.n = 0;
    TK_TRY(visit_struct(&v, &tk_config_table, all, NULL, ""));
    *n = v.n;
    for (int64_t i = 0; i < v.n; i++) (*out)[i].place = tk_config_place(c, (*out)[i].name);
    return TK_OK;
}
