// SPDX-License-Identifier: Apache-2.0
// Host data of many tensors to the device at once: one block of host memory, one block of the pool
// and one upload, of which the tensors are views.
//
//     tk_transfer_begin(&x, device, &arena);
//     tk_transfer_put(&x, index, TK_I32, n, 1, &t->index);      // any number of tensors
//     tk_transfer_new(&x, TK_F32, rows, cols, &t->rows);        // one that is put together
//     tk_transfer_fill(&x, first, bytes); tk_transfer_fill(&x, NULL, bytes);
//     tk_transfer_send(&x);                                     // now the tensors have addresses
//     tk_transfer_free(&x);                                     // and now no longer
#pragma once
#include "core/device/device.h"

typedef struct tk_transfer {
    tk_device *device;
    tk_arena *host;
    struct tk_transfer_part *first, *last;
    size_t bytes;    // so far
    tk_tensor block; // of the pool, once sent
} tk_transfer;

// The host block and all that is noted comes from `host`, and stays as it is until the device has
// read it.
void tk_transfer_begin(tk_transfer *x, tk_device *d, tk_arena *host);
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
