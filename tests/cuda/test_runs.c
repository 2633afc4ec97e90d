// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 600 */
// Whole commands on an emulated GPU give what they give on the processor, in whatever order its
// streams run: of as many seeds as TK_TEST_SEEDS says, else 2.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { STEPS = 6 };
// Kernels run a fiber a thread: some of the tiny model will do.
#define SMALL                                                                                    \
    "model.layers=2 model.hidden=24 model.heads=2 model.head_dim=12 model.ffn=20 train.batch=2 " \
    "train.microbatch=1 train.steps=6"

static int seeds(void)
{
    const char *said = getenv("TK_TEST_SEEDS");
    return said ? atoi(said) : 2;
}

static void set_seed(int seed)
{
    char word[16];
    snprintf(word, sizeof word, "%d", seed);
    setenv("TK_CUDA_SEED", word, 1);
}

static void train(const char *out, const char *how)
{
    runs_expect(runs_talkie(1, "train tiny.yaml " SMALL " train.out=%s train.ema=0.9 %s", out, how),
                0, "");
}

static double furthest(const char *a, const char *b, int steps)
{
    runs_step x[RUNS_STEPS], y[RUNS_STEPS];
    double far = 0;
    assert_int_equal(runs_metrics(a, x), steps);
    assert_int_equal(runs_metrics(b, y), steps);
    for (int i = 0; i < steps; i++) {
        far = test_larger(far, fabs(x[i].loss - y[i].loss));
        far = test_larger(far, fabs(x[i].loss_video - y[i].loss_video));
        far = test_larger(far, fabs(x[i].loss_audio - y[i].loss_audio));
    }
    return far;
}

// `out` multiplies matrices by the algorithms that `like` has chosen: others give other bits.
static void choose_as(const char *out, const char *like)
{
    char command[128];
    snprintf(command, sizeof command, "mkdir -p %s && cp %s/choices.txt %s", out, like, out);
    runs_do(command);
}

// The same weights, averages and moments, to the bit.
static void assert_same_weights(const char *a, const char *b)
{
    static const char *const groups[] = {"model", "ema", "adam/m", "adam/v"};
    char path[2][64];
    snprintf(path[0], sizeof path[0], "%s/step-%08d.h5", a, STEPS);
    snprintf(path[1], sizeof path[1], "%s/step-%08d.h5", b, STEPS);
    for (int g = 0; g < 4; g++) assert_true(runs_distance(path[0], path[1], groups[g]) == 0);
}

static void losses_are_those_of_the_processor(void **state)
{
    (void)state;
    train("cpu", "device=cpu");
    for (int seed = 0; seed < seeds(); seed++) {
        char out[32];
        snprintf(out, sizeof out, "cuda%d", seed);
        set_seed(seed);
        if (seed > 0) choose_as(out, "cuda0");
        train(out, "device=cuda");
        assert_true(furthest("cpu", out, STEPS) <= 1e-5);
        assert_true(furthest("cuda0", out, STEPS) == 0);
        assert_same_weights("cuda0", out);
    }
}

// Within roundings of the processor's bf16, and of fp32 in what bf16 can tell.
static void losses_in_bf16_are_those_of_the_processor(void **state)
{
    (void)state;
    train("half", "device=cpu train.precision=bf16");
    for (int seed = 0; seed < seeds(); seed++) {
        char out[32];
        snprintf(out, sizeof out, "halfcuda%d", seed);
        set_seed(seed);
        if (seed > 0) choose_as(out, "halfcuda0");
        train(out, "device=cuda train.precision=bf16 train.recompute=blocks");
        assert_true(furthest("half", out, STEPS) <= 1e-4);
        assert_true(furthest("cpu", out, STEPS) <= 2e-2);
        assert_same_weights("halfcuda0", out);
    }
}

static void a_run_goes_on_to_the_same_bits(void **state)
{
    (void)state;
    set_seed(1);
    choose_as("parts", "cuda0");
    train("parts", "device=cuda train.checkpoint_every=3 train.keep=9");
    runs_do("rm parts/step-00000006.h5");
    set_seed(2);
    train("parts", "device=cuda");
    assert_true(furthest("cuda0", "parts", STEPS) == 0);
    assert_same_weights("cuda0", "parts");
}

// What was trained on one goes on on the other.
static void checkpoints_are_those_of_the_processor(void **state)
{
    (void)state;
    train("mixed", "device=cpu train.checkpoint_every=3 train.keep=9");
    runs_do("rm mixed/step-00000006.h5");
    train("mixed", "device=cuda");
    assert_true(furthest("cpu", "mixed", STEPS) <= 1e-5);
}

static void parity_holds(void **state)
{
    (void)state;
    static const char *const golden[] = {"documents", "odd", "sparse", "wide"};
    char root[2048];
    assert_non_null(getcwd(root, sizeof root));
    for (int k = 0; k < 4; k++) {
        set_seed(k);
        runs_expect(runs_talkie(1, "parity '%s/tests/golden/%s.h5' device=cuda", root, golden[k]),
                    0, "");
    }
}

static void a_failed_device_ends_the_run_in_words(void **state)
{
    (void)state;
    static const int at[] = {1, 50, 900};
    for (int k = 0; k < 3; k++) {
        char word[32];
        snprintf(word, sizeof word, "work:%d:700", at[k]);
        setenv("TK_CUDA_FAIL", word, 1);
        runs_expect(runs_talkie(1, "train tiny.yaml " SMALL " train.out=lost device=cuda"), 8,
                    "cudaErrorIllegalAddress");
        unsetenv("TK_CUDA_FAIL");
    }
    setenv("TK_CUDA_DRIVER", "0", 1);
    runs_expect(runs_talkie(1, "train tiny.yaml " SMALL " train.out=lost device=cuda"), 2,
                "has no NVIDIA driver");
    runs_expect(
        runs_talkie(1, "train tiny.yaml " SMALL " train.out=whole device=cpu train.steps=1"), 0,
        "");
    unsetenv("TK_CUDA_DRIVER");
    setenv("TK_CUDA_MEMORY", "1", 1);
    runs_expect(runs_talkie(1, "train tiny.yaml " SMALL " train.out=lost device=cuda"), 3,
                "training needs");
    unsetenv("TK_CUDA_MEMORY");
}

// Clips whose losses stay near 1: roundings are told in absolute numbers.
static int open_runs(void **state)
{
    runs_set_up(state);
    runs_expect(runs_talkie(1, "data world tiny.yaml world.seed=2 -o clips.h5"), 0, "");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_those_of_the_processor),
        cmocka_unit_test(losses_in_bf16_are_those_of_the_processor),
        cmocka_unit_test(a_run_goes_on_to_the_same_bits),
        cmocka_unit_test(checkpoints_are_those_of_the_processor),
        cmocka_unit_test(parity_holds),
        cmocka_unit_test(a_failed_device_ends_the_run_in_words),
    };
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
