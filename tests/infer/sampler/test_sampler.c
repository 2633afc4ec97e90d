// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3 4; timeout: 60 */
// The sampler: the same seed gives the same clip on every layout; noise is what it is keyed to be;
// given rows stay as they were given.
#include "core/device/trace.h"
#include "core/numbers/rng.h"
#include "infer/story/story.h"
#include "parallel/mpi/comm.h"
#include "parallel/mpi/start.h"
#include "tests/support/clips.h"
#include "tests/support/deferred.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static tk_comm world;
static char dir[256], path[512], zero_path[512], picture[512]; // shared by the ranks
static tk_arena arena;
static tk_config config; // of the storyboard
static tk_story story;

static const char yaml[] =
    "model: {hidden: 24, heads: 3, head_dim: 14, layers: 4, "
    "refiner_layers: 1, ffn: 21,\n"
    "  video_channels: 5, audio_channels: 6, text_channels: 8, freq_dim: 8,\n"
    "  time_hidden: 12, time_dim: 10, rope_freq_dim: 2}\n";

// A checkpoint of random weights, or of a model whose velocity is nothing. Every rank holds all.
static void save_model(const char *to, bool random)
{
    tk_parallel_config p = {.tensor = 1, .pipeline = 1};
    tk_mesh mesh;
    tk_device device;
    tk_model model;
    tk_config c;
    tk_config_init(&c);
    assert_ok(tk_config_parse(&c, TK_CMD_PLAN, "test", yaml, strlen(yaml), 0, NULL));
    assert_ok(tk_mesh_open(&mesh, &world, &p, TK_AXIS_DATA));
    assert_ok(tk_device_open(&device, &tk_device_cpu, 1, (size_t)1 << 30));
    assert_ok(tk_mesh_attach(&mesh, &device));
    assert_ok(tk_model_open(
        &model, &c.model,
        &(tk_model_part){.device = &device, .tensor = &mesh.axis[TK_AXIS_TENSOR].device}));
    assert_ok(tk_model_init_weights(&model, 5));
    for (int i = 0; i < model.n_weights && random; i++) {
        const tk_param_spec *s = &model.table.spec[model.weight[i].spec];
        float *w = tk_alloc((size_t)(s->rows * s->cols) * sizeof *w);
        assert_non_null(w);
        tk_rng_fill_normal(tk_rng_key(9, TK_RNG_TEST, (uint64_t)i), 0, w, s->rows * s->cols,
                           s->ndim == 1 ? 0.2f : 1 / sqrtf((float)s->cols));
        for (int64_t k = 0; k < s->rows && s->ndim == 1; k++) w[k] += 1;
        assert_ok(tk_model_set(&model, i, w));
        assert_ok(tk_device_sync(&device));
        tk_free(w);
    }
    tk_codec *codec = test_codec(1);
    const tk_flat flat = {"model", model.values, &model.whole, 1,
                          mesh.axis[TK_AXIS_DATA].rank == 0};
    const tk_checkpoint_meta meta = {.step = 1, .config = (char *)yaml, .codec = codec};
    assert_ok(tk_checkpoint_save(to, &mesh, &model, 1, &flat, &meta));
    tk_codec_free(codec);
    tk_model_close(&model);
    tk_mesh_close(&mesh);
    tk_device_close(&device);
    tk_config_free(&c);
}

// Three shots of 0.5 s in windows of 1 s: two made together, the third with one as memory; a
// picture as reference.
static void plan(const tk_codec *codec)
{
    static char *references[1] = {picture};
    static tk_shot_config shots[3] = {{.seconds = 0.5, .prompt = "one"},
                                      {.seconds = 0.5, .prompt = "another"},
                                      {.seconds = 0.5, .prompt = "the last"}};
    tk_config_init(&config);
    config.media.width = config.media.height = 8;
    config.sample.window = 1;
    config.sample.steps = 5;
    config.sample.guidance = 2.5;
    config.sample.video_shift = 3;
    config.sample.audio_shift = 2;
    config.story.seed = 11;
    config.story.shots = shots;
    config.story.n_shots = 3;
    config.story.references = references;
    config.story.n_references = 1;
    assert_ok(tk_story_plan(&config, codec, &arena, &story));
    assert_int_equal(story.n_windows, 2);
}

static tk_status put_bytes(const tk_file *f, const void *bytes, size_t n)
{
    return tk_pwrite_all(f->fd, f->path, bytes, n, 0);
}

