// SPDX-License-Identifier: Apache-2.0
// What libav reads of a media file: see data/media/bytes.h.
#include "data/media/bytes.h"
#include "core/base/files.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { IO_BUFFER = 1 << 16 };

static int read_bytes(void *opaque, uint8_t *buf, int n)
{
    tk_bytes *b = opaque;
    ssize_t got;
    while ((got = pread(b->fd, buf, (size_t)n, b->offset)) < 0 && errno == EINTR) continue;
    if (got < 0) return AVERROR(b->failed = errno);
    if (got == 0) return AVERROR_EOF;
    b->offset += got;
    return (int)got;
}

static int64_t seek_bytes(void *opaque, int64_t to, int whence)
{
    tk_bytes *b = opaque;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return b->size;
    if (whence == SEEK_CUR) to += b->offset;
    if (whence == SEEK_END) to += b->size;
    if (to < 0) return AVERROR(EINVAL);
    return b->offset = to;
}

tk_status tk_bytes_open(tk_bytes *b, const char *path)
{
    *b = (tk_bytes){.fd = -1};
    TK_TRY(tk_file_open(path, &b->fd, &b->size));
    if (b->size == 0) return TK_FAIL(TK_INPUT, "%s is empty", path);
    uint8_t *buffer = av_malloc(IO_BUFFER); // libav grows and frees it
    b->io =
        buffer ? avio_alloc_context(buffer, IO_BUFFER, 0, b, read_bytes, NULL, seek_bytes) : NULL;
    if (!b->io) {
        av_free(buffer);
        return TK_FAIL(TK_MEMORY, "out of memory opening %s", path);
    }
    return TK_OK;
}

void tk_bytes_close(tk_bytes *b)
{
    if (b->io) av_freep(&b->io->buffer);
    avio_context_free(&b->io);
    if (b->fd >= 0) close(b->fd);
    *b = (tk_bytes){.fd = -1};
}
