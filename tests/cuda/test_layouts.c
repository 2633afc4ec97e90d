// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 400 */
// Training on emulated GPUs, in layouts that need every communicator: the losses and the weights of
// one rank on the processor, and not a bit of difference between two runs.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

enum { STEPS = 4 };

typedef struct layout {
    const char *name;
    int ranks;
    const char *options;
} layout;

static const layout layouts[] = {
    {"tensor 2", 2, "parallel.tensor=2"},
    {"pipeline 2", 2, "parallel.pipeline=2"},
    {"pipeline 2, interleaved", 2,
     "parallel.pipeline=2 parallel.schedule=interleaved parallel.chunks=2"},
    {"pipeline 2, backward in halves", 2, "parallel.pipeline=2 parallel.schedule=zb-h1"},
    {"data 2", 2, "parallel.data=2 train.bucket=1"},
    {"tensor 2 x pipeline 2 x data 2", 8,
     "parallel.tensor=2 parallel.pipeline=2 parallel.data=2 train.bucket=1"},
};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0] };

static int open_runs(void **state)
{
    (void)state;
    runs_open_small("steps: 4, batch: 2, microbatch: 1");
    runs_expect(runs_talkie(1, "train small.yaml train.out=one device=cpu"), 0, "");
    return 0;
}

static double relative(double a, double b)
{
    return fabs(a - b) / fabs(b);
}

static void train_on_gpus(const layout *l, const char *out)
{
    const int code = runs_talkie(l->ranks,
                                 "train small.yaml train.out=%s train.resume=false device=cuda "
                                 "parallel.share_gpu=true %s",
                                 out, l->options);
    runs_expect(code, 0, "");
}

static void computes_what_the_processor_computes(void **state)
{
    const layout *l = *state;
    runs_step one[RUNS_STEPS], many[RUNS_STEPS];
    train_on_gpus(l, "many");
    assert_int_equal(runs_metrics("one", one), STEPS);
    assert_int_equal(runs_metrics("many", many), STEPS);
    for (int i = 0; i < STEPS; i++) {
        assert_near(relative(many[i].loss, one[i].loss), 0, 1e-5);
        assert_near(relative(many[i].grad_norm, one[i].grad_norm), 0, 1e-4);
    }
    assert_near(runs_distance("one/step-00000004.h5", "many/step-00000004.h5", "model"), 0, 1e-4);
}

// What goes beside the work waits for it, and is waited for; streams and threads take another
// order. (Of more orders without a whole run each: test_schedules.)
static void is_the_same_run_without_overlap(void **state)
{
    static const layout beside = {"", 2, "parallel.data=2 train.bucket=1"},
                        after = {"", 2,
                                 "parallel.data=2 train.bucket=1 parallel.overlap_gradients=false "
                                 "parallel.overlap_weights=false"};
    (void)state;
    setenv("STANDIN_CUBLASLT_FAST", "4", 1); // the same choice of algorithms
    setenv("TK_CUDA_SEED", "11", 1);
    train_on_gpus(&after, "after");
    setenv("TK_CUDA_SEED", "2", 1);
    train_on_gpus(&beside, "beside");
    unsetenv("TK_CUDA_SEED");
    assert_true(runs_distance("after/step-00000004.h5", "beside/step-00000004.h5", "model") == 0);
}

int main(void)
{
    struct CMUnitTest tests[LAYOUTS + 1] = {{0}};
    for (int i = 0; i < LAYOUTS; i++) {
        tests[i].name = layouts[i].name;
        tests[i].test_func = computes_what_the_processor_computes;
        tests[i].initial_state = (void *)&layouts[i];
    }
    tests[LAYOUTS] = (struct CMUnitTest)cmocka_unit_test(is_the_same_run_without_overlap);
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
