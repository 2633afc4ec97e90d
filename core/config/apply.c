// SPDX-License-Identifier: Apache-2.0
// A file's nodes and the command line's overrides, applied to a struct by way of its table. Items
// of lists are structs with tables as well: what holds for the config holds for them.
#include "core/config/load.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct scope { // a struct being read
    const tk_table *table;
    void *base;
    tk_source *source;
    const char *name; // "" of the outermost, "shots[2]" of an item
} scope;

static scope outermost(tk_loading *l)
{
    return (scope){l->table, l->base, &l->source, ""};
}

static tk_source *source_of(const scope *s, const tk_option *o)
{
    return &s->source->row[tk_table_index(s->table, o)];
}

// "shots[2].prompt" for "prompt" in the scope "shots[2]".
static const char *full_name(const scope *s, const char *key, char out[TK_NAME_MAX])
{
    snprintf(out, TK_NAME_MAX, "%.95s%s%.95s", s->name, *s->name ? "." : "", key);
    return out;
}

static scope item_of(const scope *s, const tk_option *o, int64_t i, char name[TK_NAME_MAX])
{
    char list[TK_NAME_MAX];
    snprintf(name, TK_NAME_MAX, "%.160s[%" PRId64 "]", full_name(s, o->name, list), i);
    return (scope){o->items, tk_option_item(o, s->base, i), &source_of(s, o)->item[i], name};
}

tk_status tk_loading_open(tk_loading *l)
{
    tk_arena_init(&l->scratch, 0);
    if (!l->wrong) {
        l->own = tk_wrong_of(NULL, "", &l->scratch);
        l->wrong = &l->own;
    }
    TK_ARENA_NEW(l->source.row, &l->scratch, tk_table_rows(l->table));
    return TK_OK;
}

// Gives a list `n` items, the first of them those it has; new ones hold defaults.
static tk_status resize(tk_loading *l, const scope *s, const tk_option *o, int64_t n)
{
    const size_t bytes = o->items->bytes;
    const int64_t had = *tk_option_count_at(o, s->base), kept = had < n ? had : n;
    tk_source *from = source_of(s, o), *item;
    char *array; // (n) structs of `bytes`
    TK_ARENA_NEW(array, l->arena, (n ? n : 1) * (int64_t)bytes);
    TK_ARENA_NEW(item, &l->scratch, n ? n : 1);
    if (kept) memcpy(array, tk_option_item(o, s->base, 0), (size_t)kept * bytes);
    for (int64_t i = 0; i < n; i++) {
        if (i < kept && from->item) item[i] = from->item[i];
        if (i >= kept) tk_table_default(o->items, array + (size_t)i * bytes);
        if (!item[i].row) TK_ARENA_NEW(item[i].row, &l->scratch, tk_table_rows(o->items));
    }
    *(void **)tk_option_at(o, s->base) = array;
    *tk_option_count_at(o, s->base) = n;
    from->item = item;
    from->n_items = n;
    return TK_OK;
}

// ---- a file ----

static tk_status apply_mapping(tk_loading *l, const scope *s, const tk_yaml_node *map,
                               const char *section);

// A key as text, behind its section; false after an error line about it.
static tk_status key_text(tk_loading *l, const scope *s, const tk_yaml_node *key,
                          const char *section, char word[TK_NAME_MAX], bool *ok)
{
    char shown[96];
    *ok = key->kind == TK_NODE_SCALAR;
    if (!*ok) {
        s->source->bad = true;
        return tk_config_error(l, key->at, NULL, "a key must be a word");
    }
    tk_config_shown(key->text, key->bytes, shown);
    snprintf(word, TK_NAME_MAX, "%.95s%s%s", section, *section ? "." : "", shown);
    return TK_OK;
}

// A key of the config ("stage", "stage.clips") under the name that its section has today.
static void rename_section(tk_loading *l, const scope *s, char *word, size_t size)
{
    char before[TK_NAME_MAX], rest[TK_NAME_MAX];
    const size_t n = strcspn(word, ".");
    snprintf(before, sizeof before, "%.*s", (int)n, word);
    const char *now = s->table == &tk_config_table ? tk_option_section_now(before) : NULL;
    if (!now) return;
    snprintf(rest, sizeof rest, "%s", word + n);
    snprintf(word, size, "%s%.96s", now, rest);
    l->renamed = now;
}

static void rename_option(tk_loading *l, const scope *s, char *word, size_t size)
{
    const char *now = s->table == &tk_config_table ? tk_option_now(word) : NULL;
    if (!now) return;
    snprintf(word, size, "%s", now);
    l->renamed_option = now;
}

