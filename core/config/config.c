// SPDX-License-Identifier: Apache-2.0
// Loading a configuration: defaults, file, overrides, rules; all errors in one message.
#include "core/config/config.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/config/load.h"
#include <string.h>

void tk_config_init(tk_config *c)
{
    memset(c, 0, sizeof *c);
    tk_arena_init(&c->arena, 0);
    tk_table_default(&tk_config_table, c);
    c->output = c->story.output;
}

void tk_config_free(tk_config *c)
{
    tk_arena_free(&c->arena);
    memset(c, 0, sizeof *c);
}

static tk_status load_text(tk_loading *l, const char *path, const char *text, size_t bytes)
{
    tk_yaml_node *root;
    TK_TRY(tk_config_read_yaml(l, text, bytes, l->file, &root));
    if (root) TK_TRY(tk_config_apply_file(l, path, root));
    if (tk_config_full(l) || (!root && l->n_errors)) l->wrong->partial = true;
    return TK_OK;
}

// Errors that are somebody else's to tell are no failure yet.
static tk_status end_loading(const tk_loading *l)
{
    return l->wrong == &l->own ? tk_wrong_end(l->wrong) : TK_OK;
}

static tk_status load_options(tk_loading *l, const char *path, const char *text, size_t bytes,
                              int n, char *const *overrides)
{
    tk_config *c = l->base;
    TK_TRY(tk_loading_open(l));
    if (text) TK_TRY(load_text(l, path, text, bytes));
    for (int i = 0; i < n; i++) TK_TRY(tk_config_override(l, overrides[i]));
    c->output = c->story.output;
    if (!l->wrong->partial) TK_TRY(tk_config_check(l));
    TK_TRY(tk_config_note_places(l));
    return end_loading(l);
}

static tk_loading loading(tk_config *c, unsigned command, const char *file)
{
    return (tk_loading){.table = &tk_config_table,
                        .base = c,
                        .arena = &c->arena,
                        .command = command,
                        .file = file ? file : "config"};
}

static tk_status parse(tk_loading *l, const char *path, const char *text, size_t bytes, int n,
                       char *const *overrides)
{
    tk_status st = load_options(l, path, text, bytes, n, overrides);
    tk_arena_free(&l->scratch);
    return st;
}

tk_status tk_config_parse(tk_config *c, unsigned command, const char *name, const char *text,
                          size_t bytes, int n, char *const *overrides)
{
    tk_loading l = loading(c, command, name);
    return parse(&l, NULL, text, bytes, n, overrides);
}

tk_status tk_config_gather(tk_wrong *w, tk_config *c, unsigned command, const char *file, int n,
                           char *const *overrides)
{
    tk_loading l = loading(c, command, file);
    tk_arena a;
    char *text = NULL;
    size_t bytes = 0;
    if (w) l.wrong = w, w->config = c;
    tk_arena_init(&a, 0);
    tk_status st = file ? tk_file_read(file, TK_YAML_MAX, &a, &text, &bytes) : TK_OK;
    if (st == TK_OK) st = parse(&l, file, text, bytes, n, overrides);
    tk_arena_free(&a);
    if (l.renamed)
        tk_log("the section is called %s: now; its old name holds for this release only",
               l.renamed);
    if (l.renamed_option)
        tk_log("the option is called %s now; its old name holds for this release only",
               l.renamed_option);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_config_load(tk_config *c, unsigned command, const char *file, int n,
                         char *const *overrides)
{
    return tk_config_gather(NULL, c, command, file, n, overrides);
}

static tk_status load_file(tk_loading *l, const char *text, size_t bytes,
                           tk_status (*check)(tk_loading *l))
{
    TK_TRY(tk_loading_open(l));
    TK_TRY(load_text(l, l->file, text, bytes));
    if (!l->wrong->partial) TK_TRY(check(l));
    return end_loading(l);
}

tk_status tk_table_load(tk_loading *l, tk_status (*check)(tk_loading *l))
{
    char *text;
    size_t bytes;
    tk_table_default(l->table, l->base);
    TK_TRY(tk_file_read(l->file, TK_YAML_MAX, l->arena, &text, &bytes));
    const tk_status st = load_file(l, text, bytes, check);
    tk_arena_free(&l->scratch);
    return st;
}
