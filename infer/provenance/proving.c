// SPDX-License-Identifier: Apache-2.0
#include "infer/provenance/proving.h"
#include "core/base/utf8.h"
#include <openssl/evp.h>
#include <string.h>

tk_status tk_proving_fault(tk_proving *p, int k, const char *in, const char *code,
                           const char *words)
{
    tk_proof *f = p->proof;
    const char *label = k < 0 ? "" : f->manifest[k].label;
    if (f->faults == TK_PROOF_FAULTS) return TK_OK;
    const char *where = in ? tk_arena_printf(p->arena, "%s/%s", label, in) : label;
    if (!where) return TK_FAIL(TK_MEMORY, "out of memory for what a manifest says");
    f->fault[f->faults++] = (tk_proof_fault){code, where, words};
    return TK_OK;
}

tk_status tk_proving_text(tk_proving *p, tk_span text, const char **out)
{
    enum { SHOWN = 1024 };
    *out = "";
    if (text.n == 0 || text.n > SHOWN || !tk_utf8_valid((const char *)text.x, text.n, NULL))
        return TK_OK;
    char *copy = tk_arena_printf(p->arena, "%.*s", (int)text.n, (const char *)text.x);
    if (!copy) return TK_FAIL(TK_MEMORY, "out of memory for what a manifest says");
    tk_utf8_plain(copy, '?', "");
    *out = copy;
    return TK_OK;
}

tk_status tk_proving_hash(tk_span x, uint8_t hash[TK_MP4_HASH])
{
    if (EVP_Digest(x.x, x.n, hash, NULL, EVP_sha256(), NULL) == 1) return TK_OK;
    return TK_FAIL(TK_MEMORY, "out of memory for a hash");
}

tk_status tk_proving_tell(tk_proving *p, int box, int *k)
{
    tk_proof *f = p->proof;
    if (p->told[box] < 0) {
        p->told[box] = f->n;
        p->from[f->n] = box;
        TK_TRY(tk_proving_text(p, p->box[box].label, &f->manifest[f->n].label));
        f->n++;
    }
    *k = p->told[box];
    return TK_OK;
}

static int find_manifest(const tk_proving *p, tk_span uri)
{
    static const char before[] = "self#jumbf=/c2pa/";
    const size_t n = sizeof before - 1;
    if (uri.n <= n || memcmp(uri.x, before, n)) return -1;
    const tk_span label = {uri.x + n, uri.n - n};
    for (int i = 0; i < p->boxes; i++)
        if (tk_span_same(p->box[i].label, label)) return i;
    return -1;
}

static tk_status hash_manifest(tk_proving *p, int box)
{
    tk_span in = p->box[box].rest;
    tk_jumb b = {0};
    if (p->hashed[box]) return TK_OK;
    while (tk_box_next(&in, &b) && strcmp(b.kind, "c2cs")) continue;
    TK_TRY(tk_proving_hash(p->box[box].body, p->hash[box]));
    TK_TRY(tk_proving_hash(strcmp(b.kind, "c2cs") ? (tk_span){0} : b.body, p->signature[box]));
    p->hashed[box] = true;
    return TK_OK;
}

tk_status tk_proving_follow(tk_proving *p, int of, const char *in, tk_span reference, int *k)
{
    const int box = find_manifest(p, tk_cbor_find_text(reference, "url"));
    *k = -1;
    if (box < 0)
        return tk_proving_fault(p, of, in, "ingredient.manifest.missing",
                                "the manifest of an ingredient is not in the file");
    TK_TRY(hash_manifest(p, box));
    TK_TRY(tk_proving_tell(p, box, k));
    if (tk_span_same(tk_cbor_find_bytes(reference, "hash"), (tk_span){p->hash[box], TK_MP4_HASH}))
        return TK_OK;
    return tk_proving_fault(p, of, in, "ingredient.manifest.mismatch",
                            "the manifest of an ingredient is not the one that it had");
}
