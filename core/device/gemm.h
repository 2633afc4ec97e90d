// SPDX-License-Identifier: Apache-2.0
// Matrix products on the host, for operators and codec alike: oneDNN's sgemm, cut into tiles by
// shape alone, each computed by one thread. Left to itself the library may split the inner sum
// among threads, and the bits of a product would depend on how many there are.
#pragma once
#include "core/base/status.h"
#include <stdint.h>

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
