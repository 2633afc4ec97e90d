// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 500 */
// Training on text features: the same on every layout, and something is learned from them.
#include "tests/support/clips.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

#define FEATURES \
    "model.text=features model.video_channels=5 model.audio_channels=6 model.text_channels=8 "

static void write_clips(const char *name, bool half, bool swapped)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", runs_dir(), name);
    assert_ok(test_write_featured_clips(tk_comm_self(), path, 12, half, swapped));
}

static int open_runs(void **state)
{
    (void)state;
    runs_open();
    write_clips("right.h5", false, false);
    write_clips("half.h5", true, false);
    write_clips("swapped.h5", false, true);
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=one data.files=right.h5 " FEATURES), 0,
                "");
    return 0;
}

static double relative(double a, double b)
{
    return fabs(a - b) / fabs(b);
}

static void same_as_one(const char *layout, int ranks, double tolerance)
{
    runs_step one[RUNS_STEPS], many[RUNS_STEPS];
    runs_expect(runs_talkie(ranks,
                            "train tiny.yaml train.out=many train.resume=false "
                            "data.files=right.h5 " FEATURES "%s",
                            layout),
                0, "");
    assert_int_equal(runs_metrics("one", one), 10);
    assert_int_equal(runs_metrics("many", many), 10);
    for (int i = 0; i < 10; i++) assert_near(relative(many[i].loss, one[i].loss), 0, tolerance);
    if (tolerance < 1e-6) assert_true(one[0].loss == many[0].loss);
    assert_near(runs_distance("one/step-00000010.h5", "many/step-00000010.h5", "model"), 0,
                10 * tolerance);
}

// Cut by blocks nothing is summed in another order but the norm of all gradients: the first loss is
// the same to the bit.
static void test_layouts(void **state)
{
    (void)state;
    same_as_one("parallel.pipeline=2", 2, 1e-7);
    same_as_one("parallel.tensor=2", 2, 1e-5);
    same_as_one("parallel.data=2", 2, 1e-5);
}

// Numbers of sixteen bits that are the same numbers are the same training.
static void test_half(void **state)
{
    runs_step one[RUNS_STEPS], half[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=half data.files=half.h5 " FEATURES), 0,
                "");
    runs_metrics("one", one);
    assert_int_equal(runs_metrics("half", half), 10);
    for (int i = 0; i < 10; i++) assert_true(one[i].loss == half[i].loss);
}

#define LEARN                                                            \
    "train tiny.yaml train.steps=60 train.lr=0.01 train.drop_caption=0 " \
    "train.time_mean=-6 train.microbatch=6 train.ema=0 " FEATURES

static double mean_of_last(const char *run)
{
    runs_step s[RUNS_STEPS];
    const int n = runs_metrics(run, s);
    double sum = 0;
    for (int i = n - 10; i < n; i++) sum += s[i].loss / 10;
    return sum;
}

// Which sign rows have is in the features of their clips and, where there is much noise, nowhere
// else. The same weights are worse on features of other clips.
static void test_learned(void **state)
{
    runs_step right[RUNS_STEPS], wrong[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(1, LEARN "train.out=learned data.files=right.h5"), 0, "");
    const char *from = "train.from=learned train.lr=0 train.steps=10";
    runs_expect(runs_talkie(1, LEARN "%s train.out=right data.files=right.h5", from), 0, "");
    runs_expect(runs_talkie(1, LEARN "%s train.out=wrong data.files=swapped.h5", from), 0, "");
    runs_metrics("learned", right);
    const double first = right[0].loss;
    assert_int_equal(runs_metrics("right", right), 10);
    assert_int_equal(runs_metrics("wrong", wrong), 10);
    const double with = mean_of_last("right"), without = mean_of_last("wrong");
    printf("loss %.3f before, %.3f with the right features, %.3f with wrong ones\n", first, with,
           without);
    assert_true(with < 0.8 * without);
    assert_true(with < 0.8 * first);
}

static void test_refused(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=x model.text=features"), 2,
                "clips.h5 holds captions only");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=x data.files=right.h5 " FEATURES
                               "model.text_channels=16"),
                2, "model.text_channels: 16, but the clips' text features are 8 wide");
    runs_expect(
        runs_talkie(1, "plan tiny.yaml data.files=right.h5 " FEATURES "model.text_channels=16"), 2,
        "text features are 8 wide");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layouts), cmocka_unit_test(test_half),
                                       cmocka_unit_test(test_learned),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
