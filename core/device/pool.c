// SPDX-License-Identifier: Apache-2.0
// Best fit over two arrays of blocks sorted by address. A step makes some thousand calls and the
// free array stays short, so plain scans are cheaper than a tree would be. Free neighbours are one
// block only where the same queues may have them; a gap is a run of neighbours that the asking
// queue may have.
#include "core/device/pool.h"
#include "core/base/mem.h"
#include <stdbool.h>
#include <stdio.h>
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
    if (p->bytes) p->free_blocks[p->n_free++] = (tk_pool_block){.bytes = p->bytes};
    return TK_OK;
}

void tk_pool_done(tk_pool *p)
{
    tk_free(p->free_blocks);
    tk_free(p->live_blocks);
    *p = (tk_pool){0};
}

bool tk_pool_holds(const tk_pool *p, const void *x, size_t bytes)
{
    const uintptr_t begin = (uintptr_t)p->base, at = (uintptr_t)x;
    return at >= begin && at - begin <= p->bytes && bytes <= p->bytes - (at - begin);
}

static tk_status grow_blocks(tk_pool_block **blocks, int *cap, int need)
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

// ---- which queue may have what -----------------------------------------------------------------

static bool may_have(const tk_pool *p, tk_queue q, const tk_pool_block *b)
{
    return !b->epoch || b->queue == q || p->seen[q].done[b->queue] >= b->epoch;
}

// Makes a free block and the one after it one, if they lie together and the same queues may have
// them.
static bool join(tk_pool *p, int at)
{
    if (at < 0 || at + 1 >= p->n_free) return false;
    tk_pool_block *a = &p->free_blocks[at], *b = a + 1;
    if (a->begin + a->bytes != b->begin || a->epoch != b->epoch) return false;
    if (a->epoch && a->queue != b->queue) return false;
    a->bytes += b->bytes;
    drop(p->free_blocks, &p->n_free, at + 1);
    return true;
}

// Blocks that all queues may have by now are marked so, and joined.
static void settle(tk_pool *p)
{
    for (int i = 0; i < p->n_free; i++) {
        bool all = true;
        for (tk_queue q = 0; q < TK_QUEUES && all; q++) all = may_have(p, q, &p->free_blocks[i]);
        if (all) p->free_blocks[i].epoch = 0;
        if (join(p, i - 1)) i--;
    }
}

tk_queue_mark tk_pool_record(tk_pool *p, tk_queue q)
{
    tk_queue_mark m = p->seen[q];
    m.done[q] = ++p->events[q];
    return m;
}

static void see(tk_pool *p, tk_queue q, const tk_queue_mark *m)
{
    for (int k = 0; k < TK_QUEUES; k++)
        if (m->done[k] > p->seen[q].done[k]) p->seen[q].done[k] = m->done[k];
}

void tk_pool_wait(tk_pool *p, tk_queue q, const tk_queue_mark *m)
{
    see(p, q, m);
    settle(p);
}

void tk_pool_wait_host(tk_pool *p, const tk_queue_mark *m)
{
    for (tk_queue q = 0; q < TK_QUEUES; q++) see(p, q, m);
    settle(p);
}

void tk_pool_sync(tk_pool *p)
{
    tk_queue_mark all;
    for (tk_queue q = 0; q < TK_QUEUES; q++) all.done[q] = ++p->events[q];
    tk_pool_wait_host(p, &all);
}

// ---- allocating --------------------------------------------------------------------------------

typedef struct gap {
    int first, n; // free blocks
    size_t bytes;
} gap;

// The run of neighbours that q may have from block i on; at least block i, whose bytes count only
// if q may have it.
static gap gap_at(const tk_pool *p, tk_queue q, int i)
{
    const tk_pool_block *b = p->free_blocks;
    gap g = {.first = i, .n = 1};
    if (!may_have(p, q, &b[i])) return g;
    for (g.bytes = b[i].bytes; i + g.n < p->n_free; g.n++) {
        const tk_pool_block *next = &b[i + g.n];
        if (next->begin != b[i].begin + g.bytes || !may_have(p, q, next)) break;
        g.bytes += next->bytes;
    }
    return g;
}

// The smallest gap that holds `bytes`, the lowest of equals; no blocks if none does.
static gap best_fit(const tk_pool *p, tk_queue q, size_t bytes, size_t *largest, size_t *all)
{
    gap best = {0};
    *largest = *all = 0;
    for (int i = 0; i < p->n_free;) {
        const gap g = gap_at(p, q, i);
        if (g.bytes > *largest) *largest = g.bytes;
        if (g.bytes >= bytes && (!best.n || g.bytes < best.bytes)) best = g;
        *all += g.bytes;
        i += g.n;
    }
    return best;
}

static tk_status no_room(const tk_pool *p, size_t need, size_t largest, size_t all)
{
    const size_t others = p->bytes - p->in_use - all; // free, but not for this queue
    char word[80] = "";
    if (others)
        snprintf(word, sizeof word, "; %.1f MiB more wait for another queue",
                 (double)others / 0x1p20);
    return TK_FAIL(TK_MEMORY,
                   "no %.1f MiB free in the device's memory: %.1f of %.1f MiB in use, the largest "
                   "free piece is %.1f MiB%s",
                   (double)need / 0x1p20, (double)p->in_use / 0x1p20, (double)p->bytes / 0x1p20,
                   (double)largest / 0x1p20, word);
}

