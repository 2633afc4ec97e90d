// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 600 */
// Training in graphs gives what it gives without, to the bit: in every kind of layout, over a
// restart, with more shapes than graphs; and what goes wrong in it is told.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <stdio.h>

enum { STEPS = 4, TURNS = 14 };

typedef struct layout {
    const char *name;
    int ranks;
    const char *options, *graphs; // of both; of the run in graphs
} layout;

// Of one clip; of six, whose captions have four lengths.
static const char config[] =
    "model: {hidden: 24, heads: 2, head_dim: 12, layers: 2, refiner_layers: 1, ffn: 20,\n"
    "  text_channels: 8, freq_dim: 8, time_hidden: 12, time_dim: 12, rope_freq_dim: 2,\n"
    "  video_channels: 8, audio_channels: 8}\n"
    "media: {width: 16, height: 16, fps: 4, sample_rate: 4000}\n"
    "codec: {patch_frames: 2, patch_size: 8, video_channels: 8, audio_hop: 400,\n"
    "  audio_channels: 8, fit_clips: 2}\n"
    "world: {seconds: 1, max_shots: 1}\n"
    "parallel: {threads: 1}\n"
    "data: {files: [one.h5]}\n"
    "train: {steps: 4, batch: 2, microbatch: 1, drop_caption: 0, memory: 0, warmup: 3,\n"
    "  lr: 1e-2, ema: 0.9}\n";

static const layout layouts[] = {
    {"one rank", 1, "", ""},
    {"tensor 2", 2, "parallel.tensor=2", ""},
    {"pipeline 2", 2, "parallel.pipeline=2 train.batch=3", ""},
    {"data 2, bf16, recomputation", 2,
     "parallel.data=2 train.precision=bf16 train.recompute=blocks", ""},
    {"tensor 2 x pipeline 2 x data 2, registered memory", 8,
     "parallel.tensor=2 parallel.pipeline=2 parallel.data=2", "parallel.register_buffers=true"},
};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0] };

// The same second of a film six times, whose captions have four lengths.
static void write_six(void)
{
    static const char *const caption[] = {"red", "owl", "two owls", "a bunny", "bunnies", "a hare"};
    char film[4096], command[8192], name[16];
    assert_non_null(realpath("tests/media/big-buck-bunny.mp4", film));
    for (int i = 0; i < 6; i++) {
        snprintf(command, sizeof command, "ln -sf '%s' %d.mp4", film, i);
        runs_do(command);
        snprintf(name, sizeof name, "%d.txt", i);
        runs_write(name, caption[i]);
    }
    runs_expect(runs_talkie(1, "data import small.yaml 0.mp4 1.mp4 2.mp4 3.mp4 4.mp4 5.mp4 "
                               "import.clip_seconds=5 import.min_seconds=5 -o six.h5"),
                0, "");
}

static int open_runs(void **state)
{
    (void)state;
    setenv("TALKIE_POISON", "1", 1);
    setenv("STANDIN_NCCL_TELL", "1", 1);
    runs_open();
    runs_write("small.yaml", config);
    runs_expect(runs_talkie(1, "data world small.yaml world.clips=1 -o one.h5"), 0, "");
    write_six();
    return 0;
}

static void set_seed(int seed)
{
    char word[16];
    snprintf(word, sizeof word, "%d", seed);
    setenv("TK_CUDA_SEED", word, 1);
}

// Into `out`, with the algorithms that `like` has chosen: others give other bits.
static void train(const char *out, const char *like, int ranks, const char *how)
{
    char command[128];
    snprintf(command, sizeof command,
             "rm -rf %s && mkdir %s && if [ -e %s/choices.txt ]; then cp %s/choices.txt %s; fi",
             out, out, like, like, out);
    if (*like) runs_do(command);
    runs_expect(runs_talkie(ranks,
                            "train small.yaml train.out=%s device=cuda parallel.share_gpu=true %s",
                            out, how),
                0, "");
}

static void assert_same(const char *a, const char *b, int steps)
{
    static const char *const groups[] = {"model", "ema", "adam/m", "adam/v"};
    runs_step x[RUNS_STEPS], y[RUNS_STEPS];
    char path[2][64];
    assert_int_equal(runs_metrics(a, x), steps);
    assert_int_equal(runs_metrics(b, y), steps);
    for (int i = 0; i < steps; i++) {
        assert_true(x[i].loss_video == y[i].loss_video && x[i].loss_audio == y[i].loss_audio);
        assert_true(x[i].grad_norm == y[i].grad_norm && x[i].skipped == y[i].skipped);
    }
    snprintf(path[0], sizeof path[0], "%s/step-%08d.h5", a, steps);
    snprintf(path[1], sizeof path[1], "%s/step-%08d.h5", b, steps);
    for (int g = 0; g < 4; g++) assert_true(runs_distance(path[0], path[1], groups[g]) == 0);
}

