// SPDX-License-Identifier: Apache-2.0
#include "infer/gallery/clips.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "data/media/media.h"
#include "infer/gallery/consents.h"
#include "infer/gallery/describe.h"
#include "infer/mark/find.h"
#include "infer/output/output.h"
#include "infer/provenance/cose.h"
#include "infer/provenance/mp4.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { POSTER_SIDE = 720 };               // pixels, at most
enum { SIGNED_AS = 4 * TK_MP4_HASH + 1 }; // digits of a claim and a certificate
#define POSTER_AT 0.5                     // seconds after the first picture

typedef struct gallery_candidate { // a file that is looked at
    tk_gallery *g;
    const char *path, *taken; // in its folder, in the site
    const char *name;         // without folders, UTF-8
    char number[TK_GALLERY_NUMBER];
    char digest[TK_HEX_DIGEST]; // by which its JSON knows it, and takedown lists did once
    int64_t bytes, time;        // time: seconds since 1970, of its last change, not after now
    tk_proof *proof;
    tk_media_poster poster;
    tk_arena arena;
} gallery_candidate;

static tk_status no_room_for(const gallery_candidate *c)
{
    return TK_FAIL(TK_MEMORY, "out of memory for %s", c->path);
}

// ---- why one is not shown ----------------------------------------------------------------------
// Each question sets *why to what speaks against the clip, or leaves it NULL.

// Words with the name of the file in the place of its path: the page tells nobody where it was
// built.
static const char *without_path(gallery_candidate *c, const char *words, const char *path)
{
    const char *at = strstr(words, path);
    if (!at) return words;
    return tk_arena_printf(&c->arena, "%.*s%s%s", (int)(at - words), words, c->name,
                           at + strlen(path));
}

// A failure that is the file's fault, in words.
static tk_status blame_file(gallery_candidate *c, tk_status st, const char **why)
{
    if (st != TK_INPUT && st != TK_NUMERIC) return st;
    const char *words = tk_arena_strdup(&c->arena, tk_status_message());
    if (words) words = without_path(c, words, c->taken);
    if (words) words = without_path(c, words, c->path);
    const size_t n = strlen(c->name);
    if (words && !strncmp(words, c->name, n) && !strncmp(words + n, ": ", 2)) words += n + 2;
    *why = words;
    tk_status_clear();
    return *why ? TK_OK : no_room_for(c);
}

static tk_status ask_manifest(gallery_candidate *c, const char **why)
{
    TK_ARENA_NEW(c->proof, &c->arena, 1);
    const tk_status st = tk_proof_read(c->taken, c->g->anchors, &c->arena, c->proof);
    if (st != TK_OK) return blame_file(c, st, why);
    const tk_proof *p = c->proof;
    if (p->state == TK_PROOF_NONE) *why = "it has no manifest: nothing says where it comes from";
    if (p->state == TK_PROOF_INVALID) {
        *why = tk_arena_printf(&c->arena, "its manifest does not hold: %s (%s)", p->fault[0].words,
                               p->fault[0].code);
        if (!*why) return no_room_for(c);
    }
    if (p->state == TK_PROOF_VALID && *c->g->anchors)
        *why = "its signer is not trusted: leads to none of provenance.anchors";
    return TK_OK;
}

static tk_status ask_maker(gallery_candidate *c, const char **why)
{
    const char *by = c->proof->manifest[0].generator;
    if (!strcmp(by, "talkie")) return TK_OK;
    *why = tk_arena_printf(&c->arena, "its manifest says that it was made by %s, not by talkie",
                           *by ? by : "nobody");
    return *why ? TK_OK : no_room_for(c);
}

// By its number, its file's name, its label, or that of anything it was made from; *k: how many
// manifests were asked for.
static const tk_takedown_entry *find_taken_down(gallery_candidate *c, int *k)
{
    const char *const own[] = {c->number, c->digest, c->name};
    const tk_told_manifest *m = c->proof->manifest;
    const tk_takedown_entry *e = NULL;
    char claim[TK_GALLERY_NUMBER];
    tk_gallery_number(m[0].claim, claim);
    for (int i = 0; !e && i < 3; i++) e = tk_takedown_find(&c->g->takedown, own[i], claim);
    for (*k = 0; !e && *k < c->proof->n; ++*k)
        e = tk_takedown_find(&c->g->takedown, m[*k].label, tk_gallery_number(m[*k].claim, claim));
    return e;
}

