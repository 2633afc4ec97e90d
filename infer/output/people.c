// SPDX-License-Identifier: Apache-2.0
#include "infer/output/people.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/cameo/wishes.h"
#include "infer/output/stripped.h"
#include "infer/reel/files.h"
#include "infer/reel/owner.h"
#include "infer/story/given.h"
#include "infer/story/remix.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTION = 16 << 20 }; // bytes of one, at most

// ---- descriptions ------------------------------------------------------------------------------

// NULL: there is none, or it describes no clip.
static tk_status read_clip_json(const char *path, json_t **out)
{
    tk_arena a;
    char *text;
    size_t bytes;
    *out = NULL;
    if (access(path, F_OK)) return TK_OK;
    tk_arena_init(&a, 0);
    const tk_status st = tk_file_read(path, DESCRIPTION, &a, &text, &bytes);
    if (st == TK_OK) *out = json_loadb(text, bytes, 0, NULL);
    tk_arena_free(&a);
    const char *format = json_string_value(json_object_get(*out, "format"));
    if (format && !strcmp(format, "talkie-clip")) return st;
    json_decref(*out);
    *out = NULL;
    return st;
}

static bool describes(const json_t *told, const tk_handle *who)
{
    size_t i;
    const json_t *one, *all = json_object_get(told, "cameos");
    json_array_foreach(all, i, one)
    {
        const char *handle = json_string_value(json_object_get(one, "handle"));
        if (handle && !strcmp(handle, who->name)) return true;
    }
    return false;
}

// Whether it is the file that a description names.
static bool is_what_it_names(const json_t *entry, const char *path)
{
    const json_t *size = json_object_get(entry, "bytes");
    const char *named = json_string_value(json_object_get(entry, "digest"));
    char hex[TK_HEX_DIGEST];
    uint64_t digest;
    int64_t bytes;
    if (!named || !json_is_integer(size)) return false;
    if (tk_file_digest(path, &digest, &bytes) == TK_OK)
        return bytes == json_integer_value(size) && !strcmp(named, tk_digest_hex(digest, hex));
    tk_status_clear();
    return false;
}

// ---- who is found -------------------------------------------------------------------------------

typedef struct people_found {
    tk_person_in *found; // (TK_INHERITED)
    int n;
    const char *file; // that is looked at
    bool told;        // something beside it or in it describes a clip,
    bool fits;        // ... and this very file
    bool marked;      // it bears a mark of ours
    bool shows;       // somebody is in it
} people_found;

static tk_status find_person(people_found *f, const char *word)
{
    tk_handle who;
    if (!word || tk_handle_read(word, &who) != TK_OK) {
        tk_status_clear();
        return TK_FAIL(TK_INPUT,
                       "%s: a cameo is in it, and whose cannot be read; what lies beside it, or "
                       "its manifest, was changed",
                       f->file);
    }
    f->shows = true;
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->found[i].who.name, who.name)) return TK_OK;
    if (f->n == TK_INHERITED)
        return TK_FAIL(TK_INPUT,
                       "%s: with it there are more than %d people in the files that are gone on "
                       "from",
                       f->file, TK_INHERITED);
    f->found[f->n++] = (tk_person_in){who, f->file};
    return TK_OK;
}

static tk_status find_described(people_found *f, const json_t *told)
{
    size_t i;
    const json_t *one, *all = json_object_get(told, "cameos");
    if (all && !json_is_array(all)) return find_person(f, NULL);
    json_array_foreach(all, i, one)
        TK_TRY(find_person(f, json_string_value(json_object_get(one, "handle"))));
    return TK_OK;
}

static const char cameo_words[] = "cameo", by_words[] = ", by consent ";

char *tk_people_words(const char *paper, bool inherited, tk_arena *a)
{
    return tk_arena_printf(a, "%s%s%s%s", cameo_words,
                           inherited ? " of a clip that this one goes on from" : "", by_words,
                           paper);
}

