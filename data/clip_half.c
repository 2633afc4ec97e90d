// SPDX-License-Identifier: Apache-2.0
// IEEE half precision. Narrowing is the compiler's conversion where it knows the type, else bits
// are moved by hand. Widening is on the loader's path: compilers convert one half at a time there,
// so it is the processor's vector conversion, or integer arithmetic that every compiler vectorizes.
#include "data/clip_internal.h"
#include <string.h>
#if defined(__AVX2__) && defined(__F16C__)
#include <immintrin.h>
#endif

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

// Widens by integers, without a branch; true if all are finite. A half's exponent and mantissa,
// moved into place, are too small by 112 exponents. A subnormal gets the least normal exponent, as
// if it had the leading one that it lacks, and that one is subtracted: exact, and never a subnormal
// float.
static bool widen(const uint16_t *h, int64_t n, float *x)
{
    uint16_t most = 0;
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < n; i++) {
        uint32_t m = h[i] & 0x7fffu, sign = (uint32_t)(h[i] & 0x8000) << 16;
        union {
            uint32_t bits;
            float value;
        } normal = {.bits = (m << 13) + (112u << 23)}, small = {.bits = (m << 13) + (113u << 23)};
        small.value -= 0x1p-14f;
        normal.bits = (m < 0x400 ? small.bits : normal.bits) | sign;
        x[i] = normal.value;
        most = (uint16_t)m > most ? (uint16_t)m : most;
    }
    return most < 0x7c00;
}

bool tk_half_to_float(const uint16_t *h, int64_t n, float *x)
{
    int64_t i = 0;
    bool finite = true;
#if defined(__AVX2__) && defined(__F16C__)
    const __m256i magnitude = _mm256_set1_epi16(0x7fff), largest = _mm256_set1_epi16(0x7bff);
    __m256i most = _mm256_setzero_si256();
    for (; i + 16 <= n; i += 16) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(h + i));
        __builtin_prefetch(x + i + 512, 1); // to be written soon: the place is seldom in cache
        most = _mm256_max_epi16(most, _mm256_and_si256(v, magnitude));
        _mm256_storeu_ps(x + i, _mm256_cvtph_ps(_mm256_castsi256_si128(v)));
        _mm256_storeu_ps(x + i + 8, _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1)));
    }
    finite = !_mm256_movemask_epi8(_mm256_cmpgt_epi16(most, largest));
#endif
    return widen(h + i, n - i, x + i) && finite;
}