// The names of a table's options, as "prompt, seconds"; NULL for want of memory.
static const char *list_keys(tk_loading *l, const tk_table *t)
{
    tk_text keys = tk_text_in(&l->scratch);
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)); i++)
        tk_text_addf(&keys, "%s%s", i ? ", " : "", o->name);
    return keys.s;
}

// A name that is near to none: where those stand that there are.
static tk_status nothing_like(tk_loading *l, const scope *s, tk_place at, const char *name,
                              const char *what)
{
    if (s->table == &tk_config_table)
        return tk_config_error(l, at, name, "%s; see %s", what,
                               l->command ? "--help" : "talkie --options");
    const char *keys = list_keys(l, s->table);
    if (!keys) return TK_FAIL(TK_MEMORY, "out of memory for messages");
    return tk_config_error(l, at, name, "%s; there are %s", what, keys);
}

static tk_status unknown_key(tk_loading *l, const scope *s, tk_place at, const tk_yaml_node *value,
                             const char *word, unsigned command)
{
    bool section = value && value->kind == TK_NODE_MAPPING && !strchr(word, '.');
    char name[TK_NAME_MAX], near[TK_NAME_MAX];
    s->source->bad = true;
    const char *like = tk_option_nearest(s->table, word, command, section);
    if (section && !*like) { // a table without sections
        section = false;
        like = tk_option_nearest(s->table, word, command, false);
    }
    full_name(s, word, name);
    if (!*like) return nothing_like(l, s, at, name, section ? "no such section" : "no such option");
    full_name(s, like, near);
    TK_TRY(tk_wrong_doubt(l->wrong, near)); // it may be what is meant
    return tk_config_error(l, at, name, "no such %s; did you mean %s?",
                           section ? "section" : "option", near);
}

static tk_status apply_item(tk_loading *l, const scope *s, const tk_yaml_node *item)
{
    *s->source = (tk_source){.at = item->at, .given = true, .row = s->source->row};
    if (item->kind == TK_NODE_MAPPING) return apply_mapping(l, s, item, "");
    const char *keys = list_keys(l, s->table);
    if (!keys) return TK_FAIL(TK_MEMORY, "out of memory for messages");
    s->source->bad = true;
    return tk_config_error(l, item->at, s->name, "a %s wants keys: %s", s->table->one, keys);
}

static tk_status set_items(tk_loading *l, const scope *s, const tk_option *o, const tk_yaml_node *v,
                           bool *ok)
{
    char name[TK_NAME_MAX];
    const char *one = o->items->one;
    int64_t n = 0, i = 0;
    full_name(s, o->name, name);
    *ok = false;
    if (v->kind != TK_NODE_SEQUENCE)
        return tk_config_error(l, v->at, name, "wants a list of %ss (\"- %s: ...\" and so on)", one,
                               tk_table_row(o->items, 0)->name);
    for (const tk_yaml_node *x = v->first; x; x = x->next) n++;
    if (n > o->imax)
        return tk_config_error(l, v->at, name, "%" PRId64 " %ss; the most is %" PRId64, n, one,
                               o->imax);
    *tk_option_count_at(o, s->base) = 0;
    TK_TRY(resize(l, s, o, n));
    *ok = true;
    for (const tk_yaml_node *x = v->first; x && !tk_config_full(l); x = x->next, i++) {
        const scope item = item_of(s, o, i, name);
        TK_TRY(apply_item(l, &item, x));
        if (item.source->bad) s->source->bad = true;
    }
    return TK_OK;
}

// Where each item of a list of strings or of numbers stands.
static tk_status place_items(tk_loading *l, const tk_option *o, const tk_yaml_node *v,
                             tk_source *from)
{
    const bool list = o->kind == TK_OPT_STRINGS || o->kind == TK_OPT_INTS;
    const bool several = v->kind == TK_NODE_SEQUENCE;
    const tk_yaml_node *const first = several ? v->first : v;
    from->n_items = several ? 0 : 1;
    if (!list || v->kind == TK_NODE_MAPPING) from->n_items = 0;
    for (const tk_yaml_node *x = first; list && several && x; x = x->next) from->n_items++;
    TK_ARENA_NEW(from->item, &l->scratch, from->n_items + 1);
    const tk_yaml_node *x = first;
    for (int64_t i = 0; i < from->n_items; i++, x = x->next)
        from->item[i] = (tk_source){.at = x->at, .given = true};
    return TK_OK;
}

static tk_status set_option(tk_loading *l, const scope *s, const tk_option *o,
                            const tk_yaml_node *key, const tk_yaml_node *value)
{
    char name[TK_NAME_MAX];
    tk_source *from = source_of(s, o);
    full_name(s, o->name, name);
    if (from->given && from->at.file && from->at.file == key->at.file)
        return tk_config_error(l, key->at, name, "given twice; first at line %d", from->at.line);
    bool ok;
    TK_TRY(o->kind == TK_OPT_ITEMS ? set_items(l, s, o, value, &ok)
                                   : tk_config_set(l, o, s->base, value, name, &ok));
    if (o->kind != TK_OPT_ITEMS) TK_TRY(place_items(l, o, value, from));
    from->at = value->at;
    from->given = true;
    from->bad = !ok;
    if (!ok) s->source->bad = true;
    return TK_OK;
}

