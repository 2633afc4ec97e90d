// SPDX-License-Identifier: Apache-2.0
// A thread that ticks: at once, again and again, and not after its end.
#include "core/base/log.h"
#include "core/base/ticker.h"
#include "tests/support/test.h"
#include <stdatomic.h>
#include <unistd.h>

static atomic_int ticks, inside;

static void tick(void *ctx)
{
    inside++;
    usleep(2000);
    ticks += *(int *)ctx;
    inside--;
}

static void wait_for(int n)
{
    for (int i = 0; i < 5000 && ticks < n; i++) usleep(1000);
    assert_true(ticks >= n);
}

static void ticks_again_and_again(void **state)
{
    (void)state;
    int by = 3;
    tk_ticker t;
    ticks = 0;
    const double begin = tk_now();
    assert_ok(tk_ticker_start(&t, 0.05, tick, &by));
    wait_for(3 * 5);
    assert_true(tk_now() - begin >= 4 * 0.05); // the first at once
    tk_ticker_stop(&t);
    assert_int_equal(inside, 0);
    const int then = ticks;
    usleep(200000);
    assert_int_equal(ticks, then);
    tk_ticker_stop(&t); // again: it is zeroed
}

// Neither the first tick nor the end wait for the time between ticks.
static void does_not_keep_who_ends_it_waiting(void **state)
{
    (void)state;
    int by = 1;
    tk_ticker t, never = {0};
    ticks = 0;
    const double begin = tk_now();
    assert_ok(tk_ticker_start(&t, 3600, tick, &by));
    wait_for(1);
    tk_ticker_stop(&t);
    assert_true(tk_now() - begin < 60);
    assert_int_equal(ticks, 1);
    tk_ticker_stop(&never);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_again_and_again),
        cmocka_unit_test(does_not_keep_who_ends_it_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
