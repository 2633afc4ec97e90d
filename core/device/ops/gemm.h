// SPDX-License-Identifier: Apache-2.0
// Matrix products on the host, for operators and codec alike: oneDNN's sgemm, cut into tiles by
// shape alone, each computed by one thread. Left to itself the library may split the inner sum
// among threads, and the bits of a product would depend on how many there are.
#pragma once
#include "core/base/status.h"
#include "core/numbers/tensor.h"

enum { TK_GEMM_TILE = 1024 }; // most rows and columns of a tile

// C (m,n) = alpha * op(A) (m,k) @ op(B) (k,n) + beta * C, all row-major with row strides lda...;
// 'N' as it lies, 'T' transposed. One call of the library, on the calling thread.
tk_status tk_gemm_one(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
                      const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                      float *c, int64_t ldc);
// The same in tiles (alpha 1) by at most `threads` threads; 0: all that OpenMP has here, one inside
// a parallel region. The bits of C are the same whatever their number.
tk_status tk_gemm(int threads, char ta, char tb, int64_t m, int64_t n, int64_t k, const float *a,
                  int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

// The same for op(A) = A, such that a row of C has the same bits whatever other rows there are:
// every call of the library has TK_GEMM_ROWS rows, those that are missing from the last one's are
// zeros, and as many columns as n alone says. With another number of rows it may take another way,
// and the few that its own blocks leave at the end go by another order of sums.
// room: as many floats as tk_gemm_steady_room says.
enum { TK_GEMM_ROWS = 96 };
int64_t tk_gemm_steady_room(int64_t m, int64_t lda, int64_t ldc);
tk_status tk_gemm_steady(int threads, char tb, int64_t m, int64_t n, int64_t k, const float *a,
                         int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                         int64_t ldc, float *room);

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
// C (m,n) = A (m,k) @ B (k,n) + bias (n) + what is in C, by oneDNN's matmul primitive, in the tiles
// of tk_gemm: the same bits on any number of threads. A and B of one type, C of that or f32 and not
// transposed; bias NULL: none; add: whether C is added to. Sums are fp32, C is rounded once. k > 0.
tk_status tk_matmul(int threads, int64_t m, int64_t n, int64_t k, tk_matrix a, tk_matrix b,
                    const float *bias, bool add, tk_matrix c);
// "oneDNN 3.1.0", the library that does it.
void tk_gemm_library(char *out, size_t size);
