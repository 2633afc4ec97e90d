// SPDX-License-Identifier: Apache-2.0
// IEEE half precision. Where the compiler knows the type, loops over it become the processor's own
// conversion; elsewhere the bits are moved by hand.
#include "data/clip_internal.h"
#include <string.h>

uint16_t tk_half_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    u &= 0x7fffffff;
    if (u > 0x7f800000) return sign | 0x7e00;  // NaN
    if (u >= 0x477ff000) return sign | 0x7c00; // rounds to infinity
    if (u < 0x33000000) return sign;           // half of the least subnormal rounds to zero
    int shift = 13;
    uint32_t bits = u - (112u << 23);
    if (u < 0x38800000) { // subnormal half: 2^-24 units
        shift = 126 - (int)(u >> 23);
        bits = (u & 0x7fffff) | 0x800000;
    }
    uint32_t kept = bits >> shift, rest = bits & ((1u << shift) - 1), half = 1u << (shift - 1);
    if (rest > half || (rest == half && (kept & 1))) kept++;
    return sign | (uint16_t)kept;
}

float tk_half_value(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff, u;
    float x;
    if (!e) {
        x = (float)m * 0x1p-24f;
        return sign ? -x : x;
    }
    u = sign | (e == 31 ? 255u : e + 112) << 23 | m << 13;
    memcpy(&x, &u, sizeof x);
    return x;
}

// True if no half among them is infinite or NaN.
static bool all_finite(const uint16_t *h, int64_t n)
{
    uint16_t most = 0;
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < n; i++) {
        uint16_t v = h[i] & 0x7fff;
        most = v > most ? v : most;
    }
    return most < 0x7c00;
}

bool tk_half_from_float(const float *x, int64_t n, uint16_t *h)
{
#ifdef __FLT16_MANT_DIG__
    _Float16 *out = (_Float16 *)h;
    for (int64_t i = 0; i < n; i++) out[i] = (_Float16)x[i];
#else
    for (int64_t i = 0; i < n; i++) h[i] = tk_half_bits(x[i]);
#endif
    return all_finite(h, n);
}

bool tk_half_to_float(const uint16_t *h, int64_t n, float *x)
{
#ifdef __FLT16_MANT_DIG__
    const _Float16 *in = (const _Float16 *)h;
    for (int64_t i = 0; i < n; i++) x[i] = (float)in[i];
#else
    for (int64_t i = 0; i < n; i++) x[i] = tk_half_value(h[i]);
#endif
    return all_finite(h, n);
}
