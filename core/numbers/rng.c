// SPDX-License-Identifier: Apache-2.0
// Philox and what is made of it.
//
// Normals: the block of index i / 4 has four words; words 0 and 1 make the normals of elements
// 4b and 4b + 1 (cosine and sine of Box-Muller), words 2 and 3 those of 4b + 2 and 4b + 3. The fp32
// path uses only +, *, sqrt and integer operations, with polynomials of its own instead of the C
// library's (philox.h), and this file is compiled without contraction to fused multiply-adds
// (Makefile), so noise and initial weights are the same bits on every machine and compiler.
#include "core/numbers/rng.h"
#include "core/base/status.h"
#include "core/numbers/philox.h"
#include <math.h>

enum { CHUNK = 64 }; // blocks worked on together by the fast path

void tk_philox(tk_key key, uint64_t index, uint32_t out[4])
{
    out[0] = (uint32_t)index;
    out[1] = (uint32_t)(index >> 32);
    out[2] = key.purpose;
    out[3] = key.step;
    tk_philox_rounds((uint32_t)key.seed, (uint32_t)(key.seed >> 32), out);
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

static void box_muller(const uint32_t *restrict radius, const uint32_t *restrict angle,
                       float *restrict c, float *restrict s, int n)
{
    for (int i = 0; i < n; i++) tk_box_muller(radius[i], angle[i], &c[i], &s[i]);
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
        tk_philox_rounds(k0, k1, c);
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
