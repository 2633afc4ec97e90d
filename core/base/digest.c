// SPDX-License-Identifier: Apache-2.0
#include "core/base/digest.h"
#include "core/base/files.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { PIECE = 1 << 16 };

const char *tk_bytes_hex(const uint8_t *x, size_t bytes, char *out)
{
    for (size_t i = 0; i < bytes; i++) snprintf(out + 2 * i, 3, "%02x", x[i]);
    return out;
}

const char *tk_digest_hex(uint64_t x, char out[TK_HEX_DIGEST])
{
    snprintf(out, TK_HEX_DIGEST, "%016" PRIx64, x);
    return out;
}

tk_status tk_file_digest(const char *path, uint64_t *out, int64_t *bytes)
{
    char *buffer;
    ssize_t n = 0;
    int fd;
    *out = 0;
    TK_TRY(tk_file_open(path, &fd, bytes));
    buffer = tk_alloc(PIECE);
    XXH3_state_t *state = XXH3_createState();
    if (buffer && state && XXH3_64bits_reset(state) == XXH_OK)
        while ((n = read(fd, buffer, PIECE)) > 0) XXH3_64bits_update(state, buffer, (size_t)n);
    const bool room = buffer && state;
    if (room) *out = XXH3_64bits_digest(state);
    const int error = errno;
    XXH3_freeState(state);
    tk_free(buffer);
    close(fd);
    if (!room) return TK_FAIL(TK_MEMORY, "out of memory reading %s", path);
    return n < 0 ? TK_FAIL(TK_INPUT, "cannot read %s: %s", path, strerror(error)) : TK_OK;
}