bool tk_people_is_person(const tk_told_ingredient *x)
{
    return x->title && x->words && *x->title == '@' &&
           !strncmp(x->words, cameo_words, sizeof cameo_words - 1);
}

const char *tk_people_paper(const tk_told_ingredient *x)
{
    const char *by = strstr(x->words, by_words);
    return by ? by + sizeof by_words - 1 : "";
}

static tk_status find_signed(people_found *f, const tk_proof *p)
{
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < p->manifest[i].n; k++) {
            const tk_told_ingredient *x = &p->manifest[i].ingredient[k];
            if (tk_people_is_person(x)) TK_TRY(find_person(f, x->title));
        }
    return TK_OK;
}

// Most files are no MP4 files. Where there is a manifest it alone says whether this is what was
// made.
static tk_status look_at_proof(people_found *f, tk_arena *a)
{
    tk_proof *proof;
    TK_ARENA_NEW(proof, a, 1);
    const tk_status st = tk_proof_read(f->file, "", a, proof);
    if (st == TK_OK && proof->state != TK_PROOF_NONE) { // anybody can write a JSON that fits
        f->told = true;
        f->fits = proof->state >= TK_PROOF_VALID;
    }
    if (st == TK_OK) return find_signed(f, proof);
    if (st != TK_INPUT) return st;
    tk_status_clear();
    return TK_OK;
}

static tk_status look_beside(people_found *f, const char *file, tk_arena *a)
{
    json_t *told;
    const char *path = tk_parent_beside(file, ".json", a);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(read_clip_json(path, &told));
    f->told |= told != NULL;
    f->fits |= is_what_it_names(json_object_get(told, "mp4"), file);
    const tk_status st = find_described(f, told);
    json_decref(told);
    return st;
}

// As long as a clip can show of it, and a minute at least: the longer, the surer.
static double look_long(const tk_config *c, const char *file)
{
    const double reach = tk_story_file_reach(&c->story, file);
    double seconds = 10;
    for (int64_t i = 0; i < c->story.n_shots; i++) seconds += c->story.shots[i].seconds;
    if (seconds < reach + 10) seconds = reach + 10;
    return seconds > 60 ? seconds : 60;
}

static tk_status look_at_mark(people_found *f, const tk_config *c, tk_arena *a)
{
    tk_stripped x;
    if (!*c->consent.store && !*c->filter.policy) return TK_OK;
    TK_TRY(tk_stripped_look(c, f->file, look_long(c, f->file), a, &x));
    f->marked = x.bears;
    if (!*c->consent.store) return TK_OK;
    if (x.is_film && !x.knows && !f->told)
        tk_log_warn_once(
            "%s: nothing tells who is in it, and its mark is not looked up: watermark.key "
            "is missing",
            f->file);
    if (x.bears && !x.says && !f->fits)
        return TK_FAIL(
            TK_INPUT,
            "%s: it is a clip of ours, by its mark, which is too weak to say which; nobody can "
            "tell who is in it: give the clip as it was made, with its JSON",
            f->file);
    for (int i = 0; i < x.n; i++) {
        tk_log_verbose("%s: its mark says %s, a clip that @%s is in", f->file, x.says,
                       x.who[i].name);
        TK_TRY(find_person(f, x.who[i].name));
    }
    return TK_OK;
}

// Beside a link, and beside what it leads to.
static tk_status look_for_people(people_found *f, const tk_config *c, tk_arena *a)
{
    char real[PATH_MAX];
    TK_TRY(look_beside(f, f->file, a));
    if (realpath(f->file, real)) TK_TRY(look_beside(f, real, a));
    TK_TRY(look_at_proof(f, a));
    return look_at_mark(f, c, a);
}

