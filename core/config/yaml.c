// SPDX-License-Identifier: Apache-2.0
// YAML text to a tree of nodes, by libyaml's events, under caps of our own: libyaml 0.2.5 bounds
// neither nesting nor the work that aliases make, so depth and count are capped here and anchors,
// aliases and tags are refused.
#include "core/config/load.h"
#include <string.h>
#include <yaml.h>

typedef struct reading {
    tk_loading *l;
    yaml_parser_t parser;
    const char *file; // NULL: text of an override
    tk_yaml_node *open[TK_YAML_DEPTH];
    int depth, nodes, documents;
    tk_yaml_node *root;
    bool stop;
} reading;

static tk_place place_in_yaml(const reading *r, const yaml_mark_t *at)
{
    return r->file ? (tk_place){r->file, (int)at->line + 1, (int)at->column + 1} : (tk_place){0};
}

// One error ends the reading: what follows it would be guesswork.
static tk_status refuse_yaml(reading *r, const yaml_mark_t *at, const char *words)
{
    r->stop = true;
    r->root = NULL;
    return tk_config_error(r->l, place_in_yaml(r, at), NULL, "%s", words);
}

static tk_status add_node(reading *r, const yaml_event_t *e, tk_node_kind kind, tk_yaml_node **out)
{
    tk_yaml_node *n;
    *out = NULL;
    if (++r->nodes > TK_YAML_NODES)
        return refuse_yaml(r, &e->start_mark, "too many values in one file");
    TK_ARENA_NEW(n, &r->l->scratch, 1);
    n->kind = kind;
    n->at = place_in_yaml(r, &e->start_mark);
    tk_yaml_node *parent = r->depth ? r->open[r->depth - 1] : NULL;
    if (!parent)
        r->root = n;
    else if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    if (parent) parent->last = n;
    *out = n;
    return TK_OK;
}

static tk_status on_scalar(reading *r, const yaml_event_t *e)
{
    tk_yaml_node *n;
    char *text;
    if (e->data.scalar.anchor) return refuse_yaml(r, &e->start_mark, "anchors (&) are not allowed");
    if (e->data.scalar.tag) return refuse_yaml(r, &e->start_mark, "tags (!) are not allowed");
    TK_TRY(add_node(r, e, TK_NODE_SCALAR, &n));
    if (!n) return TK_OK;
    TK_ARENA_NEW(text, &r->l->scratch, (int64_t)e->data.scalar.length + 1);
    memcpy(text, e->data.scalar.value, e->data.scalar.length);
    n->text = text;
    n->bytes = e->data.scalar.length;
    n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return TK_OK;
}

static tk_status on_open(reading *r, const yaml_event_t *e, tk_node_kind kind)
{
    bool map = kind == TK_NODE_MAPPING;
    if (map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor)
        return refuse_yaml(r, &e->start_mark, "anchors (&) are not allowed");
    if (map ? e->data.mapping_start.tag : e->data.sequence_start.tag)
        return refuse_yaml(r, &e->start_mark, "tags (!) are not allowed");
    if (r->depth == TK_YAML_DEPTH) return refuse_yaml(r, &e->start_mark, "nested too deeply");
    tk_yaml_node *n;
    TK_TRY(add_node(r, e, kind, &n));
    if (n) r->open[r->depth++] = n;
    return TK_OK;
}

static tk_status on_event(reading *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++r->documents > 1)
            return refuse_yaml(r, &e->start_mark, "more than one document (---) in one file");
        return TK_OK;
    case YAML_ALIAS_EVENT:
        return refuse_yaml(r, &e->start_mark, "aliases (*) are not allowed");
    case YAML_SCALAR_EVENT:
        return on_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, e, TK_NODE_SEQUENCE);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, e, TK_NODE_MAPPING);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return TK_OK;
    case YAML_STREAM_END_EVENT:
        r->stop = true;
        return TK_OK;
    default:
        return TK_OK;
    }
}

// Errors of libyaml's reader (bytes that are not UTF-8) know the offset only.
static yaml_mark_t mark_of_offset(const char *text, size_t bytes, size_t offset)
{
    yaml_mark_t at = {0};
    for (size_t i = 0; i < offset && i < bytes; i++) {
        at.column++;
        if (text[i] == '\n') at.line++, at.column = 0;
    }
    return at;
}

static tk_status not_yaml(reading *r, const char *text, size_t bytes)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return TK_FAIL(TK_MEMORY, "out of memory (YAML)");
    char words[256];
    const char *problem = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_READER_ERROR) {
        yaml_mark_t at = mark_of_offset(text, bytes, p->problem_offset);
        snprintf(words, sizeof words, "not YAML text: %s", problem);
        return refuse_yaml(r, &at, words);
    }
    snprintf(words, sizeof words, "not YAML: %s%s%s", problem, p->context ? " " : "",
             p->context ? p->context : "");
    return refuse_yaml(r, &p->problem_mark, words);
}

tk_status tk_config_read_yaml(tk_loading *l, const char *text, size_t bytes, const char *file,
                              tk_yaml_node **root)
{
    reading r = {.l = l, .file = file};
    tk_status st = TK_OK;
    *root = NULL;
    if (bytes > TK_YAML_MAX) {
        yaml_mark_t start = {0};
        return refuse_yaml(&r, &start, "larger than 1 MiB: not a config file");
    }
    if (!yaml_parser_initialize(&r.parser)) return TK_FAIL(TK_MEMORY, "out of memory (YAML)");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
    while (st == TK_OK && !r.stop) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r.parser, &e)) {
            st = not_yaml(&r, text, bytes);
            break;
        }
        st = on_event(&r, &e);
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&r.parser);
    TK_TRY(st);
    *root = r.root;
    return TK_OK;
}
