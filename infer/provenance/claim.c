// SPDX-License-Identifier: Apache-2.0
// One manifest: its claim, who signed that, and the assertions that it makes.
#include "infer/provenance/proving.h"
#include <stdio.h>
#include <string.h>

typedef struct assertion {
    tk_jumb box;
    tk_span content; // its CBOR; empty where it holds something else
    char name[80];   // its label, to be shown
    bool claimed;
} assertion;

typedef struct claim_check {
    tk_proving *p;
    int k;         // of the proof's manifests
    tk_span claim; // CBOR
    tk_span cose;
    assertion *all; // (n)
    int n;
    int bindings;
} claim_check;

static tk_status at_fault(const claim_check *c, const char *in, const char *code, const char *words)
{
    return tk_proving_fault(c->p, c->k, in, code, words);
}

// What a superbox holds, where that is one item of CBOR.
static tk_span content_of(const tk_jumb *b)
{
    tk_span in = b->rest, cbor, item;
    tk_jumb inner;
    if (!tk_box_next(&in, &inner) || strcmp(inner.type, "cbor") || in.n) return (tk_span){0};
    cbor = inner.body;
    if (!tk_cbor_whole(&cbor, &item) || cbor.n) return (tk_span){0};
    return item;
}

// ---- finding -----------------------------------------------------------------------------------

static void name_assertion(assertion *a)
{
    const size_t n = a->box.label.n < sizeof a->name - 1 ? a->box.label.n : sizeof a->name - 1;
    for (size_t i = 0; i < n; i++) {
        const uint8_t x = a->box.label.x[i];
        a->name[i] = (char)(x > ' ' && x < 127 ? x : '?');
    }
}

static tk_status list_assertions(claim_check *c, tk_span in, bool *whole)
{
    tk_jumb b;
    int n = 0;
    *whole = true;
    for (tk_span left = in; left.n && *whole; n++)
        *whole = n < TK_PROOF_ASSERTIONS && tk_box_next(&left, &b) && *b.kind;
    if (!*whole) return TK_OK;
    TK_NEW(c->all, n + 1);
    for (c->n = 0; c->n < n; c->n++) {
        assertion *a = &c->all[c->n];
        tk_box_next(&in, &a->box);
        a->content = content_of(&a->box);
        name_assertion(a);
    }
    return TK_OK;
}

static bool is_claim(const tk_jumb *b)
{
    return !strcmp(b->kind, "c2cl") &&
           (tk_span_is(b->label, "c2pa.claim.v2") || tk_span_is(b->label, "c2pa.claim"));
}

static bool is_signature(const tk_jumb *b)
{
    return !strcmp(b->kind, "c2cs") && tk_span_is(b->label, "c2pa.signature");
}

static bool is_store(const tk_jumb *b)
{
    return !strcmp(b->kind, "c2as") && tk_span_is(b->label, "c2pa.assertions");
}

static tk_status find_parts(claim_check *c, bool *found)
{
    const tk_jumb *manifest = &c->p->box[c->p->from[c->k]];
    tk_span in = manifest->rest;
    int claims = 0, signatures = 0, stores = 0;
    bool whole = true;
    tk_jumb b;
    while (in.n && whole) {
        whole = tk_box_next(&in, &b);
        if (is_claim(&b) && ++claims == 1) c->claim = content_of(&b);
        if (is_signature(&b) && ++signatures == 1) c->cose = content_of(&b);
        if (is_store(&b) && ++stores == 1) TK_TRY(list_assertions(c, b.rest, &whole));
    }
    *found = whole && claims == 1 && signatures == 1 && stores == 1 && c->claim.n && c->cose.n;
    if (*found) return TK_OK;
    if (whole && !claims)
        return at_fault(c, NULL, "claim.missing", "the manifest is without a claim");
    if (whole && !signatures)
        return at_fault(c, NULL, "claimSignature.missing", "the claim is without a signature");
    return at_fault(c, NULL, "general.error", "the manifest is damaged");
}

