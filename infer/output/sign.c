// SPDX-License-Identifier: Apache-2.0
#include "infer/output/sign.h"
#include "core/base/utf8.h"
#include "core/base/version.h"
#include "infer/output/people.h"
#include "infer/provenance/proof.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct ingredient_list {
    tk_ingredient *list;
    const char **path; // of each
    int n;
} ingredient_list;

static const char *without_folders(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

// Each file once; one that is seen or heard is a part, whatever else it is.
static void add_media(ingredient_list *l, const char *path, tk_relation r)
{
    if (!*path) return;
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->path[i], path)) {
            if (r == TK_RELATION_PART) l->list[i].relation = r;
            return;
        }
    l->path[l->n] = path;
    l->list[l->n++] = (tk_ingredient){.title = without_folders(path), .relation = r};
}

static void add_story(ingredient_list *l, const tk_storyboard *b)
{
    for (int64_t i = 0; i < b->n_references; i++) add_media(l, b->references[i], TK_RELATION_INPUT);
    for (int64_t i = 0; i < b->n_cast; i++) add_media(l, b->cast[i].file, TK_RELATION_INPUT);
    for (int64_t i = 0; i < b->n_shots; i++)
        for (int64_t k = 0; k < b->shots[i].n_references; k++)
            add_media(l, b->shots[i].references[k], TK_RELATION_INPUT);
    for (int64_t i = 0; i < b->n_keyframes; i++)
        add_media(l, b->keyframes[i].picture, TK_RELATION_PART);
    add_media(l, b->sound, TK_RELATION_PART);
    add_media(l, b->picture, TK_RELATION_PART);
    add_media(l, b->remix.clip, TK_RELATION_PART);
    for (int64_t i = 0; i < b->n_shots; i++)
        if (tk_shot_is_taken(&b->shots[i])) add_media(l, b->shots[i].clip, TK_RELATION_PART);
}

static tk_status add_cameo(tk_signing *s, ingredient_list *l, const char *handle, const char *words)
{
    char *title = tk_arena_printf(&s->arena, "@%s", handle);
    if (!title || !words) return TK_FAIL(TK_MEMORY, "out of memory for a manifest");
    l->path[l->n] = "";
    l->list[l->n++] =
        (tk_ingredient){.title = title, .relation = TK_RELATION_INPUT, .words = words};
    return TK_OK;
}

static tk_status add_cameos(tk_signing *s, ingredient_list *l, const tk_storyboard *b)
{
    for (int64_t i = 0; i < b->n_lent; i++) {
        const tk_lent_config *x = &b->lent[i];
        if (i && !strcmp(x->handle, x[-1].handle)) continue; // face and voice
        TK_TRY(add_cameo(s, l, x->handle, tk_people_words(x->paper, false, &s->arena)));
    }
    for (int64_t i = 0; i < b->n_inherited; i++)
        TK_TRY(add_cameo(s, l, b->inherited[i].handle,
                         tk_people_words(b->inherited[i].paper, true, &s->arena)));
    return TK_OK;
}

static tk_status add_model(tk_signing *s, ingredient_list *l, const tk_trained *t)
{
    const char *words =
        tk_arena_printf(&s->arena, "step %" PRId64 ", digest %016" PRIx64 ", codec %016" PRIx64,
                        t->meta.step, t->meta.digest, tk_codec_get_info(t->meta.codec)->digest);
    if (!words) return TK_FAIL(TK_MEMORY, "out of memory for a manifest");
    l->path[l->n] = "";
    l->list[l->n++] = (tk_ingredient){.title = without_folders(t->path),
                                      .relation = TK_RELATION_INPUT,
                                      .type = "c2pa.types.model",
                                      .words = words};
    return TK_OK;
}