// Takes `need` bytes from the begin of a gap.
static void take_from_gap(tk_pool *p, const gap *g, size_t need)
{
    for (size_t left = need; left;) {
        tk_pool_block *b = &p->free_blocks[g->first];
        const size_t n = b->bytes < left ? b->bytes : left;
        b->begin += n;
        b->bytes -= n;
        left -= n;
        if (!b->bytes) drop(p->free_blocks, &p->n_free, g->first);
    }
}

// Who holds what, whenever the highest end of a block rises.
static void note_peak(tk_pool *p, size_t end)
{
    if (end <= p->peak) return;
    p->peak = end;
    memcpy(p->at_peak, p->held, sizeof p->held);
}

static size_t whole_units(size_t bytes)
{
    if (bytes <= ALIGN) return ALIGN;
    return bytes > SIZE_MAX - ALIGN ? SIZE_MAX : (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

// Each live block becomes at most one free one, and one may be cut in two: room for them now means
// freeing cannot fail.
static tk_status room_to_hand_out(tk_pool *p)
{
    TK_TRY(grow_blocks(&p->live_blocks, &p->cap_live, p->n_live + 1));
    return grow_blocks(&p->free_blocks, &p->cap_free, p->n_free + p->n_live + 2);
}

// `need` bytes from the begin of a gap, for somebody.
static void hand_out(tk_pool *p, const gap *g, tk_pool_purpose purpose, size_t need)
{
    const tk_pool_block b = {
        .begin = p->free_blocks[g->first].begin, .bytes = need, .purpose = purpose};
    take_from_gap(p, g, need);
    insert(p->live_blocks, &p->n_live, find(p->live_blocks, p->n_live, b.begin), b);
    p->in_use += need;
    p->held[purpose] += need;
    note_peak(p, b.begin + need);
}

tk_status tk_pool_new(tk_pool *p, tk_queue q, tk_pool_purpose purpose, size_t bytes, void **out)
{
    *out = NULL;
    size_t largest, all;
    const size_t need = whole_units(bytes);
    const gap g = best_fit(p, q, need, &largest, &all);
    if (!g.n) return no_room(p, need, largest, all);
    TK_TRY(room_to_hand_out(p));
    *out = p->base + p->free_blocks[g.first].begin;
    hand_out(p, &g, purpose, need);
    return TK_OK;
}

// Cuts free block i in two, the second of which begins at `begin`.
static void cut_block(tk_pool *p, int i, size_t begin)
{
    tk_pool_block rest = p->free_blocks[i];
    rest.bytes -= begin - rest.begin;
    rest.begin = begin;
    p->free_blocks[i].bytes -= rest.bytes;
    insert(p->free_blocks, &p->n_free, i + 1, rest);
}

tk_status tk_pool_take(tk_pool *p, tk_queue q, tk_pool_purpose purpose, void *x, size_t bytes)
{
    const size_t begin = (size_t)((uintptr_t)x - (uintptr_t)p->base), need = whole_units(bytes);
    TK_TRY(room_to_hand_out(p));
    int i = find(p->free_blocks, p->n_free, begin + 1) - 1; // the last that begins not behind it
    if (i >= 0 && p->free_blocks[i].begin < begin &&
        begin - p->free_blocks[i].begin < p->free_blocks[i].bytes)
        cut_block(p, i++, begin);
    const bool there = i >= 0 && p->free_blocks[i].begin == begin && begin % ALIGN == 0;
    const gap g = there ? gap_at(p, q, i) : (gap){0};
    if (g.bytes < need)
        return TK_FAIL(TK_INTERNAL,
                       "%zu bytes at %p of the pool should be free, and are not: somebody else "
                       "has taken them, or another queue is at work on them",
                       need, x);
    hand_out(p, &g, purpose, need);
    return TK_OK;
}

size_t tk_pool_free(tk_pool *p, tk_queue q, void *x)
{
    if (!x) return 0;
    const size_t begin = (size_t)((uintptr_t)x - (uintptr_t)p->base);
    const int i = find(p->live_blocks, p->n_live, begin);
    const bool known = i < p->n_live && p->live_blocks[i].begin == begin;
    tk_assert(known);     // not from this pool, or freed twice
    if (!known) return 0; // without assertions: better leaked than handed out twice
    tk_pool_block b = p->live_blocks[i];
    b.queue = q;
    b.epoch = p->events[q] + 1;
    drop(p->live_blocks, &p->n_live, i);
    p->in_use -= b.bytes;
    p->held[b.purpose] -= b.bytes;
    const int at = find(p->free_blocks, p->n_free, b.begin);
    insert(p->free_blocks, &p->n_free, at, b);
    join(p, at);
    join(p, at - 1);
    return b.bytes;
}

const char *tk_pool_purpose_name(tk_pool_purpose p)
{
    static const char *const names[TK_POOL_PURPOSES] = {
        [TK_FOR_ACTIVATIONS] = "activations", [TK_FOR_WEIGHTS] = "weights",
        [TK_FOR_GRADIENTS] = "gradients",     [TK_FOR_OPTIMIZER] = "optimizer",
        [TK_FOR_WORKSPACE] = "workspaces",    [TK_FOR_MESSAGES] = "messages",
    };
    return names[p];
}

void tk_pool_print(const size_t held[TK_POOL_PURPOSES], char *out, size_t size)
{
    size_t n = 0;
    *out = 0;
    for (tk_pool_purpose p = 0; p < TK_POOL_PURPOSES; p++)
        if (held[p] && n < size)
            n += (size_t)snprintf(out + n, size - n, "%s%s %.1f", n ? ", " : "",
                                  tk_pool_purpose_name(p), (double)held[p] / 0x1p20);
    if (n && n < size) snprintf(out + n, size - n, " MiB");
}
