// SPDX-License-Identifier: Apache-2.0
// What encoders made, on disk until all of it is there. An index in memory grows with each packet
// of a clip; begun once the encoders are gone, it takes their place instead of more. Internal to
// data/media.
#pragma once
#include "core/base/status.h"
#include <libavcodec/avcodec.h>
#include <stdbool.h>

typedef struct tk_packets {
    const char *path; // for messages; NULL: closed
    int fd;           // a file without a name
    int64_t end, at;  // bytes; where the next packet is read
    char *held;       // the last of them, which are not written yet: disks may be slow
    size_t n_held;
} tk_packets;

// On the disk of `path`, which stays the caller's.
tk_status tk_packets_open(const char *path, tk_packets *out);
// Side data are not kept. TK_IO: the disk is full.
tk_status tk_packets_put(tk_packets *p, const AVPacket *packet);
// From the first one on, in the order in which they were put, into a packet that is empty.
tk_status tk_packets_next(tk_packets *p, AVPacket *packet, bool *end);
void tk_packets_close(tk_packets *p); // of one that is zero: fine
