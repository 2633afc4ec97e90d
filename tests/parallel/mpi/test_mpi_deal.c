// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3 4; timeout: 60 */
// Work dealt out: every item once, whoever asks for how many; few at the end; none after a failure.
#include "core/base/mem.h"
#include "parallel/mpi/deal.h"
#include "tests/support/ranks.h"
#include <unistd.h>

static tk_comm world;

static void nap(int milliseconds)
{
    for (int i = 0; i < milliseconds; i++) {
        usleep(1000);
        tk_alive();
    }
}

static void every_item_once(void **state)
{
    (void)state;
    enum { N = 57 };
    const int64_t most = 1 + world.rank; // each rank as many as it likes
    uint64_t times[N] = {0};
    int64_t first, n, item;
    tk_deal *d;
    assert_ok(tk_deal_open(&world, tk_comm_self(), N, "test", "items", N, &d));
    for (;;) {
        assert_ok(tk_deal_next_few(d, most, &first, &n));
        assert_in_range(n, 0, most);
        for (int64_t i = first; i < first + n; i++) times[i]++, tk_deal_step(d);
        assert_ok(tk_deal_next(d, &item));
        if (item >= 0) times[item]++, tk_deal_step(d);
        if (n == 0 && item < 0) break;
    }
    assert_ok(tk_deal_close(d, TK_OK));
    assert_ok(tk_comm_sum_u64(&world, times, N));
    for (int i = 0; i < N; i++) assert_int_equal(times[i], 1);
}

// However many items a group would take: it never gets more than its part of what is left.
static void less_towards_the_end(void **state)
{
    (void)state;
    enum { N = 40 };
    int64_t first, n;
    tk_deal *d;
    assert_ok(tk_deal_open(&world, tk_comm_self(), N, "test", "items", N, &d));
    for (;;) {
        assert_ok(tk_deal_next_few(d, N, &first, &n));
        if (n == 0) break;
        assert_true(n == 1 || n <= (N - first) / world.size);
        nap(1);
    }
    assert_ok(tk_deal_close(d, TK_OK));
}

// The last rank fails at its second item; the others have work for a quarter of an hour.
static void none_after_a_failure(void **state)
{
    (void)state;
    enum { N = 100000 };
    int64_t item, done = 0;
    tk_status st = TK_OK;
    tk_deal *d;
    const double begin = tk_now();
    assert_ok(tk_deal_open(&world, tk_comm_self(), N, "test", "items", N, &d));
    while (st == TK_OK && (st = tk_deal_next(d, &item)) == TK_OK && item >= 0) {
        nap(10);
        if (world.rank == world.size - 1 && ++done == 2) st = TK_FAIL(TK_IO, "disk full");
    }
    assert_status(tk_deal_close(d, st), TK_IO);
    assert_says("disk full");
    assert_true(tk_now() - begin < 10);
    tk_status_clear();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_once),
        cmocka_unit_test(less_towards_the_end),
        cmocka_unit_test(none_after_a_failure),
    };
    ranks_run(argc, argv, world, tests);
}
