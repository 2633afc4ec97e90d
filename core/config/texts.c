// SPDX-License-Identifier: Apache-2.0
// Where options were given, and the strings of a config with these places. A config is read from
// several files, one over the other, and what is known of a file is gone once it is read: places
// are noted then, as a list of which the last of a name counts.
#include "core/config/load.h"
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

typedef struct tk_config_places {
    uint64_t name; // hash of one option's: there may be thousands to be looked for
    const char *at;
    struct tk_config_places *next;
} tk_config_places;

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
    tk_config_places *p;
    tk_arena *a = &v->c->arena;
    if (!from || !from->given) return TK_OK;
    TK_ARENA_NEW(p, a, 1);
    p->name = XXH3_64bits(name, strlen(name));
    p->at = !from->at.file
                ? tk_arena_strdup(a, "command line")
                : tk_arena_printf(a, "%.255s:%d:%d", from->at.file, from->at.line, from->at.column);
    if (!p->at) return TK_FAIL(TK_MEMORY, "out of memory for places");
    p->next = v->c->places;
    v->c->places = p;
    return TK_OK;
}

const char *tk_config_place(const tk_config *c, const char *name)
{
    const uint64_t wanted = XXH3_64bits(name, strlen(name));
    for (const tk_config_places *p = c->places; p; p = p->next)
        if (p->name == wanted) return p->at;
    return "";
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
        if (!v->l && text) TK_TRY(visit_text(v, name, tk_option_at(o, base)));
        if (o->kind != TK_OPT_ITEMS) continue;
        const int64_t n = *tk_option_count_at(o, base);
        for (int64_t k = 0; k < n; k++) {
            char item[TK_NAME_MAX];
            snprintf(item, sizeof item, "%.160s[%" PRId64 "]", name, k);
            const tk_source *own = s && s->item ? &s->item[k] : NULL;
            if (v->l) TK_TRY(note_place(v, item, own));
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
