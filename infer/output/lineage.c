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
static void set_remade(json_t *o, const tk_remix_config *c)
{
    json_t *kept = json_array();
    for (int64_t k = 0; k < c->n_keep; k++) json_array_append_new(kept, json_string(c->keep[k]));
    if (c->shots)
        json_object_set_new(o, "shots", numbers_json(c->shots, c->n_shots));
    else
        json_object_set_new(o, "seconds", json_pack("[f, f]", c->from, c->to));
    if (tk_remix_is_part(c))
        json_object_set_new(o, "frame",
                            json_pack("[f, f, f, f]", c->left, c->top, c->right, c->bottom));
    json_object_set_new(o, "strength", json_real(c->strength));
    json_object_set_new(o, "kept", kept);
}

// Of each shot that was taken of the clip: which it is here, which it was there (-1: none), its
// seconds in the clip, and what was kept of it.
static void set_taken(json_t *o, const tk_remix *r, const tk_storyboard *b, int parent)
{
    json_t *as = json_array(), *taken = json_array(), *from = json_array(), *to = json_array();
    json_t *kept = json_array();
    for (int64_t i = 0; i < b->n_shots; i++) {
        const tk_shot_config *s = &b->shots[i];
        if (!tk_shot_is_taken(s) || r->of[i] != parent) continue;
        json_array_append_new(as, json_integer(i));
        json_array_append_new(taken, json_integer(s->shot));
        json_array_append_new(from, json_real(s->taken_until - s->seconds));
        json_array_append_new(to, json_real(s->taken_until));
        json_array_append_new(kept, json_string(s->n_keep == 1 ? s->keep[0] : "both"));
    }
    json_object_set_new(o, "as", as);
    json_object_set_new(o, "taken", taken);
    json_object_set_new(o, "from", from);
    json_object_set_new(o, "to", to);
    json_object_set_new(o, "kept", kept);
}

static json_t *parent_json(const tk_remix *r, const tk_storyboard *b, int k)
{
    const tk_parent *p = &r->parent[k];
    const char *slash = strrchr(p->clip, '/');
    char name[256], words[TK_REMIX_WORDS]; // name: of a file
    json_t *o = json_object();
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : p->clip);
    tk_utf8_clean(name, strlen(name)); // it may be any bytes
    json_object_set_new(o, "clip", json_string(name));
    json_object_set(o, "digest", json_object_get(p->told, "digest"));
    json_object_set(o, "mp4", json_object_get(json_object_get(p->told, "mp4"), "digest"));
    json_object_set_new(o, "read", json_string(p->latents ? "latents" : "film"));
    if (*b->remix.clip)
        set_remade(o, &b->remix);
    else
        set_taken(o, r, b, k);
    json_object_set_new(o, "change", json_string(tk_remix_change(r, b, k, words)));
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
    static const char *const keys[] = {"clip",    "digest", "mp4",      "read",  "shots",
                                       "seconds", "frame",  "strength", "kept",  "as",
                                       "taken",   "from",   "to",       "change"};
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *value = copy_told(json_object_get(from, keys[i]));
        if (value) json_object_set_new(o, keys[i], value);
    }
    return o;
}

// Which entry before the i-th was made from it; -1: the clip whose lineage it is.
static json_int_t child_of(const json_t *entry, size_t i)
{
    const json_t *of = json_object_get(entry, "of");
    const json_int_t k = json_integer_value(of), before = (json_int_t)i - 1;
    return json_is_integer(of) && k >= -1 && k < before ? k : before;
}

// Those before the last entry, which lies at `parent`.
static void add_ancestors(json_t *all, const json_t *before)
{
    const json_int_t parent = (json_int_t)json_array_size(all) - 1;
    json_t *one;
    size_t i;
    json_array_foreach(before, i, one)
    {
        const json_int_t own = parent + 1 + (json_int_t)i, of = parent + 1 + child_of(one, i);
        json_t *o = copy_ancestor(one);
        if (of != own - 1) json_object_set_new(o, "of", json_integer(of));
        json_array_append_new(all, o);
    }
}

json_t *tk_lineage_json(const tk_remix *r, const tk_storyboard *b)
{
    json_t *all = json_array();
    for (int k = 0; k < r->n; k++) {
        json_t *o = parent_json(r, b, k);
        if (json_array_size(all)) json_object_set_new(o, "of", json_integer(-1));
        json_array_append_new(all, o);
        add_ancestors(all, json_object_get(r->parent[k].told, "lineage"));
    }
    return all;
}
