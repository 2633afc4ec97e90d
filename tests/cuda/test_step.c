// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 300 */
// A training step on an emulated GPU: what it makes the host wait for, and that it tells the same
// whatever is late.
#include "core/device/trace.h"
#include "parallel/mpi/start.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "tests/support/tested.h"
#include "train/run/run.h"
#include <unistd.h>

static tk_config config;
static tk_comm world;

static int open_config(void **state)
{
    (void)state;
    runs_open();
    setenv("TALKIE_POISON", "1", 1);
    if (chdir(runs_dir())) return 1;
    tk_config_init(&config);
    assert_ok(tk_config_load(&config, TK_CMD_TRAIN, "tiny.yaml", 0, NULL));
    config.parallel.device = TK_DEVICE_CUDA;
    config.train.batch = 2;
    config.train.microbatch = 1;
    config.model.layers = 1;
    return 0;
}

static int close_config(void **state)
{
    (void)state;
    tk_config_free(&config);
    runs_close();
    return 0;
}

// The host waits once a step, for the end of the step before; nothing of what it asks for makes a
// real device wait: from the fifth step on no memory is made (two stagings, each of which needs its
// largest block), and what crosses over is pinned.
static void a_step_waits_once(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        tk_config c = config;
        tk_train_parts p = {0};
        tk_trainer t;
        c.train.precision = half ? TK_PRECISION_BF16 : TK_PRECISION_FP32;
        standin_seed((uint64_t)half); // 0: all that is asked for waits
        assert_ok(tk_train_parts_open(&p, &world, &c));
        assert_ok(tk_trainer_open(&t, &c, &p.mesh, &p.device, p.loader));
        assert_ok(tk_trainer_init(&t));
        assert_ok(tk_trainer_start(&t, 0));
        const int64_t *calls = p.device.trace.calls, syncs = calls[TK_TRACE_SYNC];
        for (int64_t s = 0; s < 6; s++) {
            const int64_t waits = calls[TK_TRACE_HOST_WAIT];
            const standin_counts before = standin_count();
            assert_ok(tk_trainer_step(&t, s, false, TK_OK));
            const standin_counts after = standin_count();
            assert_int_equal(calls[TK_TRACE_HOST_WAIT] - waits, s > 0);
            assert_int_equal(calls[TK_TRACE_SYNC], syncs);
            assert_int_equal(after.pageable - before.pageable, 0);
            if (s >= 4) assert_int_equal(after.allocations - before.allocations, 0);
        }
        assert_ok(tk_trainer_drain(&t, false, TK_OK));
        tk_trainer_close(&t);
        assert_int_equal(p.device.pool.in_use, 0);
        tk_train_parts_close(&p);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_step_waits_once)};
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, open_config, close_config);
    tk_parallel_stop();
    return failed;
}
