// SPDX-License-Identifier: Apache-2.0
// Who signs: a private key with the certificates that say whose it is, and signatures of COSE
// (RFC 9052) by ES256, which carry the certificates.
#pragma once
#include "core/config/wrong.h"
#include "infer/provenance/cose.h"

typedef struct tk_signer tk_signer;

// Reads provenance.key and provenance.chain and checks that a reader will accept what they sign:
// the key is an unencrypted one of P-256 and that of the first certificate, which may sign claims
// today; each other one issued the one before. TK_INPUT naming the file and what would be right.
tk_status tk_signer_open(const tk_provenance_config *c, tk_signer **out);
void tk_signer_close(tk_signer *s); // NULL is fine
// The same files, looked at only: lines about provenance.key and about provenance.chain for all
// that is wrong with either.
tk_status tk_signer_ask(tk_wrong *w, const tk_provenance_config *c);

// What the first certificate of provenance.chain is known by: who signs here. TK_INPUT as above.
tk_status tk_signer_hash(const tk_provenance_config *c, uint8_t hash[TK_CERTIFICATE_HASH]);

// COSE_Sign1 over `claim`, in CBOR; its length depends on the signer alone. Without `real`, of the
// same length, signed by nobody.
tk_status tk_signer_sign(const tk_signer *s, tk_span claim, bool real, tk_blob *out);
