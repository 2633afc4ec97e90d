// SPDX-License-Identifier: Apache-2.0
// The bytes of a media file, as libav reads them: of a regular file, and of that alone. Internal to
// data/media/*.c.
#pragma once
#include "core/base/mem.h"
#include <libavformat/avformat.h>

typedef struct tk_bytes {
    int fd;
    int64_t size, offset; // of the file, and of the next read
    int failed;           // errno of a read that did, which libav may take for the end; 0 = none
    AVIOContext *io;      // NULL: nothing is open
} tk_bytes;

// `b` stays where it is while it is open: libav has its address.
tk_status tk_bytes_open(tk_bytes *b, const char *path);
void tk_bytes_close(tk_bytes *b); // also after it could not be opened
