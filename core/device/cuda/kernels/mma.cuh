// SPDX-License-Identifier: Apache-2.0
// Tensor cores and copies that go on beside the work: a function for each instruction of PTX, part
// of the dialect (tests/cuda/standin/mma.h has them for the host). For sm_80 and later.
//
// Fragments, as the manual of PTX lays them out over the lanes of a warp; l is the lane, g = l / 4,
// t = 2 (l % 4), two neighbours of bf16 a register, the first in its low half:
//
//     a (16 x 16): rows g, g + 8, g, g + 8 at columns t, t, t + 8, t + 8 (and the next)
//     b (16 x 8):  rows t, t + 8 (and the next) of column g
//     c (16 x 8):  row g at columns t, t + 1, row g + 8 at columns t, t + 1
//
// So two neighbouring c, rounded, are an a. All lanes of a warp call together.
#pragma once
#include "core/device/cuda/kernels/kernel.cuh"

// Two numbers, rounded to nearest even, the first in the low half.
static __device__ inline unsigned tk_pair(float low, float high)
{
    const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    unsigned x;
    memcpy(&x, &both, sizeof x);
    return x;
}

#ifndef TK_DIALECT
// c (16 x 8) += a (16 x 16) b (16 x 8)
static __device__ inline void tk_mma(float (&c)[4], const unsigned (&a)[4], unsigned b0,
                                     unsigned b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four matrices (8 x 8) of shared memory, of which lanes 8 i .. 8 i + 7 give the rows of the i-th
// (16 bytes each, their address a multiple of that): x[i] = row g at columns t and t + 1.
static __device__ inline void tk_matrices(unsigned (&x)[4], const tk_bf16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"((unsigned)__cvta_generic_to_shared(row)));
}

// The same, turned: x[i] = rows t and t + 1 of column g.
static __device__ inline void tk_matrices_turned(unsigned (&x)[4], const tk_bf16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"((unsigned)__cvta_generic_to_shared(row)));
}

// Copies of a thread to shared memory, there once it has waited for their batch, and for other
// threads once a barrier follows. Addresses are multiples of the size.
struct tk_copies {
    // 16 bytes, 0 where not `there`; `from` is then not read.
    __device__ void copy_16(void *to, const void *from, bool there)
    {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                         (unsigned)__cvta_generic_to_shared(to)),
                     "l"(from), "r"(there ? 16 : 0));
    }
    __device__ void copy_4(void *to, const void *from, bool there)
    {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(
                         (unsigned)__cvta_generic_to_shared(to)),
                     "l"(from), "r"(there ? 4 : 0));
    }
    // Ends a batch of copies, of all since the batch before.
    __device__ void end() { asm volatile("cp.async.commit_group;" ::); }
    // For all batches but the last `but`.
    template <int BUT> __device__ void wait()
    {
        asm volatile("cp.async.wait_group %0;" ::"n"(BUT) : "memory");
    }
};

// 2^x, to about 2 ulp; what is too small for a normal number is 0.
static __device__ inline float tk_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
#endif
