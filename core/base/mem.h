// SPDX-License-Identifier: Apache-2.0
// Host memory: one allocation seam, and arenas by lifetime.
//
// All host memory of talkie comes through tk_alloc, so that a test can make the n-th allocation
// fail and see that everything above copes. An arena hands out zeroed memory that lives until
// tk_arena_reset / tk_arena_free; use one per lifetime (process, run, step, request) instead of
// many single frees. Device memory is not here: see the pool in core/device/pool.h.
#pragma once
#include "core/base/status.h"
#include <stdbool.h>
#include <stdint.h>

void *tk_alloc(size_t bytes); // zeroed, 64-byte aligned; NULL when out of memory
void *tk_realloc(void *p, size_t old_bytes, size_t bytes); // grown part zeroed; NULL: p still valid
void tk_free(void *p);                                     // NULL is fine
// What was freed, by libraries too, goes back to the system: after work that held much, so that
// what the next holds does not come on top of it, now or another time as chance has it.
void tk_free_to_system(void);
void tk_alloc_fail_at(int64_t nth, bool for_ever); // test seam: 1 = the next one; 0 = off
int64_t tk_alloc_count(void); // allocations so far (to loop a test over all of them)

// Checked size arithmetic: a * b into *out, TK_INPUT when it overflows or is negative.
tk_status tk_mul_size(int64_t a, int64_t b, int64_t *out);

typedef struct tk_arena {
    struct tk_arena_block *head; // newest block first
    size_t block_bytes;          // size of a fresh block
    size_t used;                 // bytes handed out since the last reset
} tk_arena;

void tk_arena_init(tk_arena *a, size_t block_bytes); // allocates nothing yet; 0 = 64 KiB blocks
void *tk_arena_alloc(tk_arena *a, size_t bytes);     // zeroed, 64-byte aligned; NULL if none left
char *tk_arena_strdup(tk_arena *a, const char *s);
char *tk_arena_printf(tk_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tk_arena_reset(tk_arena *a); // everything handed out is gone
void tk_arena_free(tk_arena *a);

// count * each for an allocation; SIZE_MAX, which no allocator grants, when negative or too large.
static inline size_t tk_array_bytes(int64_t count, size_t each)
{
    size_t bytes;
    return count < 0 || __builtin_mul_overflow((size_t)count, each, &bytes) ? SIZE_MAX : bytes;
}

// As the allocating calls, but failing the enclosing function with a message.
#define TK_NEW(ptr, count)                                            \
    TK_TRY(((ptr) = tk_alloc(tk_array_bytes((count), sizeof *(ptr)))) \
               ? TK_OK                                                \
               : TK_FAIL(TK_MEMORY, "out of memory (%zu bytes)",      \
                         tk_array_bytes((count), sizeof *(ptr))))
#define TK_ARENA_NEW(ptr, arena, count)                                              \
    TK_TRY(((ptr) = tk_arena_alloc((arena), tk_array_bytes((count), sizeof *(ptr)))) \
               ? TK_OK                                                               \
               : TK_FAIL(TK_MEMORY, "out of memory (%zu bytes)",                     \
                         tk_array_bytes((count), sizeof *(ptr))))
