// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// A step is judged while the next one is under way; checkpoints wait for the verdict.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <stdio.h>

// A run whose numbers go bad ends with the step in which they do: its line is the last one, and
// nothing of it is kept, however soon the next checkpoint would have been.
static void bad_numbers_are_never_kept(void **state)
{
    static const int every[] = {1, 2, 1000}, ranks[] = {1, 2, 2};
    (void)state;
    for (int i = 0; i < 3; i++) {
        runs_step step[RUNS_STEPS];
        char run[16];
        snprintf(run, sizeof run, "bad%d", i);
        const int code = runs_talkie(ranks[i],
                                     "train tiny.yaml train.out=%s train.lr=9 train.warmup=0 "
                                     "train.clip=0 train.checkpoint_every=%d train.keep=9",
                                     run, every[i]);
        runs_expect(code, 6, "not finite");
        const int n = runs_metrics(run, step);
        assert_in_range(n, 3, 8); // it takes some steps
        for (int k = 0; k < n; k++) {
            assert_int_equal(step[k].step, k + 1);
            assert_true((step[k].grad_norm > 0 && step[k].loss > 0) == (k + 1 < n)); // null: 0
        }
        const int kept = (n - 1) / every[i] * every[i];
        assert_int_equal(runs_newest(run), kept ? kept : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_numbers_are_never_kept),
    };
    return cmocka_run_group_tests(tests, runs_set_up, runs_tear_down);
}