// ---- what the claim lists ----------------------------------------------------------------------

// The last part of a reference to an assertion of this manifest.
static tk_span label_in(const claim_check *c, tk_span uri)
{
    static const char own[] = "self#jumbf=c2pa.assertions/", top[] = "self#jumbf=/c2pa/",
                      below[] = "/c2pa.assertions/";
    const tk_span label = c->p->box[c->p->from[c->k]].label;
    size_t n = sizeof own - 1;
    if (uri.n > n && !memcmp(uri.x, own, n)) return (tk_span){uri.x + n, uri.n - n};
    n = sizeof top - 1 + label.n + sizeof below - 1;
    if (uri.n <= n || memcmp(uri.x, top, sizeof top - 1) ||
        memcmp(uri.x + sizeof top - 1, label.x, label.n) ||
        memcmp(uri.x + n - (sizeof below - 1), below, sizeof below - 1))
        return (tk_span){0};
    return (tk_span){uri.x + n, uri.n - n};
}

static tk_status check_reference(claim_check *c, tk_span reference)
{
    const tk_span label = label_in(c, tk_cbor_find_text(reference, "url"));
    const tk_span alg = tk_cbor_find_text(reference, "alg");
    uint8_t hash[TK_MP4_HASH];
    assertion *a = NULL;
    for (int i = 0; i < c->n && label.n && !a; i++)
        if (tk_span_same(c->all[i].box.label, label)) a = &c->all[i];
    if (!a)
        return at_fault(c, NULL, "assertion.missing",
                        "the claim lists an assertion that is not in the manifest");
    if (a->claimed)
        return at_fault(c, a->name, "claim.malformed", "the claim lists an assertion twice");
    a->claimed = true;
    if (alg.n && !tk_span_is(alg, "sha256"))
        return at_fault(c, a->name, "algorithm.unsupported",
                        "it is hashed by something else than "
                        "SHA-256");
    TK_TRY(tk_proving_hash(a->box.body, hash));
    if (tk_span_same(tk_cbor_find_bytes(reference, "hash"), (tk_span){hash, sizeof hash}))
        return TK_OK;
    return at_fault(c, a->name, "assertion.hashedURI.mismatch",
                    "the assertion is not the one that was signed");
}

static tk_status check_list(claim_check *c, const char *key)
{
    tk_span list, items, one;
    if (!tk_cbor_find(c->claim, key, &list)) return TK_OK;
    const uint64_t n = tk_cbor_items(list, &items);
    if (n > TK_PROOF_ASSERTIONS)
        return at_fault(c, NULL, "claim.malformed", "the claim lists too many assertions");
    for (uint64_t i = 0; i < n && tk_cbor_whole(&items, &one); i++) TK_TRY(check_reference(c, one));
    return TK_OK;
}

static tk_status check_listed(claim_check *c)
{
    static const char *const keys[] = {"created_assertions", "gathered_assertions", "assertions"};
    const tk_span alg = tk_cbor_find_text(c->claim, "alg");
    if (alg.n && !tk_span_is(alg, "sha256"))
        return at_fault(c, NULL, "algorithm.unsupported",
                        "the claim hashes by something else than "
                        "SHA-256");
    for (int i = 0; i < 3; i++) TK_TRY(check_list(c, keys[i]));
    for (int i = 0; i < c->n; i++)
        if (!c->all[i].claimed)
            TK_TRY(at_fault(c, c->all[i].name, "assertion.undeclared",
                            "the manifest has an assertion that its claim does not list"));
    return TK_OK;
}

// ---- what assertions say -----------------------------------------------------------------------

static bool is_named(const assertion *a, const char *label)
{
    const size_t n = strlen(label);
    if (strncmp(a->name, label, n)) return false;
    return !a->name[n] || !strncmp(a->name + n, "__", 2); // the second of its kind is __1
}