// What a media file says of itself. One that is no MP4 file says nothing; a manifest that does not
// hold is not passed on.
static tk_status read_proof(tk_signing *s, const char *path, tk_arena *a, tk_ingredient *out)
{
    tk_proof *proof;
    uint8_t *store;
    TK_ARENA_NEW(proof, a, 1);
    TK_TRY(tk_proof_read(path, "", a, proof));
    if (proof->state == TK_PROOF_VALID) {
        TK_ARENA_NEW(store, &s->arena, (int64_t)proof->store.n);
        memcpy(store, proof->store.x, proof->store.n);
        out->store = (tk_span){store, proof->store.n};
    }
    if (proof->state != TK_PROOF_INVALID) return TK_OK;
    out->words = tk_arena_printf(&s->arena, "its manifest did not hold: %s", proof->fault[0].code);
    return out->words ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a manifest");
}

static tk_status add_proof(tk_signing *s, const char *path, tk_ingredient *out)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    const tk_status st = read_proof(s, path, &a, out);
    tk_arena_free(&a);
    if (st != TK_INPUT) return st;
    tk_status_clear();
    return TK_OK;
}

// The shots of the storyboard that are taken of a parent.
static tk_status list_taken(tk_signing *s, const tk_remix *r, const tk_storyboard *b, int parent,
                            tk_change *out)
{
    int64_t *as;
    TK_ARENA_NEW(as, &s->arena, b->n_shots + 1);
    for (int64_t i = 0; i < b->n_shots; i++)
        if (tk_shot_is_taken(&b->shots[i]) && r->of[i] == parent) as[out->n_shots++] = i;
    out->shots = as;
    return TK_OK;
}

static tk_status tell_remade(tk_signing *s, const tk_remix_config *r, tk_change *out)
{
    out->strength = tk_arena_printf(&s->arena, "%g", r->strength);
    out->shots = r->shots;
    out->n_shots = r->n_shots;
    out->kept = r->keep;
    out->n_kept = r->n_keep;
    return out->strength ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a manifest");
}

// Clips that it goes on from are ingredients already.
static tk_status tell_changes(tk_signing *s, const tk_storyboard *b, const tk_remix *r,
                              const ingredient_list *l)
{
    char words[TK_REMIX_WORDS];
    TK_ARENA_NEW(s->change, &s->arena, r->n + 1);
    for (int k = 0; k < r->n; k++) {
        tk_change *x = &s->change[k];
        x->words = tk_arena_strdup(&s->arena, tk_remix_change(r, b, k, words));
        if (!x->words) return TK_FAIL(TK_MEMORY, "out of memory for a manifest");
        while (strcmp(l->path[x->ingredient], r->parent[k].clip)) x->ingredient++;
        TK_TRY(*b->remix.clip ? tell_remade(s, &b->remix, x) : list_taken(s, r, b, k, x));
    }
    s->manifest.change = s->change;
    s->manifest.changes = r->n;
    return TK_OK;
}

static tk_status write_manifest(tk_signing *s, const tk_config *c, const tk_trained *t,
                                const tk_remix *r, const char *output)
{
    ingredient_list l = {0};
    const int64_t most =
        1 + tk_story_files(&c->story, NULL) + c->story.n_lent + c->story.n_inherited;
    TK_ARENA_NEW(l.list, &s->arena, most);
    TK_ARENA_NEW(l.path, &s->arena, most);
    TK_TRY(add_model(s, &l, t));
    add_story(&l, &c->story);
    for (int i = 1; i < l.n; i++) TK_TRY(add_proof(s, l.path[i], &l.list[i]));
    TK_TRY(add_cameos(s, &l, &c->story));
    char *title = tk_arena_printf(&s->arena, "%s.mp4", without_folders(output));
    if (!title) return TK_FAIL(TK_MEMORY, "out of memory for a manifest");
    tk_utf8_clean(title, strlen(title)); // a storyboard's file may be named by any bytes
    s->manifest =
        (tk_manifest){.title = title, .version = tk_revision(), .ingredient = l.list, .n = l.n};
    if (c->sample.latents) s->manifest.latents = s->latents; // as many bytes, whatever they are
    return tell_changes(s, &c->story, r, &l);
}

