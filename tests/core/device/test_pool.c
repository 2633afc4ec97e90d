// SPDX-License-Identifier: Apache-2.0
#include "core/base/mem.h"
#include "core/device/pool.h"
#include "core/numbers/rng.h"
#include "tests/support/test.h"

// The pool never touches its range: an address that nothing is mapped at will do.
static void *const base = (void *)(uintptr_t)0x7000000000ull;

static ptrdiff_t offset(const void *p)
{
    return (const char *)p - (const char *)base;
}

static void test_pool__rounds_splits_and_counts(void **state)
{
    (void)state;
    tk_pool p;
    void *a, *b, *c;
    assert_ok(tk_pool_init(&p, base, 1000)); // 960 usable
    assert_ok(tk_pool_new(&p, 0, &a));
    assert_ok(tk_pool_new(&p, 65, &b));
    assert_ok(tk_pool_new(&p, 64, &c));
    assert_int_equal(offset(a), 0);
    assert_int_equal(offset(b), 64);
    assert_int_equal(offset(c), 192);
    assert_int_equal(p.in_use, 256);
    assert_int_equal(p.peak, 256);
    tk_pool_free(&p, b);
    tk_pool_free(&p, NULL);
    assert_int_equal(p.in_use, 128);
    assert_int_equal(p.peak, 256);
    assert_status(tk_pool_new(&p, 705, &b), TK_MEMORY);
    assert_null(b);
    assert_ok(tk_pool_new(&p, 704, &b));
    assert_int_equal(offset(b), 256);
    assert_int_equal(p.peak, 960);
    assert_status(tk_pool_new(&p, SIZE_MAX, &b), TK_MEMORY);
    tk_pool_done(&p);
    assert_status(tk_pool_init(&p, NULL, 64), TK_INTERNAL);
    assert_status(tk_pool_init(&p, (char *)base + 8, 64), TK_INTERNAL);
}

static void test_pool__takes_the_tightest_gap(void **state)
{
    (void)state;
    tk_pool p;
    void *x[7];
    const size_t bytes[7] = {256, 64, 128, 64, 128, 64, 64};
    assert_ok(tk_pool_init(&p, base, 4096));
    for (int i = 0; i < 7; i++) assert_ok(tk_pool_new(&p, bytes[i], &x[i]));
    void *large = x[0], *small = x[2], *small_too = x[4], *y;
    tk_pool_free(&p, large);
    tk_pool_free(&p, small_too);
    tk_pool_free(&p, small);
    assert_ok(tk_pool_new(&p, 128, &y)); // not the 256 before it, and the lower of the two equals
    assert_ptr_equal(y, small);
    assert_ok(tk_pool_new(&p, 100, &y));
    assert_ptr_equal(y, small_too);
    assert_ok(tk_pool_new(&p, 192, &y));
    assert_ptr_equal(y, large);
    tk_pool_done(&p);
}

// Frees three neighbours in each order: all of them end as one gap with the rest.
static void test_pool__coalesces_in_every_order(void **state)
{
    (void)state;
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int o = 0; o < 6; o++) {
        tk_pool p;
        void *x[3], *whole;
        assert_ok(tk_pool_init(&p, base, 1024));
        for (int i = 0; i < 3; i++) assert_ok(tk_pool_new(&p, 64, &x[i]));
        for (int i = 0; i < 3; i++) tk_pool_free(&p, x[orders[o][i]]);
        assert_int_equal(p.n_free, 1);
        assert_int_equal(p.in_use, 0);
        assert_ok(tk_pool_new(&p, 1024, &whole));
        assert_ptr_equal(whole, base);
        assert_int_equal(p.n_free, 0);
        tk_pool_free(&p, whole);
        assert_int_equal(p.n_free, 1);
        tk_pool_done(&p);
    }
}

enum { SLOTS = 200, CALLS = 20000, UNITS = 4096 };

// Random calls, each checked against a map of which 64-byte units are taken. Returns a digest of
// all offsets and the peak.
static uint64_t storm(uint64_t seed, void *at)
{
    static unsigned char taken[UNITS];
    static struct {
        char *x;
        size_t units;
    } slot[SLOTS];
    memset(taken, 0, sizeof taken);
    memset(slot, 0, sizeof slot);
    tk_key key = tk_rng_key(seed, TK_RNG_TEST, 0);
    tk_pool p;
    uint64_t digest = 0;
    size_t units_taken = 0;
    assert_ok(tk_pool_init(&p, at, UNITS * 64));
    for (uint64_t i = 0; i < CALLS; i++) {
        int s = (int)tk_rng_below(key, 2 * i, SLOTS);
        if (slot[s].x) {
            size_t first = (size_t)(slot[s].x - (char *)at) / 64;
            memset(taken + first, 0, slot[s].units);
            units_taken -= slot[s].units;
            tk_pool_free(&p, slot[s].x);
            slot[s].x = NULL;
        } else {
            size_t bytes = (size_t)tk_rng_below(key, 2 * i + 1, 64 * 60);
            void *x;
            if (tk_pool_new(&p, bytes, &x) != TK_OK) continue;
            size_t first = (size_t)((char *)x - (char *)at) / 64;
            slot[s].x = x;
            slot[s].units = bytes ? (bytes + 63) / 64 : 1;
            for (size_t u = first; u < first + slot[s].units; u++) {
                assert_true(u < UNITS && !taken[u]);
                taken[u] = 1;
            }
            units_taken += slot[s].units;
            digest = digest * 1099511628211ull + first;
        }
        assert_int_equal(p.in_use, units_taken * 64);
    }
    for (int s = 0; s < SLOTS; s++) tk_pool_free(&p, slot[s].x);
    assert_int_equal(p.n_free, 1);
    assert_int_equal(p.n_live, 0);
    digest = digest * 1099511628211ull + p.peak;
    tk_pool_done(&p);
    return digest;
}

static void test_pool__same_calls_same_offsets(void **state)
{
    (void)state;
    uint64_t once = storm(1, base);
    assert_true(once == storm(1, base));
    assert_true(once == storm(1, (char *)base + (1 << 20)));
    assert_true(once != storm(2, base));
}

static void test_pool__survives_lack_of_host_memory(void **state)
{
    (void)state;
    tk_pool p;
    tk_alloc_fail_at(1, false);
    assert_status(tk_pool_init(&p, base, 1 << 20), TK_MEMORY);
    tk_pool_done(&p);
    assert_ok(tk_pool_init(&p, base, 1 << 20));
    void *x[100];
    for (int i = 0; i < 100; i++) {
        tk_alloc_fail_at(1, true);
        if (tk_pool_new(&p, 64, &x[i]) != TK_OK) {
            assert_null(x[i]);
            tk_alloc_fail_at(0, false);
            assert_ok(tk_pool_new(&p, 64, &x[i]));
        }
        assert_int_equal(offset(x[i]), 64 * i);
    }
    tk_alloc_fail_at(1, true); // freeing every other block makes many gaps, and needs no memory
    for (int i = 0; i < 100; i += 2) tk_pool_free(&p, x[i]);
    assert_int_equal(p.n_free, 51);
    for (int i = 1; i < 100; i += 2) tk_pool_free(&p, x[i]);
    assert_int_equal(p.n_free, 1);
    tk_alloc_fail_at(0, false);
    tk_pool_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool__rounds_splits_and_counts),
        cmocka_unit_test(test_pool__takes_the_tightest_gap),
        cmocka_unit_test(test_pool__coalesces_in_every_order),
        cmocka_unit_test(test_pool__same_calls_same_offsets),
        cmocka_unit_test(test_pool__survives_lack_of_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
