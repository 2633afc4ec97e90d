// SPDX-License-Identifier: Apache-2.0
#include "core/device/recording.h"
#include "core/base/mem.h"
#include <string.h>

tk_status tk_recording_forbids(const tk_device *d, const char *what)
{
    if (!d->recording || !d->recording->on) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "device %s: %s inside a graph, which would have it each time",
                   d->ops->name, what);
}

static char *piece_end(const tk_tensor *t)
{
    return (char *)t->data + tk_bytes(t);
}

static tk_tensor piece(char *begin, const char *end)
{
    return tk_tensor_2d(begin, TK_I32, (end - begin) / (int64_t)sizeof(int32_t), 1);
}

static tk_status room_for_piece(tk_recording *r)
{
    if (r->n < r->cap) return TK_OK;
    const size_t old = (size_t)r->cap, cap = old ? 2 * old : 16;
    tk_tensor *more = tk_realloc(r->memory, old * sizeof *more, cap * sizeof *more);
    if (!more) return TK_FAIL(TK_MEMORY, "out of memory for a graph");
    r->memory = more;
    r->cap = (int)cap;
    return TK_OK;
}

tk_status tk_recording_note(tk_recording *r, void *x, size_t bytes)
{
    enum { UNIT = 64 }; // of the pool
    char *begin = x, *end = begin + (bytes ? (bytes + UNIT - 1) / UNIT * UNIT : UNIT);
    int at = 0, after;
    while (at < r->n && piece_end(&r->memory[at]) < begin) at++;
    for (after = at; after < r->n && (char *)r->memory[after].data <= end; after++) {
        if ((char *)r->memory[after].data < begin) begin = r->memory[after].data;
        if (piece_end(&r->memory[after]) > end) end = piece_end(&r->memory[after]);
    }
    if (at == after) {
        TK_TRY(room_for_piece(r));
        memmove(r->memory + at + 1, r->memory + at, (size_t)(r->n - at) * sizeof *r->memory);
        r->n++;
    } else {
        memmove(r->memory + at + 1, r->memory + after, (size_t)(r->n - after) * sizeof *r->memory);
        r->n -= after - at - 1;
    }
    r->memory[at] = piece(begin, end);
    return TK_OK;
}

void tk_recording_free(tk_recording *r)
{
    tk_free(r->memory);
    *r = (tk_recording){0};
}
