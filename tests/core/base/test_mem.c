// SPDX-License-Identifier: Apache-2.0
#include "core/base/mem.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <unistd.h>

static bool all_zero(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((const char *)p)[i]) return false;
    return true;
}

static void test_alloc__aligned_and_zeroed(void **state)
{
    (void)state;
    // the second round meets memory that the first has dirtied
    for (int round = 0; round < 2; round++)
        for (size_t n = 0; n < 5000; n = n * 2 + 1) {
            char *p = tk_alloc(n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 64, 0);
            assert_true(all_zero(p, n));
            memset(p, 0xa5, n);
            tk_free(p);
        }
    tk_free(NULL);
}

static void test_realloc__keeps_and_zeroes(void **state)
{
    (void)state;
    char *p = tk_realloc(NULL, 0, 10);
    memset(p, 7, 10);
    p = tk_realloc(p, 10, 5000);
    for (int i = 0; i < 10; i++) assert_int_equal(p[i], 7);
    assert_true(all_zero(p + 10, 4990));
    p = tk_realloc(p, 5000, 3);
    assert_int_equal(p[2], 7);
    tk_alloc_fail_at(1, false);
    assert_null(tk_realloc(p, 3, 100));
    assert_int_equal(p[2], 7); // still valid
    tk_free(p);
}

static void test_alloc__refuses_impossible_sizes(void **state)
{
    (void)state;
    assert_null(tk_alloc(SIZE_MAX));
    assert_null(tk_alloc(SIZE_MAX - 64));
    assert_true(tk_array_bytes(-1, 8) == SIZE_MAX);
    assert_true(tk_array_bytes(INT64_MAX / 2, 8) == SIZE_MAX);
    assert_true(tk_array_bytes(3, 8) == 24);
    int64_t n = 0;
    assert_ok(tk_mul_size(1 << 20, 1 << 20, &n));
    assert_int_equal(n, 1ll << 40);
    assert_status(tk_mul_size(INT64_MAX, 2, &n), TK_INPUT);
    assert_status(tk_mul_size(-1, 2, &n), TK_INPUT);
}

static void test_seam__fails_the_nth(void **state)
{
    (void)state;
    int64_t before = tk_alloc_count();
    tk_alloc_fail_at(3, false);
    for (int i = 1; i <= 5; i++) {
        void *p = tk_alloc(8);
        assert_int_equal(p == NULL, i == 3);
        tk_free(p);
    }
    assert_int_equal(tk_alloc_count() - before, 5);
    tk_alloc_fail_at(2, true);
    for (int i = 1; i <= 4; i++) {
        void *p = tk_alloc(8);
        assert_int_equal(p == NULL, i >= 2);
        tk_free(p);
    }
    tk_alloc_fail_at(0, false);
    void *p = tk_alloc(8);
    assert_non_null(p);
    tk_free(p);
}

static void test_arena__blocks_and_reset(void **state)
{
    (void)state;
    tk_arena a;
    tk_arena_init(&a, 1024);
    for (int round = 0; round < 5; round++) {
        char *last = NULL;
        for (size_t n = 1; n <= 300; n += 13) {
            char *p = tk_arena_alloc(&a, n);
            assert_non_null(p);
            assert_ptr_not_equal(p, last);
            assert_int_equal((uintptr_t)p % 64, 0);
            assert_true(all_zero(p, n));
            memset(p, 0x5a, n);
            last = p;
        }
        char *big = tk_arena_alloc(&a, 100000), *text = tk_arena_printf(&a, "%d-%s", 42, "x");
        assert_true(all_zero(big, 100000));
        memset(big, 1, 100000);
        assert_string_equal(text, "42-x");
        assert_string_equal(tk_arena_strdup(&a, "twice"), "twice");
        int64_t before = tk_alloc_count();
        tk_arena_reset(&a);
        assert_int_equal(a.used, 0);
        assert_int_equal(tk_alloc_count(), before);
    }
    // the loop has settled: equal rounds allocate nothing
    int64_t before = tk_alloc_count();
    for (int i = 0; i < 100; i++) assert_non_null(tk_arena_alloc(&a, 1000));
    assert_int_equal(tk_alloc_count(), before);
    assert_null(tk_arena_alloc(&a, SIZE_MAX));
    tk_arena_free(&a);
}

