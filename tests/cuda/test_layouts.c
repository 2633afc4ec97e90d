// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 400 */
// Training on emulated GPUs, in layouts that need every communicator: the losses and the weights of
// one rank on the processor, and not a bit of difference between two runs.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

typedef struct layout {
    const char *name;
    int ranks, steps;
    const char *options;
} layout;

// As small as runs go: kernels run a thread at a time here.
static const char config[] =
    "model: {hidden: 24, heads: 2, head_dim: 12, layers: 2, refiner_layers: 1, ffn: 20,\n"
    "  text_channels: 8, freq_dim: 8, time_hidden: 12, time_dim: 12, rope_freq_dim: 2,\n"
    "  video_channels: 8, audio_channels: 8}\n"
    "media: {width: 16, height: 16, fps: 4, sample_rate: 4000}\n"
    "codec: {patch_frames: 2, patch_size: 8, video_channels: 8, audio_hop: 400,\n"
    "  audio_channels: 8, fit_clips: 4}\n"
    "world: {clips: 6, seconds: 1, max_shots: 2}\n"
    "parallel: {threads: 1}\n"
    "data: {files: [small.h5]}\n"
    "train: {steps: 10, batch: 2, microbatch: 1}\n";

static const layout layouts[] = {
    {"tensor 2", 2, 10, "parallel.tensor=2"},
    {"pipeline 2", 2, 10, "parallel.pipeline=2"},
    {"pipeline 2, interleaved", 2, 4,
     "parallel.pipeline=2 parallel.schedule=interleaved parallel.chunks=2"},
    {"pipeline 2, backward in halves", 2, 4, "parallel.pipeline=2 parallel.schedule=zb-h1"},
    {"data 2", 2, 10, "parallel.data=2 train.bucket=1"},
    {"tensor 2 x pipeline 2 x data 2", 8, 10,
     "parallel.tensor=2 parallel.pipeline=2 parallel.data=2 train.bucket=1"},
};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0] };

static int open_runs(void **state)
{
    (void)state;
    runs_open();
    runs_write("small.yaml", config);
    runs_expect(runs_talkie(1, "data world small.yaml -o small.h5"), 0, "");
    for (int steps = 4; steps <= 10; steps += 6)
        runs_expect(runs_talkie(1, "train small.yaml train.out=one%d train.steps=%d device=cpu",
                                steps, steps),
                    0, "");
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
                                 "parallel.share_gpu=true train.steps=%d %s",
                                 out, l->steps, l->options);
    runs_expect(code, 0, "");
}

static void computes_what_the_processor_computes(void **state)
{
    const layout *l = *state;
    runs_step one[RUNS_STEPS], many[RUNS_STEPS];
    char name[32], file[64], last[64];
    snprintf(name, sizeof name, "one%d", l->steps);
    snprintf(file, sizeof file, "%s/step-%08d.h5", name, l->steps);
    snprintf(last, sizeof last, "many/step-%08d.h5", l->steps);
    train_on_gpus(l, "many");
    assert_int_equal(runs_metrics(name, one), l->steps);
    assert_int_equal(runs_metrics("many", many), l->steps);
    for (int i = 0; i < l->steps; i++) {
        assert_near(relative(many[i].loss, one[i].loss), 0, 1e-5);
        assert_near(relative(many[i].grad_norm, one[i].grad_norm), 0, 1e-4);
    }
    assert_near(runs_distance(file, last, "model"), 0, 1e-4);
}

// In another order of streams and of threads, with the same choice of algorithms.
static void is_the_same_run_again(void **state)
{
    static const layout l = {"", 2, 3, "parallel.pipeline=2"};
    (void)state;
    setenv("STANDIN_CUBLASLT_FAST", "4", 1);
    setenv("TK_CUDA_SEED", "11", 1);
    train_on_gpus(&l, "first");
    setenv("TK_CUDA_SEED", "0", 1);
    train_on_gpus(&l, "again");
    unsetenv("TK_CUDA_SEED");
    assert_true(runs_distance("first/step-00000003.h5", "again/step-00000003.h5", "model") == 0);
}

// What goes beside the work waits for it, and is waited for, whatever stream is late.
static void is_the_same_run_without_overlap(void **state)
{
    static const layout beside = {"", 2, 3, "parallel.data=2 train.bucket=1"},
                        after = {"", 2, 3,
                                 "parallel.data=2 train.bucket=1 parallel.overlap_gradients=false "
                                 "parallel.overlap_weights=false"};
    (void)state;
    setenv("STANDIN_CUBLASLT_FAST", "4", 1);
    train_on_gpus(&after, "after");
    for (int seed = 0; seed < 3; seed++) {
        char text[8];
        snprintf(text, sizeof text, "%d", seed);
        setenv("TK_CUDA_SEED", text, 1);
        train_on_gpus(&beside, "beside");
        assert_true(runs_distance("after/step-00000003.h5", "beside/step-00000003.h5", "model") ==
                    0);
    }
    unsetenv("TK_CUDA_SEED");
}

int main(void)
{
    struct CMUnitTest tests[LAYOUTS + 2] = {{0}};
    for (int i = 0; i < LAYOUTS; i++) {
        tests[i].name = layouts[i].name;
        tests[i].test_func = computes_what_the_processor_computes;
        tests[i].initial_state = (void *)&layouts[i];
    }
    tests[LAYOUTS] = (struct CMUnitTest)cmocka_unit_test(is_the_same_run_again);
    tests[LAYOUTS + 1] = (struct CMUnitTest)cmocka_unit_test(is_the_same_run_without_overlap);
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
