// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/key.h"
#include "core/base/secret.h"
#include <xxhash.h>

enum { LEAST_BYTES = 16, MOST_BYTES = 4096, LEAST_KINDS = 8 };
enum { MOST_FILE = 1 << 20 }; // of what is read to be told that it is too long

static int kinds_of_bytes(const uint8_t *x, size_t n)
{
    bool there[256] = {false};
    int kinds = 0;
    for (size_t i = 0; i < n; i++) {
        kinds += !there[x[i]];
        there[x[i]] = true;
    }
    return kinds;
}

tk_status tk_mark_key_read(const char *path, tk_mark_key *out)
{
    tk_secret file;
    TK_TRY(tk_secret_read("watermark.key", path, MOST_FILE, &file));
    const size_t n = file.bytes;
    const bool fits = n >= LEAST_BYTES && n <= MOST_BYTES;
    const bool guessed = fits && kinds_of_bytes((const uint8_t *)file.x, n) < LEAST_KINDS;
    const XXH128_hash_t h = XXH3_128bits(file.x, n);
    tk_secret_forget(&file);
    if (!fits || guessed)
        return TK_FAIL(TK_INPUT,
                       "%s is no key for marks: %zu bytes, %s; right are %d to %d that nobody can "
                       "guess (head -c 32 /dev/urandom >FILE && chmod 600 FILE)",
                       path, n, fits ? "nearly all the same" : "too few or too many", LEAST_BYTES,
                       MOST_BYTES);
    *out = (tk_mark_key){h.low64, h.high64};
    return TK_OK;
}