static tk_status check_actions(claim_check *c, const assertion *a)
{
    tk_told_manifest *told = &c->p->proof->manifest[c->k];
    tk_span list, items, first, what;
    if (!tk_cbor_find(a->content, "actions", &list) || !tk_cbor_items(list, &items) ||
        !tk_cbor_whole(&items, &first))
        return at_fault(c, a->name, "assertion.action.malformed", "there is no action");
    what = tk_cbor_find_text(first, "action");
    tk_span source = tk_cbor_find_text(first, "digitalSourceType");
    if (!tk_span_is(what, "c2pa.created") && !tk_span_is(what, "c2pa.opened"))
        return at_fault(c, a->name, "assertion.action.malformed",
                        "the first action neither creates nor opens anything");
    for (size_t i = source.n; i > 0; i--)
        if (source.x[i - 1] == '/') {
            source = (tk_span){source.x + i, source.n - i};
            break;
        }
    return tk_proving_text(c->p, source, &told->source);
}

// How the file is bound; of ingredients the file is not here.
static tk_status check_binding(claim_check *c, const assertion *a)
{
    tk_blob ours = {0};
    tk_span exclusions, merkle;
    const tk_span hash = tk_cbor_find_bytes(a->content, "hash");
    c->bindings++;
    if (c->k) return TK_OK;
    tk_mp4_exclusions(&ours);
    const bool known = tk_cbor_find(a->content, "exclusions", &exclusions) &&
                       tk_span_same(exclusions, tk_blob_span(&ours)) &&
                       tk_span_is(tk_cbor_find_text(a->content, "alg"), "sha256") &&
                       !tk_cbor_find(a->content, "merkle", &merkle) && hash.n == TK_MP4_HASH;
    const tk_status st = tk_blob_check(&ours);
    tk_blob_free(&ours);
    TK_TRY(st);
    if (!known)
        return at_fault(c, a->name, "assertion.bmffHash.malformed",
                        "the file is bound in a way that talkie does not write: what it would "
                        "leave out is not known");
    memcpy(c->p->content, hash.x, hash.n);
    c->p->bound = true;
    return TK_OK;
}

static tk_status check_signature_of(claim_check *c, const char *in, tk_span reference, int k)
{
    const tk_span hash = {c->p->signature[c->p->from[k]], TK_MP4_HASH}; // it was followed
    if (tk_span_same(tk_cbor_find_bytes(reference, "hash"), hash)) return TK_OK;
    return at_fault(c, in, "ingredient.claimSignature.mismatch",
                    "the signature of an ingredient's manifest is not the one that it had");
}

static tk_status check_ingredient(claim_check *c, const assertion *a, tk_told_ingredient *told)
{
    tk_span reference, signature, types, items, first;
    told->type = "";
    told->manifest = -1;
    TK_TRY(tk_proving_text(c->p, tk_cbor_find_text(a->content, "dc:title"), &told->title));
    TK_TRY(tk_proving_text(c->p, tk_cbor_find_text(a->content, "relationship"), &told->relation));
    TK_TRY(tk_proving_text(c->p, tk_cbor_find_text(a->content, "description"), &told->words));
    if (tk_cbor_find(a->content, "dataTypes", &types) && tk_cbor_items(types, &items) &&
        tk_cbor_whole(&items, &first))
        TK_TRY(tk_proving_text(c->p, tk_cbor_find_text(first, "type"), &told->type));
    if (!tk_cbor_find(a->content, "activeManifest", &reference) &&
        !tk_cbor_find(a->content, "c2pa_manifest", &reference))
        return TK_OK;
    TK_TRY(tk_proving_follow(c->p, c->k, a->name, reference, &told->manifest));
    if (told->manifest < 0 || !tk_cbor_find(a->content, "claimSignature", &signature)) return TK_OK;
    return check_signature_of(c, a->name, signature, told->manifest);
}

static bool is_ingredient(const assertion *a)
{
    return is_named(a, "c2pa.ingredient") || is_named(a, "c2pa.ingredient.v2") ||
           is_named(a, "c2pa.ingredient.v3");
}

