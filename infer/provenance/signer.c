// SPDX-License-Identifier: Apache-2.0
#include "infer/provenance/signer.h"
#include "core/base/secret.h"
#include "infer/provenance/certificate.h"
#include "infer/provenance/cose.h"
#include "infer/provenance/private.h"
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

enum { PEM_BYTES = 1 << 18, NUMBER = TK_ES256 / 2 };

struct tk_signer {
    EVP_PKEY *key;
    X509 *chain[TK_CERTIFICATES]; // of the key first, each next one issued it
    int n;
    tk_blob head; // the protected header of COSE
};

// ---- reading -----------------------------------------------------------------------------------

static tk_status read_chain(tk_signer *s, const char *path, tk_arena *a)
{
    BIO *file;
    X509 *x = NULL;
    TK_TRY(tk_certificates_open("provenance.chain", path, PEM_BYTES, a, &file));
    tk_status st = tk_certificate_read(file, "provenance.chain", path, &x);
    while (st == TK_OK && x) {
        if (s->n == TK_CERTIFICATES) {
            X509_free(x);
            st = TK_FAIL(TK_INPUT, "provenance.chain: %s holds more than %d certificates", path,
                         TK_CERTIFICATES);
            break;
        }
        s->chain[s->n++] = x;
        st = tk_certificate_read(file, "provenance.chain", path, &x);
    }
    BIO_free(file);
    TK_TRY(st);
    return s->n ? TK_OK
                : TK_FAIL(TK_INPUT, "provenance.chain: %s holds no certificate in PEM", path);
}

// ---- checking ----------------------------------------------------------------------------------

static tk_status check_days(const tk_signer *s, const char *path)
{
    for (int i = 0; i < s->n; i++)
        if (!tk_certificate_is_of_today(s->chain[i]))
            return TK_FAIL(TK_INPUT,
                           "provenance.chain: certificate %d of %s has expired or is not valid yet",
                           i + 1, path);
    return TK_OK;
}

static tk_status check_links(const tk_signer *s, const char *path)
{
    for (int i = 1; i < s->n; i++) {
        const bool issued = X509_check_issued(s->chain[i], s->chain[i - 1]) == X509_V_OK &&
                            X509_verify(s->chain[i - 1], X509_get0_pubkey(s->chain[i])) == 1;
        ERR_clear_error();
        if (!issued)
            return TK_FAIL(
                TK_INPUT,
                "provenance.chain: certificate %d of %s did not issue the one before it; "
                "the signer's comes first, then who issued it, and so on",
                i + 1, path);
    }
    return TK_OK;
}

static tk_status check_use(const tk_signer *s, const char *path)
{
    const char *fault = tk_certificate_fault(s->chain[0]);
    ERR_clear_error();
    if (!fault) return TK_OK;
    return TK_FAIL(TK_INPUT, "provenance.chain: the first certificate of %s signs no claims: %s",
                   path, fault);
}

static tk_status check_key(const tk_signer *s, const tk_provenance_config *c)
{
    const bool match = X509_check_private_key(s->chain[0], s->key) == 1;
    ERR_clear_error();
    tk_secret_forget_stack();
    if (match) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "provenance.key: %s is not the key of the first certificate of "
                   "provenance.chain (%s)",
                   c->key, c->chain);
}

// What of the two files can be read; lines of w for all that is wrong with either.
static tk_status read_and_check(tk_signer *s, const tk_provenance_config *c, tk_wrong *w)
{
    const tk_status key = tk_private_read(c->key, &s->key);
    TK_TRY(tk_wrong_with(w, "provenance.key", key));
    const tk_status chain = read_chain(s, c->chain, w->arena);
    TK_TRY(tk_wrong_with(w, "provenance.chain", chain));
    if (chain != TK_OK) return TK_OK;
    if (key == TK_OK) TK_TRY(tk_wrong_with(w, "provenance.key", check_key(s, c)));
    TK_TRY(tk_wrong_with(w, "provenance.chain", check_use(s, c->chain)));
    TK_TRY(tk_wrong_with(w, "provenance.chain", check_days(s, c->chain)));
    return tk_wrong_with(w, "provenance.chain", check_links(s, c->chain));
}

