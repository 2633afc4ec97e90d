// SPDX-License-Identifier: Apache-2.0
#include "infer/provenance/cose.h"
#include "infer/provenance/certificate.h"
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <string.h>

enum { ANCHOR_BYTES = 16 << 20, HALF = TK_ES256 / 2 };

struct tk_anchors {
    X509_STORE *store;
};

typedef struct cose_parts {
    tk_span head, signature;
    X509 *leaf;
    STACK_OF(X509) * others;
} cose_parts;

void tk_cose_signed_bytes(tk_blob *b, tk_span head, tk_span payload)
{
    tk_cbor_array(b, 4);
    tk_cbor_text(b, "Signature1");
    tk_cbor_bytes(b, head.x, head.n);
    tk_cbor_bytes(b, NULL, 0);
    tk_cbor_bytes(b, payload.x, payload.n);
}

// ---- anchors -----------------------------------------------------------------------------------

static tk_status add_anchors(tk_anchors *a, const char *path, tk_arena *arena)
{
    static const char option[] = "provenance.anchors";
    int n = 0;
    X509 *x = NULL;
    BIO *file;
    tk_status st = TK_OK;
    TK_TRY(tk_certificates_open(option, path, ANCHOR_BYTES, arena, &file));
    while (st == TK_OK && (st = tk_certificate_read(file, option, path, &x)) == TK_OK && x) {
        n += X509_STORE_add_cert(a->store, x) == 1;
        X509_free(x);
    }
    BIO_free(file);
    ERR_clear_error();
    TK_TRY(st);
    if (n) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: %s holds no certificate in PEM", option, path);
}

// What is named as an anchor is one, a root or not; no link between is weaker than 112 bits, such
// as one by SHA-1.
static void set_terms(X509_VERIFY_PARAM *p)
{
    enum { BITS_112 = 2 };
    X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(p, BITS_112);
}

tk_status tk_anchors_open(const char *path, tk_anchors **out)
{
    tk_arena arena;
    tk_anchors *a;
    *out = NULL;
    TK_NEW(a, 1);
    a->store = X509_STORE_new();
    tk_arena_init(&arena, 0);
    tk_status st = a->store ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for certificates");
    if (st == TK_OK) set_terms(X509_STORE_get0_param(a->store));
    if (st == TK_OK && *path) st = add_anchors(a, path, &arena);
    tk_arena_free(&arena);
    if (st == TK_OK)
        *out = a;
    else
        tk_anchors_close(a);
    return st;
}

void tk_anchors_close(tk_anchors *a)
{
    if (!a) return;
    X509_STORE_free(a->store);
    tk_free(a);
}

// ---- taking it apart ---------------------------------------------------------------------------

// An item that holds one certificate; TK_MEMORY alone fails.
static bool take_certificate(tk_span item, cose_parts *p)
{
    const tk_span der = tk_cbor_get_bytes(item);
    const uint8_t *at = der.x;
    X509 *x = der.n && der.n <= TK_CERTIFICATE_BYTES ? d2i_X509(NULL, &at, (long)der.n) : NULL;
    ERR_clear_error();
    if (!x || at != der.x + der.n) {
        X509_free(x);
        return false;
    }
    if (!p->leaf)
        p->leaf = x;
    else if (!sk_X509_push(p->others, x)) {
        X509_free(x);
        return false;
    }
    return true;
}

static bool take_certificates(tk_span value, cose_parts *p)
{
    tk_span items, one;
    const uint64_t n = tk_cbor_items(value, &items);
    if (n == 0) return take_certificate(value, p);
    if (n > TK_CERTIFICATES) return false;
    for (uint64_t i = 0; i < n; i++)
        if (!tk_cbor_whole(&items, &one) || !take_certificate(one, p)) return false;
    return true;
}

// What the protected header says: "" where it is all there, else what is wrong.
static const char *take_header(cose_parts *p)
{
    tk_cbor map, key;
    tk_span in = p->head, value;
    bool es256 = false, chain = false;
    if (!tk_cbor_next(&in, &map) || map.kind != TK_CBOR_MAP) return "claimSignature.mismatch";
    for (uint64_t i = 0; i < map.number; i++) {
        if (!tk_cbor_next(&in, &key) || !tk_cbor_whole(&in, &value))
            return "claimSignature.mismatch";
        if (key.kind != TK_CBOR_UINT) continue;
        if (key.number == TK_COSE_ALG) {
            tk_cbor alg;
            es256 = tk_cbor_next(&value, &alg) && alg.kind == TK_CBOR_NEGATIVE &&
                    alg.number == -1 - TK_COSE_ES256;
        } else if (key.number == TK_COSE_CRIT) {
            return "algorithm.unsupported"; // it asks for what is not known here
        } else if (key.number == TK_COSE_X5CHAIN) {
            chain = !p->leaf && take_certificates(value, p);
            if (!chain) return "signingCredential.invalid";
        }
    }
    return !chain ? "signingCredential.invalid" : es256 ? "" : "algorithm.unsupported";
}

