// SPDX-License-Identifier: Apache-2.0
#include "infer/provenance/proof.h"
#include "core/base/files.h"
#include "infer/provenance/proving.h"
#include <string.h>
#include <unistd.h>

const char *tk_proof_change(const tk_told_manifest *m, int i)
{
    for (int k = 0; k < m->takes; k++)
        if (m->taken[k].ingredient == i) return m->taken[k].words;
    return m->change.ingredient == i && m->change.words ? m->change.words : "";
}

const char *tk_proof_state_name(tk_proof_state s)
{
    static const char *const name[] = {"none", "invalid", "valid", "trusted"};
    return name[s];
}

// ---- manifests of the store --------------------------------------------------------------------

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
    TK_TRY(tk_proving_tell(p, p->boxes - 1, &k));
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
    if (mp4->torn)
        return tk_proving_fault(p, 0, NULL, "assertion.bmffHash.mismatch",
                                "the file does not end with a box: it was cut, or something was "
                                "put behind it since it was signed");
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
    if (mp4->torn && mp4->others)
        return tk_proving_fault(p, -1, NULL, "general.error", "the file ends within its manifest");
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

static tk_status prove_file(int fd, const char *path, int64_t bytes, const tk_anchors *anchors,
                            tk_arena *a, tk_proof *out)
{
    tk_mp4 mp4;
    tk_proving *p;
    TK_TRY(tk_mp4_look(fd, path, bytes, &mp4));
    if (!mp4.stores && !mp4.others) return TK_OK;
    TK_ARENA_NEW(p, a, 1);
    p->proof = out;
    p->arena = a;
    p->anchors = anchors;
    const tk_status st = prove_store(p, fd, path, &mp4);
    out->state = out->faults || !out->n     ? TK_PROOF_INVALID
                 : out->manifest[0].trusted ? TK_PROOF_TRUSTED
                                            : TK_PROOF_VALID;
    return st;
}

tk_status tk_proof_read(const char *path, const char *anchors, tk_arena *a, tk_proof *out)
{
    int fd;
    int64_t bytes;
    tk_anchors *whom;
    *out = (tk_proof){0};
    TK_TRY(tk_file_open(path, &fd, &bytes));
    tk_status st = tk_anchors_open(anchors, &whom); // wrong ones are, whatever is in the file
    if (st == TK_OK) st = prove_file(fd, path, bytes, whom, a, out);
    tk_anchors_close(whom);
    close(fd);
    return st;
}
