// SPDX-License-Identifier: Apache-2.0
// The pool: best-fit allocation inside one reserved range of a device's address space.
//
// Allocating and freeing have their place in the order of a queue, as work has. A block given back
// on one queue is at once free for that queue; for another it is so from where that one waits for
// an event recorded after the free, or the host waits for such an event or for everything. So a
// block is freed on a queue that runs behind all work that uses the block: the one that uses it, or
// one that has waited for it; and it is first used on the queue it was allocated on, or on one that
// waits for an event after that.
//
// Deterministic: the same sequence of calls gives the same offsets and the same high water, on
// every device, so the number `talkie plan` prints from a dry run is the number a real run
// touches. No allocation of the device's own happens after the range is reserved.
#pragma once
#include "core/base/status.h"
#include "core/device/queue.h"
#include <stdbool.h>

typedef enum tk_pool_purpose { // of memory: told by who takes it, and counted
    TK_FOR_ACTIVATIONS,        // batches, rows, what backward needs, gradients of rows
    TK_FOR_WEIGHTS,            // to compute with
    TK_FOR_GRADIENTS,          // of weights
    TK_FOR_OPTIMIZER,          // masters, moments, averages
    TK_FOR_WORKSPACE,          // of one call: scratch of kernels, copies in other types
    TK_FOR_MESSAGES,           // what is filled by or for other ranks
    TK_POOL_PURPOSES
} tk_pool_purpose;

typedef struct tk_pool_block {
    size_t begin, bytes;
    tk_pool_purpose purpose; // of a live one
    uint64_t epoch; // a free one's: events of `queue` before it was freed, and 1; 0: free for all
    tk_queue queue; // it was freed on
} tk_pool_block;
typedef struct tk_pool {
    char *base;
    size_t bytes;        // of the range
    size_t in_use, peak; // bytes handed out now, and the highest end of a block so far
    size_t held[TK_POOL_PURPOSES],
        at_peak[TK_POOL_PURPOSES];            // in use now, and when the peak was reached
    tk_pool_block *free_blocks, *live_blocks; // sorted by begin
    int n_free, n_live, cap_free, cap_live;
    uint64_t events[TK_QUEUES];    // recorded on each queue so far
    tk_queue_mark seen[TK_QUEUES]; // what each queue runs behind
} tk_pool;

tk_status tk_pool_init(tk_pool *p, void *base, size_t bytes);
void tk_pool_done(tk_pool *p);                                     // host bookkeeping only
bool tk_pool_holds(const tk_pool *p, const void *x, size_t bytes); // all of them lie in its range
// Rounded up to 64; 0 bytes is fine.
tk_status tk_pool_new(tk_pool *p, tk_queue q, tk_pool_purpose purpose, size_t bytes, void **out);
// The very block that begins at `x`, a multiple of 64 bytes behind the base: TK_INTERNAL where not
// all of it is free for the queue. For what has to find its memory where it was.
tk_status tk_pool_take(tk_pool *p, tk_queue q, tk_pool_purpose purpose, void *x, size_t bytes);
const char *tk_pool_purpose_name(tk_pool_purpose p); // "workspaces"
// "weights 1.5, gradients 1.5 MiB": those that hold any.
void tk_pool_print(const size_t held[TK_POOL_PURPOSES], char *out, size_t size);
size_t tk_pool_free(tk_pool *p, tk_queue q, void *x); // the block's bytes; NULL is fine

// The order of the queues. An event on q: what whoever waits for it runs behind.
tk_queue_mark tk_pool_record(tk_pool *p, tk_queue q);
void tk_pool_wait(tk_pool *p, tk_queue q, const tk_queue_mark *m); // q waits
void tk_pool_wait_host(tk_pool *p, const tk_queue_mark *m);        // the host does
void tk_pool_sync(tk_pool *p);                                     // the host waits for everything
