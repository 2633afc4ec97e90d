// SPDX-License-Identifier: Apache-2.0
#include "core/device/transfer.h"
#include <string.h>

enum { ALIGN = 64 }; // of every tensor, as if it had come from the pool alone

typedef struct tk_transfer_part { // bytes on end: the beginning of a tensor, or a piece of one
    struct tk_transfer_part *next;
    const void *from; // NULL: zeros
    size_t at, bytes;
    tk_tensor *to; // whose contents begin here; NULL: of the tensor before
} tk_transfer_part;

// ---- host memory -------------------------------------------------------------------------------

typedef struct tk_staging_block { // a header of ALIGN bytes, then `bytes` of memory
    struct tk_staging_block *next;
    size_t bytes, used;
} tk_staging_block;
_Static_assert(sizeof(tk_staging_block) <= ALIGN, "the header of a block fits its place");

void tk_staging_init(tk_staging *s, tk_device *d)
{
    *s = (tk_staging){.device = d};
    tk_arena_init(&s->arena, 1 << 18);
}

static void free_blocks(tk_staging *s)
{
    for (tk_staging_block *b = s->head, *next; b; b = next) {
        next = b->next;
        tk_device_host_free(s->device, b);
    }
    s->head = NULL;
}

// What needed several blocks gets one as large as all of them, with some room to spare.
void tk_staging_reset(tk_staging *s)
{
    tk_arena_reset(&s->arena);
    if (s->head && s->head->next) {
        free_blocks(s);
        s->block_bytes = s->used + s->used / 4;
    }
    if (s->head) s->head->used = 0;
    s->used = 0;
}

void tk_staging_free(tk_staging *s)
{
    if (!s->device) return;
    free_blocks(s);
    tk_arena_free(&s->arena);
    *s = (tk_staging){0};
}

static tk_status add_staging_block(tk_staging *s, size_t room)
{
    void *fresh;
    TK_TRY(tk_device_host_new(s->device, ALIGN + room, &fresh));
    tk_staging_block *b = fresh;
    *b = (tk_staging_block){.next = s->head, .bytes = room};
    s->head = b;
    return TK_OK;
}

tk_status tk_staging_reserve(tk_staging *s, size_t bytes)
{
    s->block_bytes = bytes;
    return bytes ? add_staging_block(s, bytes) : TK_OK;
}

static size_t count_staging(tk_staging *s, size_t bytes)
{
    const size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    s->used += need;
    if (s->used > s->most) s->most = s->used;
    return need;
}

static tk_status take_staging(tk_staging *s, size_t bytes, void **out)
{
    const size_t need = count_staging(s, bytes);
    if (!s->head || need > s->head->bytes - s->head->used)
        TK_TRY(add_staging_block(s, need > s->block_bytes ? need : s->block_bytes));
    *out = (char *)s->head + ALIGN + s->head->used;
    s->head->used += need;
    return TK_OK;
}

// ---- transfers ---------------------------------------------------------------------------------

void tk_transfer_begin(tk_transfer *x, tk_staging *host)
{
    *x = (tk_transfer){.device = host->device, .host = host};
}

static tk_status append_part(tk_transfer *x, tk_transfer_part part)
{
    tk_transfer_part *p;
    TK_ARENA_NEW(p, &x->host->arena, 1);
    *p = part;
    *(x->last ? &x->last->next : &x->first) = p;
    x->last = p;
    return TK_OK;
}

tk_status tk_transfer_new(tk_transfer *x, tk_dtype t, int64_t rows, int64_t cols, tk_tensor *to)
{
    int64_t count, bytes;
    TK_TRY(tk_mul_size(rows, cols, &count));
    TK_TRY(tk_mul_size(count, (int64_t)tk_dtype_size(t), &bytes));
    *to = tk_tensor_2d(NULL, t, rows, cols);
    x->bytes = (x->bytes + ALIGN - 1) / ALIGN * ALIGN;
    return append_part(x, (tk_transfer_part){.at = x->bytes, .to = to});
}

