// SPDX-License-Identifier: Apache-2.0
// Host data of many tensors to the device at once: one block of host memory, one block of the pool
// and one upload, of which the tensors are views.
//
//     tk_staging_init(&staging, device);
//     tk_transfer_begin(&x, &staging);
//     tk_transfer_put(&x, index, TK_I32, n, 1, &t->index);      // any number of tensors
//     tk_transfer_new(&x, TK_F32, rows, cols, &t->rows);        // one that is put together
//     tk_transfer_fill(&x, first, bytes); tk_transfer_fill(&x, NULL, bytes);
//     tk_transfer_send(&x);                                     // now the tensors have addresses
//     tk_transfer_free(&x);                                     // and now no longer
//     tk_staging_reset(&staging);                               // the device has read it
#pragma once
#include "core/device/device.h"

// Where transfers lie on the host until the device has read them: pinned memory, and an arena for
// whatever else lives as long. Like an arena it soon allocates nothing in a loop of equal steps.
typedef struct tk_staging {
    tk_device *device;
    tk_arena arena;
    struct tk_staging_block *head; // pinned, newest first
    size_t used, block_bytes;
    size_t most; // that was ever in use between two resets
} tk_staging;

void tk_staging_init(tk_staging *s, tk_device *d);         // allocates nothing yet
tk_status tk_staging_reserve(tk_staging *s, size_t bytes); // takes as much at once; of a fresh one
void tk_staging_reset(tk_staging *s);                      // everything handed out is gone
void tk_staging_free(tk_staging *s);                       // of one that is zero, and twice: fine

typedef struct tk_transfer {
    tk_device *device;
    tk_staging *host;
    struct tk_transfer_part *first, *last;
    size_t bytes;    // so far
    tk_tensor block; // of the pool, once sent
    bool joined;     // with another, which is sent
} tk_transfer;

void tk_transfer_begin(tk_transfer *x, tk_staging *host);
// A tensor that the following fills are the contents of. *to must stay where it is until the
// sending, which gives it its address; its shape stands at once.
tk_status tk_transfer_new(tk_transfer *x, tk_dtype t, int64_t rows, int64_t cols, tk_tensor *to);
// Its next bytes; NULL: zeros. `from` is read by tk_transfer_send and free after it.
tk_status tk_transfer_fill(tk_transfer *x, const void *from, size_t bytes);
// Both, for a tensor whose contents lie in one place.
tk_status tk_transfer_put(tk_transfer *x, const void *from, tk_dtype t, int64_t rows, int64_t cols,
                          tk_tensor *to);
// TK_INTERNAL where a tensor was filled with less or more than it holds.
tk_status tk_transfer_send(tk_transfer *x);
void tk_transfer_free(tk_transfer *x); // of one never begun, and twice: fine

// What x was filled with goes along with `all`, of the same staging: sending that one is sending x,
// whose tensors have addresses until `all` is freed.
void tk_transfer_join(tk_transfer *all, tk_transfer *x);
// For bytes that go to one place again and again: only the addresses; and only the bytes, to where
// a transfer like this one has been placed (TK_INTERNAL where that was of another size).
tk_status tk_transfer_place(tk_transfer *x);
tk_status tk_transfer_send_to(tk_transfer *x, const tk_tensor *block);