static tk_status ask_takedown(gallery_candidate *c, const char **why)
{
    int k;
    const tk_takedown_entry *e = find_taken_down(c, &k);
    if (!e) return TK_OK;
    *why = tk_arena_printf(&c->arena, "%s%s%s%s%s",
                           k > 1 ? "made from a clip that was taken down (" : "taken down",
                           k > 1 ? c->proof->manifest[k - 1].title : "", k > 1 ? ")" : "",
                           *e->reason ? ": " : "", e->reason);
    return *why ? TK_OK : no_room_for(c);
}

// One claim of one signer, who alone can sign it so. Its label is whatever a signer likes.
static const char *signed_as(const gallery_candidate *c, char key[SIGNED_AS])
{
    const tk_told_manifest *m = &c->proof->manifest[0];
    tk_bytes_hex(m->claim, TK_MP4_HASH, key);
    tk_bytes_hex(m->certificate, TK_MP4_HASH, key + 2 * TK_MP4_HASH);
    return key;
}

static const char *shown_as(const gallery_candidate *c, const char *key)
{
    return json_string_value(json_object_get(c->g->known, key));
}

static tk_status ask_copy(gallery_candidate *c, const char **why)
{
    char key[SIGNED_AS];
    const char *what = "manifest", *other = shown_as(c, signed_as(c, key));
    if (!other) {
        what = "number";
        other = shown_as(c, c->number);
    }
    if (!other) return TK_OK;
    *why = tk_arena_printf(&c->arena, "its %s is that of %s", what, other);
    return *why ? TK_OK : no_room_for(c);
}

static tk_status ask_people(gallery_candidate *c, const char **why)
{
    if (!c->g->consents) return TK_OK;
    return tk_gallery_ask_people(&c->g->store, c->proof, &c->arena, why);
}

// The most work of all questions.
static tk_status ask_mark(gallery_candidate *c, const char **why)
{
    tk_mark_report m;
    if (!c->g->marks) return TK_OK;
    const tk_status st = tk_mark_find(c->taken, c->g->key, INFINITY, &m);
    if (st != TK_OK) return blame_file(c, st, why);
    if (!m.present) *why = "it bears no mark of this key that could be told from chance";
    return TK_OK;
}

static tk_status ask_pictures(gallery_candidate *c, const char **why)
{
    return blame_file(
        c, tk_media_make_poster(c->taken, POSTER_AT, POSTER_SIDE, &c->arena, &c->poster), why);
}

static tk_status (*const asks[])(gallery_candidate *c, const char **why) = {
    ask_manifest, ask_maker, ask_takedown, ask_people, ask_copy, ask_mark, ask_pictures,
};

static tk_status ask_in_order(gallery_candidate *c, const char **why)
{
    for (size_t i = 0; i < sizeof asks / sizeof *asks && !*why; i++) TK_TRY(asks[i](c, why));
    return TK_OK;
}

// ---- one that is -------------------------------------------------------------------------------

static tk_status show_in_site(gallery_candidate *c, tk_site *site)
{
    char name[64], key[SIGNED_AS];
    tk_told_clip t = {.path = c->path,
                      .name = c->name,
                      .number = c->number,
                      .digest = c->digest,
                      .bytes = c->bytes,
                      .time = c->time,
                      .proof = c->proof,
                      .marked = c->g->marks,
                      .poster = &c->poster};
    snprintf(name, sizeof name, "clips/%s.mp4", c->number);
    TK_TRY(tk_site_rename(site, "clips/new.mp4", name));
    snprintf(name, sizeof name, "posters/%s.jpg", c->number);
    TK_TRY(tk_site_put(site, name, c->poster.jpeg, c->poster.bytes));
    json_t *told;
    TK_TRY(tk_gallery_describe(&t, &c->arena, &told));
    if (json_array_append_new(c->g->shown, told) != 0 ||
        json_object_set_new(c->g->known, signed_as(c, key), json_string(c->name)) != 0 ||
        json_object_set_new(c->g->known, c->number, json_string(c->name)) != 0)
        return no_room_for(c);
    return TK_OK;
}

