// SPDX-License-Identifier: Apache-2.0
// Widening is on the loader's path: compilers convert one half at a time there, so it is the
// processor's vector conversion, or integer arithmetic that every compiler vectorizes.
#include "core/numbers/half.h"
#if defined(__AVX2__) && defined(__F16C__)
#include <immintrin.h>
#endif

uint16_t tk_fp16_from_float(float x)
{
    uint32_t u = tk_float_bits(x);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    u &= 0x7fffffff;
    if (u > 0x7f800000) return sign | 0x7e00 | (u >> 13 & 0x1ff);
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

bool tk_fp16_narrow(const float *x, int64_t n, uint16_t *h)
{
    for (int64_t i = 0; i < n; i++) h[i] = tk_fp16_from_float(x[i]);
    return all_finite(h, n);
}

bool tk_fp16_widen(const uint16_t *h, int64_t n, float *x)
{
    int64_t i = 0;
    bool finite = true;
#if defined(__AVX2__) && defined(__F16C__)
    const __m256i magnitude = _mm256_set1_epi16(0x7fff), largest = _mm256_set1_epi16(0x7bff);
    __m256i most = _mm256_setzero_si256();
    for (; i + 16 <= n; i += 16) {
        __m256i v = _mm256_loadu_si256((const __m256i_u *)(h + i)); // a type that may alias
        __builtin_prefetch(x + i + 512, 1); // to be written soon: the place is seldom in cache
        most = _mm256_max_epi16(most, _mm256_and_si256(v, magnitude));
        _mm256_storeu_ps(x + i, _mm256_cvtph_ps(_mm256_castsi256_si128(v)));
        _mm256_storeu_ps(x + i + 8, _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1)));
    }
    finite = !_mm256_movemask_epi8(_mm256_cmpgt_epi16(most, largest));
#endif
    const int64_t rest = i;
#pragma omp simd
    for (i = rest; i < n; i++) x[i] = tk_fp16_to_float(h[i]);
    return all_finite(h + rest, n - rest) && finite;
}
