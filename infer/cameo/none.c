// SPDX-License-Identifier: Apache-2.0
// In the place of what needs libsodium (make CAMEO=0): nobody lends a likeness.
#include "infer/cameo/seal.h"

tk_status tk_seal_ready(void)
{
    return TK_FAIL(TK_INPUT,
                   "this talkie was built without cameos (make CAMEO=0): it keeps no likenesses");
}

void tk_seal_random(void *x, size_t bytes)
{
    (void)x, (void)bytes;
}

void tk_seal_forget(void *x, size_t bytes)
{
    (void)x, (void)bytes;
}

void tk_seal_hash(const void *x, size_t bytes, unsigned char hash[TK_SEAL_HASH])
{
    (void)x, (void)bytes, (void)hash;
}

void tk_seal_pair_of(const unsigned char seed[TK_SEAL_KEY], tk_seal_pair *out)
{
    (void)seed, (void)out;
}

void tk_seal_sign(const tk_seal_pair *by, const void *x, size_t bytes,
                  unsigned char signature[TK_SEAL_SIGNATURE])
{
    (void)by, (void)x, (void)bytes, (void)signature;
}

bool tk_seal_signed(const unsigned char by[TK_SEAL_PUBLIC], const void *x, size_t bytes,
                    const unsigned char signature[TK_SEAL_SIGNATURE])
{
    (void)by, (void)x, (void)bytes, (void)signature;
    return false;
}

void tk_seal_hex(const unsigned char *x, size_t bytes, char *out)
{
    (void)x, (void)bytes;
    *out = 0;
}

bool tk_seal_unhex(const char *text, size_t digits, unsigned char *out, size_t bytes)
{
    (void)text, (void)digits, (void)out, (void)bytes;
    return false;
}

bool tk_seal_read_private(const char *pem, tk_seal_pair *out)
{
    (void)pem, (void)out;
    return false;
}

bool tk_seal_read_public(const char *pem, unsigned char open[TK_SEAL_PUBLIC])
{
    (void)pem, (void)open;
    return false;
}

tk_status tk_seal_close(const unsigned char key[TK_SEAL_KEY], const char *label, const void *x,
                        size_t bytes, tk_arena *a, unsigned char **out, size_t *sealed)
{
    (void)key, (void)label, (void)x, (void)bytes, (void)a, (void)out, (void)sealed;
    return tk_seal_ready();
}

tk_status tk_seal_open(const unsigned char key[TK_SEAL_KEY], const char *label,
                       const unsigned char *x, size_t sealed, tk_arena *a, unsigned char **out,
                       size_t *bytes)
{
    (void)key, (void)label, (void)x, (void)sealed, (void)a, (void)out, (void)bytes;
    return tk_seal_ready();
}
