// SPDX-License-Identifier: Apache-2.0
#include "infer/output/lineage.h"
#include "core/base/utf8.h"
#include <stdio.h>
#include <string.h>

// ---- this clip's own ---------------------------------------------------------------------------

static json_t *numbers_json(const int64_t *x, int64_t n)
{
    json_t *all = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(all, json_integer(x[i]));
    return all;
}

// What the remix changed of its clip: the part, the strength, what was kept.
static void set_change(json_t *o, const tk_remix_config *c)
{
    char words[TK_REMIX_WORDS];
    json_t *kept = json_array();
    for (int64_t k = 0; k < c->n_keep; k++) json_array_append_new(kept, json_string(c->keep[k]));
    if (c->shots)
        json_object_set_new(o, "shots", numbers_json(c->shots, c->n_shots));
    else
        json_object_set_new(o, "seconds", json_pack("[f, f]", c->from, c->to));
    if (c->left > 0 || c->top > 0 || c->right < 1 || c->bottom < 1)
        json_object_set_new(o, "frame",
                            json_pack("[f, f, f, f]", c->left, c->top, c->right, c->bottom));
    json_object_set_new(o, "strength", json_real(c->strength));
    json_object_set_new(o, "kept", kept);
    json_object_set_new(o, "change", json_string(tk_remix_change(c, words)));
}

static json_t *parent_json(const tk_remix *r, const tk_remix_config *c)
{
    const char *slash = strrchr(r->clip, '/');
    char name[256]; // of a file
    json_t *o = json_object();
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : r->clip);
    tk_utf8_clean(name, strlen(name)); // it may be any bytes
    json_object_set_new(o, "clip", json_string(name));
    json_object_set(o, "digest", json_object_get(r->told, "digest"));
    json_object_set(o, "mp4", json_object_get(json_object_get(r->told, "mp4"), "digest"));
    json_object_set_new(o, "read", json_string(r->latents ? "latents" : "film"));
    set_change(o, c);
    return o;
}

// ---- those before it ---------------------------------------------------------------------------

static bool is_plain(const json_t *x)
{
    return json_is_string(x) || json_is_number(x);
}

// A value of another description's: a text, a number, or a list of those; NULL: none of them.
static json_t *copy_told(json_t *x)
{
    size_t i;
    json_t *one;
    if (is_plain(x)) return json_incref(x);
    if (!json_is_array(x)) return NULL;
    json_array_foreach(x, i, one)
    {
        if (!is_plain(one)) return NULL;
    }
    return json_incref(x);
}

static json_t *copy_ancestor(const json_t *from)
{
    static const char *const keys[] = {"clip",    "digest", "mp4",      "read", "shots",
                                       "seconds", "frame",  "strength", "kept", "change"};
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *value = copy_told(json_object_get(from, keys[i]));
        if (value) json_object_set_new(o, keys[i], value);
    }
    return o;
}

json_t *tk_lineage_json(const tk_remix *r, const tk_storyboard *b)
{
    json_t *all = json_array(), *before = json_object_get(r->told, "lineage"), *one;
    size_t i;
    json_array_append_new(all, parent_json(r, &b->remix));
    json_array_foreach(before, i, one) json_array_append_new(all, copy_ancestor(one));
    return all;
}