static const char *take_apart(tk_span in, cose_parts *p)
{
    tk_cbor item;
    if (!tk_cbor_next(&in, &item)) return "claimSignature.mismatch";
    if (item.kind == TK_CBOR_TAG && item.number == TK_COSE_SIGN1 && !tk_cbor_next(&in, &item))
        return "claimSignature.mismatch";
    tk_span part[4];
    if (item.kind != TK_CBOR_ARRAY || item.number != 4) return "claimSignature.mismatch";
    for (int i = 0; i < 4; i++)
        if (!tk_cbor_whole(&in, &part[i])) return "claimSignature.mismatch";
    tk_cbor loose, payload; // what is signed lies beside it
    if (!tk_cbor_next(&part[1], &loose) || loose.kind != TK_CBOR_MAP ||
        !tk_cbor_next(&part[2], &payload) || payload.kind != TK_CBOR_NULL)
        return "claimSignature.mismatch";
    p->head = tk_cbor_get_bytes(part[0]);
    p->signature = tk_cbor_get_bytes(part[3]);
    return take_header(p);
}

// ---- checking ----------------------------------------------------------------------------------

// 1: it is the key's, 0: not, -1: no memory.
static int check_raw(const cose_parts *p, const tk_blob *x)
{
    int good = 0;
    EVP_PKEY *key = X509_get0_pubkey(p->leaf);
    if (p->signature.n != TK_ES256 || !tk_key_is_p256(key)) return 0;
    BIGNUM *r = BN_bin2bn(p->signature.x, HALF, NULL);
    BIGNUM *s = BN_bin2bn(p->signature.x + HALF, HALF, NULL);
    ECDSA_SIG *pair = ECDSA_SIG_new();
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    unsigned char *der = NULL;
    int n = -1;
    if (r && s && pair && c && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; // the pair's
        n = i2d_ECDSA_SIG(pair, &der);
    }
    if (n > 0 && EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, key) == 1)
        good = EVP_DigestVerify(c, der, (size_t)n, x->x, x->n) == 1;
    else
        good = -1;
    OPENSSL_free(der);
    EVP_MD_CTX_free(c);
    ECDSA_SIG_free(pair);
    BN_free(r);
    BN_free(s);
    ERR_clear_error();
    return good;
}

static bool leads_to_anchor(const cose_parts *p, const tk_anchors *a)
{
    X509_STORE_CTX *c = X509_STORE_CTX_new();
    const bool trusted =
        c && X509_STORE_CTX_init(c, a->store, p->leaf, p->others) == 1 && X509_verify_cert(c) == 1;
    X509_STORE_CTX_free(c);
    ERR_clear_error();
    return trusted;
}

static tk_status judge_parts(const cose_parts *p, tk_span payload, const tk_anchors *a,
                             tk_signed *out)
{
    tk_blob signed_bytes = {0};
    tk_cose_signed_bytes(&signed_bytes, p->head, payload);
    const int good = signed_bytes.full ? -1 : check_raw(p, &signed_bytes);
    tk_blob_free(&signed_bytes);
    if (good < 0) return TK_FAIL(TK_MEMORY, "out of memory for a signature");
    if (good) { // else anybody may have put the certificate there
        tk_certificate_name(X509_get_subject_name(p->leaf), out->signer, sizeof out->signer);
        tk_certificate_name(X509_get_issuer_name(p->leaf), out->issuer, sizeof out->issuer);
    }
    out->words = tk_certificate_fault(p->leaf);
    if (out->words) {
        out->fault = "signingCredential.invalid";
    } else if (!good) {
        out->fault = "claimSignature.mismatch";
        out->words = "the claim is not what was signed, or not by this signer";
    } else if (!tk_certificate_is_of_today(p->leaf)) {
        out->fault = "signingCredential.expired";
        out->words = "the signer's certificate has expired or is not valid yet";
    }
    out->trusted = !out->fault && leads_to_anchor(p, a);
    return out->fault ? TK_OK : tk_certificate_hash(p->leaf, out->certificate);
}

tk_status tk_cose_check(tk_span cose, tk_span payload, const tk_anchors *a, tk_signed *out)
{
    cose_parts p = {.others = sk_X509_new_null()};
    *out = (tk_signed){0};
    if (!p.others) return TK_FAIL(TK_MEMORY, "out of memory for certificates");
    tk_status st = TK_OK;
    const char *fault = take_apart(cose, &p);
    if (!*fault)
        st = judge_parts(&p, payload, a, out);
    else {
        out->fault = fault;
        out->words = "the signature is malformed, without its certificate, or not by ES256";
    }
    X509_free(p.leaf);
    sk_X509_pop_free(p.others, X509_free);
    return st;
}
