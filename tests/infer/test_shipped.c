// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// The weights that ship: small enough to, whole, and what they make of the demo's storyboard are
// numbers and not all the same.
#include "infer/output/jobs.h"
#include "infer/story/story.h"
#include "parallel/mpi/start.h"
#include "tests/support/test.h"
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

static const off_t most_bytes = 24000000;
static const char storyboard[] = "configs/storyboards/walk.yaml";
static tk_comm world;
static glob_t shipped;

static int find_shipped(void **state)
{
    (void)state;
    return glob("weights/*.safetensors", 0, NULL, &shipped); // there are some
}

static void they_are_small(void **state)
{
    (void)state;
    for (size_t i = 0; i < shipped.gl_pathc; i++) {
        struct stat st;
        assert_int_equal(stat(shipped.gl_pathv[i], &st), 0);
        if (st.st_size > most_bytes)
            fail_msg("%s has %lld bytes", shipped.gl_pathv[i], (long long)st.st_size);
    }
}

static double mean_square(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum / (double)n;
}

static void expect_latents(const tk_job *job, const tk_latents *x)
{
    const tk_grid *g = &job->story.grid;
    const tk_codec_info *k = tk_codec_get_info(job->trained->meta.codec);
    const int64_t n[TK_MODALITIES] = {[TK_VIDEO] = g->video_rows * k->video_channels,
                                      [TK_AUDIO] =
                                          g->audio_rows * job->story.channels * k->audio_channels};
    for (int m = 0; m < TK_MODALITIES; m++) {
        if (!n[m]) continue;
        const double power = mean_square(x->rows[m], n[m]); // 1 in what the model was trained on
        if (!(power > 0.05 && power < 20)) fail_msg("latents of modality %d: power %g", m, power);
    }
}

static void expect_media(const tk_media *m)
{
    const int64_t values = m->frames * m->height * m->width * 3;
    int least = 255, most = 0;
    for (int64_t i = 0; i < values; i++) {
        least = m->rgb[i] < least ? m->rgb[i] : least;
        most = m->rgb[i] > most ? m->rgb[i] : most;
    }
    assert_true(most - least > 32);
    const double power = mean_square(m->pcm, m->samples * m->channels);
    if (!(power > 1e-8 && power < 1)) fail_msg("sound of power %g", power);
}

static void sample_job(const tk_job *job, tk_parallel_config *p, tk_arena *a)
{
    tk_mesh mesh;
    tk_session session;
    tk_references refs;
    tk_latents x;
    tk_media media;
    const tk_codec *codec = job->trained->meta.codec;
    assert_ok(tk_mesh_open(&mesh, &world, p, TK_AXIS_DATA));
    assert_ok(tk_session_open(&session, &mesh, job->trained, p, true));
    assert_ok(tk_session_load(&session));
    const tk_story_given_ranks ranks = {tk_comm_self(), NULL};
    assert_ok(tk_references_read(&job->config, &job->story, codec, "", &ranks, a, &refs));
    const tk_story_task task = {.config = &job->config, .story = &job->story, .refs = &refs};
    assert_ok(tk_story_sample(&session, &task, a, &x));
    expect_latents(job, &x);
    assert_ok(tk_story_decode(&job->story, codec, &x, &media));
    expect_media(&media);
    tk_media_free(&media);
    tk_session_close(&session);
    tk_mesh_close(&mesh);
}

static void they_sample(void **state)
{
    (void)state;
    for (size_t i = 0; i < shipped.gl_pathc; i++) {
        char checkpoint[512], *const overrides[] = {checkpoint, "sample.steps=1", "device=cpu",
                                                    "output=build/shipped"};
        tk_parallel_config p = {.tensor = 1, .pipeline = 1, .threads = 1};
        tk_jobs jobs;
        snprintf(checkpoint, sizeof checkpoint, "checkpoint=%s", shipped.gl_pathv[i]);
        assert_ok(tk_jobs_open(&jobs, &world, storyboard, 4, overrides));
        sample_job(&jobs.job[0], &p, &jobs.arena);
        tk_jobs_close(&jobs);
    }
}

// As it names them itself.
static void the_demo_finds_them(void **state)
{
    (void)state;
    char *const overrides[] = {"output=build/shipped"};
    tk_jobs jobs;
    assert_ok(tk_jobs_open(&jobs, &world, storyboard, 1, overrides));
    assert_string_equal(strrchr(jobs.job[0].trained->path, '/'), "/world.safetensors");
    tk_jobs_close(&jobs);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_small),
        cmocka_unit_test(they_sample),
        cmocka_unit_test(the_demo_finds_them),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, find_shipped, NULL);
    globfree(&shipped);
    tk_parallel_stop();
    return failed;
}
