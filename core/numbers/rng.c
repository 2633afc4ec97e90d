// SPDX-License-Identifier: Apache-2.0
// Philox and what is made of it.
//
// Normals: the block of index i / 4 has four words; words 0 and 1 make the normals of elements
// 4b and 4b + 1 (cosine and sine of Box-Muller), words 2 and 3 those of 4b + 2 and 4b + 3. The fp32
// path uses only +, *, sqrt and integer operations, with polynomials of its own instead of the C
// library's, and this file is compiled without contraction to fused multiply-adds (Makefile), so
// noise and initial weights are the same bits on every machine and compiler.
#include "core/numbers/rng.h"
#include "core/base/status.h"
#include "core/numbers/half.h" // bits of floats
#include <math.h>

enum { ROUNDS = 10, CHUNK = 64 }; // CHUNK: blocks worked on together by the fast path

static inline void philox(uint32_t k0, uint32_t k1, uint32_t c[4])
{
    for (int r = 0; r < ROUNDS; r++) {
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

void tk_philox(tk_key key, uint64_t index, uint32_t out[4])
{
    out[0] = (uint32_t)index;
    out[1] = (uint32_t)(index >> 32);
    out[2] = key.purpose;
    out[3] = key.step;
    philox((uint32_t)key.seed, (uint32_t)(key.seed >> 32), out);
}

uint64_t tk_rng_u64(tk_key key, uint64_t index)
{
    uint32_t x[4];
    tk_philox(key, index, x);
    return x[0] | (uint64_t)x[1] << 32;
}

double tk_rng_uniform(tk_key key, uint64_t index)
{
    // 52 bits and a half: with 53 the largest value would round to 1
    return ((double)(tk_rng_u64(key, index) >> 12) + 0.5) * 0x1p-52;
}

int64_t tk_rng_below(tk_key key, uint64_t index, int64_t n)
{
    tk_assert(n > 0);
    return (int64_t)((unsigned __int128)tk_rng_u64(key, index) * (uint64_t)n >> 64);
}

double tk_rng_normal(tk_key key, uint64_t index)
{
    uint32_t x[4];
    tk_philox(key, index / 4, x);
    const uint32_t *pair = x + (index & 2);
    double r = sqrt(-2 * log(((double)pair[0] + 0.5) * 0x1p-32));
    double a = 2 * M_PI * 0x1p-32 * (double)pair[1];
    return r * (index & 1 ? sin(a) : cos(a));
}

// The fast path -------------------------------------------------------------------------------

// ln((x + 1/2) / 2^32), to about 1e-7 relative.
static inline float log_unit(uint32_t x)
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
static inline void turn(uint32_t y, float *c, float *s)
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

static void box_muller(const uint32_t *restrict radius, const uint32_t *restrict angle,
                       float *restrict c, float *restrict s, int n)
{
    for (int i = 0; i < n; i++) {
        float cosine, sine, r = sqrtf(-2.0f * log_unit(radius[i]));
        turn(angle[i], &cosine, &sine);
        c[i] = r * cosine;
        s[i] = r * sine;
    }
}

// out[4 i + lane] for the n <= CHUNK blocks from `block`. Plain loops over arrays: they vectorize.
static void normals(tk_key key, uint64_t block, int n, float *restrict out)
{
    uint32_t x[4][CHUNK];
    float y[4][CHUNK];
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32);
    for (int i = 0; i < n; i++) {
        uint64_t b = block + (uint64_t)i;
        uint32_t c[4] = {(uint32_t)b, (uint32_t)(b >> 32), key.purpose, key.step};
        philox(k0, k1, c);
        for (int j = 0; j < 4; j++) x[j][i] = c[j];
    }
    box_muller(x[0], x[1], y[0], y[1], n);
    box_muller(x[2], x[3], y[2], y[3], n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 4; j++) out[4 * i + j] = y[j][i];
}

void tk_rng_fill_normal(tk_key key, uint64_t first, float *x, int64_t n, float scale)
{
    float buf[4 * CHUNK];
    while (n > 0) {
        int64_t skip = (int64_t)(first % 4); // elements of the first block that are not wanted
        int64_t take = 4 * CHUNK - skip < n ? 4 * CHUNK - skip : n;
        normals(key, first / 4, (int)((skip + take + 3) / 4), buf);
        for (int64_t i = 0; i < take; i++) x[i] = scale * buf[skip + i];
        first += (uint64_t)take;
        x += take;
        n -= take;
    }
}

// A Feistel network is a bijection whatever its round function; walking its cycle from a start
// below n until below n again keeps it one on [0, n). The network covers less than 4 n.
int64_t tk_rng_permute(tk_key key, int64_t i, int64_t n)
{
    tk_assert(0 <= i && i < n);
    if (n < 2) return 0;
    int half = (64 - __builtin_clzll((uint64_t)n - 1) + 1) / 2;
    uint64_t mask = ((uint64_t)1 << half) - 1, at = (uint64_t)i;
    do {
        uint64_t left = at >> half, right = at & mask;
        for (uint64_t round = 0; round < 8; round++) {
            uint64_t next = left ^ (tk_rng_u64(key, right | round << 32) & mask);
            left = right;
            right = next;
        }
        at = left << half | right;
    } while (at >= (uint64_t)n);
    return (int64_t)at;
}