static bool is_actions(const assertion *a)
{
    return is_named(a, "c2pa.actions") || is_named(a, "c2pa.actions.v2");
}

// The ingredient that a reference leads to; -1: none.
static int find_ingredient(const claim_check *c, tk_span reference)
{
    const tk_span label = label_in(c, tk_cbor_find_text(reference, "url"));
    int k = 0;
    for (int i = 0; i < c->n; i++) {
        if (!is_ingredient(&c->all[i])) continue;
        if (label.n && tk_span_same(c->all[i].box.label, label)) return k;
        k++;
    }
    return -1;
}

static void read_told_numbers(tk_span list, tk_told_change *out)
{
    tk_span items;
    tk_cbor number;
    for (uint64_t n = tk_cbor_items(list, &items); n > 0 && out->shots < TK_TOLD_SHOTS; n--) {
        if (!tk_cbor_next(&items, &number) || number.kind != TK_CBOR_UINT ||
            number.number > INT64_MAX)
            break;
        out->shot[out->shots++] = (int64_t)number.number;
    }
}

// shots: the key that they are told by.
static tk_status read_change(const claim_check *c, tk_span change, const char *shots,
                             tk_told_change *out)
{
    tk_span reference, list, items, one;
    *out = (tk_told_change){.ingredient = -1, .kept = ""};
    TK_TRY(tk_proving_text(c->p, tk_cbor_find_text(change, "change"), &out->words));
    TK_TRY(tk_proving_text(c->p, tk_cbor_find_text(change, "strength"), &out->strength));
    if (tk_cbor_find(change, "ingredient", &reference))
        out->ingredient = find_ingredient(c, reference);
    if (tk_cbor_find(change, "kept", &list) && tk_cbor_items(list, &items) == 1 &&
        tk_cbor_whole(&items, &one))
        TK_TRY(tk_proving_text(c->p, tk_cbor_get_text(one), &out->kept));
    if (tk_cbor_find(change, shots, &list)) read_told_numbers(list, out);
    return TK_OK;
}

static tk_status read_taken(const claim_check *c, tk_span list, tk_told_manifest *told)
{
    tk_span items, one;
    tk_told_change *all;
    uint64_t n = tk_cbor_items(list, &items);
    if (n > TK_TOLD_TAKES) n = TK_TOLD_TAKES;
    TK_ARENA_NEW(all, c->p->arena, (int64_t)n + 1);
    for (told->taken = all; told->takes < (int)n && tk_cbor_whole(&items, &one); told->takes++)
        TK_TRY(read_change(c, one, "as", &all[told->takes]));
    return TK_OK;
}

// What the standard has no words for, and nobody but talkie says.
static tk_status read_clip_assertion(const claim_check *c, const assertion *a)
{
    tk_told_manifest *told = &c->p->proof->manifest[c->k];
    const tk_span latents = tk_cbor_find_bytes(a->content, "latents");
    tk_span change;
    if (latents.n == TK_MP4_HASH) told->latents = latents.x;
    if (tk_cbor_find(a->content, "taken", &change) && !told->takes)
        TK_TRY(read_taken(c, change, told));
    if (!tk_cbor_find(a->content, "remix", &change)) return TK_OK;
    return read_change(c, change, "shots", &told->change);
}

