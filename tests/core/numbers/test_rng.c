// SPDX-License-Identifier: Apache-2.0
#include "core/base/mem.h"
#include "core/numbers/rng.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void test_philox__known_answers(void **state)
{
    (void)state;
    // Published vectors of philox4x32-10: counter, key, output.
    static const uint32_t want[3][4] = {
        {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    const tk_key keys[3] = {
        {0, 0, 0},
        {0xffffffffffffffffull, 0xffffffff, 0xffffffff},
        {0x299f31d0a4093822ull, 0x13198a2e, 0x03707344},
    };
    const uint64_t index[3] = {0, 0xffffffffffffffffull, 0x85a308d3243f6a88ull};
    for (int i = 0; i < 3; i++) {
        uint32_t got[4];
        tk_philox(keys[i], index[i], got);
        for (int j = 0; j < 4; j++) assert_int_equal(got[j], want[i][j]);
    }
}

static void test_rng__keys_are_streams_apart(void **state)
{
    (void)state;
    uint64_t x = tk_rng_u64(tk_rng_key(1, TK_RNG_NOISE, 5), 9);
    assert_true(x == tk_rng_u64(tk_rng_key(1, TK_RNG_NOISE, 5), 9));
    assert_true(x != tk_rng_u64(tk_rng_key(2, TK_RNG_NOISE, 5), 9));
    assert_true(x != tk_rng_u64(tk_rng_key(1ull << 32 | 1, TK_RNG_NOISE, 5), 9));
    assert_true(x != tk_rng_u64(tk_rng_key(1, TK_RNG_TIME, 5), 9));
    assert_true(x != tk_rng_u64(tk_rng_key(1, TK_RNG_NOISE, 6), 9));
    assert_true(x != tk_rng_u64(tk_rng_key(1, TK_RNG_NOISE, 5), 9 + (1ull << 32)));
}

static void test_rng__uniform_moments_and_range(void **state)
{
    (void)state;
    enum { N = 200000 };
    tk_key key = tk_rng_key(3, TK_RNG_TEST, 0);
    double sum = 0, square = 0, lag = 0, before = 0.5;
    for (uint64_t i = 0; i < N; i++) {
        double u = tk_rng_uniform(key, i);
        assert_true(u > 0 && u < 1);
        sum += u;
        square += u * u;
        lag += (u - 0.5) * (before - 0.5);
        before = u;
    }
    // five standard errors each
    assert_near(sum / N, 0.5, 5 * sqrt(1 / 12.0 / N));
    assert_near(square / N, 1 / 3.0, 5 * sqrt(4 / 45.0 / N));
    assert_near(lag / N, 0, 5 * sqrt(1 / 144.0 / N));
}

static void test_rng__below_is_even(void **state)
{
    (void)state;
    enum { N = 70000 };
    int count[7] = {0};
    for (uint64_t i = 0; i < N; i++) {
        int64_t x = tk_rng_below(tk_rng_key(4, TK_RNG_TEST, 0), i, 7);
        assert_in_range(x, 0, 6);
        count[x]++;
    }
    for (int i = 0; i < 7; i++) assert_near(count[i], N / 7.0, 5 * sqrt(N * 6 / 49.0));
    assert_int_equal(tk_rng_below(tk_rng_key(4, TK_RNG_TEST, 0), 1, 1), 0);
    int64_t large = tk_rng_below(tk_rng_key(4, TK_RNG_TEST, 0), 1, INT64_MAX);
    assert_true(large > INT32_MAX && large < INT64_MAX);
}

enum { MANY = 1 << 20 };

static void test_normal__moments_tails_and_independence(void **state)
{
    (void)state;
    float *x = tk_alloc(MANY * sizeof *x);
    assert_non_null(x);
    tk_rng_fill_normal(tk_rng_key(5, TK_RNG_TEST, 1), 0, x, MANY, 1);
    double m[5] = {0}, next[3] = {0}, beyond = 0;
    for (int i = 0; i < MANY; i++) {
        double v = x[i], p = 1;
        for (int k = 1; k < 5; k++) m[k] += p *= v;
        beyond += fabs(v) > 3;
        for (int k = 0; k < 3; k++) next[k] += v * x[(i + k + 1) % MANY];
    }
    double s = 1 / sqrt(MANY);
    assert_near(m[1] / MANY, 0, 5 * s);
    assert_near(m[2] / MANY, 1, 5 * sqrt(2) * s);
    assert_near(m[3] / MANY, 0, 5 * sqrt(15) * s);
    assert_near(m[4] / MANY, 3, 5 * sqrt(96) * s);
    assert_near(beyond / MANY, 0.0026998, 5 * sqrt(0.0026998) * s);
    for (int k = 0; k < 3; k++) assert_near(next[k] / MANY, 0, 5 * s);
    tk_free(x);
}

static void test_normal__fast_path_is_the_double_one(void **state)
{
    (void)state;
    tk_key key = tk_rng_key(6, TK_RNG_TEST, 2);
    uint64_t first = (1ull << 40) + 3;
    float *x = tk_alloc(MANY * sizeof *x);
    assert_non_null(x);
    tk_rng_fill_normal(key, first, x, MANY, 0.5f);
    for (int i = 0; i < MANY; i++) {
        double want = 0.5 * tk_rng_normal(key, first + (uint64_t)i);
        assert_near(x[i], want, 3e-7 * (1 + fabs(want)));
    }
    tk_free(x);
}

static void test_normal__index_decides_not_the_range(void **state)
{
    (void)state;
    enum { N = 1500 };
    static float whole[N], part[N + 2];
    tk_key key = tk_rng_key(7, TK_RNG_NOISE, 3);
    tk_rng_fill_normal(key, 100, whole, N, 2);
    for (int64_t begin = 0; begin < 9; begin++)
        for (int64_t n = 0; n < N - begin; n = n * 2 + 1 + begin) {
            memset(part, 0, sizeof part);
            tk_rng_fill_normal(key, 100 + (uint64_t)begin, part + 1, n, 2);
            assert_memory_equal(part + 1, whole + begin, (size_t)n * sizeof *part);
            assert_true(part[0] == 0 && part[n + 1] == 0); // and nothing beside
        }
}

// The same bits on every machine, compiler and set of flags: a digest, written down.
static void test_normal__bits_are_fixed(void **state)
{
    (void)state;
    static float x[100000];
    uint64_t digest = 14695981039346656037ull;
    tk_rng_fill_normal(tk_rng_key(8, TK_RNG_WEIGHTS, 4), 0, x, 100000, 1);
    for (int i = 0; i < 100000; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        digest = (digest ^ bits) * 1099511628211ull;
    }
    if (digest != 0x0bd6d1a08d7ee7f8ull)
        fail_msg("the bits of normals changed: digest 0x%llx", (unsigned long long)digest);
}

static void test_permute__bijection(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 4097, 20011};
    static unsigned char seen[20011];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            memset(seen, 0, sizeof seen);
            for (int64_t i = 0; i < sizes[s]; i++) {
                int64_t to = tk_rng_permute(tk_rng_key(seed, TK_RNG_ORDER, 1), i, sizes[s]);
                assert_in_range(to, 0, sizes[s] - 1);
                assert_int_equal(seen[to], 0);
                seen[to] = 1;
            }
        }
    // far beyond what can be walked: in range, and neighbours do not stay neighbours
    int64_t n = 1ll << 61, a = tk_rng_permute(tk_rng_key(1, TK_RNG_ORDER, 1), 5, n),
            b = tk_rng_permute(tk_rng_key(1, TK_RNG_ORDER, 1), 6, n);
    assert_true(0 <= a && a < n && 0 <= b && b < n && a != b && llabs(a - b) > 1000);
}

