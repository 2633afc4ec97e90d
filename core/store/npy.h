// SPDX-License-Identifier: Apache-2.0
// Arrays of numpy's .npy files: rows of an encoder, (rows, cols), float32 or float16, little
// endian, row after row.
//
//     tk_npy n;
//     TK_TRY(tk_npy_look(path, &n));        // head and size
//     TK_ARENA_NEW(x, a, n.rows * n.cols);
//     TK_TRY(tk_npy_read(&n, x));
//
// A file may come from anywhere: what is not such an array is TK_INPUT, which names the file, says
// what it is and what would be right.
#pragma once
#include "core/base/files.h"

enum { TK_NPY_ROWS = 1 << 16, TK_NPY_COLS = 1 << 16 }; // most

typedef struct tk_npy {
    const char *path; // the caller's
    int64_t rows, cols;
    bool half;  // float16
    int64_t at; // byte offset of the first number
} tk_npy;

tk_status tk_npy_look(const char *path, tk_npy *out);
// Whether all numbers are finite, without keeping them.
tk_status tk_npy_check(const tk_npy *n);
// All numbers, widened to fp32; TK_INPUT where one is not finite.
tk_status tk_npy_read(const tk_npy *n, float *x);
