// SPDX-License-Identifier: Apache-2.0
// Things in the order of their keys, made on the device: those of one key keep the order they have,
// so that what is summed up key by key is summed up in one order whenever threads run.
//
//     tk_cuda_sort(d, key, n, keys, scratch, &o);
//     for (i = o.begin[k]; i < o.begin[k + 1]; i++) ... o.place[i] ...  // the things of key k
#pragma once
#include "core/device/device.h"

#ifdef __cplusplus
extern "C" {
#endif
typedef struct tk_cuda_order {
    const int32_t *place; // (n) things, in the order of their keys
    const int32_t *begin; // (keys + 1) where those of a key begin in it
} tk_cuda_order;

// Of device memory, aligned to 4 bytes; the order lies in it.
size_t tk_cuda_sort_bytes(int64_t n, int64_t keys);
// key (n), each in [0, keys), in device memory. n and keys are below 2^31.
tk_status tk_cuda_sort(tk_device *d, const int32_t *key, int64_t n, int64_t keys, void *scratch,
                       tk_cuda_order *out);
#ifdef __cplusplus
}
#endif
