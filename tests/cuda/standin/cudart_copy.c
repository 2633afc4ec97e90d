// SPDX-License-Identifier: Apache-2.0
// What moves memory on a stream. The host's is read and written when the work is done, not before:
// an upload whose memory has changed by then is a fault, and what a download will write is spoiled
// when it is asked for.
#include "tests/cuda/standin/cudart.h"
#include <stdlib.h>
#include <string.h>

typedef struct move {
    void *to;
    const void *from;
    size_t to_stride, from_stride, rows, bytes;
    enum cudaMemcpyKind kind;
    uint64_t seen; // digest of an upload's memory, as it was when asked for
    int value;     // of a fill
} move;

static uint64_t digest(const void *x, size_t bytes)
{
    uint64_t d = 1469598103934665603ull, word;
    const unsigned char *at = x;
    for (; bytes >= sizeof word; bytes -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        d = (d ^ word) * 0x9e3779b97f4a7c15ull;
        d ^= d >> 32;
    }
    while (bytes--) d = (d ^ *at++) * 1099511628211ull;
    return d;
}

static void renew_move(void *what)
{
    move *m = what;
    if (m->kind == cudaMemcpyHostToDevice) m->seen = digest(m->from, m->bytes);
}

static standin_turn run_move(void *what)
{
    const move *m = what;
    if (m->kind == cudaMemcpyHostToDevice && digest(m->from, m->bytes) != m->seen)
        standin_fault("host memory of an upload of %zu bytes has changed before it was read",
                      m->bytes);
    for (size_t r = 0; r < m->rows; r++)
        memcpy((char *)m->to + r * m->to_stride, (const char *)m->from + r * m->from_stride,
               m->bytes);
    return STANDIN_DONE;
}

static standin_turn run_fill(void *what)
{
    const move *m = what;
    memset(m->to, m->value, m->bytes);
    return STANDIN_DONE;
}

static cudaError_t push(cudaStream_t s, const char *name, standin_turn (*run)(void *),
                        const move *m, const void *host)
{
    cudart_work *w = cudart_new_work(name, run, m, sizeof *m);
    w->host = host;
    w->renew = run == run_move ? renew_move : NULL;
    w->host_bytes = host ? m->bytes : 0;
    if (host) cudart_counts.pageable += !cudart_is_pinned(host, m->bytes);
    return cudart_push(s, w);
}

static void needs_host(const char *who, const void *x, size_t bytes)
{
    if (cudart_is_device(x, 1))
        standin_fault("%s: %zu bytes at %p are not the host's", who, bytes, x);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t s)
{
    move m = {.to = to, .from = from, .rows = 1, .bytes = bytes, .kind = kind};
    CUDART_ENTER();
    switch (kind) {
    case cudaMemcpyHostToDevice:
        standin_needs_device("upload", to, bytes);
        needs_host("upload", from, bytes);
        m.seen = digest(from, bytes);
        return push(s, "upload", run_move, &m, from);
    case cudaMemcpyDeviceToHost:
        standin_needs_device("download", from, bytes);
        needs_host("download", to, bytes);
        if (!cudart_touches(to, bytes)) memset(to, 0xa5, bytes);
        return push(s, "download", run_move, &m, to);
    case cudaMemcpyDeviceToDevice:
        standin_needs_device("copy", to, bytes);
        standin_needs_device("copy", from, bytes);
        return push(s, "copy", run_move, &m, NULL);
    default:
        CUDART_REFUSE("cudaMemcpyAsync of kind %d is not known", (int)kind);
    }
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_stride, const void *from, size_t from_stride,
                              size_t width, size_t rows, enum cudaMemcpyKind kind, cudaStream_t s)
{
    const move m = {to, from, to_stride, from_stride, rows, width, kind, 0, 0};
    CUDART_ENTER();
    if (kind != cudaMemcpyDeviceToDevice)
        CUDART_REFUSE("cudaMemcpy2DAsync of kind %d is not known", (int)kind);
    if (to_stride < width || from_stride < width) return cudart_error(cudaErrorInvalidPitchValue);
    if (!rows || !width) return cudaSuccess;
    standin_needs_device("copy of rows", to, (rows - 1) * to_stride + width);
    standin_needs_device("copy of rows", from, (rows - 1) * from_stride + width);
    return push(s, "copy of rows", run_move, &m, NULL);
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t s)
{
    const move m = {.to = to, .bytes = bytes, .value = value};
    CUDART_ENTER();
    standin_needs_device("fill", to, bytes);
    return push(s, "fill", run_fill, &m, NULL);
}
