// SPDX-License-Identifier: Apache-2.0
// HDF5, narrowed to what talkie does with it, with bounds and words.
//
// Every function returns TK_INPUT with the file and the object's name when the file is not what it
// should be (missing, truncated, foreign, wrong type or shape), TK_IO when the disk is at fault.
// The library's own error stack is silenced. Handles are hid_t; link against the serial library.
#pragma once
#include "core/base/files.h"
#include "core/numbers/tensor.h"
#include <hdf5.h>

// Opens for reading and checks root attributes format and version; format NULL: any of talkie's.
tk_status tk_h5_open(const char *path, const char *format, int64_t version, hid_t *file);
// Creates (truncates) and writes format and version.
tk_status tk_h5_create(const char *path, const char *format, int64_t version, hid_t *file);
// Checked close: a failed flush is TK_IO.
tk_status tk_h5_close(hid_t file, const char *path);

tk_status tk_h5_group(hid_t at, const char *name,
                      hid_t *out); // create or open; close with H5Gclose
bool tk_h5_exists(hid_t at, const char *name);

tk_status tk_h5_put_attr_i64(hid_t at, const char *name, int64_t v);
tk_status tk_h5_put_attr_f64(hid_t at, const char *name, double v);
tk_status tk_h5_put_attr_str(hid_t at, const char *name, const char *s);
tk_status tk_h5_get_attr_i64(hid_t at, const char *name, int64_t *v);
tk_status tk_h5_get_attr_f64(hid_t at, const char *name, double *v);
tk_status tk_h5_get_attr_str(hid_t at, const char *name, tk_arena *a, char **s); // at most 1 MiB

// Whole contiguous datasets. `type` is the memory type (H5T_NATIVE_FLOAT ...).
tk_status tk_h5_put(hid_t at, const char *name, hid_t type, int ndim, const int64_t *dim,
                    const void *x);
tk_status tk_h5_shape(hid_t at, const char *name, int max_dim, int *ndim, int64_t *dim);
// Reads all of it after checking that the shape is exactly dim (-1 = any; filled in).
// *x is allocated from the arena. Counts are bounded by the dataset's storage size in the file.
tk_status tk_h5_get(hid_t at, const char *name, hid_t type, int ndim, int64_t *dim, tk_arena *a,
                    void **x);
// Lists of UTF-8 strings: one dataset of bytes, each string ended by a zero. In h5py:
//     f["shots/caption"][()].tobytes().decode().split("\0")[:-1]
tk_status tk_h5_put_strings(hid_t at, const char *name, int64_t n, char *const *s);
tk_status tk_h5_get_strings(hid_t at, const char *name, tk_arena *a, int64_t *n, char ***s);

// A dataset laid out now and written later by others with pwrite: contiguous, storage allocated at
// once, never filled. *address is its byte offset in the file (0 elements: 0).
tk_status tk_h5_layout(hid_t at, const char *name, hid_t file_type, int ndim, const int64_t *dim,
                       int64_t *address);
// The byte offset of an existing contiguous unfiltered dataset; TK_INPUT if it is not one or lies
// outside the file.
tk_status tk_h5_address(hid_t at, const char *name, int64_t *address, int64_t *bytes);