static tk_status leave_out(gallery_candidate *c, const char *why, tk_site *site)
{
    char *words = tk_arena_strdup(&c->arena, why);
    if (!words) return no_room_for(c);
    tk_utf8_plain(words, ' ', ""); // shown on terminals too
    tk_site_drop(site, "clips/new.mp4");
    if (json_array_append_new(c->g->left_out,
                              json_pack("{s:s, s:s}", "name", c->name, "why", words)) != 0)
        return no_room_for(c);
    return TK_OK;
}

static tk_status number_candidate(gallery_candidate *c)
{
    uint64_t digest;
    uint8_t hash[TK_MP4_HASH];
    int fd;
    TK_TRY(tk_file_digest(c->taken, &digest, &c->bytes));
    tk_digest_hex(digest, c->digest);
    TK_TRY(tk_file_open(c->taken, &fd, NULL));
    const tk_status st = tk_mp4_hash_whole(fd, c->taken, c->bytes, hash);
    close(fd);
    if (st == TK_OK) tk_gallery_number(hash, c->number);
    return st;
}

static tk_status judge_candidate(gallery_candidate *c, tk_site *site, const char **why)
{
    struct stat info;
    tk_status st = tk_site_take(site, c->path, "clips/new.mp4", &c->taken);
    if (st == TK_INPUT) c->taken = c->path;
    TK_TRY(blame_file(c, st, why));
    if (*why) return TK_OK;
    st = number_candidate(c);
    TK_TRY(blame_file(c, st, why));
    if (*why) return TK_OK;
    if (stat(c->taken, &info) != 0) return TK_FAIL(TK_IO, "cannot read %s", c->path);
    const int64_t now = time(NULL), then = info.st_mtime < 0 ? 0 : info.st_mtime;
    c->time = then < now ? then : now; // none is newer than the page
    return ask_in_order(c, why);
}

tk_status tk_gallery_add(tk_gallery *g, const char *path, tk_site *site)
{
    gallery_candidate c = {.g = g, .path = path};
    const char *why = NULL, *slash = strrchr(path, '/');
    tk_arena_init(&c.arena, 0);
    char *name = tk_arena_strdup(&c.arena, slash ? slash + 1 : path);
    tk_status st = name ? TK_OK : no_room_for(&c);
    if (name) tk_utf8_plain(name, ' ', "");
    c.name = name;
    if (st == TK_OK) st = judge_candidate(&c, site, &why);
    if (st == TK_OK) st = why ? leave_out(&c, why, site) : show_in_site(&c, site);
    tk_arena_free(&c.arena);
    return st;
}

// ---- all of them -------------------------------------------------------------------------------

// Before any clip is asked for them: it is no clip's fault that they cannot be read.
static tk_status check_anchors(const char *path)
{
    tk_anchors *whom;
    TK_TRY(tk_anchors_open(path, &whom));
    tk_anchors_close(whom);
    return TK_OK;
}

tk_status tk_gallery_open(tk_gallery *g, const tk_config *c)
{
    *g = (tk_gallery){.anchors = c->provenance.anchors, .marks = *c->watermark.key};
    tk_arena_init(&g->arena, 0);
    g->shown = json_array();
    g->left_out = json_array();
    g->known = json_object();
    if (!g->shown || !g->left_out || !g->known)
        return TK_FAIL(TK_MEMORY, "out of memory for a gallery");
    TK_TRY(check_anchors(g->anchors));
    if (g->marks) TK_TRY(tk_mark_key_read(c->watermark.key, &g->key));
    g->consents = *c->consent.store;
    if (g->consents) TK_TRY(tk_cameo_store_open(&c->consent, TK_STORE_TO_LOOK, &g->store));
    return tk_takedown_load(c->gallery.takedown, &g->arena, &g->takedown);
}

void tk_gallery_close(tk_gallery *g)
{
    json_decref(g->shown);
    json_decref(g->left_out);
    json_decref(g->known);
    tk_cameo_store_close(&g->store);
    if (g->arena.block_bytes) tk_arena_free(&g->arena);
    *g = (tk_gallery){0};
}
