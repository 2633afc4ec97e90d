// SPDX-License-Identifier: Apache-2.0
#include "data/media/packets.h"
#include "core/base/files.h"
#include <unistd.h>

typedef struct packet_head {
    int64_t pts, dts, duration; // as the encoder's clock has it
    int32_t stream, flags, bytes, pad;
} packet_head;

tk_status tk_packets_open(const char *path, tk_packets *out)
{
    *out = (tk_packets){0};
    TK_TRY(tk_file_scratch(path, &out->fd));
    out->path = path;
    return TK_OK;
}

tk_status tk_packets_put(tk_packets *p, const AVPacket *packet)
{
    const packet_head h = {.pts = packet->pts,
                           .dts = packet->dts,
                           .duration = packet->duration,
                           .stream = packet->stream_index,
                           .flags = packet->flags,
                           .bytes = packet->size};
    TK_TRY(tk_pwrite_all(p->fd, p->path, &h, sizeof h, p->end));
    TK_TRY(
        tk_pwrite_all(p->fd, p->path, packet->data, (size_t)h.bytes, p->end + (int64_t)sizeof h));
    p->end += (int64_t)sizeof h + h.bytes;
    return TK_OK;
}

tk_status tk_packets_next(tk_packets *p, AVPacket *packet, bool *end)
{
    packet_head h;
    *end = p->at == p->end;
    if (*end) return TK_OK;
    TK_TRY(tk_pread_all(p->fd, p->path, &h, sizeof h, p->at));
    if (av_new_packet(packet, h.bytes) < 0)
        return TK_FAIL(TK_MEMORY, "out of memory for a packet of %s", p->path);
    packet->pts = h.pts;
    packet->dts = h.dts;
    packet->duration = h.duration;
    packet->stream_index = h.stream;
    packet->flags = h.flags;
    TK_TRY(tk_pread_all(p->fd, p->path, packet->data, (size_t)h.bytes, p->at + (int64_t)sizeof h));
    p->at += (int64_t)sizeof h + h.bytes;
    return TK_OK;
}

void tk_packets_close(tk_packets *p)
{
    if (p->path) close(p->fd);
    *p = (tk_packets){0};
}
