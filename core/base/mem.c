// SPDX-License-Identifier: Apache-2.0
// The allocation seam and arenas. The only file that calls the C library's allocator.
#include "core/base/mem.h"
#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, DEFAULT_BLOCK = 64 << 10 };

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

// The test seam -----------------------------------------------------------------------------

static atomic_int_fast64_t allocations; // asked for so far
static atomic_int_fast64_t fail_in;     // 1 = the next one fails; 0 = none
static atomic_bool fail_on;             // and all that follow it

void tk_alloc_fail_at(int64_t nth, bool for_ever)
{
    atomic_store(&fail_on, for_ever);
    atomic_store(&fail_in, nth > 0 ? nth : 0);
}

int64_t tk_alloc_count(void)
{
    return atomic_load(&allocations);
}

// Counts an allocation; true when the seam wants it to fail.
static bool must_fail_now(void)
{
    atomic_fetch_add(&allocations, 1);
    int_fast64_t n = atomic_load(&fail_in);
    do {
        if (n == 0) return false;
        if (n == 1 && atomic_load(&fail_on)) return true;
    } while (!atomic_compare_exchange_weak(&fail_in, &n, n - 1));
    return n == 1;
}

// Aligned, zeroed memory ----------------------------------------------------------------------

#ifdef __SANITIZE_ADDRESS__
// Ends where the caller's bytes end, so that the sanitizer sees the first byte beyond.
static void *raw_new(size_t bytes)
{
    void *p;
    if (posix_memalign(&p, ALIGN, bytes ? bytes : 1)) return NULL;
    return memset(p, 0, bytes);
}
static void raw_free(void *p)
{
    free(p);
}
#else
// calloc gives large blocks as untouched zero pages, which cost no memory until used; aligned
// allocators would have to be cleared. The byte before the result tells how far it was moved.
static void *raw_new(size_t bytes)
{
    unsigned char *p = calloc(1, bytes + ALIGN);
    if (!p) return NULL;
    size_t shift = ALIGN - (uintptr_t)p % ALIGN; // 1 .. 64
    p[shift - 1] = (unsigned char)shift;
    return p + shift;
}
static void raw_free(void *p)
{
    free((unsigned char *)p - ((unsigned char *)p)[-1]);
}
#endif

void *tk_alloc(size_t bytes)
{
    if (must_fail_now() || bytes > PTRDIFF_MAX - 2 * ALIGN) return NULL;
    return raw_new(bytes);
}

void *tk_realloc(void *p, size_t old_bytes, size_t bytes)
{
    void *q = tk_alloc(bytes);
    if (q && p) {
        memcpy(q, p, old_bytes < bytes ? old_bytes : bytes);
        tk_free(p);
    }
    return q;
}

void tk_free(void *p)
{
    if (p) raw_free(p);
}

void tk_free_to_system(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

tk_status tk_mul_size(int64_t a, int64_t b, int64_t *out)
{
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, out))
        return TK_FAIL(TK_INPUT, "size %lld x %lld is negative or too large", (long long)a,
                       (long long)b);
    return TK_OK;
}

// Arenas --------------------------------------------------------------------------------------

typedef struct tk_arena_block { // a header of ALIGN bytes, then `bytes` of memory
    struct tk_arena_block *next;
    size_t bytes, used;
    size_t dirty; // memory below this has been handed out before: clear it again
} tk_arena_block;
_Static_assert(sizeof(tk_arena_block) <= ALIGN, "the header of a block fits its place");

void tk_arena_init(tk_arena *a, size_t block_bytes)
{
    *a = (tk_arena){.block_bytes = block_bytes ? round_up(block_bytes) : DEFAULT_BLOCK};
}

static tk_arena_block *block_new(size_t bytes)
{
    tk_arena_block *b = tk_alloc(ALIGN + bytes);
    if (b) b->bytes = bytes;
    return b;
}

// A block with room for `need` bytes. Requests above the block size get a block to themselves,
// behind the head, so that the rest of the head stays in use.
static tk_arena_block *block_for(tk_arena *a, size_t need)
{
    if (a->head && need <= a->head->bytes - a->head->used) return a->head;
    bool own = need > a->block_bytes && a->head;
    tk_arena_block *b = block_new(need > a->block_bytes ? need : a->block_bytes);
    if (!b) return NULL;
    tk_arena_block **at = own ? &a->head->next : &a->head;
    b->next = *at;
    *at = b;
    return b;
}

void *tk_arena_alloc(tk_arena *a, size_t bytes)
{
    if (bytes > PTRDIFF_MAX - 4 * ALIGN) return NULL;
    size_t need = round_up(bytes ? bytes : 1);
    tk_arena_block *b = block_for(a, need);
    if (!b) return NULL;
    char *p = (char *)b + ALIGN + b->used;
    if (b->used < b->dirty) memset(p, 0, b->dirty - b->used < need ? b->dirty - b->used : need);
    b->used += need;
    a->used += need;
    return p;
}

char *tk_arena_strdup(tk_arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = tk_arena_alloc(a, n);
    return copy ? memcpy(copy, s, n) : NULL;
}

char *tk_arena_printf(tk_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    char *text = len < 0 ? NULL : tk_arena_alloc(a, (size_t)len + 1);
    if (text) vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return text;
}

// Keeps the one block of an arena that fits in one. An arena that needed several starts again
// with a single block as large as all of them, so a loop of equal steps soon allocates nothing.
void tk_arena_reset(tk_arena *a)
{
    tk_arena_block *b = a->head;
    if (b && b->next) {
        size_t total = a->used;
        tk_arena_free(a);
        a->block_bytes = total > a->block_bytes ? total : a->block_bytes;
    } else if (b) {
        b->dirty = b->used > b->dirty ? b->used : b->dirty;
        b->used = 0;
    }
    a->used = 0;
}

void tk_arena_free(tk_arena *a)
{
    for (tk_arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        tk_free(b);
    }
    a->head = NULL;
    a->used = 0;
}
