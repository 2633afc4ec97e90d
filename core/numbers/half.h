// SPDX-License-Identifier: Apache-2.0
// Numbers of sixteen bits: IEEE half precision (fp16) and the upper half of a float (bf16), as bits
// in a uint16_t. Narrowing rounds to nearest even; what is too large becomes infinite; a NaN stays
// one, quiet, with its sign. Memory is only ever read and written as what it is.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// Before what kernels call too.
#ifdef __CUDACC__
#define TK_ANYWHERE __host__ __device__
#else
#define TK_ANYWHERE
#endif

TK_ANYWHERE static inline uint32_t tk_float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

TK_ANYWHERE static inline float tk_float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t tk_bf16_from_float(float x)
{
    uint32_t u = tk_float_bits(x), rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 0x40 : rounded);
}

static inline float tk_bf16_to_float(uint16_t h)
{
    return tk_float_of((uint32_t)h << 16);
}

// Exponent and mantissa, moved into place, are too small by 112 exponents. A subnormal gets the
// least normal exponent, as if it had the leading one that it lacks, and that one is subtracted:
// exact, and never a subnormal float. Without a branch, so that loops vectorize.
static inline float tk_fp16_to_float(uint16_t h)
{
    uint32_t m = h & 0x7fffu, sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t normal = (m << 13) + ((m < 0x7c00 ? 112u : 224u) << 23);
    uint32_t small = tk_float_bits(tk_float_of((m << 13) + (113u << 23)) - 0x1p-14f);
    return tk_float_of((m < 0x400 ? small : normal) | sign);
}

uint16_t tk_fp16_from_float(float x);

// n numbers at once. False if one of the halves is infinite or NaN.
bool tk_fp16_narrow(const float *x, int64_t n, uint16_t *h);
bool tk_fp16_widen(const uint16_t *h, int64_t n, float *x);
