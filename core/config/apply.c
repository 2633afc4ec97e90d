// SPDX-License-Identifier: Apache-2.0
// A file's nodes and the command line's overrides, applied to the config by way of the table.
#include "core/config/table.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static tk_source *source_of(tk_loading *l, const tk_option *o)
{
    return &l->source[o - tk_options];
}

// A key as text, with its place; NULL after an error line about it.
static tk_status key_text(tk_loading *l, const tk_node *key, const char *prefix, char name[192],
                          bool *ok)
{
    char shown[96];
    *ok = false;
    if (key->kind != TK_NODE_SCALAR)
        return tk_config_error(l, key->line, key->column, NULL, "a key must be a word");
    tk_config_shown(key->text, key->bytes, shown);
    snprintf(name, 192, "%s%s%s", prefix, *prefix ? "." : "", shown);
    *ok = true;
    return TK_OK;
}

// A key of the top level ("stage", "stage.clips") under the name that its section has today.
static void rename_section(tk_loading *l, char *name, size_t size)
{
    char before[192], rest[192];
    const size_t n = strcspn(name, ".");
    snprintf(before, sizeof before, "%.*s", (int)n, name);
    const char *now = tk_option_section_now(before);
    if (!now) return;
    snprintf(rest, sizeof rest, "%s", name + n);
    snprintf(name, size, "%s%.96s", now, rest);
    l->renamed = now;
}

static tk_status unknown(tk_loading *l, const tk_node *key, const tk_node *value, const char *name,
                         unsigned command)
{
    bool section = value && value->kind == TK_NODE_MAPPING && !strchr(name, '.');
    return tk_config_error(l, key->line, key->column, name, "no such %s; did you mean %s?",
                           section ? "section" : "option",
                           tk_option_nearest(name, command, section));
}

static tk_status set_option(tk_loading *l, const tk_option *o, const tk_node *key,
                            const tk_node *value)
{
    tk_source *from = source_of(l, o);
    if (from->given && key->line > 0)
        return tk_config_error(l, key->line, key->column, o->name, "given twice; first at line %d",
                               from->line);
    bool ok;
    TK_TRY(tk_config_set(l, o, l->config, value, o->name, &ok));
    *from = (tk_source){value->line, value->column, true, !ok};
    return TK_OK;
}

// Is `key` among the keys before it in its mapping? (Few: errors stop the reading soon.)
static const tk_node *earlier(const tk_node *map, const tk_node *key)
{
    for (const tk_node *k = map->first; k != key; k = k->next->next)
        if (k->kind == TK_NODE_SCALAR && k->bytes == key->bytes &&
            memcmp(k->text, key->text, k->bytes) == 0)
            return k;
    return NULL;
}

static tk_status apply_mapping(tk_loading *l, const tk_node *map, const char *prefix);

static tk_status apply_section(tk_loading *l, const tk_node *value, const char *name)
{
    if (value->kind == TK_NODE_MAPPING) return apply_mapping(l, value, name);
    if (value->kind == TK_NODE_SCALAR && value->bytes == 0 && !value->quoted) return TK_OK;
    return tk_config_error(l, value->line, value->column, name,
                           "is a section: give its options below it, indented");
}

static tk_status apply_mapping(tk_loading *l, const tk_node *map, const char *prefix)
{
    for (const tk_node *key = map->first; key && l->n_errors <= TK_ERRORS_MAX;
         key = key->next->next) {
        const tk_node *value = key->next;
        char name[192];
        bool ok;
        TK_TRY(key_text(l, key, prefix, name, &ok));
        if (!ok) continue;
        if (!*prefix) rename_section(l, name, sizeof name);
        const tk_node *first = earlier(map, key);
        const tk_option *o = tk_option_find(name);
        if (first)
            TK_TRY(tk_config_error(l, key->line, key->column, name, "given twice; first at line %d",
                                   first->line));
        else if (o && !o->item)
            TK_TRY(set_option(l, o, key, value));
        else if (!*prefix && tk_option_is_section(name))
            TK_TRY(apply_section(l, value, name));
        else
            TK_TRY(unknown(l, key, value, name, 0));
    }
    return TK_OK;
}

