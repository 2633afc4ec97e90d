// SPDX-License-Identifier: Apache-2.0
#include "infer/provenance/manifest.h"
#include "core/base/files.h"
#include "infer/provenance/cbor.h"
#include "infer/provenance/mp4.h"
#include "infer/provenance/proof.h"
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { HASH = 32, LABEL = 64, URI = TK_LABEL + 64 };

typedef struct reference { // to a superbox of the same manifest
    char label[LABEL];
    uint8_t hash[HASH];
} reference;

typedef struct manifest_writer {
    const tk_signer *by;
    const tk_manifest *m;
    const uint8_t *content; // hash of the file; NULL: not known yet, as long
    char id[37], instance[37];
    reference *ingredient, actions, binding, clip;
    tk_jumb *carried; // (TK_MANIFESTS) manifests of ingredients, each once
    int n_carried;
    bool failed; // OpenSSL's hash
} manifest_writer;

// ---- small pieces ------------------------------------------------------------------------------

static tk_status draw_uuid(char text[37])
{
    uint8_t x[16];
    if (RAND_bytes(x, sizeof x) != 1)
        return TK_FAIL(TK_INTERNAL, "OpenSSL has no random numbers for a manifest's name");
    x[6] = (uint8_t)((x[6] & 0x0f) | 0x40);
    x[8] = (uint8_t)((x[8] & 0x3f) | 0x80);
    for (int i = 0, at = 0; i < 16; i++)
        at += snprintf(text + at, (size_t)(37 - at), "%s%02x",
                       i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", x[i]);
    return TK_OK;
}

static void put_pair(tk_blob *b, const char *key, const char *text)
{
    tk_cbor_text(b, key);
    tk_cbor_text(b, text);
}

// The same manifest's superbox, by the place that it has in it.
static void put_reference(tk_blob *b, const reference *r)
{
    char uri[URI];
    snprintf(uri, sizeof uri, "self#jumbf=c2pa.assertions/%s", r->label);
    tk_cbor_map(b, 2);
    put_pair(b, "url", uri);
    tk_cbor_text(b, "hash");
    tk_cbor_bytes(b, r->hash, HASH);
}

static size_t begin_cbor(tk_blob *b, const char *kind, const char *label, size_t *content)
{
    const size_t at = tk_superbox_begin(b, kind, label);
    *content = tk_box_begin(b, "cbor");
    return at;
}

static void end_cbor(tk_blob *b, size_t at, size_t content)
{
    tk_box_end(b, content);
    tk_box_end(b, at);
}

// Ends an assertion, and what others will know it by.
static void end_assertion(manifest_writer *w, tk_blob *b, size_t at, size_t content,
                          const char *label, reference *r)
{
    end_cbor(b, at, content);
    snprintf(r->label, sizeof r->label, "%s", label);
    if (b->full) return;
    const uint8_t *body = b->x + at + 8;
    w->failed |= EVP_Digest(body, b->n - at - 8, r->hash, NULL, EVP_sha256(), NULL) != 1;
}

// ---- manifests of ingredients ------------------------------------------------------------------

// The next manifest of a store; *in begins as the store. False at its end.
static bool next_manifest(tk_span *in, tk_jumb *b)
{
    while (tk_box_next(in, b)) {
        if (!strcmp(b->kind, "c2pa")) *in = b->rest;
        if (!strcmp(b->kind, "c2ma")) return true;
    }
    return false;
}

static bool last_manifest(tk_span store, tk_jumb *last)
{
    tk_jumb b;
    bool any = false;
    for (; next_manifest(&store, &b); any = true) *last = b;
    return any;
}

static tk_status carry(manifest_writer *w, const tk_jumb *b)
{
    for (int i = 0; i < w->n_carried; i++) {
        if (!tk_span_same(w->carried[i].label, b->label)) continue;
        if (tk_span_same(w->carried[i].body, b->body)) return TK_OK;
        return TK_FAIL(TK_INPUT,
                       "two of the given clips carry manifests named %.*s that are not the same; "
                       "give one of them without its manifest",
                       (int)b->label.n, (const char *)b->label.x);
    }
    if (w->n_carried == TK_MANIFESTS - 1)
        return TK_FAIL(TK_INPUT, "the given clips carry more than %d manifests", TK_MANIFESTS - 1);
    w->carried[w->n_carried++] = *b;
    return TK_OK;
}

static tk_status carry_all(manifest_writer *w)
{
    tk_jumb b;
    TK_NEW(w->carried, TK_MANIFESTS);
    for (int i = 0; i < w->m->n; i++)
        for (tk_span in = w->m->ingredient[i].store; next_manifest(&in, &b);) TK_TRY(carry(w, &b));
    return TK_OK;
}

static void put_carried(const manifest_writer *w, tk_blob *b)
{
    for (int i = 0; i < w->n_carried; i++) {
        const size_t at = tk_box_begin(b, "jumb");
        tk_blob_put(b, w->carried[i].body.x, w->carried[i].body.n);
        tk_box_end(b, at);
    }
}

// ---- assertions --------------------------------------------------------------------------------

static void put_link(manifest_writer *w, tk_blob *b, const char *key, const char *uri, tk_span body)
{
    uint8_t hash[HASH] = {0};
    w->failed |= EVP_Digest(body.x, body.n, hash, NULL, EVP_sha256(), NULL) != 1;
    tk_cbor_text(b, key);
    tk_cbor_map(b, 2);
    put_pair(b, "url", uri);
    tk_cbor_text(b, "hash");
    tk_cbor_bytes(b, hash, HASH);
}

static void put_found(tk_blob *b, const char *code, const char *uri)
{
    tk_cbor_map(b, 2);
    put_pair(b, "code", code);
    put_pair(b, "url", uri);
}

// What was found when the ingredient's manifest was read: it holds, whoever its signer is.
static void put_findings(tk_blob *b, const char *signature)
{
    static const char *const good[] = {"claimSignature.insideValidity", "claimSignature.validated"};
    tk_cbor_text(b, "validationResults");
    tk_cbor_map(b, 1);
    tk_cbor_text(b, "activeManifest");
    tk_cbor_map(b, 3);
    tk_cbor_text(b, "success");
    tk_cbor_array(b, 2);
    for (int i = 0; i < 2; i++) put_found(b, good[i], signature);
    tk_cbor_text(b, "informational");
    tk_cbor_array(b, 0);
    tk_cbor_text(b, "failure");
    tk_cbor_array(b, 1);
    put_found(b, "signingCredential.untrusted", signature);
}

// The manifest that an ingredient came with, which lies in this store too.
static void put_parent(manifest_writer *w, tk_blob *b, const tk_jumb *manifest)
{
    char uri[URI], signature[URI + 16];
    tk_span in = manifest->rest;
    tk_jumb s = {0};
    while (tk_box_next(&in, &s) && strcmp(s.kind, "c2cs")) continue;
    snprintf(uri, sizeof uri, "self#jumbf=/c2pa/%.*s", (int)manifest->label.n,
             (const char *)manifest->label.x);
    snprintf(signature, sizeof signature, "%s/c2pa.signature", uri);
    put_link(w, b, "activeManifest", uri, manifest->body);
    put_link(w, b, "claimSignature", signature, s.body);
    put_findings(b, signature);
}

static void put_ingredient(manifest_writer *w, tk_blob *b, int i)
{
    const tk_ingredient *s = &w->m->ingredient[i];
    tk_jumb manifest = {0};
    const bool has = last_manifest(s->store, &manifest);
    char label[LABEL];
    size_t content;
    snprintf(label, sizeof label, i ? "c2pa.ingredient.v3__%d" : "c2pa.ingredient.v3", i);
    const size_t at = begin_cbor(b, "cbor", label, &content);
    tk_cbor_map(b, 2 + (size_t)(s->type != NULL) + (size_t)(s->words != NULL) + (has ? 3 : 0));
    put_pair(b, "dc:title", s->title);
    put_pair(b, "relationship", s->relation == TK_RELATION_PART ? "componentOf" : "inputTo");
    if (s->words) put_pair(b, "description", s->words);
    if (s->type) {
        tk_cbor_text(b, "dataTypes");
        tk_cbor_array(b, 1);
        tk_cbor_map(b, 1);
        put_pair(b, "type", s->type);
    }
    if (has) put_parent(w, b, &manifest);
    end_assertion(w, b, at, content, label, &w->ingredient[i]);
}

static int count_ingredients(const manifest_writer *w, tk_relation r)
{
    int n = 0;
    for (int i = 0; i < w->m->n; i++) n += w->m->ingredient[i].relation == r;
    return n;
}

// The ingredients of an action.
static void put_parameters(const manifest_writer *w, tk_blob *b, tk_relation r)
{
    tk_cbor_text(b, "parameters");
    tk_cbor_map(b, 1);
    tk_cbor_text(b, "ingredients");
    tk_cbor_array(b, (size_t)count_ingredients(w, r));
    for (int i = 0; i < w->m->n; i++)
        if (w->m->ingredient[i].relation == r) put_reference(b, &w->ingredient[i]);
}

static void put_action_list(manifest_writer *w, tk_blob *b)
{
    const int parts = count_ingredients(w, TK_RELATION_PART);
    size_t content;
    const size_t at = begin_cbor(b, "cbor", "c2pa.actions.v2", &content);
    tk_cbor_map(b, 1);
    tk_cbor_text(b, "actions");
    tk_cbor_array(b, parts ? 2 : 1);
    tk_cbor_map(b, 4);
    put_pair(b, "action", "c2pa.created");
    put_pair(b, "digitalSourceType",
             "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia");
    tk_cbor_text(b, "softwareAgent");
    tk_cbor_map(b, 2);
    put_pair(b, "name", "talkie");
    put_pair(b, "version", w->m->version);
    put_parameters(w, b, TK_RELATION_INPUT);
    if (parts) {
        tk_cbor_map(b, 2);
        put_pair(b, "action", "c2pa.placed");
        put_parameters(w, b, TK_RELATION_PART);
    }
    end_assertion(w, b, at, content, "c2pa.actions.v2", &w->actions);
}

static void put_binding(manifest_writer *w, tk_blob *b)
{
    static const uint8_t unknown[TK_MP4_HASH];
    size_t content;
    const size_t at = begin_cbor(b, "cbor", "c2pa.hash.bmff.v3", &content);
    tk_cbor_map(b, 4);
    tk_cbor_text(b, "exclusions");
    tk_mp4_exclusions(b);
    put_pair(b, "alg", "sha256");
    tk_cbor_text(b, "hash");
    tk_cbor_bytes(b, w->content ? w->content : unknown, TK_MP4_HASH);
    put_pair(b, "name", "all but this manifest");
    end_assertion(w, b, at, content, "c2pa.hash.bmff.v3", &w->binding);
}

static void put_shot_list(tk_blob *b, const char *key, const tk_change *c)
{
    tk_cbor_text(b, key);
    tk_cbor_array(b, (size_t)c->n_shots);
    for (int64_t i = 0; i < c->n_shots; i++) tk_cbor_int(b, c->shots[i]);
}

static void put_change(const manifest_writer *w, tk_blob *b, const tk_change *c)
{
    const bool taken = !c->strength;
    tk_cbor_map(b, taken ? 3 : c->shots ? 5 : 4);
    tk_cbor_text(b, "ingredient");
    put_reference(b, &w->ingredient[c->ingredient]);
    put_pair(b, "change", c->words);
    if (taken) {
        put_shot_list(b, "as", c);
        return;
    }
    put_pair(b, "strength", c->strength);
    tk_cbor_text(b, "kept");
    tk_cbor_array(b, (size_t)c->n_kept);
    for (int64_t i = 0; i < c->n_kept; i++) tk_cbor_text(b, c->kept[i]);
    if (c->shots) put_shot_list(b, "shots", c);
}

// The clip that is remixed, or all that shots are taken of.
static void put_changes(const manifest_writer *w, tk_blob *b)
{
    const tk_manifest *m = w->m;
    const bool taken = !m->change->strength;
    tk_cbor_text(b, taken ? "taken" : "remix");
    if (taken) tk_cbor_array(b, (size_t)m->changes);
    for (int i = 0; i < m->changes; i++) put_change(w, b, &m->change[i]);
}

static bool says_clip(const tk_manifest *m)
{
    return m->changes || m->latents;
}

// What the standard has no words for.
static void put_clip(manifest_writer *w, tk_blob *b)
{
    const tk_manifest *m = w->m;
    size_t content;
    if (!says_clip(m)) return;
    const size_t at = begin_cbor(b, "cbor", TK_CLIP_ASSERTION, &content);
    tk_cbor_map(b, (size_t)(m->changes > 0) + (size_t)(m->latents != NULL));
    if (m->changes) put_changes(w, b);
    if (m->latents) tk_cbor_text(b, "latents");
    if (m->latents) tk_cbor_bytes(b, m->latents, TK_MP4_HASH);
    end_assertion(w, b, at, content, TK_CLIP_ASSERTION, &w->clip);
}

// ---- the manifest ------------------------------------------------------------------------------

static void put_claim(const manifest_writer *w, tk_blob *b)
{
    char text[URI];
    tk_cbor_map(b, 6);
    snprintf(text, sizeof text, "xmp:iid:%s", w->instance);
    put_pair(b, "instanceID", text);
    tk_cbor_text(b, "claim_generator_info");
    tk_cbor_map(b, 2);
    put_pair(b, "name", "talkie");
    put_pair(b, "version", w->m->version);
    snprintf(text, sizeof text, "self#jumbf=/c2pa/urn:c2pa:%s/c2pa.signature", w->id);
    put_pair(b, "signature", text);
    tk_cbor_text(b, "created_assertions");
    tk_cbor_array(b, (size_t)w->m->n + 2 + says_clip(w->m));
    put_reference(b, &w->actions);
    put_reference(b, &w->binding);
    for (int i = 0; i < w->m->n; i++) put_reference(b, &w->ingredient[i]);
    if (says_clip(w->m)) put_reference(b, &w->clip);
    put_pair(b, "dc:title", w->m->title);
    put_pair(b, "alg", "sha256");
}

// The store: the file's own manifest comes last.
static tk_status put_store(manifest_writer *w, tk_blob *b)
{
    char label[LABEL];
    size_t content;
    tk_blob claim = {0};
    snprintf(label, sizeof label, "urn:c2pa:%s", w->id);
    const size_t store = tk_superbox_begin(b, "c2pa", "c2pa");
    put_carried(w, b);
    const size_t manifest = tk_superbox_begin(b, "c2ma", label);
    const size_t assertions = tk_superbox_begin(b, "c2as", "c2pa.assertions");
    for (int i = 0; i < w->m->n; i++) put_ingredient(w, b, i);
    put_action_list(w, b);
    put_binding(w, b);
    put_clip(w, b);
    tk_box_end(b, assertions);
    put_claim(w, &claim);
    size_t at = begin_cbor(b, "c2cl", "c2pa.claim.v2", &content);
    tk_blob_put(b, claim.x, claim.n);
    end_cbor(b, at, content);
    at = begin_cbor(b, "c2cs", "c2pa.signature", &content);
    tk_status st = tk_blob_check(&claim);
    if (st == TK_OK) st = tk_signer_sign(w->by, tk_blob_span(&claim), w->content != NULL, b);
    end_cbor(b, at, content);
    tk_box_end(b, manifest);
    tk_box_end(b, store);
    tk_blob_free(&claim);
    TK_TRY(st);
    if (w->failed) return TK_FAIL(TK_INTERNAL, "OpenSSL's SHA-256 failed");
    return tk_blob_check(b);
}

static tk_status open_writer(manifest_writer *w, const tk_signer *by, const tk_manifest *m)
{
    const int most = TK_PROOF_ASSERTIONS - 2 - says_clip(m); // beside actions and binding
    *w = (manifest_writer){.by = by, .m = m};
    if (m->n > most)
        return TK_FAIL(TK_INPUT, "a clip made from %d files: a manifest names at most %d", m->n,
                       most);
    TK_NEW(w->ingredient, m->n);
    TK_TRY(carry_all(w));
    TK_TRY(draw_uuid(w->id));
    return draw_uuid(w->instance);
}

static void close_writer(manifest_writer *w)
{
    tk_free(w->ingredient);
    tk_free(w->carried);
}

static tk_status measure_store(manifest_writer *w, int64_t *bytes)
{
    tk_blob b = {0};
    const tk_status st = put_store(w, &b);
    *bytes = TK_MP4_HEAD + (int64_t)b.n;
    tk_blob_free(&b);
    TK_TRY(st);
    if (*bytes > TK_MP4_STORE)
        return TK_FAIL(TK_INPUT, "the clip's manifest would have %" PRId64 " bytes, at most %d",
                       *bytes, TK_MP4_STORE);
    return TK_OK;
}

tk_status tk_manifest_room(const tk_signer *by, const tk_manifest *m, int64_t *bytes)
{
    manifest_writer w;
    tk_status st = open_writer(&w, by, m);
    if (st == TK_OK) st = measure_store(&w, bytes);
    close_writer(&w);
    return st;
}

// All of the file is as it will be when its hash is taken, but for what lies in the manifest's box.
static tk_status fill_room(manifest_writer *w, int fd, const char *path, const tk_mp4 *mp4)
{
    tk_blob b = {0};
    uint8_t content[TK_MP4_HASH];
    tk_mp4_head(&b, (size_t)(mp4->room - TK_MP4_HEAD));
    tk_status st = tk_blob_check(&b);
    if (st == TK_OK) st = tk_pwrite_all(fd, path, b.x, b.n, mp4->room_at);
    if (st == TK_OK) st = tk_mp4_hash(fd, path, mp4->bytes, content);
    w->content = content;
    if (st == TK_OK) st = put_store(w, &b);
    if (st == TK_OK && (int64_t)b.n != mp4->room)
        st = TK_FAIL(TK_INTERNAL, "%s: the manifest has %zu bytes, room was left for %" PRId64,
                     path, b.n, mp4->room);
    if (st == TK_OK) st = tk_pwrite_all(fd, path, b.x, b.n, mp4->room_at);
    tk_blob_free(&b);
    return st;
}

tk_status tk_manifest_put(const tk_signer *by, const tk_manifest *m, int fd, const char *path)
{
    manifest_writer w;
    struct stat s;
    tk_mp4 mp4;
    if (fstat(fd, &s)) return TK_FAIL(TK_IO, "cannot read %s", path);
    TK_TRY(tk_mp4_look(fd, path, s.st_size, &mp4));
    if (!mp4.room) return TK_FAIL(TK_INTERNAL, "%s has no room for a manifest behind ftyp", path);
    tk_status st = open_writer(&w, by, m);
    if (st == TK_OK) st = fill_room(&w, fd, path, &mp4);
    close_writer(&w);
    return st;
}
