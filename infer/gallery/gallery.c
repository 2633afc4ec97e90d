// SPDX-License-Identifier: Apache-2.0
#include "infer/gallery/gallery.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/gallery/clips.h"
#include "infer/gallery/pages.h"
#include "parallel/mpi/stop.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The site may lie in the folder, where it is passed by, but not the folder in the site.
static tk_status check_places(const char *folder, const char *output, tk_arena *a)
{
    struct stat info;
    char *from, *to;
    TK_ARENA_NEW(from, a, PATH_MAX);
    TK_ARENA_NEW(to, a, PATH_MAX);
    if (!*output) return TK_FAIL(TK_INPUT, "missing: say where the site goes: -o FOLDER");
    if (stat(folder, &info) != 0 || !realpath(folder, from))
        return TK_FAIL(tk_io_code(errno), "cannot read %s: %s", folder, tk_io_words(errno));
    if (!S_ISDIR(info.st_mode))
        return TK_FAIL(TK_INPUT, "%s is no folder; name the one in which the clips are", folder);
    if (!realpath(output, to)) return TK_OK; // not there yet
    const size_t n = strlen(to);
    if (!strncmp(from, to, n) && (!from[n] || from[n] == '/' || n == 1))
        return TK_FAIL(TK_INPUT, "%s lies in %s, which would be replaced; name another site",
                       folder, output);
    return TK_OK;
}

static tk_status put_pages(tk_site *site)
{
    for (const tk_page *p = tk_pages; p->name; p++)
        TK_TRY(tk_site_put(site, p->name, p->begin, (size_t)(p->end - p->begin)));
    return TK_OK;
}

static tk_status add_clips(tk_gallery *g, char **path, int64_t n, tk_site *site)
{
    tk_progress progress;
    tk_status st = TK_OK;
    tk_progress_begin(&progress, "gallery", "clips", n);
    for (int64_t i = 0; i < n && st == TK_OK; i++) {
        st = tk_gallery_add(g, path[i], site);
        tk_progress_at(&progress, i + 1, "");
        if (tk_stop_asked()) st = TK_FAIL(TK_STOPPED, "stopped on request; no site was written");
    }
    tk_progress_end(&progress);
    return st;
}

// On stdout, since it is what was asked for.
static void tell_gallery(const tk_gallery *g, const char *output)
{
    const size_t out = json_array_size(g->left_out);
    printf("%s: %zu clips, %zu left out\n", output, json_array_size(g->shown), out);
    for (size_t i = 0; i < out; i++) {
        const json_t *o = json_array_get(g->left_out, i);
        printf("  %s: %s\n", json_string_value(json_object_get(o, "name")),
               json_string_value(json_object_get(o, "why")));
    }
    for (int64_t i = 0; i < g->takedown.n; i++)
        if (!g->takedown.met[i])
            tk_log_warn("the takedown list names %s, which is no clip here",
                        g->takedown.entry[i].clip);
}

static tk_status build_site(tk_gallery *g, const char *folder, const char *output)
{
    tk_site site;
    char **path;
    int64_t n;
    TK_TRY(tk_gallery_find(folder, &g->arena, &path, &n));
    if (n == 0) return TK_FAIL(TK_INPUT, "%s holds no MP4 file", folder);
    TK_TRY(tk_site_begin(&site, output));
    tk_status st = put_pages(&site);
    if (st == TK_OK) st = add_clips(g, path, n, &site);
    if (st == TK_OK) st = tk_gallery_put_script(g, &site);
    if (st == TK_OK) st = tk_site_commit(&site);
    tk_site_abort(&site);
    if (st == TK_OK) tell_gallery(g, output);
    return st;
}

tk_status tk_gallery_ask(tk_wrong *w, const tk_invocation *in, int ranks)
{
    const tk_config *c = &in->config;
    const char *anchors = c->provenance.anchors, *key = c->watermark.key,
               *takedown = c->gallery.takedown;
    tk_mark_key read;
    (void)ranks; // one works
    if (*anchors) tk_wrong_unread(w, "provenance.anchors", anchors);
    if (*key) TK_TRY(tk_wrong_with(w, "watermark.key", tk_mark_key_read(key, &read)));
    if (*takedown) tk_wrong_unread(w, "gallery.takedown", takedown);
    const bool known = access(in->files[0], R_OK) == 0;
    tk_status st = TK_OK;
    if (known || !*c->output) st = check_places(in->files[0], c->output, w->arena);
    if (st == TK_OK) st = tk_site_check(c->output);
    if (st != TK_OK) return tk_wrong_with(w, "output", st);
    tk_wrong_unmade(w, "output", c->output);
    return TK_OK;
}

static tk_status make_gallery(const tk_invocation *in)
{
    const tk_config *c = &in->config;
    tk_gallery g;
    tk_status st = tk_gallery_open(&g, c);
    if (st == TK_OK) st = check_places(in->files[0], c->output, &g.arena);
    if (st == TK_OK) st = build_site(&g, in->files[0], c->output);
    tk_gallery_close(&g);
    return st;
}

tk_status tk_gallery_command(tk_comm *world, tk_invocation *in)
{
    TK_TRY(tk_stop_watch());
    return tk_agree(world, world->rank == 0 ? make_gallery(in) : TK_OK);
}
