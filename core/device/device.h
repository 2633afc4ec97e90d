// SPDX-License-Identifier: Apache-2.0
// A device: memory, one in-order stream of work, and its implementation of the operator table.
//
// Three implementations: "ref" (plain loops, the specification), "cpu" (fast, oneDNN GEMM and
// threads) and "dry" (computes nothing, touches nothing; counts bytes and FLOPs: `talkie plan`
// runs the real program on it). CUDA takes the same interface. Everything between
// tk_device_open and tk_device_sync may be asynchronous: host memory passed to upload/download
// must stay as it is until tk_device_sync.
#pragma once
#include "core/base/mem.h"
#include "core/device/pool.h"
#include "core/numbers/tensor.h"

typedef struct tk_device tk_device;
struct tk_call;

// What a device implements, called by the functions below alone.
//
// One operator on one device. `scratch` says how many bytes of pool memory the call needs beside
// its tensors; the dispatcher takes them for the length of the call and passes them as d->scratch
// (NULL = none; the dry device asks it too, so that plans include it). `back` adds to or sets each
// wanted input gradient (see core/device/ops.h); NULL where the operator has no gradient.
typedef struct tk_kernel {
    tk_status (*fore)(tk_device *d, const struct tk_call *c);
    tk_status (*back)(tk_device *d, const struct tk_call *c);
    size_t (*scratch)(const tk_device *d, const struct tk_call *c, bool back);
} tk_kernel;

typedef struct tk_device_ops {
    const char *name;
    bool computes; // false for "dry": results are never written, addresses never touched
    tk_status (*open)(tk_device *d, int threads);
    void (*close)(tk_device *d);
    tk_status (*reserve)(tk_device *d, size_t bytes, void **base); // address space for the pool
    void (*release)(tk_device *d, void *base, size_t bytes);
    tk_status (*upload)(tk_device *d, void *to, const void *host, size_t bytes);
    tk_status (*download)(tk_device *d, void *host, const void *from, size_t bytes);
    tk_status (*copy)(tk_device *d, void *to, const void *from, size_t bytes);
    tk_status (*copy_2d)(tk_device *d, void *to, size_t to_stride, const void *from,
                         size_t from_stride, size_t rows, size_t bytes);
    tk_status (*zero)(tk_device *d, void *to, size_t bytes);
    tk_status (*sync)(tk_device *d);
    const tk_kernel *kernels; // indexed by tk_op
} tk_device_ops;

struct tk_device {
    const tk_device_ops *ops;
    int threads;
    tk_pool pool;      // all device memory: weights, activations, gradients, scratch
    double flops;      // floating-point operations of GEMM and attention run so far (model FLOPs)
    double op_seconds; // wall time spent inside kernels (CPU backends)
    void *scratch;     // of the call now running
    void *impl;
};

extern const tk_device_ops tk_device_ref, tk_device_cpu, tk_device_dry;

// bytes: address space of the pool (CPU: touched pages only count). threads 0: all cores.
tk_status tk_device_open(tk_device *d, const tk_device_ops *ops, int threads, size_t bytes);
size_t tk_device_pool_bytes(void); // what to reserve: more than the machine has memory
void tk_device_close(tk_device *d);

// Memory from the pool. tk_device_new gives uninitialized memory; free with tk_device_free.
tk_status tk_device_new(tk_device *d, tk_dtype t, int64_t rows, int64_t cols, tk_tensor *out);
void tk_device_free(tk_device *d, tk_tensor *t); // absent tensors are fine; clears *t
// Host data to a fresh device tensor and back (the download waits).
tk_status tk_device_put(tk_device *d, const void *host, tk_dtype t, int64_t rows, int64_t cols,
                        tk_tensor *out);
tk_status tk_device_get(tk_device *d, const tk_tensor *t, void *host);

// Bytes between host memory and the pool, and within the pool. Device addresses must lie in the
// pool, host memory must be there (TK_INTERNAL else); 0 bytes are nothing, whatever the addresses.
tk_status tk_device_upload(tk_device *d, void *to, const void *host, size_t bytes);
tk_status tk_device_download(tk_device *d, void *host, const void *from, size_t bytes);
tk_status tk_device_copy(tk_device *d, void *to, const void *from, size_t bytes);
// `rows` rows of `bytes` bytes each; row r begins r * stride bytes after the first, on each side.
// Strides are at least `bytes`. The two sides share no byte: they may be columns of one array (of
// one stride), but not else lie between each other.
tk_status tk_device_copy_2d(tk_device *d, void *to, size_t to_stride, const void *from,
                            size_t from_stride, size_t rows, size_t bytes);
tk_status tk_device_zero(tk_device *d, void *to, size_t bytes);
tk_status tk_device_sync(tk_device *d); // waits until all work so far is done

// False for "dry": results are never written and downloads give zeros, so that what only makes
// values (initial weights, rows of clips, timings) may be left out.
bool tk_device_computes(const tk_device *d);
