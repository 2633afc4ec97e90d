// SPDX-License-Identifier: Apache-2.0
#include "infer/provenance/proof.h"
#include "core/base/files.h"
#include "core/base/utf8.h"
#include "infer/provenance/proving.h"
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

const char *tk_proof_state_name(tk_proof_state s)
{
    static const char *const name[] = {"none", "invalid", "valid", "trusted"};
    return name[s];
}

// ---- for both halves ---------------------------------------------------------------------------

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
    for (unsigned char *c = (unsigned char *)copy; *c; c++) {
        if (*c == 0xC2 && c[1] < 0xA0) c[0] = c[1] = '?'; // U+0080 to U+009F steer terminals too
        if (*c < ' ' || *c == 127) *c = '?';
    }
    *out = copy;
    return TK_OK;
}

tk_status tk_proving_hash(tk_span x, uint8_t hash[TK_MP4_HASH])
{
    if (EVP_Digest(x.x, x.n, hash, NULL, EVP_sha256(), NULL) == 1) return TK_OK;
    return TK_FAIL(TK_MEMORY, "out of memory for a hash");
}

// ---- manifests of the store --------------------------------------------------------------------

static tk_status tell_manifest(tk_proving *p, int box, int *k)
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
    TK_TRY(tell_manifest(p, box, k));
    if (tk_span_same(tk_cbor_find_bytes(reference, "hash"), (tk_span){p->hash[box], TK_MP4_HASH}))
        return TK_OK;
    return tk_proving_fault(p, of, in, "ingredient.manifest.mismatch",
                            "the manifest of an ingredient is not the one that it had");
}

// A label is part of addresses.
static bool is_label(tk_span label)
{
    for (size_t i = 0; i < label.n; i++)
        if (label.x[i] <= ' ' || label.x[i] > '~' || label.x[i] == '/') return false;
    return label.n > 0 && label.n <= TK_LABEL;
}

static bool has_manifest(const tk_proving *p, tk_span label)
{
    for (int i = 0; i < p->boxes; i++)
        if (tk_span_same(p->box[i].label, label)) return true;
    return false;
}

static bool list_manifests(tk_proving *p)
{
    tk_span store = p->proof->store, in;
    tk_jumb b;
    if (!tk_box_next(&store, &b) || strcmp(b.kind, "c2pa") || !tk_span_is(b.label, "c2pa") ||
        store.n)
        return false;
    for (in = b.rest; in.n;) {
        if (!tk_box_next(&in, &b) || strcmp(b.kind, "c2ma") || p->boxes == TK_MANIFESTS ||
            !is_label(b.label) || has_manifest(p, b.label))
            return false;
        p->told[p->boxes] = -1;
        p->box[p->boxes++] = b;
    }
    return p->boxes > 0;
}

// The last manifest of a store is the file's own.
static tk_status go_through_store(tk_proving *p)
{
    int k;
    if (!list_manifests(p))
        return tk_proving_fault(p, -1, NULL, "general.error",
                                "what lies in the manifest's place is none, or damaged");
    TK_TRY(tell_manifest(p, p->boxes - 1, &k));
    for (int i = 0; i < p->proof->n; i++) TK_TRY(tk_proving_claim(p, i));
    if (p->proof->n == p->boxes) return TK_OK;
    return tk_proving_fault(p, -1, NULL, "manifest.unreferenced",
                            "the file has a manifest that is no ingredient's");
}

// ---- the file ----------------------------------------------------------------------------------

static tk_status check_content(tk_proving *p, int fd, const char *path, const tk_mp4 *mp4)
{
    uint8_t hash[TK_MP4_HASH];
    if (!p->bound) return TK_OK; // a fault already
    TK_TRY(tk_mp4_hash(fd, path, mp4->bytes, hash));
    if (!memcmp(hash, p->content, sizeof hash)) return TK_OK;
    return tk_proving_fault(p, 0, NULL, "assertion.bmffHash.mismatch",
                            "the file's pictures, sound or description are not those that were "
                            "signed");
}

static tk_status prove_store(tk_proving *p, int fd, const char *path, const tk_mp4 *mp4)
{
    tk_proof *f = p->proof;
    uint8_t *x;
    if (mp4->stores > 1 || mp4->others)
        return tk_proving_fault(p, -1, NULL, "general.error",
                                "the file has more boxes of C2PA's than one manifest store");
    if (mp4->store > TK_MP4_STORE)
        return tk_proving_fault(p, -1, NULL, "general.error", "the manifest store is too large");
    TK_ARENA_NEW(x, p->arena, mp4->store + 1);
    TK_TRY(tk_pread_all(fd, path, x, (size_t)mp4->store, mp4->store_at));
    f->store = (tk_span){x, (size_t)mp4->store};
    TK_TRY(go_through_store(p));
    return check_content(p, fd, path, mp4);
}

static tk_status prove_file(int fd, const char *path, int64_t bytes, const char *anchors,
                            tk_arena *a, tk_proof *out)
{
    tk_mp4 mp4;
    tk_anchors *whom = NULL;
    tk_proving *p;
    TK_TRY(tk_mp4_look(fd, path, bytes, &mp4));
    if (!mp4.stores && !mp4.others) return TK_OK;
    TK_ARENA_NEW(p, a, 1);
    TK_TRY(tk_anchors_open(anchors, &whom));
    p->proof = out;
    p->arena = a;
    p->anchors = whom;
    const tk_status st = prove_store(p, fd, path, &mp4);
    tk_anchors_close(whom);
    out->state = out->faults || !out->n     ? TK_PROOF_INVALID
                 : out->manifest[0].trusted ? TK_PROOF_TRUSTED
                                            : TK_PROOF_VALID;
    return st;
}

tk_status tk_proof_read(const char *path, const char *anchors, tk_arena *a, tk_proof *out)
{
    int fd;
    int64_t bytes;
    *out = (tk_proof){0};
    TK_TRY(tk_file_open(path, &fd, &bytes));
    const tk_status st = prove_file(fd, path, bytes, anchors, a, out);
    close(fd);
    return st;
}