static tk_status check_assertions(claim_check *c)
{
    tk_told_manifest *told = &c->p->proof->manifest[c->k];
    tk_told_ingredient *ingredient;
    int actions = 0;
    TK_ARENA_NEW(ingredient, c->p->arena, c->n);
    told->ingredient = ingredient;
    for (int i = 0; i < c->n; i++) {
        const assertion *a = &c->all[i];
        if (is_ingredient(a)) TK_TRY(check_ingredient(c, a, &ingredient[told->n++]));
        if (is_actions(a) && actions++ == 0) TK_TRY(check_actions(c, a));
        if (is_named(a, "c2pa.hash.bmff.v2") || is_named(a, "c2pa.hash.bmff.v3"))
            TK_TRY(check_binding(c, a));
        if (is_named(a, TK_CLIP_ASSERTION)) TK_TRY(read_clip_assertion(c, a));
    }
    if (!actions)
        TK_TRY(at_fault(c, NULL, "assertion.action.malformed", "the claim is without actions"));
    if (c->bindings == 1) return TK_OK;
    c->p->bound &= c->k > 0;
    return c->bindings ? at_fault(c, NULL, "assertion.multipleHardBindings",
                                  "the claim is bound to contents more than once")
                       : at_fault(c, NULL, "claim.hardBindings.missing",
                                  "the claim is bound to no contents");
}

// ---- the claim ---------------------------------------------------------------------------------

// Whether the claim names the signature beside it, and with it the manifest.
static bool names_signature(const claim_check *c)
{
    const tk_span uri = tk_cbor_find_text(c->claim, "signature");
    const tk_span label = c->p->box[c->p->from[c->k]].label;
    char own[TK_LABEL + 64];
    snprintf(own, sizeof own, "self#jumbf=/c2pa/%.*s/c2pa.signature", (int)label.n,
             (const char *)label.x);
    return tk_span_is(uri, own) || tk_span_is(uri, "self#jumbf=c2pa.signature");
}

static tk_status check_signer(claim_check *c)
{
    tk_told_manifest *told = &c->p->proof->manifest[c->k];
    tk_signed by;
    if (!names_signature(c))
        return at_fault(c, NULL, "claimSignature.missing",
                        "the claim names another signature than that beside it");
    TK_TRY(tk_cose_check(c->cose, c->claim, c->p->anchors, &by));
    told->trusted = by.trusted;
    if (!by.fault) {
        uint8_t *hash = tk_arena_alloc(c->p->arena, sizeof by.certificate);
        if (!hash) return TK_FAIL(TK_MEMORY, "out of memory for a certificate");
        told->certificate = memcpy(hash, by.certificate, sizeof by.certificate);
    }
    TK_TRY(
        tk_proving_text(c->p, (tk_span){(uint8_t *)by.signer, strlen(by.signer)}, &told->signer));
    TK_TRY(
        tk_proving_text(c->p, (tk_span){(uint8_t *)by.issuer, strlen(by.issuer)}, &told->issuer));
    return by.fault ? at_fault(c, NULL, by.fault, by.words) : TK_OK;
}

static tk_status read_claim(claim_check *c)
{
    tk_told_manifest *told = &c->p->proof->manifest[c->k];
    tk_span info, first;
    uint8_t *hash;
    TK_ARENA_NEW(hash, c->p->arena, TK_MP4_HASH);
    TK_TRY(tk_proving_hash(c->claim, hash));
    told->claim = hash;
    TK_TRY(tk_proving_text(c->p, tk_cbor_find_text(c->claim, "dc:title"), &told->title));
    if (tk_cbor_find(c->claim, "claim_generator_info", &info)) {
        tk_span items; // one map, or in older claims an array of them
        if (tk_cbor_items(info, &items) && tk_cbor_whole(&items, &first)) info = first;
        TK_TRY(tk_proving_text(c->p, tk_cbor_find_text(info, "name"), &told->generator));
    }
    TK_TRY(check_signer(c));
    TK_TRY(check_listed(c));
    return check_assertions(c);
}

tk_status tk_proving_claim(tk_proving *p, int k)
{
    claim_check c = {.p = p, .k = k};
    tk_told_manifest *told = &p->proof->manifest[k];
    bool found = false;
    told->title = told->generator = told->source = told->signer = told->issuer = "";
    told->change = (tk_told_change){.ingredient = -1, .words = "", .strength = "", .kept = ""};
    tk_status st = find_parts(&c, &found);
    if (st == TK_OK && found) st = read_claim(&c);
    tk_free(c.all);
    return st;
}
