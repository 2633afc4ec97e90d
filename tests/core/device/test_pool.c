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
    assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 0, &a));
    assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 65, &b));
    assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 64, &c));
    assert_int_equal(offset(a), 0);
    assert_int_equal(offset(b), 64);
    assert_int_equal(offset(c), 192);
    assert_int_equal(p.in_use, 256);
    assert_int_equal(p.peak, 256);
    tk_pool_free(&p, TK_QUEUE_COMPUTE, b);
    tk_pool_free(&p, TK_QUEUE_COMPUTE, NULL);
    assert_int_equal(p.in_use, 128);
    assert_int_equal(p.peak, 256);
    assert_status(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 705, &b), TK_MEMORY);
    assert_null(b);
    assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 704, &b));
    assert_int_equal(offset(b), 256);
    assert_int_equal(p.peak, 960);
    assert_status(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, SIZE_MAX, &b), TK_MEMORY);
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
    for (int i = 0; i < 7; i++)
        assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, bytes[i], &x[i]));
    void *large = x[0], *small = x[2], *small_too = x[4], *y;
    tk_pool_free(&p, TK_QUEUE_COMPUTE, large);
    tk_pool_free(&p, TK_QUEUE_COMPUTE, small_too);
    tk_pool_free(&p, TK_QUEUE_COMPUTE, small);
    assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 128,
                          &y)); // not the 256 before it, and the lower of the two equals
    assert_ptr_equal(y, small);
    assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 100, &y));
    assert_ptr_equal(y, small_too);
    assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 192, &y));
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
        for (int i = 0; i < 3; i++)
            assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 64, &x[i]));
        for (int i = 0; i < 3; i++) tk_pool_free(&p, TK_QUEUE_COMPUTE, x[orders[o][i]]);
        tk_pool_sync(&p);
        assert_int_equal(p.n_free, 1);
        assert_int_equal(p.in_use, 0);
        assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 1024, &whole));
        assert_ptr_equal(whole, base);
        assert_int_equal(p.n_free, 0);
        tk_pool_free(&p, TK_QUEUE_COMPUTE, whole);
        assert_int_equal(p.n_free, 1);
        tk_pool_done(&p);
    }
}

enum { SLOTS = 200, CALLS = 20000, UNITS = 4096 };

// Random calls, each checked against a map of which 64-byte units are taken. Returns a digest of
// all offsets and the peak.
static uint64_t storm(uint64_t seed, void *at, bool events)
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
        if (events && i % 7 == 0) (void)tk_pool_record(&p, TK_QUEUE_COMPUTE);
        if (events && i % 500 == 0) tk_pool_sync(&p);
        if (slot[s].x) {
            size_t first = (size_t)(slot[s].x - (char *)at) / 64;
            memset(taken + first, 0, slot[s].units);
            units_taken -= slot[s].units;
            tk_pool_free(&p, TK_QUEUE_COMPUTE, slot[s].x);
            slot[s].x = NULL;
        } else {
            size_t bytes = (size_t)tk_rng_below(key, 2 * i + 1, 64 * 60);
            void *x;
            if (tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, bytes, &x) != TK_OK) continue;
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
    for (int s = 0; s < SLOTS; s++) tk_pool_free(&p, TK_QUEUE_COMPUTE, slot[s].x);
    tk_pool_sync(&p);
    assert_int_equal(p.n_free, 1);
    assert_int_equal(p.n_live, 0);
    digest = digest * 1099511628211ull + p.peak;
    tk_pool_done(&p);
    return digest;
}

static void test_pool__same_calls_same_offsets(void **state)
{
    (void)state;
    uint64_t once = storm(1, base, false);
    assert_true(once == storm(1, base, false));
    assert_true(once == storm(1, (char *)base + (1 << 20), false));
    assert_true(once != storm(2, base, false));
    assert_true(once == storm(1, base, true)); // events do not matter to one queue
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
        if (tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 64, &x[i]) != TK_OK) {
            assert_null(x[i]);
            tk_alloc_fail_at(0, false);
            assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 64, &x[i]));
        }
        assert_int_equal(offset(x[i]), 64 * i);
    }
    tk_alloc_fail_at(1, true); // freeing every other block makes many gaps, and needs no memory
    for (int i = 0; i < 100; i += 2) tk_pool_free(&p, TK_QUEUE_COMPUTE, x[i]);
    assert_int_equal(p.n_free, 51);
    for (int i = 1; i < 100; i += 2) tk_pool_free(&p, TK_QUEUE_COMPUTE, x[i]);
    tk_pool_sync(&p);
    assert_int_equal(p.n_free, 1);
    tk_alloc_fail_at(0, false);
    tk_pool_done(&p);
}

// ---- several queues ----------------------------------------------------------------------------

