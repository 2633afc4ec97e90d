// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 300 */
// Sampling on an emulated GPU gives the processor's latents, and the same bits in whatever order
// its streams run.
#include "infer/story/story.h"
#include "parallel/mpi/start.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "tests/support/tested.h"
#include <stdio.h>
#include <unistd.h>

static tk_comm world;
static tk_arena arena;
static tk_config config;
static tk_story story;
static tk_references refs;
static tk_trained trained;

static void sample(tk_device_kind kind, tk_latents *x)
{
    tk_parallel_config p = {.device = kind, .tensor = 1, .pipeline = 1, .threads = 1};
    tk_mesh mesh;
    tk_session session;
    assert_ok(tk_mesh_open(&mesh, &world, &p, TK_AXIS_DATA));
    assert_ok(tk_session_open(&session, &mesh, &trained, &p, true));
    const tk_story_task task = {.config = &config, .story = &story, .refs = &refs};
    assert_ok(tk_story_sample(&session, &task, &arena, x));
    tk_session_close(&session);
    tk_mesh_close(&mesh);
}

static int set_up(void **state)
{
    static tk_shot_config shots[3] = {{.seconds = 0.5, .prompt = "one"},
                                      {.seconds = 0.5, .prompt = "another"},
                                      {.seconds = 0.5, .prompt = "the last"}};
    (void)state;
    runs_open();
    runs_expect(runs_talkie(1, "train tiny.yaml train.steps=3 device=cpu"), 0, "");
    if (chdir(runs_dir())) return 1;
    tk_arena_init(&arena, 0);
    assert_ok(tk_trained_open("run", "", &world, &arena, &trained));
    tk_config_init(&config);
    config.media.width = 32, config.media.height = 24;
    config.sample.window = 1; // of three shots the last is made with the one before as memory
    config.sample.steps = 8;
    config.sample.guidance = 2.5;
    config.story.seed = 11;
    config.story.shots = shots;
    config.story.n_shots = 3;
    assert_ok(tk_story_plan(&config, trained.meta.codec, &arena, &story));
    assert_ok(tk_references_read(&config, &story, trained.meta.codec, &arena, &refs));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tk_trained_close(&trained);
    tk_config_free(&config);
    tk_arena_free(&arena);
    runs_close();
    return 0;
}

static int64_t numbers_of(int m)
{
    const tk_codec_info *codec = tk_codec_get_info(trained.meta.codec);
    return m == TK_VIDEO ? story.grid.video_rows * codec->video_channels
                         : story.grid.audio_rows * story.channels * codec->audio_channels;
}

static void latents_are_those_of_the_processor(void **state)
{
    (void)state;
    tk_latents cpu, first, again;
    sample(TK_DEVICE_CPU, &cpu);
    standin_seed(0);
    sample(TK_DEVICE_CUDA, &first);
    for (int m = 0; m < TK_MODALITIES; m++) {
        double far = 0, all = 0;
        if (m == TK_TEXT) continue;
        for (int64_t i = 0; i < numbers_of(m); i++) {
            const double x = (double)cpu.rows[m][i], e = (double)first.rows[m][i] - x;
            far += e * e, all += x * x;
        }
        assert_true(all > 0 && far <= 1e-6 * all);
    }
    for (uint64_t seed = 1; seed < 3; seed++) {
        standin_seed(seed);
        sample(TK_DEVICE_CUDA, &again);
        for (int m = 0; m < TK_MODALITIES; m++)
            if (m != TK_TEXT)
                assert_memory_equal(again.rows[m], first.rows[m],
                                    (size_t)numbers_of(m) * sizeof(float));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(latents_are_those_of_the_processor)};
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    tk_parallel_stop();
    return failed;
}
