// SPDX-License-Identifier: Apache-2.0
#include "data/media/packets.h"
#include "core/base/files.h"
#include <string.h>
#include <unistd.h>

enum { HELD = 1 << 18 }; // bytes written at once, at least

typedef struct packet_head {
    int64_t pts, dts, duration; // as the encoder's clock has it
    int32_t stream, flags, bytes, pad;
} packet_head;

tk_status tk_packets_open(const char *path, tk_packets *out)
{
    *out = (tk_packets){0};
    TK_TRY(tk_file_scratch(path, &out->fd));
    out->path = path;
    out->held = tk_alloc(HELD);
    if (out->held) return TK_OK;
    tk_packets_close(out);
    return TK_FAIL(TK_MEMORY, "out of memory for packets of %s", path);
}

static tk_status write_held(tk_packets *p)
{
    const size_t n = p->n_held;
    p->n_held = 0;
    return n ? tk_pwrite_all(p->fd, p->path, p->held, n, p->end - (int64_t)n) : TK_OK;
}

static tk_status hold_bytes(tk_packets *p, const void *x, size_t n)
{
    if (p->n_held + n > HELD) TK_TRY(write_held(p));
    if (n > HELD)
        TK_TRY(tk_pwrite_all(p->fd, p->path, x, n, p->end));
    else if (n) {
        memcpy(p->held + p->n_held, x, n);
        p->n_held += n;
    }
    p->end += (int64_t)n;
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
    TK_TRY(hold_bytes(p, &h, sizeof h));
    return hold_bytes(p, packet->data, (size_t)h.bytes);
}

tk_status tk_packets_next(tk_packets *p, AVPacket *packet, bool *end)
{
    packet_head h;
    *end = p->at == p->end;
    if (*end) return TK_OK;
    TK_TRY(write_held(p));
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
    tk_free(p->held);
    *p = (tk_packets){0};
}
