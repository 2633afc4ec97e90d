// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/seal.h"
#include <sodium.h>
#include <string.h>

_Static_assert(TK_SEAL_HASH == crypto_generichash_BYTES &&
                   TK_SEAL_KEY == crypto_secretstream_xchacha20poly1305_KEYBYTES &&
                   TK_SEAL_KEY == crypto_sign_SEEDBYTES &&
                   TK_SEAL_PUBLIC == crypto_sign_PUBLICKEYBYTES &&
                   TK_SEAL_SIGNATURE == crypto_sign_BYTES &&
                   sizeof((tk_seal_pair *)0)->secret == crypto_sign_SECRETKEYBYTES,
               "as libsodium has them");

tk_status tk_seal_ready(void)
{
    return sodium_init() < 0 ? TK_FAIL(TK_INTERNAL, "libsodium does not start") : TK_OK;
}

void tk_seal_random(void *x, size_t bytes)
{
    randombytes_buf(x, bytes);
}

void tk_seal_forget(void *x, size_t bytes)
{
    sodium_memzero(x, bytes);
}

void tk_seal_hash(const void *x, size_t bytes, unsigned char hash[TK_SEAL_HASH])
{
    crypto_generichash(hash, TK_SEAL_HASH, x, bytes, NULL, 0);
}

// ---- signatures --------------------------------------------------------------------------------

void tk_seal_pair_of(const unsigned char seed[TK_SEAL_KEY], tk_seal_pair *out)
{
    crypto_sign_seed_keypair(out->open, out->secret, seed);
}

void tk_seal_sign(const tk_seal_pair *by, const void *x, size_t bytes,
                  unsigned char signature[TK_SEAL_SIGNATURE])
{
    crypto_sign_detached(signature, NULL, x, bytes, by->secret);
}

bool tk_seal_signed(const unsigned char by[TK_SEAL_PUBLIC], const void *x, size_t bytes,
                    const unsigned char signature[TK_SEAL_SIGNATURE])
{
    return crypto_sign_verify_detached(signature, x, bytes, by) == 0;
}

void tk_seal_hex(const unsigned char *x, size_t bytes, char *out)
{
    sodium_bin2hex(out, 2 * bytes + 1, x, bytes);
}

bool tk_seal_unhex(const char *text, size_t digits, unsigned char *out, size_t bytes)
{
    size_t n;
    const char *end;
    return digits == 2 * bytes && sodium_hex2bin(out, bytes, text, digits, NULL, &n, &end) == 0 &&
           n == bytes && end == text + digits;
}

// ---- PEM ---------------------------------------------------------------------------------------

// DER of a key of Ed25519 (RFC 8410) is these bytes, then the key's 32.
static const unsigned char private_head[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                             0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
static const unsigned char public_head[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                            0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

static bool read_pem(const char *pem, const char *begin, const unsigned char *head, size_t heads,
                     unsigned char key[TK_SEAL_KEY])
{
    unsigned char der[64];
    size_t n = 0;
    const char *from = strstr(pem, begin), *end;
    if (!from) return false;
    from += strlen(begin);
    const bool read = sodium_base642bin(der, sizeof der, from, strcspn(from, "-"), " \r\n\t", &n,
                                        &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
                      *end == '-' && n == heads + TK_SEAL_KEY && memcmp(der, head, heads) == 0;
    if (read) memcpy(key, der + heads, TK_SEAL_KEY);
    sodium_memzero(der, sizeof der);
    return read;
}

bool tk_seal_read_private(const char *pem, tk_seal_pair *out)
{
    unsigned char seed[TK_SEAL_KEY];
    const bool read =
        read_pem(pem, "-----BEGIN PRIVATE KEY-----", private_head, sizeof private_head, seed);
    if (read) tk_seal_pair_of(seed, out);
    sodium_memzero(seed, sizeof seed);
    return read;
}

bool tk_seal_read_public(const char *pem, unsigned char open[TK_SEAL_PUBLIC])
{
    return read_pem(pem, "-----BEGIN PUBLIC KEY-----", public_head, sizeof public_head, open);
}

// ---- sealed files ------------------------------------------------------------------------------
// The stream's header, then pieces of PIECE bytes, each with its tag; the last one says that it is.

enum {
    PIECE = 1 << 16,
    HEAD = crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    TAG = crypto_secretstream_xchacha20poly1305_ABYTES
};

tk_status tk_seal_close(const unsigned char key[TK_SEAL_KEY], const char *label, const void *x,
                        size_t bytes, tk_arena *a, unsigned char **out, size_t *sealed)
{
    crypto_secretstream_xchacha20poly1305_state s;
    const size_t pieces = bytes ? (bytes + PIECE - 1) / PIECE : 1;
    *sealed = HEAD + bytes + pieces * TAG;
    TK_ARENA_NEW(*out, a, (int64_t)*sealed);
    unsigned char *to = *out + HEAD;
    const unsigned char *from = x;
    crypto_secretstream_xchacha20poly1305_init_push(&s, *out, key);
    for (size_t i = 0; i < pieces; i++) {
        const bool last = i + 1 == pieces;
        const size_t n = last ? bytes - i * PIECE : PIECE;
        crypto_secretstream_xchacha20poly1305_push(
            &s, to, NULL, from, n, (const unsigned char *)label, strlen(label),
            last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
        to += n + TAG, from += n;
    }
    sodium_memzero(&s, sizeof s);
    return TK_OK;
}

tk_status tk_seal_open(const unsigned char key[TK_SEAL_KEY], const char *label,
                       const unsigned char *x, size_t sealed, tk_arena *a, unsigned char **out,
                       size_t *bytes)
{
    crypto_secretstream_xchacha20poly1305_state s;
    bool holds = sealed >= HEAD + TAG, last = false;
    const unsigned char *from = x + HEAD, *end = x + sealed;
    *bytes = 0;
    TK_ARENA_NEW(*out, a, (int64_t)sealed);
    holds = holds && crypto_secretstream_xchacha20poly1305_init_pull(&s, x, key) == 0;
    while (holds && !last && from < end) {
        unsigned char tag = 0;
        const size_t left = (size_t)(end - from), n = left < PIECE + TAG ? left : PIECE + TAG;
        holds = n >= TAG && crypto_secretstream_xchacha20poly1305_pull(
                                &s, *out + *bytes, NULL, &tag, from, n,
                                (const unsigned char *)label, strlen(label)) == 0;
        last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
        *bytes += holds ? n - TAG : 0;
        from += n;
    }
    sodium_memzero(&s, sizeof s);
    if (holds && last && from == end) return TK_OK;
    sodium_memzero(*out, sealed);
    return TK_FAIL(TK_INPUT, "%s: what is stored is damaged, or of another key", label);
}
