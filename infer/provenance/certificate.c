// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // memmem
#include "infer/provenance/certificate.h"
#include "core/base/files.h"
#include "core/base/utf8.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <string.h>

// Extended usages that may sign claims, the standard's own first.
static const char *const usages[] = {"1.3.6.1.4.1.62558.2.1", "1.3.6.1.5.5.7.3.36",
                                     "1.3.6.1.5.5.7.3.4"};

// Signatures on certificates that the standard knows.
static bool signed_well(const X509 *x)
{
    switch (X509_get_signature_nid(x)) {
    case NID_ecdsa_with_SHA256:
    case NID_ecdsa_with_SHA384:
    case NID_ecdsa_with_SHA512:
    case NID_sha256WithRSAEncryption:
    case NID_sha384WithRSAEncryption:
    case NID_sha512WithRSAEncryption:
    case NID_rsassaPss:
    case NID_ED25519:
        return true;
    default:
        return false;
    }
}

static bool may_sign_claims(X509 *x)
{
    bool found = false;
    EXTENDED_KEY_USAGE *all = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
    for (int i = 0; i < sk_ASN1_OBJECT_num(all); i++) {
        char oid[64];
        OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(all, i), 1);
        for (size_t k = 0; k < sizeof usages / sizeof *usages; k++)
            found |= !strcmp(oid, usages[k]);
    }
    EXTENDED_KEY_USAGE_free(all);
    return found;
}

// Usages that no signer's certificate has beside them: all there are, and those of an authority's.
static bool may_do_more(X509 *x)
{
    return (X509_get_extension_flags(x) & EXFLAG_XKUSAGE) &&
           (X509_get_extended_key_usage(x) & (XKU_ANYEKU | XKU_TIMESTAMP | XKU_OCSP_SIGN));
}

const char *tk_certificate_fault(X509 *x)
{
    const uint32_t flags = X509_get_extension_flags(x);
    const char *fault = NULL;
    if (flags & EXFLAG_INVALID)
        fault = "its extensions are malformed";
    else if (X509_get_version(x) != X509_VERSION_3)
        fault = "it is not of version 3";
    else if (!signed_well(x))
        fault = "it is not signed by ECDSA, RSA or Ed25519 with SHA-256 or better";
    else if (flags & EXFLAG_SS)
        fault = "it is signed by itself, not by an authority";
    else if (flags & EXFLAG_CA)
        fault = "it is an authority's (basicConstraints CA:TRUE), not a signer's";
    else if (!(flags & EXFLAG_KUSAGE) || !(X509_get_key_usage(x) & KU_DIGITAL_SIGNATURE))
        fault = "its keyUsage is without digitalSignature";
    else if (!may_sign_claims(x))
        fault = "its extendedKeyUsage is without 1.3.6.1.4.1.62558.2.1, which C2PA's claims are "
                "signed by";
    else if (may_do_more(x))
        fault = "its extendedKeyUsage has anyExtendedKeyUsage, timeStamping or OCSPSigning, which "
                "a signer's must not";
    else if (!X509_get0_authority_key_id(x))
        fault = "it is without authorityKeyIdentifier";
    ERR_clear_error();
    return fault;
}

bool tk_certificate_is_of_today(const X509 *x)
{
    return X509_cmp_current_time(X509_get0_notBefore(x)) < 0 &&
           X509_cmp_current_time(X509_get0_notAfter(x)) > 0;
}

void tk_certificate_name(const X509_NAME *name, char *out, int room)
{
    static const int nids[] = {NID_commonName, NID_organizationName};
    unsigned char *text = NULL;
    *out = 0;
    for (int i = 0; i < 2 && !*out; i++) {
        const int at = X509_NAME_get_index_by_NID(name, nids[i], -1);
        const ASN1_STRING *s =
            at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
        int n = s ? ASN1_STRING_to_UTF8(&text, s) : -1;
        if (n < 0) continue;
        n = n < room ? n : room - 1;
        memcpy(out, text, (size_t)n);
        out[n] = 0;
        tk_utf8_clean(out, (size_t)n); // it may hold NUL, or be cut within a character
        OPENSSL_free(text);
    }
}

bool tk_key_is_p256(const EVP_PKEY *key)
{
    char curve[64] = "";
    return key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1 &&
           (!strcmp(curve, "prime256v1") || !strcmp(curve, "P-256"));
}

tk_status tk_certificate_hash(const X509 *x, uint8_t hash[TK_CERTIFICATE_HASH])
{
    unsigned n = 0;
    const bool done = X509_digest(x, EVP_sha256(), hash, &n) == 1 && n == TK_CERTIFICATE_HASH;
    return done ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a certificate");
}

tk_status tk_certificates_open(const char *option, const char *path, int64_t most, tk_arena *a,
                               BIO **out)
{
    static const char key[] = "PRIVATE KEY-----";
    char *text;
    size_t bytes;
    TK_TRY(tk_status_in_file(tk_file_read(path, most, a, &text, &bytes), option));
    if (memmem(text, bytes, key, sizeof key - 1)) {
        explicit_bzero(text, bytes);
        return TK_FAIL(TK_INPUT,
                       "%s: %s holds a private key; give a file with nothing but certificates in "
                       "PEM",
                       option, path);
    }
    *out = BIO_new_mem_buf(text, (int)bytes);
    return *out ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for %s", path);
}

tk_status tk_certificate_read(BIO *file, const char *option, const char *path, X509 **out)
{
    *out = PEM_read_bio_X509(file, NULL, NULL, NULL);
    const unsigned long e = ERR_peek_last_error();
    ERR_clear_error();
    if (*out || ERR_GET_REASON(e) == PEM_R_NO_START_LINE) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: %s: not certificates in PEM: one of them is damaged", option,
                   path);
}
