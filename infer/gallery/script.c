// SPDX-License-Identifier: Apache-2.0
// clips.js: see infer/gallery/clips.h.
#include "infer/gallery/clips.h"
#include <stdio.h>
#include <string.h>

typedef struct script_text {
    char *x;
    size_t n, room;
} script_text;

static int add_bytes(script_text *t, const char *x, size_t n)
{
    if (t->n + n > t->room) {
        const size_t room = 2 * t->room + n + 4096;
        char *grown = tk_realloc(t->x, t->room, room);
        if (!grown) return -1;
        t->x = grown;
        t->room = room;
    }
    memcpy(t->x + t->n, x, n);
    t->n += n;
    return 0;
}

// JSON in ASCII is JavaScript; without these three signs it is also harmless within a page,
// whatever puts it there. They stand in strings alone, where their numbers mean the same.
static int add_json(const char *x, size_t n, void *ctx)
{
    script_text *t = ctx;
    for (size_t i = 0; i < n; i++) {
        char number[8];
        const bool sign = x[i] == '<' || x[i] == '>' || x[i] == '&';
        if (sign) snprintf(number, sizeof number, "\\u%04x", (unsigned)x[i]);
        if (add_bytes(t, sign ? number : x + i, sign ? 6 : 1) != 0) return -1;
    }
    return 0;
}

static int add_script_text(script_text *t, const char *text)
{
    return add_bytes(t, text, strlen(text));
}

static int write_script(const tk_gallery *g, script_text *t)
{
    json_t *all = json_pack("{s:i, s:b, s:O, s:O}", "version", 1, "anchors", *g->anchors != 0,
                            "clips", g->shown, "leftOut", g->left_out);
    int e = all ? 0 : -1;
    if (!e) e = add_script_text(t, TK_SITE_HEAD "\n'use strict';\nwindow.talkie = {site: ");
    if (!e) e = json_dump_callback(all, add_json, t, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (!e) e = add_script_text(t, "};\n");
    json_decref(all);
    return e;
}

tk_status tk_gallery_put_script(const tk_gallery *g, tk_site *site)
{
    script_text t = {0};
    tk_status st =
        write_script(g, &t) == 0 ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for " TK_SITE_CLIPS);
    if (st == TK_OK) st = tk_site_put(site, TK_SITE_CLIPS, t.x, t.n);
    tk_free(t.x);
    return st;
}
