// SPDX-License-Identifier: Apache-2.0
// What both halves of a proof use: manifests of a store (proof.c) and what is in one of them
// (claim.c). Internal to infer/provenance.
#pragma once
#include "infer/provenance/cose.h"
#include "infer/provenance/mp4.h"
#include "infer/provenance/proof.h"

typedef struct tk_proving {
    tk_proof *proof;
    tk_arena *arena;
    const tk_anchors *anchors;
    tk_jumb box[TK_MANIFESTS]; // of the store, in its order
    int boxes;
    int told[TK_MANIFESTS]; // which of the proof's a box is; -1: not come to yet
    int from[TK_MANIFESTS]; // which box the proof's is of
    // Of a box's body, and of the signature's in it (of nothing where it has none): hashed once,
    // however often others refer to it.
    uint8_t hash[TK_MANIFESTS][TK_MP4_HASH], signature[TK_MANIFESTS][TK_MP4_HASH];
    bool hashed[TK_MANIFESTS];
    uint8_t content[TK_MP4_HASH]; // that the file's own manifest binds
    bool bound;
} tk_proving;

// Adds a fault of manifest k; `in` is what in it, may be NULL.
tk_status tk_proving_fault(tk_proving *p, int k, const char *in, const char *code,
                           const char *words);
// A text of the file's to be shown: "" where it is none; *out NULL never.
tk_status tk_proving_text(tk_proving *p, tk_span text, const char **out);
// SHA-256 of bytes.
tk_status tk_proving_hash(tk_span x, uint8_t hash[TK_MP4_HASH]);
// Box `box` of the store becomes manifest *k of the proof's, unless it is one already.
tk_status tk_proving_tell(tk_proving *p, int box, int *k);
// The manifest that a reference of an ingredient leads to becomes one of the proof's; *k = -1 where
// it does not, which is a fault of manifest `of`.
tk_status tk_proving_follow(tk_proving *p, int of, const char *in, tk_span reference, int *k);
// Looks through manifest k of the proof's (claim.c).
tk_status tk_proving_claim(tk_proving *p, int k);
