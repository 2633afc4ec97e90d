// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 180 */
// Whole runs in bf16: near those in fp32, the same on any layout but for roundings, the same bits
// for any number of threads and after any stop.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

enum { STEPS = 10 };

// Measured: bf16 is up to 1.6e-4 from fp32, and layouts up to 6e-5 from one rank, over these steps.
static const double near_fp32 = 1e-3, near_one = 3e-4;

static int open_runs(void **state)
{
    (void)state;
    runs_open();
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=full"), 0, "");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=half train.precision=bf16"), 0, "");
    return 0;
}

static int close_runs(void **state)
{
    (void)state;
    runs_close();
    return 0;
}

// Largest relative difference of losses; -1 if all are the same to the bit.
static double distance(const char *a, const char *b)
{
    runs_step one[RUNS_STEPS], other[RUNS_STEPS];
    double most = -1;
    assert_int_equal(runs_metrics(a, one), STEPS);
    assert_int_equal(runs_metrics(b, other), STEPS);
    for (int i = 0; i < STEPS; i++) {
        if (one[i].loss == other[i].loss && one[i].grad_norm == other[i].grad_norm) continue;
        most = test_larger(most, fabs(one[i].loss / other[i].loss - 1));
    }
    return most;
}

static void it_is_another_precision_and_near(void **state)
{
    (void)state;
    const double d = distance("half", "full");
    assert_true(d > 0 && d < near_fp32);
    assert_true(runs_distance("half/step-00000010.h5", "full/step-00000010.h5", "model") > 0);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=threads train.precision=bf16 "
                               "parallel.threads=16"),
                0, "");
    assert_true(distance("threads", "half") < 0);
    assert_true(runs_distance("threads/step-00000010.h5", "half/step-00000010.h5", "model") == 0);
}

static void any_layout(void **state)
{
    static const struct {
        int ranks;
        const char *options;
    } layout[] = {
        {2, "parallel.tensor=2"},
        {3, "parallel.tensor=3"},
        {2, "parallel.pipeline=2"},
        {2, "parallel.data=2"},
        {4, "parallel.data=2 parallel.pipeline=2 parallel.schedule=zb-h1 train.microbatch=1"},
        {4, "parallel.data=2 parallel.tensor=2 train.recompute=blocks"},
        {2, "parallel.pipeline=2 parallel.schedule=interleaved parallel.chunks=2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof layout / sizeof *layout; i++) {
        runs_expect(runs_talkie(layout[i].ranks,
                                "train tiny.yaml train.out=many train.resume=false "
                                "train.precision=bf16 %s",
                                layout[i].options),
                    0, "");
        const double d = distance("many", "half");
        if (d > near_one) fail_msg("%s: losses differ by %g", layout[i].options, d);
    }
}

// The checkpoint holds fp32 masters: a run goes on from them as if it had not stopped, also where
// they are shared out, and where copies of a weight on several ranks have masters of their own.
static void going_on_is_not_having_stopped(void **state)
{
    static const char *const options[] = {"", "parallel.data=2 parallel.tensor=2"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        const int ranks = i ? 4 : 1;
        const char *const common = "train tiny.yaml train.precision=bf16 train.resume=true "
                                   "train.keep=5 train.checkpoint_every=5";
        char command[4200];
        runs_expect(runs_talkie(ranks, "%s train.out=whole%d %s", common, i, options[i]), 0, "");
        snprintf(command, sizeof command, "cp -r '%s'/whole%d '%s'/cut%d && rm '%s'/cut%d/*10.h5",
                 runs_dir(), i, runs_dir(), i, runs_dir(), i);
        assert_int_equal(system(command), 0);
        runs_expect(runs_talkie(ranks, "%s train.out=cut%d %s", common, i, options[i]), 0,
                    "resuming");
        char whole[32], cut[32];
        snprintf(whole, sizeof whole, "whole%d", i);
        snprintf(cut, sizeof cut, "cut%d", i);
        assert_true(distance(whole, cut) < 0);
        snprintf(whole, sizeof whole, "whole%d/step-00000010.h5", i);
        snprintf(cut, sizeof cut, "cut%d/step-00000010.h5", i);
        static const char *const groups[] = {"model", "adam/m", "adam/v", "ema"};
        for (int g = 0; g < 4; g++) assert_true(runs_distance(whole, cut, groups[g]) == 0);
    }
}

static void another_precision_is_another_run(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=half train.steps=12"), 2,
                "train.precision");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=half train.steps=12 "
                               "train.changes=allow"),
                0, "train.precision");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_another_precision_and_near),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(any_layout),
        cmocka_unit_test(going_on_is_not_having_stopped),
        cmocka_unit_test(another_precision_is_another_run),
    };
    return cmocka_run_group_tests(tests, open_runs, close_runs);
}