tk_status tk_config_apply(tk_loading *l, const tk_node *root)
{
    if (root->kind == TK_NODE_MAPPING) return apply_mapping(l, root, "");
    if (root->kind == TK_NODE_SCALAR && root->bytes == 0 && !root->quoted) return TK_OK;
    return tk_config_error(l, root->line, root->column, NULL,
                           "not a config: wants keys, such as \"train:\" or \"shots:\"");
}

// Gives the config `n` shots, the first of them those it has; new ones are defaults.
static tk_status resize_shots(tk_loading *l, int64_t n)
{
    tk_storyboard *s = &l->config->story;
    tk_shot_config *shots;
    tk_source *source;
    TK_ARENA_NEW(shots, &l->config->arena, n ? n : 1);
    TK_ARENA_NEW(source, &l->scratch, n ? n : 1);
    for (int64_t i = 0; i < n; i++) {
        if (i < s->n_shots) {
            shots[i] = s->shots[i];
            source[i] = l->shot[i];
            continue;
        }
        for (int k = 0; k < tk_n_options; k++)
            if (tk_options[k].item) tk_option_default(&tk_options[k], &shots[i]);
    }
    s->shots = shots;
    s->n_shots = n;
    l->shot = source;
    return TK_OK;
}

// "shots[2].prompt" for item 2's option "shots[].prompt".
static void item_name(char out[192], int64_t i, const char *key)
{
    snprintf(out, 192, "shots[%" PRId64 "]%s%.96s", i, *key ? "." : "", key);
}

static tk_status set_item(tk_loading *l, int64_t i, const tk_node *key, const char *word,
                          const tk_node *value)
{
    char general[192], name[192];
    bool ok;
    snprintf(general, sizeof general, "shots[].%.96s", word);
    item_name(name, i, word);
    const tk_option *o = tk_option_find(general);
    if (!o || !o->item) {
        l->shot[i].bad = true;
        const char *near = tk_option_nearest(general, TK_CMD_SAMPLE, false);
        return tk_config_error(l, key->line, key->column, name, "no such option; did you mean %s?",
                               near);
    }
    TK_TRY(tk_config_set(l, o, &l->config->story.shots[i], value, name, &ok));
    if (!ok) l->shot[i].bad = true;
    return TK_OK;
}

static tk_status set_shot(tk_loading *l, int64_t i, const tk_node *item)
{
    char name[192], word[192];
    l->shot[i] = (tk_source){item->line, item->column, true, item->kind != TK_NODE_MAPPING};
    item_name(name, i, "");
    if (item->kind != TK_NODE_MAPPING)
        return tk_config_error(l, item->line, item->column, name,
                               "a shot wants keys: seconds, prompt, references");
    for (const tk_node *key = item->first; key && l->n_errors <= TK_ERRORS_MAX;
         key = key->next->next) {
        bool ok;
        TK_TRY(key_text(l, key, "", word, &ok));
        if (!ok) continue;
        const tk_node *first = earlier(item, key);
        item_name(name, i, word);
        if (first)
            TK_TRY(tk_config_error(l, key->line, key->column, name, "given twice; first at line %d",
                                   first->line));
        else
            TK_TRY(set_item(l, i, key, word, key->next));
    }
    return TK_OK;
}

tk_status tk_config_set_shots(tk_loading *l, const tk_node *v, bool *ok)
{
    const tk_option *o = tk_option_find("shots");
    int64_t n = 0, i = 0;
    *ok = false;
    if (v->kind != TK_NODE_SEQUENCE)
        return tk_config_error(l, v->line, v->column, "shots",
                               "wants a list of shots (\"- seconds: 3\" and so on)");
    for (const tk_node *x = v->first; x; x = x->next) n++;
    if (n > o->imax)
        return tk_config_error(l, v->line, v->column, "shots",
                               "%" PRId64 " shots; the most is %" PRId64, n, o->imax);
    l->config->story.n_shots = 0;
    TK_TRY(resize_shots(l, n));
    *ok = true;
    for (const tk_node *x = v->first; x && l->n_errors <= TK_ERRORS_MAX; x = x->next, i++)
        TK_TRY(set_shot(l, i, x));
    return TK_OK;
}