tk_status tk_transfer_fill(tk_transfer *x, const void *from, size_t bytes)
{
    const size_t at = x->bytes;
    if (!x->first) return TK_FAIL(TK_INTERNAL, "a transfer was filled before it had a tensor");
    if (!bytes) return TK_OK;
    x->bytes += bytes;
    return append_part(x, (tk_transfer_part){.from = from, .at = at, .bytes = bytes});
}

tk_status tk_transfer_put(tk_transfer *x, const void *from, tk_dtype t, int64_t rows, int64_t cols,
                          tk_tensor *to)
{
    TK_TRY(tk_transfer_new(x, t, rows, cols, to));
    if (!from && tk_bytes(to))
        return TK_FAIL(TK_INTERNAL, "transfer: %zu bytes of host memory at NULL", tk_bytes(to));
    return tk_transfer_fill(x, from, tk_bytes(to));
}

// Every tensor has the bytes of its shape.
static tk_status check_parts(const tk_transfer *x)
{
    const tk_transfer_part *tensor = NULL;
    size_t filled = 0;
    for (const tk_transfer_part *p = x->first;; p = p->next) {
        if (tensor && (!p || p->to) && filled != tk_bytes(tensor->to))
            return TK_FAIL(TK_INTERNAL, "a tensor of %zu bytes was filled with %zu",
                           tk_bytes(tensor->to), filled);
        if (!p) return TK_OK;
        if (p->to) tensor = p, filled = 0;
        filled += p->bytes;
    }
}

static tk_status upload(tk_transfer *x, const tk_tensor *block)
{
    void *host = NULL;
    TK_TRY(take_staging(x->host, x->bytes, &host));
    for (const tk_transfer_part *p = x->first; p; p = p->next) {
        char *to = (char *)host + p->at;
        if (p->from)
            memcpy(to, p->from, p->bytes);
        else
            memset(to, 0, p->bytes);
    }
    return tk_device_upload(x->device, block->data, host, x->bytes);
}

void tk_transfer_join(tk_transfer *all, tk_transfer *x)
{
    const size_t begin = (all->bytes + ALIGN - 1) / ALIGN * ALIGN;
    x->joined = true;
    if (!x->first) return;
    for (tk_transfer_part *p = x->first; p; p = p->next) p->at += begin;
    *(all->last ? &all->last->next : &all->first) = x->first;
    all->last = x->last;
    all->bytes = begin + x->bytes;
    x->first = x->last = NULL;
}

static int64_t words_of(const tk_transfer *x)
{
    return (int64_t)((x->bytes + sizeof(int32_t) - 1) / sizeof(int32_t));
}

tk_status tk_transfer_place(tk_transfer *x)
{
    TK_TRY(check_parts(x));
    TK_TRY(tk_device_new(x->device, TK_I32, words_of(x), 1, &x->block));
    for (tk_transfer_part *p = x->first; p; p = p->next)
        if (p->to) p->to->data = (char *)x->block.data + p->at;
    return TK_OK;
}

tk_status tk_transfer_send_to(tk_transfer *x, const tk_tensor *block)
{
    if (words_of(x) != tk_count(block))
        return TK_FAIL(TK_INTERNAL, "a transfer of %zu bytes in the place of one of %zu", x->bytes,
                       tk_bytes(block));
    if (x->bytes && tk_device_computes(x->device)) return upload(x, block);
    (void)count_staging(x->host, x->bytes);
    return TK_OK;
}

tk_status tk_transfer_send(tk_transfer *x)
{
    if (x->joined) return TK_OK;
    TK_TRY(tk_transfer_place(x));
    return tk_transfer_send_to(x, &x->block);
}

void tk_transfer_free(tk_transfer *x)
{
    if (x->device) tk_device_free(x->device, &x->block);
    *x = (tk_transfer){0};
}
