// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Sixteen-bit numbers against the plain meaning of their bits, all 65536 of them, and rounding
// against it too: by value and by distance, in double, without a look at how it is done.
#include "core/numbers/half.h"
#include "core/numbers/rng.h"
#include "tests/support/test.h"
#include <math.h>

typedef struct format {
    int exponent_bits, mantissa_bits;
    uint16_t (*narrow)(float x);
    float (*widen)(uint16_t h);
} format;

static uint16_t bf16_narrow(float x)
{
    return tk_bf16_from_float(x);
}
static float bf16_widen(uint16_t h)
{
    return tk_bf16_to_float(h);
}
static float fp16_widen(uint16_t h)
{
    return tk_fp16_to_float(h);
}
static const format formats[2] = {{5, 10, tk_fp16_from_float, fp16_widen},
                                  {8, 7, bf16_narrow, bf16_widen}};

// What the bits mean; the exponent of infinity is read as if it went on (for rounding), NaN aside.
static double meaning(const format *f, uint32_t h)
{
    const int bias = (1 << (f->exponent_bits - 1)) - 1;
    const int e = (int)(h >> f->mantissa_bits) & ((1 << f->exponent_bits) - 1);
    const double m = (double)(h & ((1u << f->mantissa_bits) - 1));
    const double one = ldexp(1, f->mantissa_bits);
    const double x =
        e ? ldexp(one + m, e - bias - f->mantissa_bits) : ldexp(m, 1 - bias - f->mantissa_bits);
    return h & 0x8000 ? -x : x;
}

static uint32_t infinity_of(const format *f)
{
    return ((1u << f->exponent_bits) - 1) << f->mantissa_bits;
}

// Checks that `got` is the nearest to x of all halves, of two as near the even one.
static void check_nearest(const format *f, float x)
{
    const uint16_t got = f->narrow(x);
    const uint32_t h = got & 0x7fff;
    const double distance = fabs(fabs((double)x) - fabs(meaning(f, h)));
    assert_int_equal(got >> 15, signbit(x) != 0);
    assert_true(h <= infinity_of(f));
    for (int side = -1; side <= 1; side += 2) {
        if ((side < 0 && h == 0) || (side > 0 && h == infinity_of(f))) continue;
        const double other = fabs(fabs((double)x) - meaning(f, h + (uint32_t)side));
        if (!(distance < other || (distance == other && h % 2 == 0)))
            fail_msg("%a becomes %04x, but %04x is nearer", (double)x, got, h + (uint32_t)side);
    }
}

static void test_half__every_one_means_what_its_bits_say(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++)
        for (uint32_t h = 0; h < 0x10000; h++) {
            const format *f = &formats[k];
            const float x = f->widen((uint16_t)h);
            const uint32_t size = h & 0x7fff;
            if (size > infinity_of(f)) {
                assert_true(isnan(x) && isnan(f->widen(f->narrow(x))));
                assert_int_equal(signbit(x) != 0, h >> 15);
                continue;
            }
            if (size == infinity_of(f))
                assert_true(isinf(x));
            else
                assert_true((double)x == meaning(f, h));
            assert_int_equal(signbit(x) != 0, h >> 15);
            assert_int_equal(f->narrow(x), h);
        }
}

// Around every half, the points half way to the next, what lies just beside them, and any floats.
static void test_half__rounds_to_the_nearest_and_ties_to_even(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const format *f = &formats[k];
        for (uint32_t h = 0; h < infinity_of(f); h++) {
            const double middle = (meaning(f, h) + meaning(f, h + 1)) / 2;
            const float at = (float)middle;
            if (isinf(at)) continue;
            assert_true((double)at == middle);
            const float near[] = {at, nextafterf(at, 0), nextafterf(at, INFINITY)};
            for (int i = 0; i < 3; i++) {
                check_nearest(f, near[i]);
                check_nearest(f, -near[i]);
            }
        }
        for (uint32_t i = 0; i < 400000; i++) {
            const float x = tk_float_of(i * 10739u + 3);
            if (isnan(x))
                assert_true(isnan(f->widen(f->narrow(x))));
            else if (isinf(x))
                assert_int_equal(f->narrow(x) & 0x7fff, infinity_of(f));
            else
                check_nearest(f, x);
        }
        assert_int_equal(f->narrow(INFINITY), infinity_of(f));
        assert_int_equal(f->narrow(-INFINITY), infinity_of(f) | 0x8000);
        assert_true(isnan(f->widen(f->narrow(tk_float_of(0x7f800001))))); // its low bits get lost
        assert_true(isnan(f->widen(f->narrow(tk_float_of(0xffffffff)))));
    }
}

// Of many at once, at any length and place: the values of one alone, and no bad one passes.
static void test_half__many_are_as_one(void **state)
{
    (void)state;
    enum { MOST = 71 };
    uint16_t h[MOST], back[MOST];
    float x[MOST + 1];
    for (uint32_t first = 0; first < 0x10000; first += MOST) {
        const int n = 1 + (int)(first / MOST % MOST);
        for (int k = 0; k < n; k++) {
            h[k] = (uint16_t)(first + (uint32_t)k);
            if ((h[k] & 0x7c00) == 0x7c00) h[k] &= 0x83ff; // subnormal of either sign
        }
        x[n] = 42;
        assert_true(tk_fp16_widen(h, n, x));
        for (int k = 0; k < n; k++) {
            float one = tk_fp16_to_float(h[k]);
            assert_memory_equal(&x[k], &one, sizeof one);
        }
        assert_true(x[n] == 42);
        assert_true(tk_fp16_narrow(x, n, back));
        assert_memory_equal(back, h, (size_t)n * sizeof *h);
        const int bad = (int)(first / MOST % (uint32_t)n);
        h[bad] = first & 1 ? 0x7c00 : first & 2 ? 0xfc00 : 0xfe01;
        assert_false(tk_fp16_widen(h, n, x));
        assert_false(tk_fp16_narrow(x, n, back));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half__every_one_means_what_its_bits_say),
        cmocka_unit_test(test_half__rounds_to_the_nearest_and_ties_to_even),
        cmocka_unit_test(test_half__many_are_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