tk_status tk_signing_open(tk_signing *s, const tk_config *c, const tk_trained *t, const tk_remix *r,
                          const char *output)
{
    *s = (tk_signing){0};
    if (!*c->provenance.key) return TK_OK;
    tk_arena_init(&s->arena, 0);
    tk_status st = tk_signer_open(&c->provenance, &s->by);
    if (st == TK_OK) st = write_manifest(s, c, t, r, output);
    if (st == TK_OK) st = tk_manifest_room(s->by, &s->manifest, &s->room);
    if (st != TK_OK) tk_signing_close(s);
    return st;
}

static tk_status hash_of_file(int fd, const char *path, uint8_t hash[TK_MP4_HASH])
{
    struct stat st;
    if (fstat(fd, &st)) return TK_FAIL(TK_IO, "cannot read %s: %s", path, strerror(errno));
    return tk_mp4_hash_whole(fd, path, st.st_size, hash);
}

tk_status tk_signing_put(tk_signing *s, const tk_file *mp4, const tk_file *latents)
{
    if (!s->by) return TK_OK;
    if (s->manifest.latents) TK_TRY(hash_of_file(latents->fd, latents->path, s->latents));
    return tk_manifest_put(s->by, &s->manifest, mp4->fd, mp4->path);
}

static tk_status check_named(const tk_parent *of, const uint8_t *named)
{
    uint8_t hash[TK_MP4_HASH];
    int fd;
    TK_TRY(tk_file_open(of->latents, &fd, NULL));
    const tk_status st = hash_of_file(fd, of->latents, hash);
    close(fd);
    TK_TRY(st);
    if (named && !memcmp(hash, named, sizeof hash)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s is not the file that the signed manifest of %s names; remove it, and the "
                   "film is encoded",
                   of->latents, of->clip);
}

// Whether the film was changed since it was signed.
static bool is_changed(const tk_proof *p)
{
    for (int i = 0; i < p->faults; i++)
        if (!strcmp(p->fault[i].code, "assertion.bmffHash.mismatch")) return true;
    return false;
}

// Anybody can write a description that fits, or sign by a key of their own, and nobody sees in
// latents who is in them.
static tk_status check_signed_here(const tk_parent *of, const tk_proof *p,
                                   const tk_provenance_config *c)
{
    uint8_t ours[TK_CERTIFICATE_HASH];
    if (*c->key) TK_TRY(tk_signer_hash(c, ours));
    if (*c->key && p->state >= TK_PROOF_VALID &&
        !memcmp(p->manifest[0].certificate, ours, sizeof ours))
        return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s: what is in it nobody can tell, since %s is not signed by this worker "
                   "(provenance.key); remove it, and the film is encoded",
                   of->latents, of->clip);
}

static tk_status check_against(const tk_parent *of, const tk_proof *p)
{
    if (p->state == TK_PROOF_VALID) return check_named(of, p->manifest[0].latents);
    if (p->state != TK_PROOF_INVALID || !is_changed(p)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s was changed since it was signed, whatever its description says: %s is not "
                   "what it shows; remove that file, and the film is encoded",
                   of->clip, of->latents);
}

tk_status tk_signing_check_latents(const tk_parent *of, const tk_provenance_config *by)
{
    tk_arena a;
    tk_proof *proof;
    if (!of->latents) return TK_OK;
    tk_arena_init(&a, 0);
    proof = tk_arena_alloc(&a, sizeof *proof);
    tk_status st = proof ? tk_proof_read(of->clip, "", &a, proof)
                         : TK_FAIL(TK_MEMORY, "out of memory for a manifest");
    const bool read = st == TK_OK;
    if (st == TK_INPUT) { // no MP4 file, or none is read here
        tk_status_clear();
        st = TK_OK;
    }
    if (read) st = check_against(of, proof);
    if (proof && st == TK_OK && by) st = check_signed_here(of, proof, by);
    tk_arena_free(&a);
    return st;
}

void tk_signing_close(tk_signing *s)
{
    tk_signer_close(s->by);
    if (s->arena.block_bytes) tk_arena_free(&s->arena);
    *s = (tk_signing){0};
}