tk_status tk_people_find(tk_wrong *w, const tk_config *c, tk_arena *a, tk_people_in *out)
{
    const tk_storyboard *b = &c->story;
    people_found f = {.n = 0};
    char ***at;
    const int64_t files = tk_story_files(b, NULL);
    *out = (tk_people_in){.n = 0};
    TK_ARENA_NEW(at, a, files + 1);
    TK_ARENA_NEW(f.found, a, TK_INHERITED);
    TK_ARENA_NEW(out->ours, a, files + 1);
    TK_ARENA_NEW(out->shows, a, files + 1);
    tk_story_files(b, at);
    for (int64_t i = 0; i < files; i++) {
        tk_arena scratch;
        tk_story_option name;
        if (tk_story_file_again(at, i)) continue;
        tk_arena_init(&scratch, 0);
        f.file = *at[i];
        f.told = f.fits = f.marked = f.shows = false;
        const tk_status st = look_for_people(&f, c, &scratch);
        tk_arena_free(&scratch);
        TK_TRY(tk_wrong_with(w, tk_story_file_option(b, i, name), st));
        if (f.shows) out->shows[out->n_shows++] = f.file;
        if (*c->watermark.key ? f.marked : f.fits) out->ours[out->n_ours++] = f.file;
    }
    out->person = f.found;
    out->n = f.n;
    return TK_OK;
}

// ---- forgetting --------------------------------------------------------------------------------

static void remove_latents(const json_t *told, const char *path, const tk_handle *who)
{
    if (access(path, F_OK)) return;
    if (!is_what_it_names(json_object_get(told, "latents"), path))
        tk_log_warn("@%s: %s is left: it is not the file that the JSON beside it names", who->name,
                    path);
    else if (unlink(path))
        tk_log_warn("@%s: %s cannot be removed: %s", who->name, path, strerror(errno));
    else
        tk_log("@%s: %s is removed: a remix would go on from it", who->name, path);
}

tk_status tk_people_forget(const char *clip, const tk_handle *who)
{
    tk_arena a;
    json_t *told;
    tk_arena_init(&a, 0);
    const char *path = tk_arena_printf(&a, "%s.json", clip);
    const char *latents = tk_arena_printf(&a, "%s.latents", clip);
    tk_status st = path && latents ? read_clip_json(path, &told)
                                   : TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (st == TK_OK && describes(told, who)) remove_latents(told, latents, who);
    if (st == TK_OK) json_decref(told);
    tk_arena_free(&a);
    if (st == TK_OK || st == TK_MEMORY) return st;
    tk_log_warn("@%s: latents of %s, if there are any, are left: %s", who->name, clip,
                tk_status_message());
    tk_status_clear();
    return TK_OK;
}

static bool names_clip(const tk_cameo_line *line)
{
    return line->event == TK_CAMEO_USED || line->event == TK_CAMEO_MADE;
}

static bool is_named_again(const tk_history *h, int64_t i)
{
    for (int64_t k = i + 1; k < h->n; k++)
        if (names_clip(&h->line[k]) && !strcmp(h->line[k].what, h->line[i].what)) return true;
    return false;
}

tk_status tk_people_forget_all(const tk_history *h, const tk_handle *who)
{
    for (int64_t i = 0; i < h->n; i++) {
        const char *clip = h->line[i].what;
        if (!names_clip(&h->line[i]) || is_named_again(h, i)) continue;
        TK_TRY(tk_reel_files_remove(clip));
        tk_reel_owner_bury(clip);
        TK_TRY(tk_people_forget(clip, who));
    }
    return TK_OK;
}

static tk_status forget_as_wished(const tk_cameo_store *s, const tk_handle *who)
{
    tk_arena a;
    tk_lender p;
    tk_arena_init(&a, 0);
    tk_status st = tk_lender_open(s, who, false, &a, &p);
    if (st == TK_OK) st = tk_people_forget_all(&p.history, who);
    tk_lender_close(&p);
    tk_arena_free(&a);
    return st;
}

tk_status tk_people_take_wishes(const tk_cameo_store *s)
{
    return tk_wishes_take(s, forget_as_wished);
}
