// SPDX-License-Identifier: Apache-2.0
// The arithmetic of core/numbers/rng.h's normals, for what makes many of them: the host's fast path
// and kernels. It uses only +, *, sqrt and integer operations; compiled without contraction to
// fused multiply-adds (Makefile) it gives the same bits on every machine, compiler and device.
#pragma once
#include "core/numbers/half.h" // bits of floats
#include <math.h>

// c := the block of counter c under the key (k0, k1): Philox4x32-10.
TK_ANYWHERE static inline void tk_philox_rounds(uint32_t k0, uint32_t k1, uint32_t c[4])
{
    for (int r = 0; r < 10; r++) {
        uint64_t p = 0xD2511F53ull * c[0], q = 0xCD9E8D57ull * c[2];
        uint32_t c1 = c[1], c3 = c[3];
        c[0] = (uint32_t)(q >> 32) ^ c1 ^ k0;
        c[1] = (uint32_t)q;
        c[2] = (uint32_t)(p >> 32) ^ c3 ^ k1;
        c[3] = (uint32_t)p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

// ln((x + 1/2) / 2^32), to about 1e-7 relative.
TK_ANYWHERE static inline float tk_log_unit(uint32_t x)
{
    // Near 1 the distance from 1 is what counts, and integers have it exactly.
    int32_t sx = (int32_t)x; // negative: the upper half of [0, 1)
    float below_one = -((float)(sx < 0 ? ~sx : sx) + 0.5f) * 0x1p-32f;
    float u = sx < 0 ? 1.0f + below_one : -below_one;
    // u = m * 2^e, m in [sqrt 1/2, sqrt 2)
    uint32_t shifted = tk_float_bits(u) - 0x3f3504f3u;
    float e = (float)((int32_t)shifted >> 23);
    float m = tk_float_of((shifted & 0x7fffffu) + 0x3f3504f3u);
    float f = (sx & ~(int32_t)shifted) < 0 ? below_one : m - 1.0f;
    // ln(1 + f) = f - f^2/2 + f^3 P(f), P by interpolation at Chebyshev nodes
    float p = -0.0790274377f;
    p = p * f + 0.126223198f;
    p = p * f - 0.129981838f;
    p = p * f + 0.142144959f;
    p = p * f - 0.166412815f;
    p = p * f + 0.200010451f;
    p = p * f - 0.250003064f;
    p = p * f + 0.333333307f;
    float ff = f * f;
    return e * 0.693147182f + (f - (0.5f * ff - ff * f * p));
}

// Cosine and sine of 2 pi y / 2^32. The nearest multiple of a quarter turn goes off in integers.
TK_ANYWHERE static inline void tk_turn(uint32_t y, float *c, float *s)
{
    uint32_t q = (y + 0x20000000u) >> 30;
    float a = (float)(int32_t)(y - (q << 30)) * 1.46291808e-9f; // 2 pi / 2^32
    float z = a * a;
    float sine = a + a * z * (-0.166666647f + z * (0.00833274827f + z * -0.000195878909f));
    float cosine =
        1.0f - 0.5f * z + z * z * (0.0416666647f + z * (-0.0013888303f + z * 2.45479421e-05f));
    // Odd quarter turns swap the two, and each takes its sign: on bits, which vectorizes anywhere.
    uint32_t cb = tk_float_bits(cosine), sb = tk_float_bits(sine),
             swap = (cb ^ sb) & (0u - (q & 1));
    *c = tk_float_of(cb ^ swap ^ ((q + 1) & 2) << 30);
    *s = tk_float_of(sb ^ swap ^ (q & 2) << 30);
}

// Two normals of two words.
TK_ANYWHERE static inline void tk_box_muller(uint32_t radius, uint32_t angle, float *c, float *s)
{
    float cosine, sine, r = sqrtf(-2.0f * tk_log_unit(radius));
    tk_turn(angle, &cosine, &sine);
    *c = r * cosine;
    *s = r * sine;
}
