// SPDX-License-Identifier: Apache-2.0
// COSE_Sign1 (RFC 9052) as both sides know it, and the side that checks.
#pragma once
#include "infer/provenance/cbor.h"

enum { TK_CERTIFICATE_HASH = 32 }; // SHA-256 of it in DER

enum {
    TK_COSE_SIGN1 = 18, // the tag
    TK_COSE_ALG = 1,    // labels of the header; ...
    TK_COSE_CRIT = 2,
    TK_COSE_X5CHAIN = 33,
    TK_COSE_ES256 = -7,
    TK_ES256 = 64 // bytes of a signature: r and s
};

// What is signed: the protected header and the payload, without other data.
void tk_cose_signed_bytes(tk_blob *b, tk_span head, tk_span payload);

typedef struct tk_signed { // what is found out about a signature
    const char *fault;     // in the standard's words, "claimSignature.mismatch"; NULL: it holds
    const char *words;     // ... in ours
    bool trusted;          // it holds, and its certificate leads to an anchor
    char signer[128], issuer[128]; // names in the certificate; "": none, or another's key signed
    uint8_t certificate[TK_CERTIFICATE_HASH]; // of the signer, where it holds
} tk_signed;

typedef struct tk_anchors tk_anchors;

// Certificates in PEM that are trusted; "": none. TK_INPUT naming the file.
tk_status tk_anchors_open(const char *path, tk_anchors **out);
void tk_anchors_close(tk_anchors *a); // NULL is fine

// Whether `cose`, of anybody's, signs `payload`.
tk_status tk_cose_check(tk_span cose, tk_span payload, const tk_anchors *a, tk_signed *out);
