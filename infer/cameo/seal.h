// SPDX-License-Identifier: Apache-2.0
// What libsodium does for cameos: hashes (BLAKE2b), signatures (Ed25519), files that one key opens
// (XChaCha20-Poly1305 in a stream). Internal to infer/cameo, and to its tests.
//
//     TK_TRY(tk_seal_ready());          // before any other call
#pragma once
#include "core/base/mem.h"

enum { TK_SEAL_HASH = 32, TK_SEAL_KEY = 32, TK_SEAL_PUBLIC = 32, TK_SEAL_SIGNATURE = 64 };
enum { TK_SEAL_HEX = 2 * TK_SEAL_SIGNATURE + 1 }; // room for any of them in hexadecimal digits

typedef struct tk_seal_pair { // of signatures
    unsigned char secret[64], open[TK_SEAL_PUBLIC];
} tk_seal_pair;

// TK_INPUT in a build without libsodium (make CAMEO=0).
tk_status tk_seal_ready(void);

void tk_seal_random(void *x, size_t bytes);
void tk_seal_forget(void *x, size_t bytes); // overwrites, whatever an optimizer thinks
void tk_seal_hash(const void *x, size_t bytes, unsigned char hash[TK_SEAL_HASH]);

void tk_seal_pair_of(const unsigned char seed[TK_SEAL_KEY], tk_seal_pair *out);
void tk_seal_sign(const tk_seal_pair *by, const void *x, size_t bytes,
                  unsigned char signature[TK_SEAL_SIGNATURE]);
bool tk_seal_signed(const unsigned char by[TK_SEAL_PUBLIC], const void *x, size_t bytes,
                    const unsigned char signature[TK_SEAL_SIGNATURE]);

void tk_seal_hex(const unsigned char *x, size_t bytes, char *out); // room for 2 * bytes + 1
bool tk_seal_unhex(const char *text, size_t digits, unsigned char *out, size_t bytes);

// A PEM file's text, as openssl writes it: "PRIVATE KEY" of Ed25519, or "PUBLIC KEY". False: it is
// none.
bool tk_seal_read_private(const char *pem, tk_seal_pair *out);
bool tk_seal_read_public(const char *pem, unsigned char open[TK_SEAL_PUBLIC]);

// What is sealed says what it is, `label`: nothing opens under another one. *out in `a`.
tk_status tk_seal_close(const unsigned char key[TK_SEAL_KEY], const char *label, const void *x,
                        size_t bytes, tk_arena *a, unsigned char **out, size_t *sealed);
// TK_INPUT where it is damaged, cut off, of another key or label. The caller forgets *out.
tk_status tk_seal_open(const unsigned char key[TK_SEAL_KEY], const char *label,
                       const unsigned char *x, size_t sealed, tk_arena *a, unsigned char **out,
                       size_t *bytes);
