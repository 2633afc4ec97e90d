// SPDX-License-Identifier: Apache-2.0
// What the C2PA manifest in an MP4 file says and whether it holds: the file may be anybody's.
//
// Checked are: the signature over the claim and the certificate that it was made by; every
// assertion against the hash that the claim has of it; the file against the hash of its contents;
// the first action; and the same of the manifests of ingredients, as far down as they are in the
// file (of their files' contents nothing is known here). Not asked are time stamps, revocation
// lists and anything on a network. What the standard allows and talkie does not write (other
// algorithms, other bindings, redactions) does not hold and is said to be so.
#pragma once
#include "infer/provenance/boxes.h"

typedef enum tk_proof_state {
    TK_PROOF_NONE,    // no manifest
    TK_PROOF_INVALID, // it does not hold
    TK_PROOF_VALID,   // it holds; its signer is nobody of the anchors
    TK_PROOF_TRUSTED  // it holds, and its signer leads to an anchor
} tk_proof_state;

typedef struct tk_proof_fault {
    const char *code;  // of the standard, "assertion.bmffHash.mismatch"
    const char *where; // label of the manifest, and of what is in it
    const char *words; // what it means
} tk_proof_fault;

typedef struct tk_told_ingredient { // texts are UTF-8 without control characters; "": not said
    const char *title, *relation, *words, *type;
    int manifest; // of the proof's; -1: it came without
} tk_told_ingredient;

// Of the assertion of talkie's own.
#define TK_CLIP_ASSERTION "talkie.clip"
enum { TK_TOLD_SHOTS = 64, TK_TOLD_TAKES = 64 };

typedef struct tk_told_change { // of an ingredient that the clip is a remix of, or takes shots of
    int ingredient;             // of the manifest's; -1: the clip is no remix, or of none of them
    const char *words, *strength, *kept; // kept: "sound", "picture" or ""
    int64_t shot[TK_TOLD_SHOTS];         // of the clip, that were made, or taken; the first ones
    int shots;
} tk_told_change;

typedef struct tk_told_manifest {
    const char *label, *title, *generator, *source; // source: digitalSourceType's last word
    const char *signer, *issuer;
    bool trusted;
    const uint8_t *claim; // (32) SHA-256 of it, which binds all that the manifest says; NULL: none
    const uint8_t
        *certificate; // (32) SHA-256 of the signer's in DER; NULL: the signature does not hold
    const tk_told_ingredient *ingredient;
    int n;
    tk_told_change change;       // where the clip is a remix
    const tk_told_change *taken; // (takes) of ingredients that shots were taken of; the first ones
    int takes;
    const uint8_t *latents; // (32) SHA-256 of the clip's file of latents; NULL: not said
} tk_told_manifest;

enum { TK_PROOF_FAULTS = 32, TK_PROOF_ASSERTIONS = 4096 };

typedef struct tk_proof {
    tk_proof_state state;
    tk_proof_fault fault[TK_PROOF_FAULTS]; // the first ones
    int faults, n;
    tk_told_manifest manifest[TK_MANIFESTS]; // (n) the file's own first, then its ingredients'
    tk_span store;                           // all of them as they lie in the file
} tk_proof;

// anchors: a PEM file of whom to trust, "" for nobody. What is told lives in `a`. TK_INPUT: no MP4
// file, no such file, no PEM.
tk_status tk_proof_read(const char *path, const char *anchors, tk_arena *a, tk_proof *out);
// What became of a manifest's ingredient i in its clip, as it was remixed or shots were taken of
// it;
// "": nothing is said of that.
const char *tk_proof_change(const tk_told_manifest *m, int i);
const char *tk_proof_state_name(tk_proof_state s); // "none", "invalid", "valid", "trusted"