static void test_arena__large_request_leaves_the_head_in_use(void **state)
{
    (void)state;
    tk_arena a;
    tk_arena_init(&a, 1024);
    char *first = tk_arena_alloc(&a, 64);
    assert_non_null(tk_arena_alloc(&a, 1 << 20));
    char *second = tk_arena_alloc(&a, 64);
    assert_ptr_equal(second, first + 64);
    tk_arena_free(&a);
}

// Something with several allocations, single and from an arena, and a clean-up block.
static tk_status scenario(void)
{
    tk_status st;
    tk_arena a;
    tk_arena_init(&a, 256);
    char *grown = NULL, *text;
    for (int i = 0; i < 8; i++) {
        char *p = tk_realloc(grown, (size_t)i * 100, (size_t)(i + 1) * 100);
        if (!p) {
            st = TK_FAIL(TK_MEMORY, "out of memory");
            goto out;
        }
        grown = p;
        memset(grown, 1, (size_t)(i + 1) * 100);
        if (!(text = tk_arena_printf(&a, "%0*d", 200, i))) {
            st = TK_FAIL(TK_MEMORY, "out of memory");
            goto out;
        }
        memset(text, 1, 200);
    }
    st = TK_OK;
out:
    tk_free(grown);
    tk_arena_free(&a);
    return st;
}

static tk_status new_two(int **x, tk_arena *a, int **y)
{
    TK_NEW(*x, 10);
    TK_ARENA_NEW(*y, a, 10);
    return TK_OK;
}

static void test_seam__every_allocation_of_a_scenario(void **state)
{
    (void)state;
    int64_t before = tk_alloc_count();
    assert_ok(scenario());
    int64_t n = tk_alloc_count() - before;
    assert_true(n >= 16);
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (int64_t i = 1; i <= n; i++) {
            tk_alloc_fail_at(i, for_ever);
            assert_status(scenario(), TK_MEMORY);
            tk_alloc_fail_at(0, false);
        }
    tk_alloc_fail_at(n + 1, false);
    assert_ok(scenario());
    tk_alloc_fail_at(0, false);
}

static void test_seam__macros_say_so(void **state)
{
    (void)state;
    tk_arena a;
    tk_arena_init(&a, 0);
    int *x = NULL, *y = NULL;
    assert_ok(new_two(&x, &a, &y));
    tk_free(x);
    tk_arena_free(&a);
    tk_alloc_fail_at(2, false);
    assert_status(new_two(&x, &a, &y), TK_MEMORY);
    assert_says("out of memory (40 bytes)");
    tk_free(x);
    tk_alloc_fail_at(0, false);
    tk_arena_free(&a);
}

static long resident_kib(void)
{
    long all, here;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &all, &here), 2);
    fclose(f);
    return here * (sysconf(_SC_PAGESIZE) / 1024);
}

// Pieces with one behind them that stays: the allocator keeps their memory by itself.
static void test_free_to_system__gives_back_what_was_freed(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); // the sanitizers hold on to what is freed
#endif
    enum { PIECES = 2048, BYTES = 16 << 10, KIB = PIECES * (BYTES >> 10) };
    static void *piece[PIECES + 1];
    for (int k = 0; k <= PIECES; k++) piece[k] = tk_alloc(BYTES);
    for (int k = 0; k < PIECES; k++) tk_free(piece[k]);
    const long before = resident_kib();
    tk_free_to_system();
    assert_true(resident_kib() < before - KIB / 2);
    tk_free(piece[PIECES]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc__aligned_and_zeroed),
        cmocka_unit_test(test_realloc__keeps_and_zeroes),
        cmocka_unit_test(test_alloc__refuses_impossible_sizes),
        cmocka_unit_test(test_seam__fails_the_nth),
        cmocka_unit_test(test_arena__blocks_and_reset),
        cmocka_unit_test(test_arena__large_request_leaves_the_head_in_use),
        cmocka_unit_test(test_seam__every_allocation_of_a_scenario),
        cmocka_unit_test(test_seam__macros_say_so),
        cmocka_unit_test(test_free_to_system__gives_back_what_was_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
