// SPDX-License-Identifier: Apache-2.0
// What the standard asks of a certificate that signs claims. Internal to infer/provenance.
#pragma once
#include "infer/provenance/cose.h"
#include <openssl/evp.h>
#include <openssl/x509v3.h>

enum { TK_CERTIFICATES = 8, TK_CERTIFICATE_BYTES = 1 << 14 }; // of a chain; of one of them in DER

// In words why it may not sign claims, whatever the day; NULL: it may.
const char *tk_certificate_fault(X509 *x);
bool tk_certificate_is_of_today(const X509 *x);
tk_status tk_certificate_hash(const X509 *x, uint8_t hash[TK_CERTIFICATE_HASH]);
// The name that a person would call it by: common name or organization.
void tk_certificate_name(const X509_NAME *name, char *out, int room);
// The key is one of P-256, whose signatures are ES256.
bool tk_key_is_p256(const EVP_PKEY *key);
// A file that is to hold certificates in PEM, of at most `most` bytes, which lie in `a`. One with a
// private key is refused before it is decoded, and what was read of it overwritten: so much of it
// would lie in memory that core dumps have.
tk_status tk_certificates_open(const char *option, const char *path, int64_t most, tk_arena *a,
                               BIO **out);
// The next certificate of a file in PEM, that an option names: TK_OK and NULL at its end.
tk_status tk_certificate_read(BIO *file, const char *option, const char *path, X509 **out);
