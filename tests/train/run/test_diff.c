// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 90 */
// `talkie diff`: which options of two runs differ, and the exit code that says whether any do.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_runs(void **state)
{
    (void)state;
    runs_open();
    runs_expect(runs_talkie(1, "train tiny.yaml train.steps=1 train.out=a"), 0, "");
    runs_expect(runs_talkie(1, "train tiny.yaml train.steps=1 train.out=b train.log_every=5 "
                               "train.lr=0.5 sample.steps=3"),
                0, "");
    return 0;
}

static const char *const lines = "train.lr: 0.002 -> 0.5\n"
                                 "train.out: \"a\" -> \"b\"\n"
                                 "train.log_every: 1 -> 5\n"
                                 "sample.steps: 24 -> 3\n";

// Of several ranks mpirun puts what goes to stderr between lines of the other stream.
static void assert_lines_in_turn(int got, const char *output)
{
    static const char *const line[] = {"train.lr: 0.002 -> 0.5\n", "train.out: \"a\" -> \"b\"\n",
                                       "train.log_every: 1 -> 5\n", "sample.steps: 24 -> 3\n"};
    assert_int_equal(got, 1);
    for (int i = 0; i < 4; i++) {
        const char *at = strstr(output, line[i]);
        assert_non_null(at);
        assert_null(strstr(at + 1, line[i])); // rank 0 alone speaks
        output = at;
    }
}

static void differing_options_are_lines_binding_ones_first(void **state)
{
    static const char *const pairs[] = {"a b", "a/ b/step-00000001.h5",
                                        "a/step-00000001.h5 b/step-00000001.h5"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        runs_expect(runs_talkie(1, "diff %s", pairs[i]), 1, lines);
        assert_true(runs_said("differ in 4 options, 1 of which make another model"));
    }
    const int got = runs_talkie(2, "diff a b");
    assert_lines_in_turn(got, runs_output());
    runs_expect(runs_talkie(1, "diff b a"), 1, "train.lr: 0.5 -> 0.002\n");
}

static void equal_runs_are_silent(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "diff a a"), 0, "");
    assert_false(runs_said("->"));
    runs_expect(runs_talkie(2, "diff a/step-00000001.h5 a"), 0, "");
    assert_false(runs_said("->"));
}

static void what_is_no_run_is_named(void **state)
{
    static const struct {
        int ranks;
        const char *arguments, *words;
    } bad[] = {
        {1, "diff a", "a run directory or checkpoint is missing; usage: talkie diff RUN RUN"},
        {1, "diff a b a", "a: one file too many"},
        {2, "diff a nowhere", "cannot open nowhere, looked for from "},
        {1, "diff a .", "./config.yaml"},
        {1, "diff clips.h5 a", "clips.h5"},
        {1, "diff tiny.yaml a", "tiny.yaml"},
        {1, "diff a b train.lr=3", "train.lr: not an option of"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        runs_expect(runs_talkie(bad[i].ranks, "%s", bad[i].arguments), 2, bad[i].words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differing_options_are_lines_binding_ones_first),
        cmocka_unit_test(equal_runs_are_silent),
        cmocka_unit_test(what_is_no_run_is_named),
    };
    return cmocka_run_group_tests(tests, make_runs, runs_tear_down);
}