// A block given back is free for its own queue at once, for another from its wait on.
static void test_pool__another_queue_waits_for_what_was_freed(void **state)
{
    (void)state;
    const tk_queue compute = TK_QUEUE_COMPUTE, comm = TK_QUEUE_DATA, copy = TK_QUEUE_COPY;
    tk_pool p;
    void *a, *b;
    assert_ok(tk_pool_init(&p, base, 256));
    assert_ok(tk_pool_new(&p, compute, TK_FOR_ACTIVATIONS, 256, &a));
    tk_queue_mark before = tk_pool_record(&p, compute);
    assert_int_equal(tk_pool_free(&p, compute, a), 256);
    tk_queue_mark after = tk_pool_record(&p, compute);
    assert_status(tk_pool_new(&p, copy, TK_FOR_ACTIVATIONS, 64, &b), TK_MEMORY);
    assert_says("0.0 MiB more wait for another queue");
    tk_pool_wait(&p, copy, &before); // recorded too early
    assert_status(tk_pool_new(&p, copy, TK_FOR_ACTIVATIONS, 64, &b), TK_MEMORY);
    tk_pool_wait(&p, comm, &after);
    assert_status(tk_pool_new(&p, copy, TK_FOR_ACTIVATIONS, 64, &b), TK_MEMORY);
    tk_queue_mark handed_on = tk_pool_record(&p, comm); // who waits for it has waited for both
    tk_pool_wait(&p, copy, &handed_on);
    assert_ok(tk_pool_new(&p, copy, TK_FOR_ACTIVATIONS, 64, &b));
    assert_ptr_equal(b, base);
    assert_ok(tk_pool_new(&p, compute, TK_FOR_ACTIVATIONS, 192, &a));
    tk_pool_free(&p, copy, b);
    tk_pool_free(&p, compute, a);
    assert_status(tk_pool_new(&p, comm, TK_FOR_ACTIVATIONS, 64, &b), TK_MEMORY);
    after = tk_pool_record(&p, copy);
    tk_pool_wait_host(&p, &after); // the host has seen the copies, not the computing
    assert_status(tk_pool_new(&p, comm, TK_FOR_ACTIVATIONS, 128, &b), TK_MEMORY);
    assert_ok(tk_pool_new(&p, comm, TK_FOR_ACTIVATIONS, 64, &b));
    tk_pool_free(&p, comm, b);
    tk_pool_sync(&p);
    assert_int_equal(p.n_free, 1);
    assert_ok(tk_pool_new(&p, comm, TK_FOR_ACTIVATIONS, 256, &a));
    tk_pool_done(&p);
}

// A gap may be made of blocks that were freed on several queues, if the asking one may have all.
static void test_pool__a_gap_may_have_been_freed_on_several_queues(void **state)
{
    (void)state;
    const tk_queue compute = TK_QUEUE_COMPUTE, copy = TK_QUEUE_COPY;
    tk_pool p;
    void *x[4], *y;
    assert_ok(tk_pool_init(&p, base, 256));
    for (int i = 0; i < 4; i++) assert_ok(tk_pool_new(&p, compute, TK_FOR_ACTIVATIONS, 64, &x[i]));
    for (int i = 0; i < 4; i++) tk_pool_free(&p, i % 2 ? copy : compute, x[i]);
    assert_status(tk_pool_new(&p, compute, TK_FOR_ACTIVATIONS, 128, &y), TK_MEMORY);
    const tk_queue_mark m = tk_pool_record(&p, copy);
    tk_pool_wait(&p, compute, &m);
    assert_ok(tk_pool_new(&p, compute, TK_FOR_ACTIVATIONS, 256, &y));
    assert_ptr_equal(y, base);
    tk_pool_done(&p);
}

enum { EVENTS = 8 };

// What the pool should know, said in another way: of each queue, the number of calls that it and
// each other queue run behind.
typedef struct order {
    uint64_t calls[TK_QUEUES], behind[TK_QUEUES][TK_QUEUES];
    uint64_t event[EVENTS][TK_QUEUES];
    tk_queue_mark mark[EVENTS];
} order;

static void merge(uint64_t to[TK_QUEUES], const uint64_t from[TK_QUEUES])
{
    for (int k = 0; k < TK_QUEUES; k++)
        if (from[k] > to[k]) to[k] = from[k];
}

// One random call about events, told to the pool and to the order.
static void reorder(tk_pool *p, order *o, tk_queue q, int e, int64_t what)
{
    if (what < 45) {
        memcpy(o->event[e], o->behind[q], sizeof o->event[e]);
        o->event[e][q] = o->calls[q];
        o->mark[e] = tk_pool_record(p, q);
    } else if (what < 90) {
        merge(o->behind[q], o->event[e]);
        tk_pool_wait(p, q, &o->mark[e]);
    } else if (what < 98) {
        for (int k = 0; k < TK_QUEUES; k++) merge(o->behind[k], o->event[e]);
        tk_pool_wait_host(p, &o->mark[e]);
    } else {
        for (int k = 0; k < TK_QUEUES; k++) merge(o->behind[k], o->calls);
        tk_pool_sync(p);
    }
}

