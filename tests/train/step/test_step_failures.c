// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 120 */
// Training on a device that fails.
#include "core/device/trace.h"
#include "parallel/mpi/start.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "train/run/run.h"
#include <unistd.h>

static tk_comm world;

// A short run from the opening on, the n-th call of its device failing (0: none); how many calls
// it was.
static tk_status short_run(const tk_config *c, tk_train_parts *p, int64_t n, int64_t *calls)
{
    const int64_t before = tk_trace_count();
    tk_trainer t = {0};
    tk_status st = TK_OK;
    tk_trace_fail_at(n);
    TK_TRY_TO(st, done, tk_trainer_open(&t, c, &p->mesh, &p->device, p->loader));
    TK_TRY_TO(st, done, tk_trainer_init(&t));
    TK_TRY_TO(st, done, tk_trainer_start(&t, 0));
    for (int64_t s = 0; s < 2; s++) TK_TRY_TO(st, done, tk_trainer_step(&t, s, false, TK_OK));
    TK_TRY_TO(st, done, tk_trainer_drain(&t, false, TK_OK));
done:
    tk_trace_fail_at(0);
    *calls = tk_trace_count() - before;
    tk_trainer_close(&t);
    return st;
}

// Whatever call fails: the run ends by it, and leaves nothing on the device.
static void every_call_of_the_device_may_fail(void **state)
{
    (void)state;
    tk_config c;
    tk_train_parts p = {0};
    int64_t calls, made;
    runs_open();
    assert_int_equal(chdir(runs_dir()), 0);
    tk_config_init(&c);
    assert_ok(tk_config_load(&c, TK_CMD_TRAIN, "tiny.yaml", 0, NULL));
    c.train.batch = c.train.microbatch = 1;
    assert_ok(tk_train_parts_open(&p, &world, &c));
    assert_ok(short_run(&c, &p, 0, &calls));
    assert_true(calls > 500);
    for (int64_t n = 1; n <= calls; n++) {
        const tk_status st = short_run(&c, &p, n, &made);
        if (st != TK_INTERNAL && st != TK_MEMORY)
            fail_msg("call %d of %d: status %d", (int)n, (int)calls, st);
        assert_says("as a test wants it to");
        assert_int_equal(p.device.pool.in_use, 0);
    }
    tk_train_parts_close(&p);
    tk_config_free(&c);
    runs_close();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_of_the_device_may_fail),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tk_parallel_stop();
    return failed;
}