// ---- key=value ----

// The value as nodes: lists are split at commas, or read as YAML when they begin with a bracket.
static tk_status override_value(tk_loading *l, const tk_option *o, const char *text, tk_node **out)
{
    bool list = o->kind == TK_OPT_STRINGS;
    *out = NULL;
    if ((list || o->kind == TK_OPT_SHOTS || o->kind == TK_OPT_SIZE) && *text == '[')
        return tk_config_read_yaml(l, text, strlen(text), 0, out);
    tk_node *v;
    TK_ARENA_NEW(v, &l->scratch, 1);
    v->text = text;
    v->bytes = strlen(text);
    v->quoted = o->kind == TK_OPT_STRING;
    *out = v;
    if (!list || !v->bytes) return TK_OK;
    v->kind = TK_NODE_SEQUENCE;
    for (const char *at = text;; at++) {
        tk_node *item;
        TK_ARENA_NEW(item, &l->scratch, 1);
        size_t n = strcspn(at, ",");
        char *copy;
        TK_ARENA_NEW(copy, &l->scratch, (int64_t)n + 1);
        memcpy(copy, at, n);
        item->text = copy;
        item->bytes = n;
        item->quoted = true;
        if (v->last)
            v->last->next = item;
        else
            v->first = item;
        v->last = item;
        at += n;
        if (!*at) return TK_OK;
    }
}

static tk_status override_item(tk_loading *l, const char *key, const char *text)
{
    static const tk_node here = {.kind = TK_NODE_SCALAR};
    int64_t had = l->config->story.n_shots;
    char *end;
    long i = strtol(key + strlen("shots["), &end, 10);
    if (end == key + strlen("shots[") || end[0] != ']' || end[1] != '.')
        return tk_config_error(l, 0, 0, key, "wants the form shots[0].prompt=...");
    if (i < 0 || i > had || i >= tk_option_find("shots")->imax)
        return tk_config_error(
            l, 0, 0, key, "there are %" PRId64 " shots; a new one is shots[%" PRId64 "]", had, had);
    const char *word = end + 2;
    char general[128];
    snprintf(general, sizeof general, "shots[].%.96s", word);
    const tk_option *o = tk_option_find(general);
    if (i == had) {
        TK_TRY(resize_shots(l, had + 1));
        l->shot[i].given = true;
    }
    tk_node *v = NULL;
    if (o) {
        TK_TRY(override_value(l, o, text, &v));
        if (!v) l->shot[i].bad = true;
        if (!v) return TK_OK;
    }
    return set_item(l, i, &here, word, v);
}

tk_status tk_config_override(tk_loading *l, const char *key_value)
{
    char shown[96], key[96];
    const char *equals = strchr(key_value, '=');
    size_t n = equals ? (size_t)(equals - key_value) : strlen(key_value);
    tk_config_shown(key_value, n, shown);
    if (!equals || n == 0)
        return tk_config_error(l, 0, 0, NULL, "\"%s\" is not of the form key=value", shown);
    snprintf(key, sizeof key, "%s", shown);
    rename_section(l, key, sizeof key);
    if (strncmp(key, "shots[", 6) == 0 && tk_option_of(tk_option_find("shots"), l->command))
        return override_item(l, key, equals + 1);
    const tk_node here = {.kind = TK_NODE_SCALAR};
    const tk_option *o = tk_option_find(key);
    if (!o && tk_option_is_section(key))
        return tk_config_error(l, 0, 0, key, "is a section; name one of its options, as %s",
                               tk_option_nearest(key, l->command, false));
    if (!o || o->item) return unknown(l, &here, NULL, key, l->command);
    if (!tk_option_of(o, l->command))
        return tk_config_error(l, 0, 0, key, "not an option of %s; did you mean %s?",
                               tk_command_name(l->command),
                               tk_option_nearest(key, l->command, false));
    tk_node *v;
    TK_TRY(override_value(l, o, equals + 1, &v));
    if (!v) source_of(l, o)->bad = true;
    return v ? set_option(l, o, &here, v) : TK_OK;
}
