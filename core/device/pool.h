// SPDX-License-Identifier: Apache-2.0
// The pool: best-fit allocation inside one reserved range of a device's address space.
//
// Deterministic: the same sequence of calls gives the same offsets and the same high water, on
// every device, so the number `talkie plan` prints from a dry run is the number a real run
// touches. No allocation of the device's own happens after the range is reserved.
#pragma once
#include "core/base/status.h"
#include <stdint.h>

typedef struct tk_pool_block {
    size_t begin, bytes;
} tk_pool_block;
typedef struct tk_pool {
    char *base;
    size_t bytes;        // of the range
    size_t in_use, peak; // bytes handed out now, and the highest end of a block so far
    tk_pool_block *free_blocks, *live_blocks; // sorted by begin
    int n_free, n_live, cap_free, cap_live;
} tk_pool;

tk_status tk_pool_init(tk_pool *p, void *base, size_t bytes);
void tk_pool_done(tk_pool *p);                               // host bookkeeping only
tk_status tk_pool_new(tk_pool *p, size_t bytes, void **out); // rounded up to 64; 0 bytes is fine
void tk_pool_free(tk_pool *p, void *x);                      // NULL is fine
