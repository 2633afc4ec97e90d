// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 400; cuda: too */
// Rows of tensor ranks in pieces, and messages of pipeline stages: moved beside the work or not, a
// run is the same to the bit, whatever the order in which the device does things; and pieces change
// what is computed by roundings alone.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "tests/support/tested.h"
#include <math.h>
#include <stdio.h>

enum { STEPS = 2 };

typedef struct layout {
    const char *name;
    int ranks;
    bool half;
    const char *options;
} layout;

static const layout layouts[] = {
    {"tensor 2", 2, false, "parallel.tensor=2 parallel.row_pieces=1"},
    {"tensor 4, bf16", 4, true, "parallel.tensor=4 parallel.row_pieces=1 train.precision=bf16"},
    {"pipeline 2", 2, false, "parallel.pipeline=2"},
    {"tensor 2 x pipeline 2", 4, false,
     "parallel.tensor=2 parallel.pipeline=2 parallel.row_pieces=1"},
    {"tensor 2 x pipeline 2 x data 2, backward in halves", 8, false,
     "parallel.tensor=2 parallel.pipeline=2 parallel.data=2 parallel.schedule=zb-h1 "
     "parallel.row_pieces=1"},
    {"tensor 3, in two pieces, recomputed", 3, false,
     "parallel.tensor=3 parallel.row_pieces=2 train.recompute=blocks"},
    {"pipeline 2, interleaved", 2, false,
     "parallel.pipeline=2 parallel.schedule=interleaved parallel.chunks=2"},
};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0], ON_GPUS = 4 }; // the first, where it is slow

static void train(const char *out, const char *device, int ranks, const char *options,
                  const char *beside)
{
    const int code = runs_talkie(ranks,
                                 "train small.yaml train.out=%s train.resume=false device=%s "
                                 "parallel.share_gpu=true train.steps=%d %s %s",
                                 out, device, STEPS, options, beside);
    runs_expect(code, 0, "");
}

static int open_runs(void **state)
{
    (void)state;
    runs_open_small("batch: 4, microbatch: 1");
    setenv("STANDIN_CUBLASLT_FAST", "4", 1); // what a run learns, all learn
    train("one", "cpu", 1, "", "");
    return 0;
}

static double relative(double a, double b)
{
    return fabs(a - b) / fabs(b);
}

static void is_the_same_run(void **state)
{
    static const char *const groups[] = {"model", "adam/m"};
    const layout *l = *state;
    const char *device = tested_is_cuda() ? "cuda" : "cpu";
    runs_step one[RUNS_STEPS], alone[RUNS_STEPS], beside[RUNS_STEPS];
    setenv("TK_CUDA_SEED", "3", 1);
    train("alone", device, l->ranks, l->options,
          "parallel.overlap_rows=false parallel.overlap_messages=false");
    setenv("TK_CUDA_SEED", "8", 1);
    train("beside", device, l->ranks, l->options, "");
    unsetenv("TK_CUDA_SEED");
    for (int g = 0; g < 2; g++)
        assert_true(runs_distance("alone/step-00000002.h5", "beside/step-00000002.h5", groups[g]) ==
                    0);
    assert_int_equal(runs_metrics("one", one), STEPS);
    assert_int_equal(runs_metrics("alone", alone), STEPS);
    assert_int_equal(runs_metrics("beside", beside), STEPS);
    for (int i = 0; i < STEPS; i++) {
        assert_true(beside[i].loss == alone[i].loss);
        assert_true(beside[i].grad_norm == alone[i].grad_norm);
        assert_near(relative(beside[i].loss, one[i].loss), 0, l->half ? 2e-2 : 1e-5);
        assert_near(relative(beside[i].grad_norm, one[i].grad_norm), 0, l->half ? 5e-2 : 1e-4);
    }
}

int main(void)
{
    struct CMUnitTest tests[LAYOUTS] = {{0}};
    const char *few = getenv("TK_TEST_LAYOUTS"); // the first ones alone
    const int all = tested_is_cuda() ? ON_GPUS : LAYOUTS;
    const int n = few && atoi(few) > 0 && atoi(few) < all ? atoi(few) : all;
    for (int i = 0; i < n; i++) {
        tests[i].name = layouts[i].name;
        tests[i].test_func = is_the_same_run;
        tests[i].initial_state = (void *)&layouts[i];
    }
    return _cmocka_run_group_tests("beside", tests, (size_t)n, open_runs, runs_tear_down);
}
