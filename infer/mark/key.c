// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/key.h"
#include "core/base/files.h"
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { LEAST_BYTES = 16, MOST_BYTES = 4096, LEAST_KINDS = 8 };

static int kinds_of_bytes(const uint8_t *x, int64_t n)
{
    bool there[256] = {false};
    int kinds = 0;
    for (int64_t i = 0; i < n; i++) {
        kinds += !there[x[i]];
        there[x[i]] = true;
    }
    return kinds;
}

tk_status tk_mark_key_read(const char *path, tk_mark_key *out)
{
    uint8_t x[MOST_BYTES];
    int64_t n;
    int fd;
    TK_TRY(tk_file_open(path, &fd, &n));
    const bool fits = n >= LEAST_BYTES && n <= MOST_BYTES;
    const tk_status st = fits ? tk_pread_all(fd, path, x, (size_t)n, 0) : TK_OK;
    close(fd);
    TK_TRY(st);
    if (!fits || kinds_of_bytes(x, n) < LEAST_KINDS)
        return TK_FAIL(TK_INPUT,
                       "%s is no key for marks: %lld bytes, %s; right are %d to %d that nobody can "
                       "guess (head -c 32 /dev/urandom >FILE)",
                       path, (long long)n, fits ? "nearly all the same" : "too few or too many",
                       LEAST_BYTES, MOST_BYTES);
    const XXH128_hash_t h = XXH3_128bits(x, (size_t)n);
    *out = (tk_mark_key){h.low64, h.high64};
    return TK_OK;
}