static void test_permute__shuffles_evenly(void **state)
{
    (void)state;
    enum { N = 5, SEEDS = 20000 };
    int count[N][N] = {{0}}, order[N * N] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        tk_key key = tk_rng_key(seed, TK_RNG_ORDER, 7);
        for (int i = 0; i < N; i++) count[i][tk_rng_permute(key, i, N)]++;
        order[tk_rng_permute(key, 0, N) * N + tk_rng_permute(key, 1, N)]++;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            assert_near(count[i][j], SEEDS / 5.0, 5 * sqrt(SEEDS * 0.16));
            double pair = i == j ? 0 : SEEDS / 20.0;
            assert_near(order[i * N + j], pair, 5 * sqrt(pair));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox__known_answers),
        cmocka_unit_test(test_rng__keys_are_streams_apart),
        cmocka_unit_test(test_rng__uniform_moments_and_range),
        cmocka_unit_test(test_rng__below_is_even),
        cmocka_unit_test(test_normal__moments_tails_and_independence),
        cmocka_unit_test(test_normal__fast_path_is_the_double_one),
        cmocka_unit_test(test_normal__index_decides_not_the_range),
        cmocka_unit_test(test_normal__bits_are_fixed),
        cmocka_unit_test(test_permute__bijection),
        cmocka_unit_test(test_permute__shuffles_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