static int set_up(void **state)
{
    (void)state;
    char ppm[11 + 8 * 8 * 3] = "P6\n8 8\n255\n";
    tk_arena_init(&arena, 0);
    snprintf(dir, sizeof dir, "/tmp/talkie-sampler-XXXXXX");
    if (world.rank == 0 && !mkdtemp(dir)) return -1;
    assert_ok(tk_comm_broadcast(&world, dir, sizeof dir, 0));
    snprintf(path, sizeof path, "%s/model.h5", dir);
    snprintf(zero_path, sizeof zero_path, "%s/zero.h5", dir);
    snprintf(picture, sizeof picture, "%s/reference.ppm", dir);
    for (size_t i = 11; i < sizeof ppm; i++) ppm[i] = (char)((i - 11) * 37);
    if (world.rank == 0) assert_ok(whole_file(put_bytes, picture, ppm, sizeof ppm));
    save_model(path, true);
    save_model(zero_path, false);
    tk_codec *codec = test_codec(1);
    plan(codec);
    tk_codec_free(codec);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_ok(tk_comm_barrier(&world));
    if (world.rank == 0) {
        unlink(path), unlink(zero_path), unlink(picture);
        rmdir(dir);
    }
    tk_config_free(&config);
    tk_arena_free(&arena);
    return 0;
}

static int64_t rows_of(int m)
{
    return m == TK_VIDEO ? story.grid.video_rows * 5 : story.grid.audio_rows * story.channels * 6;
}

// Samples the storyboard on a layout, on a device that runs behind (`behind` > 0) and refuses the
// n-th thing that is asked of it (`behind` > 1).
static tk_status sample_on(const char *from, int tensor, int pipeline, int64_t behind,
                           tk_latents *x, bool *holds)
{
    tk_parallel_config p = {.tensor = tensor, .pipeline = pipeline, .threads = 1};
    tk_mesh mesh;
    tk_trained trained;
    tk_session session;
    tk_references refs;
    assert_ok(tk_trained_open(from, "", &world, &arena, &trained));
    assert_ok(tk_mesh_open(&mesh, &world, &p, TK_AXIS_DATA));
    assert_ok(tk_session_open(&session, &mesh, &trained, &p, true));
    assert_ok(tk_references_read(&config, &story, trained.meta.codec, &arena, &refs));
    assert_int_equal(refs.ref[0].latents, 1);
    assert_int_equal(refs.ref[0].audio_rows, 0);
    if (behind) deferred_start(&session.device, &mesh, 0);
    tk_trace_fail_at(behind > 1 ? behind : 0);
    const tk_story_task task = {.config = &config, .story = &story, .refs = &refs};
    const tk_status st = tk_story_sample(&session, &task, &arena, x);
    tk_trace_fail_at(0);
    *holds = mesh.axis[TK_AXIS_PIPELINE].rank == 0;
    tk_session_close(&session);
    tk_trained_close(&trained);
    tk_mesh_close(&mesh);
    if (behind) assert_int_equal(deferred_faults(), 0);
    return st;
}

// False where this rank holds no latents.
static bool sample(const char *from, int tensor, int pipeline, tk_latents *x)
{
    bool holds;
    assert_ok(sample_on(from, tensor, pipeline, 0, x, &holds));
    return holds;
}

static double distance(const tk_latents *x, const tk_latents *y, int m)
{
    double d = 0, n = 0;
    for (int64_t i = 0; i < rows_of(m); i++) {
        const double e = (double)x->rows[m][i] - (double)y->rows[m][i];
        d += e * e;
        n += (double)y->rows[m][i] * (double)y->rows[m][i];
    }
    return sqrt(d / n);
}

static void every_layout_gives_the_same_clip(void **state)
{
    (void)state;
    tk_latents whole, x;
    assert_true(sample(path, 1, 1, &whole)); // every rank by itself
    for (int t = 1; t <= world.size; t++)
        for (int p = 1; p <= world.size / t; p++) {
            if (world.size % (t * p)) continue;
            if (!sample(path, t, p, &x)) continue;
            const double video = distance(&x, &whole, TK_VIDEO);
            const double audio = distance(&x, &whole, TK_AUDIO);
            if (!(video <= 1e-4) || !(audio <= 1e-4))
                fail_msg("tensor %d x pipeline %d: video off by %.2e, audio by %.2e", t, p, video,
                         audio);
        }
}

