// SPDX-License-Identifier: Apache-2.0
// OpenSSL's own reading of keys gives memory back with the key in it (a copy of the DER for each of
// its decoders), so only its PEM is used, whose memory is of its secure heap, and its making of a
// key from a number that lies there.
#include "infer/provenance/private.h"
#include "core/base/secret.h"
#include <openssl/asn1.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <string.h>

enum { PEM_BYTES = 1 << 18, NUMBER = 32, POINT = 2 * NUMBER + 1 };

// What is private of keys lies in a heap that no core dump has, once there is one.
static tk_status open_heap(void)
{
    enum { HEAP = 1 << 20, LEAST = 32 }; // bytes; of a piece
    if (CRYPTO_secure_malloc_initialized() || CRYPTO_secure_malloc_init(HEAP, LEAST)) return TK_OK;
    return TK_FAIL(TK_MEMORY, "out of memory for keys (%d bytes)", HEAP);
}

// No file asks anybody for its password.
static int no_password(char *to, int room, int write, void *ctx)
{
    (void)to, (void)room, (void)write;
    *(bool *)ctx = true;
    return -1;
}

// ---- DER ---------------------------------------------------------------------------------------

typedef struct der { // what is left of it
    const unsigned char *at;
    long bytes;
} der;

// The next value, which has the tag; what it holds. Moves behind it.
static bool take_value(der *from, int class, int tag, der *out)
{
    enum { WRONG = 0x80, ENDLESS = 0x01 };
    const unsigned char *x = from->at;
    int got, of;
    long n;
    const int how = from->bytes > 0 ? ASN1_get_object(&x, &n, &got, &of, from->bytes) : WRONG;
    if (how & (WRONG | ENDLESS) || got != tag || of != class) return false;
    from->bytes -= x + n - from->at;
    from->at = x + n;
    *out = (der){x, n};
    return true;
}

static bool take_next(der *from, int tag, der *out)
{
    return take_value(from, V_ASN1_UNIVERSAL, tag, out);
}

static bool take_curve(der *from)
{
    static const unsigned char p256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    der curve;
    return take_next(from, V_ASN1_OBJECT, &curve) && curve.bytes == sizeof p256 &&
           !memcmp(curve.at, p256, sizeof p256);
}

// ECPrivateKey of RFC 5915. named: its curve was, and need not be named here.
static bool find_in_ec(der all, bool named, der *number)
{
    der key, version, curve;
    if (!take_next(&all, V_ASN1_SEQUENCE, &key) || !take_next(&key, V_ASN1_INTEGER, &version) ||
        !take_next(&key, V_ASN1_OCTET_STRING, number))
        return false;
    named = named || (take_value(&key, V_ASN1_CONTEXT_SPECIFIC, 0, &curve) && take_curve(&curve));
    return named && number->bytes == NUMBER;
}

// PrivateKeyInfo of RFC 5208 (PKCS #8) around one.
static bool find_in_pkcs8(der all, der *number)
{
    der key, version, algorithm, kind, ec;
    return take_next(&all, V_ASN1_SEQUENCE, &key) && take_next(&key, V_ASN1_INTEGER, &version) &&
           take_next(&key, V_ASN1_SEQUENCE, &algorithm) &&
           take_next(&algorithm, V_ASN1_OBJECT, &kind) && take_curve(&algorithm) &&
           take_next(&key, V_ASN1_OCTET_STRING, &ec) && find_in_ec(ec, true, number);
}

// ---- the key -----------------------------------------------------------------------------------

static bool find_point(const BIGNUM *number, unsigned char point[POINT])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *p = group ? EC_POINT_new(group) : NULL;
    const bool found =
        p && !BN_is_zero(number) && BN_cmp(number, EC_GROUP_get0_order(group)) < 0 &&
        EC_POINT_mul(group, p, number, NULL, NULL, NULL) == 1 &&
        EC_POINT_point2oct(group, p, POINT_CONVERSION_UNCOMPRESSED, point, POINT, NULL) == POINT;
    EC_POINT_free(p);
    EC_GROUP_free(group);
    return found;
}

static EVP_PKEY *make_key(const BIGNUM *number, const unsigned char point[POINT])
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM *all = NULL;
    if (b && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, POINT) &&
        OSSL_PARAM_BLD_push_BN_pad(b, OSSL_PKEY_PARAM_PRIV_KEY, number, NUMBER))
        all = OSSL_PARAM_BLD_to_param(b);
    if (ctx && all && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, all);
    OSSL_PARAM_free(all);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

// kind: as PEM names it.
static EVP_PKEY *key_in(der all, const char *kind)
{
    unsigned char point[POINT];
    EVP_PKEY *key = NULL;
    der found;
    const bool there = strcmp(kind, PEM_STRING_ECPRIVATEKEY) ? find_in_pkcs8(all, &found)
                                                             : find_in_ec(all, false, &found);
    BIGNUM *number = there ? BN_secure_new() : NULL;
    if (number && BN_bin2bn(found.at, NUMBER, number)) {
        BN_set_flags(number, BN_FLG_CONSTTIME);
        if (find_point(number, point)) key = make_key(number, point);
    }
    BN_clear_free(number);
    return key;
}

tk_status tk_private_read(const char *path, EVP_PKEY **out)
{
    tk_secret text;
    unsigned char *x = NULL;
    char *kind = NULL;
    long bytes = 0;
    bool asked = false;
    *out = NULL;
    TK_TRY(open_heap());
    TK_TRY(tk_secret_read("provenance.key", path, PEM_BYTES, &text));
    BIO *file = BIO_new_mem_buf(text.x, (int)text.bytes);
    const bool read = file && PEM_bytes_read_bio_secmem(&x, &bytes, &kind, PEM_STRING_EVP_PKEY,
                                                        file, no_password, &asked) == 1;
    BIO_free(file);
    tk_secret_forget(&text);
    if (read) {
        asked = !strcmp(kind, PEM_STRING_PKCS8);
        *out = asked ? NULL : key_in((der){x, bytes}, kind);
        OPENSSL_secure_clear_free(x, (size_t)bytes);
        OPENSSL_secure_free(kind);
    }
    ERR_clear_error();
    tk_secret_forget_stack();
    if (asked)
        return TK_FAIL(
            TK_INPUT,
            "provenance.key: %s is encrypted; give it without a password (openssl pkey), "
            "readable by its user alone (chmod 600)",
            path);
    if (!read) return TK_FAIL(TK_INPUT, "provenance.key: %s is no private key in PEM", path);
    if (*out) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "provenance.key: %s is no key of the curve P-256 (openssl genpkey -algorithm EC "
                   "-pkeyopt ec_paramgen_curve:P-256)",
                   path);
}