static tk_status add_certificate(tk_signer *s, X509 *x)
{
    unsigned char *der = NULL;
    const int n = i2d_X509(x, &der);
    if (n > 0) tk_cbor_bytes(&s->head, der, (size_t)n);
    OPENSSL_free(der);
    return n > 0 ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a certificate");
}

// One certificate is given as it is, several as an array.
static tk_status write_head(tk_signer *s)
{
    tk_cbor_map(&s->head, 2);
    tk_cbor_int(&s->head, TK_COSE_ALG);
    tk_cbor_int(&s->head, TK_COSE_ES256);
    tk_cbor_int(&s->head, TK_COSE_X5CHAIN);
    if (s->n > 1) tk_cbor_array(&s->head, (size_t)s->n);
    for (int i = 0; i < s->n; i++) TK_TRY(add_certificate(s, s->chain[i]));
    return tk_blob_check(&s->head);
}

tk_status tk_signer_open(const tk_provenance_config *c, tk_signer **out)
{
    tk_arena a;
    tk_signer *s;
    *out = NULL;
    TK_NEW(s, 1);
    tk_arena_init(&a, 0);
    tk_wrong w = tk_wrong_of(NULL, "", &a);
    tk_status st = read_and_check(s, c, &w);
    if (st == TK_OK) st = tk_wrong_end(&w);
    if (st == TK_OK) st = write_head(s);
    tk_arena_free(&a);
    if (st == TK_OK)
        *out = s;
    else
        tk_signer_close(s);
    return st;
}

tk_status tk_signer_ask(tk_wrong *w, const tk_provenance_config *c)
{
    tk_signer *s;
    TK_NEW(s, 1);
    const tk_status st = read_and_check(s, c, w);
    tk_signer_close(s);
    return st;
}

tk_status tk_signer_hash(const tk_provenance_config *c, uint8_t hash[TK_CERTIFICATE_HASH])
{
    tk_arena a;
    tk_signer s = {.n = 0};
    tk_arena_init(&a, 0);
    tk_status st = read_chain(&s, c->chain, &a);
    if (st == TK_OK) st = tk_certificate_hash(s.chain[0], hash);
    for (int i = 0; i < s.n; i++) X509_free(s.chain[i]);
    tk_arena_free(&a);
    return st;
}

void tk_signer_close(tk_signer *s)
{
    if (!s) return;
    EVP_PKEY_free(s->key);
    for (int i = 0; i < s->n; i++) X509_free(s->chain[i]);
    tk_blob_free(&s->head);
    tk_free(s);
}

// ---- signing -----------------------------------------------------------------------------------

// OpenSSL gives r and s in DER, COSE wants them side by side.
static bool to_raw(const uint8_t *der, size_t n, uint8_t raw[TK_ES256])
{
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)n);
    const bool fits = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, NUMBER) == NUMBER &&
                      BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + NUMBER, NUMBER) == NUMBER;
    ECDSA_SIG_free(s);
    return fits;
}

static tk_status sign_bytes(const tk_signer *s, const tk_blob *x, uint8_t raw[TK_ES256])
{
    uint8_t der[128];
    size_t n = sizeof der;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    const bool done = c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, s->key) == 1 &&
                      EVP_DigestSign(c, der, &n, x->x, x->n) == 1 && to_raw(der, n, raw);
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    tk_secret_forget_stack();
    return done ? TK_OK : TK_FAIL(TK_INTERNAL, "OpenSSL does not sign by provenance.key");
}

tk_status tk_signer_sign(const tk_signer *s, tk_span claim, bool real, tk_blob *out)
{
    uint8_t raw[TK_ES256] = {0};
    tk_blob signed_bytes = {0};
    tk_cose_signed_bytes(&signed_bytes, tk_blob_span(&s->head), claim);
    tk_status st = tk_blob_check(&signed_bytes);
    if (st == TK_OK && real) st = sign_bytes(s, &signed_bytes, raw);
    tk_blob_free(&signed_bytes);
    TK_TRY(st);
    tk_cbor_tag(out, TK_COSE_SIGN1);
    tk_cbor_array(out, 4);
    tk_cbor_bytes(out, s->head.x, s->head.n);
    tk_cbor_map(out, 0);
    tk_cbor_null(out); // what is signed is the claim, which lies beside it
    tk_cbor_bytes(out, raw, sizeof raw);
    return tk_blob_check(out);
}