static void gives_the_same_bits(void **state)
{
    const layout *l = *state;
    char how[256];
    set_seed(1);
    runs_do("rm -rf asked");
    train("asked", "", l->ranks, l->options);
    snprintf(how, sizeof how, "%s train.graph=true %s", l->options, l->graphs);
    set_seed(l->ranks == 1 ? 0 : 7);
    train("graphs", "asked", l->ranks, how);
    assert_true(runs_said("graphs: 2 of 4 steps replayed (50%), 1 recorded"));
    assert_int_equal(runs_said("bytes in registered memory, 0 in other"), *l->graphs != 0);
    assert_same("asked", "graphs", STEPS);
}

// A new process begins with no graphs.
static void goes_on_to_the_same_bits(void **state)
{
    (void)state;
    set_seed(2);
    runs_do("rm -rf asked");
    train("asked", "", 1, "train.steps=7");
    train("parts", "asked", 1,
          "train.steps=7 train.graph=true train.checkpoint_every=3 train.keep=9");
    runs_do("rm parts/step-00000006.h5 parts/step-00000007.h5");
    set_seed(3);
    train("parts", "", 1, "train.steps=7 train.graph=true");
    assert_true(runs_said("graphs: 2 of 4 steps replayed (50%), 1 recorded"));
    assert_same("asked", "parts", 7);
}

// Four shapes, as the order of the clips has it, one clip a step. With one graph it makes way
// twice.
static void shapes_share_the_graphs(void **state)
{
    static const struct {
        const char *graphs, *said;
    } cases[] = {
        {"train.graphs=1", "graphs: 1 of 14 steps replayed (7%), 3 recorded"},
        {"train.graphs=2", "graphs: 5 of 14 steps replayed (36%), 2 recorded"},
        {"train.graphs=3", "graphs: 6 of 14 steps replayed (43%), 3 recorded"},
    };
    (void)state;
    set_seed(4);
    runs_do("rm -rf asked");
    train("asked", "", 1, "data.files=[six.h5] train.steps=14 train.batch=1");
    for (int k = 0; k < 3; k++) {
        char how[256];
        set_seed(5 * k);
        snprintf(how, sizeof how,
                 "data.files=[six.h5] train.steps=14 train.batch=1 train.graph=true %s",
                 cases[k].graphs);
        train("graphs", "asked", 1, how);
        if (!runs_said(cases[k].said)) runs_print();
        assert_true(runs_said(cases[k].said));
        assert_same("asked", "graphs", TURNS);
    }
}

static void what_goes_wrong_is_told(void **state)
{
    static const char go[] = "train small.yaml train.out=lost train.resume=false train.graph=true "
                             "parallel.share_gpu=true parallel.data=2";
    (void)state;
    set_seed(1);
    runs_expect(runs_talkie(1, "train small.yaml train.out=lost train.graph=true device=cpu"), 2,
                "train.graph: needs device=cuda");
    setenv("TK_CUDA_FAIL", "cudaGraphInstantiate:1:2", 1);
    runs_expect(runs_talkie(2, "%s device=cuda", go), 3, "making a graph of what was recorded");
    setenv("TK_CUDA_FAIL", "cudaGraphLaunch:2:700", 1);
    runs_expect(runs_talkie(2, "%s device=cuda", go), 8, "launching a graph");
    unsetenv("TK_CUDA_FAIL");
}

// Rank 2 alone cannot make its graph: one message, and nobody waits for it.
static void a_rank_that_cannot_record_tells_all(void **state)
{
    static const char go[] = "train small.yaml train.out=lost train.resume=false train.graph=true "
                             "parallel.share_gpu=true parallel.data=3 train.batch=3 device=cuda";
    char program[4096];
    const char *given = getenv("TALKIE");
    (void)state;
    assert_non_null(realpath(given ? given : "build/emulated/talkie", program));
    set_seed(1);
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1); // three ranks where two are counted
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 1);
    runs_expect(runs_talkie(2, "%s : -n 1 env TK_CUDA_FAIL=cudaGraphInstantiate:1:2 '%s' %s", go,
                            program, go),
                3, "talkie: rank 2: GPU 0 (emulated GPU): making a graph of what was recorded");
}

int main(void)
{
    enum { OTHERS = 4 };
    struct CMUnitTest tests[LAYOUTS + OTHERS] = {{0}};
    for (int i = 0; i < LAYOUTS; i++) {
        tests[i].name = layouts[i].name;
        tests[i].test_func = gives_the_same_bits;
        tests[i].initial_state = (void *)&layouts[i];
    }
    tests[LAYOUTS] = (struct CMUnitTest)cmocka_unit_test(goes_on_to_the_same_bits);
    tests[LAYOUTS + 1] = (struct CMUnitTest)cmocka_unit_test(shapes_share_the_graphs);
    tests[LAYOUTS + 2] = (struct CMUnitTest)cmocka_unit_test(what_goes_wrong_is_told);
    tests[LAYOUTS + 3] = (struct CMUnitTest)cmocka_unit_test(a_rank_that_cannot_record_tells_all);
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
