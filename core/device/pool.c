// SPDX-License-Identifier: Apache-2.0
// Best fit over two arrays of blocks sorted by address. A step makes some thousand calls and the
// free array stays short, so plain scans are cheaper than a tree would be.
#include "core/device/pool.h"
#include "core/base/mem.h"
#include <stdint.h>
#include <string.h>

enum { ALIGN = 64 };

tk_status tk_pool_init(tk_pool *p, void *base, size_t bytes)
{
    *p = (tk_pool){0};
    if (!base || (uintptr_t)base % ALIGN)
        return TK_FAIL(TK_INTERNAL, "the base of a pool must be a multiple of %d, not %p", ALIGN,
                       base);
    p->base = base;
    p->bytes = bytes & ~(size_t)(ALIGN - 1);
    p->cap_free = 16;
    p->free_blocks = tk_alloc((size_t)p->cap_free * sizeof *p->free_blocks);
    if (!p->free_blocks) return TK_FAIL(TK_MEMORY, "out of memory for the blocks of a pool");
    if (p->bytes) p->free_blocks[p->n_free++] = (tk_pool_block){0, p->bytes};
    return TK_OK;
}

void tk_pool_done(tk_pool *p)
{
    tk_free(p->free_blocks);
    tk_free(p->live_blocks);
    *p = (tk_pool){0};
}

static tk_status grow(tk_pool_block **blocks, int *cap, int need)
{
    if (need <= *cap) return TK_OK;
    int fresh = *cap * 2 > need ? *cap * 2 : need + 16;
    tk_pool_block *b =
        tk_realloc(*blocks, (size_t)*cap * sizeof **blocks, (size_t)fresh * sizeof **blocks);
    if (!b) return TK_FAIL(TK_MEMORY, "out of memory for %d blocks of a pool", fresh);
    *blocks = b;
    *cap = fresh;
    return TK_OK;
}

// Index of the first block that begins at or after `begin`.
static int find(const tk_pool_block *blocks, int n, size_t begin)
{
    int lo = 0, hi = n;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (blocks[mid].begin < begin)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void insert(tk_pool_block *blocks, int *n, int at, tk_pool_block b)
{
    memmove(blocks + at + 1, blocks + at, (size_t)(*n - at) * sizeof *blocks);
    blocks[at] = b;
    (*n)++;
}

static void drop(tk_pool_block *blocks, int *n, int at)
{
    (*n)--;
    memmove(blocks + at, blocks + at + 1, (size_t)(*n - at) * sizeof *blocks);
}

// The smallest free block that holds `bytes`, the lowest of equals; -1 if none does.
static int best_fit(const tk_pool *p, size_t bytes, size_t *largest)
{
    int best = -1;
    *largest = 0;
    for (int i = 0; i < p->n_free; i++) {
        size_t have = p->free_blocks[i].bytes;
        if (have > *largest) *largest = have;
        if (have >= bytes && (best < 0 || have < p->free_blocks[best].bytes)) best = i;
    }
    return best;
}

tk_status tk_pool_new(tk_pool *p, size_t bytes, void **out)
{
    *out = NULL;
    size_t largest, need = ALIGN;
    if (bytes > ALIGN)
        need = bytes > SIZE_MAX - ALIGN ? SIZE_MAX : (bytes + ALIGN - 1) / ALIGN * ALIGN;
    int at = best_fit(p, need, &largest);
    if (at < 0)
        return TK_FAIL(TK_MEMORY,
                       "no %.1f MiB free in the device's memory: %.1f of %.1f MiB in use, the "
                       "largest free piece is %.1f MiB",
                       (double)need / 0x1p20, (double)p->in_use / 0x1p20, (double)p->bytes / 0x1p20,
                       (double)largest / 0x1p20);
    // n live blocks leave at most n + 1 gaps: room for them now means freeing cannot fail.
    TK_TRY(grow(&p->live_blocks, &p->cap_live, p->n_live + 1));
    TK_TRY(grow(&p->free_blocks, &p->cap_free, p->n_live + 2));
    tk_pool_block *gap = &p->free_blocks[at], b = {gap->begin, need};
    gap->begin += need;
    gap->bytes -= need;
    if (!gap->bytes) drop(p->free_blocks, &p->n_free, at);
    insert(p->live_blocks, &p->n_live, find(p->live_blocks, p->n_live, b.begin), b);
    p->in_use += need;
    if (b.begin + need > p->peak) p->peak = b.begin + need;
    *out = p->base + b.begin;
    return TK_OK;
}

void tk_pool_free(tk_pool *p, void *x)
{
    if (!x) return;
    size_t begin = (size_t)((uintptr_t)x - (uintptr_t)p->base);
    int i = find(p->live_blocks, p->n_live, begin);
    bool known = i < p->n_live && p->live_blocks[i].begin == begin;
    tk_assert(known);   // not from this pool, or freed twice
    if (!known) return; // without assertions: better leaked than handed out twice
    tk_pool_block b = p->live_blocks[i];
    drop(p->live_blocks, &p->n_live, i);
    p->in_use -= b.bytes;
    int at = find(p->free_blocks, p->n_free, b.begin); // the gap after b
    tk_pool_block *after = at < p->n_free ? &p->free_blocks[at] : NULL;
    tk_pool_block *before = at > 0 ? &p->free_blocks[at - 1] : NULL;
    if (after && after->begin == b.begin + b.bytes) {
        after->begin = b.begin;
        after->bytes += b.bytes;
        if (before && before->begin + before->bytes == b.begin) {
            before->bytes += after->bytes;
            drop(p->free_blocks, &p->n_free, at);
        }
    } else if (before && before->begin + before->bytes == b.begin) {
        before->bytes += b.bytes;
    } else {
        insert(p->free_blocks, &p->n_free, at, b);
    }
}