static void host_memory_stays_until_the_device_has_read_it(void **state)
{
    (void)state;
    const int layout[3][2] = {{1, 1}, {world.size, 1}, {1, world.size}};
    for (int k = 0; k < (world.size > 1 ? 3 : 1); k++) {
        tk_latents at_once, behind;
        bool holds;
        sample(path, layout[k][0], layout[k][1], &at_once);
        assert_ok(sample_on(path, layout[k][0], layout[k][1], 1, &behind, &holds));
        for (int m = 0; m < TK_MODALITIES && holds; m++)
            if (m != TK_TEXT)
                assert_memory_equal(at_once.rows[m], behind.rows[m],
                                    (size_t)rows_of(m) * sizeof(float));
    }
    for (int64_t n = 2; n < 1000 && world.size == 1; n = 2 * n + 5) {
        tk_latents x;
        bool holds;
        assert_true(sample_on(path, 1, 1, n, &x, &holds) != TK_OK);
        assert_says("as a test wants it to");
    }
}

// A model with no velocity leaves the noise as it was: element i of shot k is a number of its own.
static void noise_is_keyed_by_seed_and_shot(void **state)
{
    (void)state;
    tk_latents x;
    if (!sample(zero_path, world.size, 1, &x)) return;
    for (int k = 0; k < story.n_shots; k++)
        for (int m = 0; m < TK_MODALITIES; m++) {
            if (m == TK_TEXT) continue;
            const tk_story_shot *s = &story.shot[k];
            const int64_t each =
                m == TK_VIDEO ? story.grid.high * story.grid.wide * 5 : story.channels * 6;
            const int64_t first = m == TK_VIDEO ? s->first_latent : s->first_audio;
            const int64_t n = each * (m == TK_VIDEO ? s->latents : s->audio_rows);
            const tk_key key = tk_rng_key(11, TK_RNG_NOISE, (uint64_t)(2 * k + (m == TK_AUDIO)));
            for (int64_t i = 0; i < n; i++)
                assert_near((double)x.rows[m][first * each + i], tk_rng_normal(key, (uint64_t)i),
                            1e-5);
        }
}

// What comes later, and another caption of it, changes nothing of shots made before; what is given
// as memory does change what is made after it.
static void memory_matters(void **state)
{
    (void)state;
    tk_latents x, y;
    if (!sample(path, world.size, 1, &x)) return;
    char *const last = story.shot[2].caption, *const first = story.shot[0].caption;
    story.shot[2].caption = "something else";
    assert_true(sample(path, world.size, 1, &y));
    story.shot[2].caption = last;
    const int64_t cut = story.shot[2].first_latent * story.grid.high * story.grid.wide * 5;
    assert_memory_equal(x.rows[TK_VIDEO], y.rows[TK_VIDEO], (size_t)cut * sizeof(float));
    assert_true(memcmp(x.rows[TK_VIDEO] + cut, y.rows[TK_VIDEO] + cut,
                       (size_t)(rows_of(TK_VIDEO) - cut) * sizeof(float)) != 0);
    story.shot[0].caption = "something else"; // not in the last window; its latents' heirs are
    assert_true(sample(path, world.size, 1, &y));
    story.shot[0].caption = first;
    assert_true(memcmp(x.rows[TK_VIDEO] + cut, y.rows[TK_VIDEO] + cut,
                       (size_t)(rows_of(TK_VIDEO) - cut) * sizeof(float)) != 0);
}

static void schedules_end_where_they_should(void **state)
{
    (void)state;
    for (double shift = 1; shift < 13; shift += 5.5) {
        assert_near(tk_sigma(0, 24, shift), 1, 1e-12);
        assert_near(tk_sigma(24, 24, shift), 0, 1e-12);
        for (int k = 0; k < 24; k++)
            assert_true(tk_sigma(k, 24, shift) > tk_sigma(k + 1, 24, shift));
    }
    assert_near(tk_sigma(12, 24, 1), 0.5, 1e-12);
    assert_near(tk_sigma(12, 24, 3), 0.75, 1e-12);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_gives_the_same_clip),
        cmocka_unit_test(host_memory_stays_until_the_device_has_read_it),
        cmocka_unit_test(noise_is_keyed_by_seed_and_shot),
        cmocka_unit_test(memory_matters),
        cmocka_unit_test(schedules_end_where_they_should),
    };
    setenv("TALKIE_COMM_TIMEOUT", "20", 0);
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    if (failed) tk_parallel_abort(1); // ranks that did not fail may be waiting
    tk_parallel_stop();
    return 0;
}
