// SPDX-License-Identifier: Apache-2.0
// Matrix products on the host, for operators and codec alike. An element of C has the same bits
// whatever rows and columns are multiplied beside it and on however many threads.
#pragma once
#include "core/base/status.h"
#include "core/numbers/tensor.h"

// C (m,n) = alpha * op(A) (m,k) @ op(B) (k,n), or (add) added to C, all row-major with row strides
// lda...; 'N' as it lies, 'T' transposed. On the calling thread, with 0.6 MB of its stack.
// TK_INTERNAL: rows longer than their stride.
tk_status tk_gemm_one(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
                      const float *a, int64_t lda, const float *b, int64_t ldb, bool add, float *c,
                      int64_t ldc);
// The same (alpha 1) in pieces by at most `threads` threads; 0: all that OpenMP has here, one
// inside a parallel region.
tk_status tk_gemm(int threads, char ta, char tb, int64_t m, int64_t n, int64_t k, const float *a,
                  int64_t lda, const float *b, int64_t ldb, bool add, float *c, int64_t ldc);

// A matrix as it lies: row-major with row stride ld, f32 or bf16; transposed: its transpose is
// meant.
typedef struct tk_matrix {
    void *data;
    tk_dtype type;
    int64_t ld;
    bool transposed;
} tk_matrix;
// Whether tk_matmul multiplies numbers of this type here: of bf16 where the processor does so
// itself and oneDNN's interface is that of version 2.
bool tk_matmul_has(tk_dtype t);
// C (m,n) = A (m,k) @ B (k,n) + bias (n) + what is in C, by oneDNN's matmul primitive, in tiles
// by shape alone: the same bits on any number of threads. A and B of one type, C of that or f32 and
// not transposed; bias NULL: none; add: whether C is added to. Sums are fp32, C is rounded once. k
// > 0.
tk_status tk_matmul(int threads, int64_t m, int64_t n, int64_t k, tk_matrix a, tk_matrix b,
                    const float *bias, bool add, tk_matrix c);
// "oneDNN 3.1.0", the library that does it.
void tk_gemm_library(char *out, size_t size);