static void test_pool__no_queue_gets_what_another_may_still_use(void **state)
{
    (void)state;
    static struct {
        bool taken;
        tk_queue queue; // of the last free
        uint64_t call;
    } unit[UNITS];
    static struct {
        char *x;
        size_t units;
    } slot[SLOTS];
    const tk_key key = tk_rng_key(5, TK_RNG_TEST, 0);
    order o = {0};
    tk_pool p;
    int handed_on = 0;
    assert_ok(tk_pool_init(&p, base, UNITS * 64));
    for (uint64_t i = 0; i < CALLS; i++) {
        const tk_queue q = (tk_queue)tk_rng_below(key, 5 * i, TK_QUEUES);
        const int s = (int)tk_rng_below(key, 5 * i + 1, SLOTS);
        if (tk_rng_below(key, 5 * i + 2, 4) == 0)
            reorder(&p, &o, q, s % EVENTS, tk_rng_below(key, 5 * i + 3, 100));
        o.calls[q]++;
        if (slot[s].x) {
            const size_t first = (size_t)(slot[s].x - (char *)base) / 64;
            for (size_t u = first; u < first + slot[s].units; u++) {
                unit[u].taken = false;
                unit[u].queue = q;
                unit[u].call = o.calls[q];
            }
            assert_int_equal(tk_pool_free(&p, q, slot[s].x), slot[s].units * 64);
            slot[s].x = NULL;
            continue;
        }
        void *x;
        slot[s].units = 1 + (size_t)tk_rng_below(key, 5 * i + 4, 60);
        if (tk_pool_new(&p, q, TK_FOR_ACTIVATIONS, slot[s].units * 64, &x) != TK_OK) continue;
        slot[s].x = x;
        const size_t first = (size_t)((char *)x - (char *)base) / 64;
        for (size_t u = first; u < first + slot[s].units; u++) {
            assert_true(u < UNITS && !unit[u].taken);
            if (unit[u].call && unit[u].queue != q) {
                assert_true(o.behind[q][unit[u].queue] >= unit[u].call);
                handed_on++;
            }
            unit[u].taken = true;
        }
    }
    assert_true(handed_on > 10000);
    for (int s = 0; s < SLOTS; s++) tk_pool_free(&p, TK_QUEUE_DATA, slot[s].x);
    tk_pool_sync(&p);
    assert_int_equal(p.n_free, 1);
    tk_pool_done(&p);
}

static void test_pool__a_block_is_found_where_it_was(void **state)
{
    (void)state;
    tk_pool p;
    void *a, *b, *c;
    char *const at = (char *)base + 256;
    assert_ok(tk_pool_init(&p, base, 1024));
    assert_ok(tk_pool_take(&p, TK_QUEUE_COMPUTE, TK_FOR_MESSAGES, at, 120)); // in the midst
    assert_int_equal(p.in_use, 128);
    assert_int_equal(p.held[TK_FOR_MESSAGES], 128);
    assert_int_equal(p.peak, 384);
    assert_status(tk_pool_take(&p, TK_QUEUE_COMPUTE, TK_FOR_MESSAGES, at, 64), TK_INTERNAL);
    assert_says("should be free, and are not");
    assert_status(tk_pool_take(&p, TK_QUEUE_COMPUTE, TK_FOR_MESSAGES, at - 64, 128), TK_INTERNAL);
    assert_status(tk_pool_take(&p, TK_QUEUE_COMPUTE, TK_FOR_MESSAGES, at + 64, 64), TK_INTERNAL);
    assert_status(tk_pool_take(&p, TK_QUEUE_COMPUTE, TK_FOR_MESSAGES, at + 640, 192), TK_INTERNAL);
    assert_status(tk_pool_take(&p, TK_QUEUE_COMPUTE, TK_FOR_MESSAGES, at + 2048, 64), TK_INTERNAL);
    assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 256, &a)); // before it
    assert_ok(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 640, &b)); // behind it
    assert_ptr_equal(a, base);
    assert_ptr_equal(b, at + 128);
    assert_status(tk_pool_new(&p, TK_QUEUE_COMPUTE, TK_FOR_ACTIVATIONS, 1, &c), TK_MEMORY);
    tk_pool_free(&p, TK_QUEUE_DATA, at);
    assert_status(tk_pool_take(&p, TK_QUEUE_COMPUTE, TK_FOR_MESSAGES, at, 64), TK_INTERNAL);
    tk_pool_sync(&p);
    assert_ok(tk_pool_take(&p, TK_QUEUE_COMPUTE, TK_FOR_MESSAGES, at, 64));
    tk_pool_free(&p, TK_QUEUE_COMPUTE, at);
    tk_pool_free(&p, TK_QUEUE_COMPUTE, a);
    tk_pool_free(&p, TK_QUEUE_COMPUTE, b);
    tk_pool_sync(&p);
    assert_int_equal(p.n_free, 1);
    assert_int_equal(p.in_use, 0);
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
        cmocka_unit_test(test_pool__another_queue_waits_for_what_was_freed),
        cmocka_unit_test(test_pool__a_gap_may_have_been_freed_on_several_queues),
        cmocka_unit_test(test_pool__a_block_is_found_where_it_was),
        cmocka_unit_test(test_pool__no_queue_gets_what_another_may_still_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
