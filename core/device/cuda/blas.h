// SPDX-License-Identifier: Apache-2.0
// Matrix products of the device "cuda": by cuBLASLt, and by own kernels where it takes none.
//
// cuBLASLt is loaded when the first product is asked for, or how much memory is free. Every product
// of one shape is done by one algorithm, which is deterministic: its sums are fp32, in an order
// that it alone decides. Which one that is has been read (tk_device_choose), was timed
// (tk_device_learn), or is the first that the library's heuristic names: the same on every GPU of
// one name and version of the library.
#pragma once
#include "core/device/cuda/cuda.h"
#include "core/device/ops/gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

// d (rows, cols) = a (rows, depth) @ b (depth, cols) + bias (cols) + what is in d.
typedef struct tk_cuda_product {
    int64_t rows, cols, depth;
    tk_matrix a, b, d; // d as it lies
    const void *bias;  // NULL: none
    tk_dtype bias_type;
    bool add; // to what is in d
} tk_cuda_product;

// Queued. a and b are of one type, d of that or fp32, the bias of d's.
// d->scratch: tk_cuda_product_scratch(rows, cols) bytes.
tk_status tk_cuda_multiply(tk_device *d, const tk_cuda_product *p);
size_t tk_cuda_product_scratch(int64_t rows, int64_t cols);

// linear.cu. The same by a plain kernel, at any sizes and addresses: for what cuBLASLt does not
// take.
tk_status tk_cuda_multiply_plain(tk_device *d, const tk_cuda_product *p);
// few_rows.cu. Of few rows, with a and b of any types, d of a's, any bias; a is not transposed.
// d->scratch where b is not: tk_cuda_few_rows_scratch(rows, cols, depth) bytes.
tk_status tk_cuda_multiply_few_rows(tk_device *d, const tk_cuda_product *p);
size_t tk_cuda_few_rows_scratch(int64_t rows, int64_t cols, int64_t depth);
// linear.cu.
// to (cols) = sums of the columns of x (rows, cols), + what is there if `add`. d->scratch:
// tk_cuda_column_scratch(rows, cols) bytes.
tk_status tk_cuda_column_sums(tk_device *d, const tk_tensor *x, float *to, bool add);
size_t tk_cuda_column_scratch(int64_t rows, int64_t cols);

// Of tk_device_ops: what shapes were given, in text (choices.h).
extern const tk_device_choice_ops tk_cuda_choice_ops;
tk_status tk_cuda_blas_open(tk_device *d);       // fine again; takes memory of the device
size_t tk_cuda_blas_version(const tk_device *d); // of the library; 0 before it is open
void tk_cuda_blas_close(tk_cuda *c);             // fine where it is not open

#ifdef __cplusplus
}
#endif
