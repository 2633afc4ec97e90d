// SPDX-License-Identifier: Apache-2.0
// A tensor is a view: an address in some device's memory, a type and a shape. It owns nothing;
// memory belongs to an arena (host) or a pool (device). Rows are contiguous, row-major.
// `data` may be dereferenced only by the backend it belongs to, never by model code.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tk_dtype { TK_F32, TK_BF16, TK_I32 } tk_dtype;
enum { TK_MAX_DIM = 4 };

typedef struct tk_tensor {
    void *data; // device address; NULL = absent
    tk_dtype dtype;
    int ndim;
    int64_t dim[TK_MAX_DIM];
} tk_tensor;

static inline size_t tk_dtype_size(tk_dtype t)
{
    return t == TK_BF16 ? 2 : 4;
}
static inline int64_t tk_count(const tk_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->dim[i];
    return n;
}
static inline size_t tk_bytes(const tk_tensor *t)
{
    return (size_t)tk_count(t) * tk_dtype_size(t->dtype);
}
static inline int64_t tk_cols(const tk_tensor *t)
{
    return t->ndim ? t->dim[t->ndim - 1] : 1;
}
static inline int64_t tk_rows(const tk_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < t->ndim; i++) n *= t->dim[i];
    return n;
}

tk_tensor tk_tensor_1d(void *data, tk_dtype t, int64_t n);
tk_tensor tk_tensor_2d(void *data, tk_dtype t, int64_t rows, int64_t cols);
tk_tensor tk_tensor_rows(tk_tensor t, int64_t begin, int64_t count);  // rows of a 2-d view
tk_tensor tk_tensor_reshape(tk_tensor t, int64_t rows, int64_t cols); // same count
void tk_tensor_print_shape(const tk_tensor *t, char *buf, size_t n);  // "(193, 192) f32"

// How many blocks of that size hold n things.
static inline int64_t tk_blocks(int64_t n, int64_t block)
{
    return (n + block - 1) / block;
}

// Even shares of n things over `parts`, sizes differing by at most one, larger shares first.
static inline int64_t tk_split_begin(int64_t n, int64_t parts, int64_t i)
{
    return i * (n / parts) + (i < n % parts ? i : n % parts);
}
static inline int64_t tk_split_count(int64_t n, int64_t parts, int64_t i)
{
    return n / parts + (i < n % parts);
}