// Is `key` among the keys before it in its mapping? (Few: errors stop the reading soon.)
static const tk_yaml_node *earlier(const tk_yaml_node *map, const tk_yaml_node *key)
{
    for (const tk_yaml_node *k = map->first; k != key; k = k->next->next)
        if (k->kind == TK_NODE_SCALAR && k->bytes == key->bytes &&
            memcmp(k->text, key->text, k->bytes) == 0)
            return k;
    return NULL;
}

static tk_status apply_section(tk_loading *l, const scope *s, const tk_yaml_node *value,
                               const char *section)
{
    char name[TK_NAME_MAX];
    if (value->kind == TK_NODE_MAPPING) return apply_mapping(l, s, value, section);
    if (value->kind == TK_NODE_SCALAR && value->bytes == 0 && !value->quoted) return TK_OK;
    s->source->bad = true;
    return tk_config_error(l, value->at, full_name(s, section, name),
                           "is a section: give its options below it, indented");
}

static tk_status apply_mapping(tk_loading *l, const scope *s, const tk_yaml_node *map,
                               const char *section)
{
    for (const tk_yaml_node *key = map->first; key && !tk_config_full(l); key = key->next->next) {
        const tk_yaml_node *value = key->next;
        char word[TK_NAME_MAX], name[TK_NAME_MAX];
        bool ok;
        TK_TRY(key_text(l, s, key, section, word, &ok));
        if (!ok) continue;
        if (!*section) rename_section(l, s, word, sizeof word);
        rename_option(l, s, word, sizeof word);
        const tk_yaml_node *first = earlier(map, key);
        const tk_option *o = tk_option_find(s->table, word);
        if (first)
            TK_TRY(tk_config_error(l, key->at, full_name(s, word, name),
                                   "given twice; first at line %d", first->at.line));
        else if (o)
            TK_TRY(set_option(l, s, o, key, value));
        else if (!*section && tk_option_is_section(s->table, word))
            TK_TRY(apply_section(l, s, value, word));
        else
            TK_TRY(unknown_key(l, s, key->at, value, word, 0));
    }
    return TK_OK;
}

tk_status tk_config_apply(tk_loading *l, const tk_yaml_node *root)
{
    const scope s = outermost(l);
    if (root->kind == TK_NODE_MAPPING) return apply_mapping(l, &s, root, "");
    if (root->kind == TK_NODE_SCALAR && root->bytes == 0 && !root->quoted) return TK_OK;
    return tk_config_error(l, root->at, NULL, "not a %s: wants keys, such as \"%s:\"",
                           l->table->one, tk_table_row(l->table, 0)->name);
}

// ---- key=value ----

static const tk_place command_line = {0};

// Strings between commas, as a list.
static tk_status split(tk_loading *l, const char *text, tk_yaml_node *list)
{
    list->kind = TK_NODE_SEQUENCE;
    for (const char *at = text;; at++) {
        tk_yaml_node *item;
        TK_ARENA_NEW(item, &l->scratch, 1);
        const size_t n = strcspn(at, ",");
        char *copy;
        TK_ARENA_NEW(copy, &l->scratch, (int64_t)n + 1);
        memcpy(copy, at, n);
        item->text = copy;
        item->bytes = n;
        item->quoted = true;
        if (list->last)
            list->last->next = item;
        else
            list->first = item;
        list->last = item;
        at += n;
        if (!*at) return TK_OK;
    }
}

// The value as nodes: lists are split at commas, or read as YAML when they begin with a bracket.
// NULL after an error line.
static tk_status override_value(tk_loading *l, const tk_option *o, const char *text,
                                tk_yaml_node **out)
{
    const bool several = o->kind == TK_OPT_STRINGS || o->kind == TK_OPT_INTS;
    *out = NULL;
    if ((several || o->kind == TK_OPT_ITEMS || o->kind == TK_OPT_SIZE) && *text == '[')
        return tk_config_read_yaml(l, text, strlen(text), NULL, out);
    tk_yaml_node *v;
    TK_ARENA_NEW(v, &l->scratch, 1);
    v->text = text;
    v->bytes = strlen(text);
    v->quoted = o->kind == TK_OPT_STRING;
    if (o->kind == TK_OPT_STRINGS && v->bytes) TK_TRY(split(l, text, v));
    if (o->kind == TK_OPT_INTS && strcspn(text, ",") < v->bytes) TK_TRY(split(l, text, v));
    *out = v;
    return TK_OK;
}

