// SPDX-License-Identifier: Apache-2.0
// The file a config stands on, "base: other.yaml": its values are applied first, those of the file
// that names it lie over them. It may stand on another in turn.
#include "core/base/files.h"
#include "core/config/load.h"
#include <string.h>

typedef struct layer { // a file being read
    const char *path;
    tk_file_id id;
    int height;                // files that stand on it
    const struct layer *above; // the one that names it; NULL: the config itself
} layer;

// Takes the key "base" out of a file's mapping; *value is NULL if there is none.
static tk_status take_base(tk_loading *l, tk_yaml_node *root, tk_yaml_node **value)
{
    tk_yaml_node **link = &root->first;
    *value = NULL;
    while (root->kind == TK_NODE_MAPPING && *link) {
        tk_yaml_node *key = *link;
        if (key->kind != TK_NODE_SCALAR || key->bytes != 4 || memcmp(key->text, "base", 4) != 0) {
            link = &key->next->next;
            continue;
        }
        if (*value)
            TK_TRY(tk_config_error(l, key->at, "base", "given twice; first at line %d",
                                   (*value)->at.line));
        *value = key->next;
        *link = key->next->next;
    }
    return TK_OK;
}

// Where the base of `own` lies: a relative path begins at the file. NULL after an error line.
static tk_status find_base(tk_loading *l, const layer *own, const tk_yaml_node *value,
                           const char **path)
{
    static const tk_option row = {.name = "base", .kind = TK_OPT_STRING};
    char *name;
    bool ok;
    *path = NULL;
    TK_TRY(tk_config_set(l, &row, &name, value, row.name, &ok));
    if (!ok) return TK_OK;
    if (!*name) return tk_config_error(l, value->at, row.name, "has no value; give a file's name");
    if (!own->path)
        return tk_config_error(l, value->at, row.name, "only a file on disk can stand on another");
    const char *slash = *name == '/' ? NULL : strrchr(own->path, '/');
    *path = tk_arena_printf(&l->scratch, "%.*s%s", slash ? (int)(slash + 1 - own->path) : 0,
                            own->path, name);
    return *path ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
}

// An error line if the file can be no base: it stands, over however many files, on itself.
static tk_status check_base(tk_loading *l, const layer *own, const tk_yaml_node *value, bool *ok)
{
    *ok = false;
    for (const layer *x = own->above; x; x = x->above)
        if (tk_file_same(own->id, x->id))
            return tk_config_error(l, value->at, "base", "%s stands on this file itself: a circle",
                                   own->path);
    if (own->height > TK_BASES_MAX)
        return tk_config_error(l, value->at, "base", "more than %d files stand on each other",
                               TK_BASES_MAX);
    *ok = true;
    return TK_OK;
}

static tk_status read_base(tk_loading *l, const layer *own, const tk_yaml_node *value,
                           tk_yaml_node **root)
{
    char *text;
    size_t bytes;
    bool ok;
    *root = NULL;
    TK_TRY(check_base(l, own, value, &ok));
    if (!ok) return TK_OK;
    const tk_status st = tk_file_read(own->path, TK_YAML_MAX, &l->scratch, &text, &bytes);
    if (st == TK_INPUT) {
        TK_TRY(tk_config_error(l, value->at, "base", "%s", tk_status_message()));
        tk_status_clear();
        return TK_OK;
    }
    TK_TRY(st);
    return tk_config_read_yaml(l, text, bytes, own->path, root);
}

static tk_status apply_layer(tk_loading *l, const layer *own, tk_yaml_node *root);

// The base of `above`, named by `value`.
static tk_status apply_base(tk_loading *l, const layer *above, const tk_yaml_node *value)
{
    layer own = {.height = above->height + 1, .above = above};
    tk_yaml_node *root = NULL;
    const int before = l->n_errors;
    TK_TRY(find_base(l, above, value, &own.path));
    if (own.path) {
        own.id = tk_file_identity(own.path);
        TK_TRY(read_base(l, &own, value, &root));
    }
    if (root) return apply_layer(l, &own, root);
    if (l->n_errors > before) l->wrong->partial = true;
    return TK_OK;
}

static tk_status apply_layer(tk_loading *l, const layer *own, tk_yaml_node *root)
{
    tk_yaml_node *value;
    TK_TRY(take_base(l, root, &value));
    if (value) TK_TRY(apply_base(l, own, value));
    return tk_config_apply(l, root);
}

tk_status tk_config_apply_file(tk_loading *l, const char *path, tk_yaml_node *root)
{
    const layer own = {.path = path, .id = path ? tk_file_identity(path) : (tk_file_id){0}};
    return apply_layer(l, &own, root);
}