static tk_status override_in(tk_loading *l, const scope *s, const char *word, const char *text);

// "shots[2].prompt": word is all of it, o the option "shots".
static tk_status override_item(tk_loading *l, const scope *s, const tk_option *o, const char *word,
                               const char *text)
{
    char name[TK_NAME_MAX], list[TK_NAME_MAX];
    const int64_t had = *tk_option_count_at(o, s->base);
    const char *number = strchr(word, '[') + 1;
    char *end;
    const long i = strtol(number, &end, 10);
    full_name(s, o->name, list);
    if (end == number || end[0] != ']' || end[1] != '.')
        return tk_config_error(l, command_line, full_name(s, word, name),
                               "wants the form %s[0].%s=...", list,
                               tk_table_row(o->items, 0)->name);
    if (i < 0 || i > had || i >= o->imax)
        return tk_config_error(l, command_line, full_name(s, word, name),
                               "there are %" PRId64 " %ss; a new one is %s[%" PRId64 "]", had,
                               o->items->one, list, had);
    if (i == had || !source_of(s, o)->item) TK_TRY(resize(l, s, o, i == had ? had + 1 : had));
    const scope item = item_of(s, o, i, name);
    if (i == had) item.source->given = true;
    TK_TRY(override_in(l, &item, end + 2, text));
    if (item.source->bad) s->source->bad = true;
    return TK_OK;
}

// The section's first option that `command` has; NULL: it has none.
static const char *first_in_section(const tk_table *t, const char *section, unsigned command)
{
    const size_t n = strlen(section);
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)); i++)
        if (tk_option_of(o, command) && strncmp(o->name, section, n) == 0 && o->name[n] == '.')
            return o->name;
    return NULL;
}

static tk_status override_section(tk_loading *l, const scope *s, const char *name, const char *word,
                                  unsigned command)
{
    char one[TK_NAME_MAX];
    const char *first = first_in_section(s->table, word, command);
    if (!first) return nothing_like(l, s, command_line, name, "is a section of other commands");
    return tk_config_error(l, command_line, name, "is a section; name one of its options, as %s",
                           full_name(s, first, one));
}

// An option, but of others.
static tk_status override_foreign(tk_loading *l, const scope *s, const char *name, const char *word,
                                  unsigned command)
{
    const char *like = tk_option_nearest(s->table, word, command, false);
    char what[64];
    snprintf(what, sizeof what, "not an option of %s", tk_command_name(command));
    if (!*like) return nothing_like(l, s, command_line, name, what);
    return tk_config_error(l, command_line, name, "%s; did you mean %s?", what, like);
}

static tk_status override_in(tk_loading *l, const scope *s, const char *word, const char *text)
{
    char name[TK_NAME_MAX], list[TK_NAME_MAX];
    const unsigned command = *s->name ? 0 : l->command; // an item's rows are its list's
    const tk_option *o = tk_option_find(s->table, word);
    full_name(s, word, name);
    if (!o && tk_option_is_section(s->table, word))
        return override_section(l, s, name, word, command);
    const bool item = !o && strchr(word, '[');
    if (item) {
        snprintf(list, sizeof list, "%.*s", (int)strcspn(word, "["), word);
        o = tk_option_find(s->table, list);
        if (o && o->kind != TK_OPT_ITEMS) o = NULL;
    }
    if (!o) return unknown_key(l, s, command_line, NULL, word, command);
    if (!tk_option_of(o, command)) return override_foreign(l, s, name, word, command);
    if (item) return override_item(l, s, o, word, text);
    tk_yaml_node *v;
    const tk_yaml_node here = {.kind = TK_NODE_SCALAR};
    TK_TRY(override_value(l, o, text, &v));
    if (v) return set_option(l, s, o, &here, v);
    s->source->bad = source_of(s, o)->bad = true;
    return TK_OK;
}

tk_status tk_config_override(tk_loading *l, const char *key_value)
{
    char shown[96], word[TK_NAME_MAX];
    const scope s = outermost(l);
    const char *equals = strchr(key_value, '=');
    const size_t n = equals ? (size_t)(equals - key_value) : strlen(key_value);
    tk_config_shown(key_value, n, shown);
    if (!equals || n == 0)
        return tk_config_error(l, command_line, NULL, "\"%s\" is not of the form key=value", shown);
    snprintf(word, sizeof word, "%s", shown);
    rename_section(l, &s, word, sizeof word);
    rename_option(l, &s, word, sizeof word);
    if (strcmp(word, "base") == 0 && !tk_option_find(s.table, word))
        return tk_config_error(l, command_line, word,
                               "stands in a file only: \"base: other.yaml\"");
    return override_in(l, &s, word, equals + 1);
}
