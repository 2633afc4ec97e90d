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
#include "tests/support/stories.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static tk_comm world;
static char dir[256], path[512], zero_path[512], own_path[512], picture[512],
    numbered_path[512]; // shared by the ranks
static tk_arena arena;
static tk_config config; // of the storyboard
static tk_story story;
static const tk_story_given *given; // of its clip; NULL: nothing
static int64_t steps;               // of all windows that were sampled,
static int64_t spared;              // rows that were kept,
static double flops;                // and all work, of the last sampling on this rank
static int64_t exchanged, others;   // bytes sent to other branches, and along all other axes

static int set_up(void **state)
{
    (void)state;
    tk_arena_init(&arena, 0);
    snprintf(dir, sizeof dir, "/tmp/talkie-sampler-XXXXXX");
    if (world.rank == 0 && !mkdtemp(dir)) return -1;
    assert_ok(tk_comm_broadcast(&world, dir, sizeof dir, 0));
    snprintf(path, sizeof path, "%s/model.h5", dir);
    snprintf(zero_path, sizeof zero_path, "%s/zero.h5", dir);
    snprintf(picture, sizeof picture, "%s/reference.ppm", dir);
    snprintf(own_path, sizeof own_path, "%s/own.h5", dir);
    snprintf(numbered_path, sizeof numbered_path, "%s/numbered.h5", dir);
    stories_save_model(&world, path, true, "all");
    stories_save_model(&world, zero_path, false, "all");
    stories_save_model(&world, own_path, true, "own");
    stories_save_model(&world, numbered_path, true, "own, shots: numbered");
    stories_plan(&world, picture, &arena, &config, &story);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_ok(tk_comm_barrier(&world));
    if (world.rank == 0) {
        unlink(path), unlink(zero_path), unlink(own_path), unlink(picture);
        unlink(numbered_path);
        rmdir(dir);
    }
    tk_config_free(&config);
    tk_arena_free(&arena);
    return 0;
}

// Samples the storyboard on a layout, on a device that runs behind (`behind` > 0) and refuses the
// n-th thing that is asked of it (`behind` > 1).
static tk_status sample_on(const char *from, const tk_parallel_config *layout, int64_t behind,
                           tk_latents *x, bool *holds)
{
    tk_parallel_config p = *layout;
    tk_mesh mesh;
    tk_trained trained;
    tk_session session;
    tk_references refs;
    assert_ok(tk_trained_open(from, "", &world, &arena, &trained));
    assert_ok(tk_mesh_open(&mesh, &world, &p, TK_AXIS_DATA));
    assert_ok(tk_session_open(&session, &mesh, &trained, &p, true));
    assert_ok(tk_session_load(&session));
    const tk_story_given_ranks ranks = {tk_comm_self(), NULL};
    assert_ok(tk_references_read(&config, &story, trained.meta.codec, "", &ranks, &arena, &refs));
    assert_int_equal(refs.ref[0].latents, 1);
    assert_int_equal(refs.ref[0].audio_rows, 0);
    if (behind) deferred_start(&session.device, &mesh, 0);
    tk_trace_fail_at(behind > 1 ? behind : 0);
    const tk_story_task task = {.config = &config, .story = &story, .refs = &refs, .given = given};
    const tk_status st = tk_story_sample(&session, &task, &arena, x);
    tk_trace_fail_at(0);
    steps = session.sampler.steps;
    spared = session.sampler.spared;
    flops = session.device.flops;
    exchanged = session.sampler.exchanged;
    if (!behind) assert_int_equal(exchanged, tk_axis_sent(&mesh.axis[TK_AXIS_GUIDANCE]));
    others = mesh.world_device.bytes_sent;
    for (int i = 0; i < TK_AXES; i++)
        if (i != TK_AXIS_GUIDANCE) others += tk_axis_sent(&mesh.axis[i]);
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
    const tk_parallel_config p = {.tensor = tensor, .pipeline = pipeline, .threads = 1};
    bool holds;
    assert_ok(sample_on(from, &p, 0, x, &holds));
    return holds;
}

static double distance(const tk_latents *x, const tk_latents *y, int m)
{
    double d = 0, n = 0;
    for (int64_t i = 0; i < stories_numbers(&story, m); i++) {
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
    const tk_parallel_config alone = {.tensor = 1, .pipeline = 1, .threads = 1};
    for (int k = 0; k < (world.size > 1 ? 3 : 1); k++) {
        tk_latents at_once, behind;
        bool holds;
        const tk_parallel_config p = {
            .tensor = layout[k][0], .pipeline = layout[k][1], .threads = 1};
        sample(path, layout[k][0], layout[k][1], &at_once);
        assert_ok(sample_on(path, &p, 1, &behind, &holds));
        for (int m = 0; m < TK_MODALITIES && holds; m++)
            if (m != TK_TEXT)
                assert_memory_equal(at_once.rows[m], behind.rows[m],
                                    (size_t)stories_numbers(&story, m) * sizeof(float));
    }
    for (int64_t n = 2; n < 1000 && world.size == 1; n = 2 * n + 5) {
        tk_latents x;
        bool holds;
        assert_true(sample_on(path, &alone, n, &x, &holds) != TK_OK);
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
                       (size_t)(stories_numbers(&story, TK_VIDEO) - cut) * sizeof(float)) != 0);
    story.shot[0].caption = "something else"; // not in the last window; its latents' heirs are
    assert_true(sample(path, world.size, 1, &y));
    story.shot[0].caption = first;
    assert_true(memcmp(x.rows[TK_VIDEO] + cut, y.rows[TK_VIDEO] + cut,
                       (size_t)(stories_numbers(&story, TK_VIDEO) - cut) * sizeof(float)) != 0);
}

static bool same_shot(const tk_latents *x, const tk_latents *y, int shot)
{
    const tk_story_shot *s = &story.shot[shot];
    const int64_t each[TK_MODALITIES] = {[TK_VIDEO] =
                                             story.grid.high * story.grid.wide * STORIES_VIDEO,
                                         [TK_AUDIO] = story.channels * STORIES_AUDIO};
    const int64_t v = s->first_latent * each[TK_VIDEO], a = s->first_audio * each[TK_AUDIO];
    return !memcmp(x->rows[TK_VIDEO] + v, y->rows[TK_VIDEO] + v,
                   (size_t)(s->latents * each[TK_VIDEO]) * sizeof(float)) &&
           !memcmp(x->rows[TK_AUDIO] + a, y->rows[TK_AUDIO] + a,
                   (size_t)(s->audio_rows * each[TK_AUDIO]) * sizeof(float));
}

// A shot that remembers the first one is what it is whatever came between them, on every layout;
// one that remembers the shot between is not.
static void shots_are_given_what_they_remember(void **state)
{
    (void)state;
    static int64_t remembered;
    tk_shot_config *shot = config.story.shots;
    const tk_story before = story;
    tk_codec *codec = test_codec(1);
    tk_latents x, y, z, last[2];
    shot[1].remember = shot[2].remember = &remembered; // shots[1] nothing
    shot[2].n_remember = 1;
    for (remembered = 1; remembered >= 0; remembered--) {
        assert_ok(tk_story_plan(&config, codec, &arena, &story));
        assert_int_equal(story.n_windows, 3);
        assert_true(sample(path, 1, 1, &x));
        for (int p = 1; p <= world.size; p += world.size > 1 ? world.size - 1 : 1) {
            if (!sample(path, world.size / p, p, &z)) continue;
            assert_true(distance(&z, &x, TK_VIDEO) <= 1e-4 && distance(&z, &x, TK_AUDIO) <= 1e-4);
        }
        story.shot[1].caption = "something else";
        assert_true(sample(path, 1, 1, &y));
        assert_true(same_shot(&x, &y, 0));
        assert_false(same_shot(&x, &y, 1));
        assert_int_equal(same_shot(&x, &y, 2), remembered == 0);
        last[remembered] = x;
    }
    assert_true(same_shot(&last[0], &last[1], 1));
    assert_false(same_shot(&last[0], &last[1], 2));
    shot[1].remember = shot[2].remember = NULL;
    shot[2].n_remember = 0;
    tk_codec_free(codec);
    story = before;
}

// Rows of numbers of their own, of which none is given yet.
static void open_given(tk_story_given *g)
{
    tk_codec *codec = test_codec(1);
    assert_ok(tk_story_given_open(g, &story, tk_codec_get_info(codec), &arena));
    tk_codec_free(codec);
    for (int m = 0; m < TK_MODALITIES; m++)
        if (m != TK_TEXT)
            tk_rng_fill_normal(tk_rng_key(3, TK_RNG_TEST, (uint64_t)m), 0, g->rows[m],
                               stories_numbers(&story, m), 1);
}

// By a mask like those of all tasks at once: the sound but for its beginning, a keyframe, a part of
// the last frames.
static void give_some(tk_story_given *g)
{
    open_given(g);
    tk_given_box some = g->what.whole[TK_AUDIO];
    some.begin = story.shot[0].audio_rows - 2;
    assert_ok(tk_give(&g->what, TK_AUDIO, &some, true));
    assert_ok(tk_give_frame(&g->what, 1));
    tk_given_box part = g->what.whole[TK_VIDEO];
    part.begin = part.end - 2;
    part.right = 1;
    assert_ok(tk_give(&g->what, TK_VIDEO, &part, true));
}

// (rows of the modality)
static const uint8_t *given_rows(const tk_story_given *g, int m)
{
    uint8_t *is = tk_arena_alloc(&arena, (size_t)tk_shot_count(&g->doc, 0, m));
    assert_non_null(is);
    tk_given_rows(&g->what, m, 0, g->what.whole[m].end, is);
    return is;
}

// They come out to the bit, on every layout, in windows that are made alone as well; what is made
// beside them is another clip.
static void given_rows_stay(void **state)
{
    tk_story_given g;
    tk_latents free_of_it, whole, x;
    (void)state;
    give_some(&g);
    assert_true(sample(path, 1, 1, &free_of_it));
    given = &g;
    assert_true(sample(path, 1, 1, &whole));
    const bool holds = sample(path, world.size, 1, &x);
    given = NULL;
    assert_true(holds);
    for (int m = 0; m < TK_MODALITIES; m++) {
        if (m == TK_TEXT) continue;
        const int64_t rows = tk_shot_count(&g.doc, 0, m);
        const int64_t channels = stories_numbers(&story, m) / rows;
        const size_t bytes = (size_t)channels * sizeof(float);
        const uint8_t *is_given = given_rows(&g, m);
        int64_t n = 0, same = 0;
        for (int64_t i = 0; i < rows; i++) {
            const int64_t at = i * channels;
            n += is_given[i];
            if (is_given[i])
                assert_memory_equal(x.rows[m] + at, g.rows[m] + at, bytes);
            else
                same += !memcmp(x.rows[m] + at, free_of_it.rows[m] + at, bytes);
        }
        assert_in_range(n, 1, rows - 1);
        assert_int_equal(same, 0);
        assert_true(distance(&x, &whole, m) <= 1e-4);
    }
}

// References, memory and what is given of a clip: kept rows make the clip that they make in every
// step, on every layout, for less work.
static void keep_rows(const char *from)
{
    tk_story_given g;
    tk_latents asked, kept, x;
    give_some(&g);
    given = &g;
    config.sample.keep_given = 0;
    assert_true(sample(from, 1, 1, &asked));
    assert_int_equal(spared, 0);
    const double work = flops;
    config.sample.keep_given = 1;
    assert_true(sample(from, 1, 1, &kept));
    assert_true(spared > 0 && flops < 0.8 * work);
    for (int p = 1; p <= world.size; p += world.size > 1 ? world.size - 1 : 1) {
        const bool holds = sample(from, world.size / p, p, &x);
        for (int m = 0; m < TK_MODALITIES && holds; m++)
            if (m != TK_TEXT) {
                assert_near(distance(&kept, &asked, m), 0, 1e-6);
                assert_near(distance(&x, &kept, m), 0, 1e-4);
            }
    }
    given = NULL;
    const int64_t rows = tk_shot_count(&g.doc, 0, TK_VIDEO),
                  n = stories_numbers(&story, TK_VIDEO) / rows;
    const uint8_t *is_given = given_rows(&g, TK_VIDEO);
    for (int64_t i = 0; i < rows; i++)
        if (is_given[i])
            assert_memory_equal(kept.rows[TK_VIDEO] + i * n, g.rows[TK_VIDEO] + i * n,
                                (size_t)n * sizeof(float));
}

// Of rows that tell of which shot they are as well.
static void kept_rows_change_nothing(void **state)
{
    (void)state;
    keep_rows(own_path);
    keep_rows(numbered_path);
}

// All rows of shots before `shot` are given.
static void give_before(tk_story_given *g, int shot)
{
    const tk_story_shot *first = &story.shot[shot];
    tk_given_box seen = g->what.whole[TK_VIDEO], heard = g->what.whole[TK_AUDIO];
    if (shot < story.n_shots) seen.end = first->first_latent, heard.end = first->first_audio;
    assert_ok(tk_give(&g->what, TK_VIDEO, &seen, true));
    assert_ok(tk_give(&g->what, TK_AUDIO, &heard, true));
}

// Of a window of which all is given nothing is sampled, also where the shot behind it is made.
static void all_that_is_given_comes_back(void **state)
{
    (void)state;
    for (int made = 0; made < 2; made++) {
        tk_story_given g;
        tk_latents x;
        open_given(&g);
        give_before(&g, story.n_shots - made);
        given = &g;
        const bool holds = sample(path, 1, world.size, &x);
        given = NULL;
        assert_int_equal(steps, made * config.sample.steps); // of the last window
        for (int m = 0; m < TK_MODALITIES && holds; m++) {
            const uint8_t *is_given = m == TK_TEXT ? NULL : given_rows(&g, m);
            const int64_t rows = tk_shot_count(&g.doc, 0, m),
                          n = rows ? stories_numbers(&story, m) / rows : 0;
            for (int64_t i = 0; i < rows; i++)
                if (is_given[i])
                    assert_memory_equal(x.rows[m] + i * n, g.rows[m] + i * n,
                                        (size_t)n * sizeof(float));
        }
    }
}

// With so many steps all of them find the same clip; with few, those of second order come nearer
// to it. What a solver remembers is each rank's own business.
static void solvers_find_the_same_clip(void **state)
{
    enum { FEW = 8, MANY = 40 };
    tk_latents exact, x;
    double off[TK_SOLVER_MULTISTEP + 1][TK_MODALITIES] = {{0}};
    (void)state;
    config.sample.steps = MANY;
    config.sample.solver = TK_SOLVER_MIDPOINT;
    bool holds = sample(path, 1, 1, &exact);
    config.sample.steps = FEW;
    for (int s = 0; s <= TK_SOLVER_MULTISTEP; s++) {
        config.sample.solver = s;
        holds = s % 2 ? sample(path, world.size, 1, &x) : sample(path, 1, world.size, &x);
        for (int m = 0; m < TK_MODALITIES && holds; m++)
            if (m != TK_TEXT) off[s][m] = distance(&x, &exact, m);
    }
    config.sample.steps = 3;
    config.sample.solver = TK_SOLVER_EULER;
    for (int s = 1; s <= TK_SOLVER_MULTISTEP && holds; s++)
        for (int m = 0; m < TK_MODALITIES; m++)
            if (m != TK_TEXT && !(off[s][m] < off[0][m] / 3))
                fail_msg("%s is off by %.2e, euler by %.2e", tk_solver_name((tk_solver)s),
                         off[s][m], off[0][m]);
}

// Bytes of the velocities of one branch, in all steps of all windows.
static int64_t velocity_bytes(bool keeps)
{
    const tk_references refs = {0};
    const tk_story_task task = {.config = &config, .story = &story, .refs = &refs};
    tk_codec *codec = test_codec(1);
    int64_t numbers = 0;
    for (int i = 0; i < story.n_windows; i++) {
        tk_sample_task t;
        int64_t count[TK_MODALITIES];
        assert_ok(tk_window_task(&task, tk_codec_get_info(codec), i, NULL, &arena, &t));
        tk_document_rows(&t.doc, count);
        for (int m = 0; m < TK_MODALITIES; m++) {
            if (m == TK_TEXT) continue;
            const int64_t rows = keeps ? tk_document_targets(&t.doc, m) : count[m];
            numbers += rows * (m == TK_VIDEO ? STORIES_VIDEO : STORIES_AUDIO);
        }
    }
    if (!keeps) // the picture's rows
        numbers += story.n_windows * story.grid.high * story.grid.wide * STORIES_VIDEO;
    tk_codec_free(codec);
    return numbers * config.sample.steps * (int64_t)sizeof(float);
}

static void assert_same_clip(const tk_latents *x, const tk_latents *y)
{
    for (int m = 0; m < TK_MODALITIES; m++)
        if (m != TK_TEXT)
            assert_memory_equal(x->rows[m], y->rows[m],
                                (size_t)stories_numbers(&story, m) * sizeof(float));
}

// One layout with a branch a rank, beside the same with both on every rank.
static void share_branches(const char *from, int tensor, int pipeline, bool keeps, bool late)
{
    const tk_parallel_config whole = {.tensor = tensor, .pipeline = pipeline, .threads = 1};
    tk_parallel_config shared = whole;
    tk_latents x, y;
    bool holds, held;
    shared.guidance = 2;
    assert_ok(sample_on(from, &whole, 0, &x, &holds));
    assert_int_equal(exchanged, 0);
    const double work = flops;
    assert_ok(sample_on(from, &shared, late, &y, &held));
    assert_int_equal(holds, held);
    assert_int_equal(exchanged, holds ? velocity_bytes(keeps) : 0);
    assert_true(flops > 0.3 * work &&
                flops < 0.75 * work); // text differs, what is kept is kept twice
    if (tensor * pipeline == 1) assert_int_equal(others, 0);
    if (holds) assert_same_clip(&x, &y);
}

// Ranks that take one branch each make the same bits, of all solvers, with given rows kept or not,
// beside tensor, pipeline and data ranks; what they give each other is velocities alone.
static void branches_are_shared_out(void **state)
{
    (void)state;
    if (world.size % 2) return;
    for (int s = 0; s <= TK_SOLVER_MULTISTEP; s++) {
        config.sample.solver = s;
        share_branches(path, 1, 1, false, s == TK_SOLVER_EULER);
    }
    share_branches(own_path, 1, 1, true, true);
    if (world.size == 4) {
        share_branches(path, 2, 1, false, true);
        share_branches(own_path, 2, 1, true, false);
        share_branches(path, 1, 2, false, true);
        share_branches(own_path, 1, 2, true, false);
    }
    config.sample.solver = TK_SOLVER_EULER;
}

static void one_branch_is_not_shared_out(void **state)
{
    (void)state;
    assert_status(tk_sample_check_branches(2, 1), TK_INPUT);
    assert_says("nothing to share out");
    assert_ok(tk_sample_check_branches(2, 0)); // the branch without captions alone is two as well
    assert_ok(tk_sample_check_branches(1, 1));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_gives_the_same_clip),
        cmocka_unit_test(host_memory_stays_until_the_device_has_read_it),
        cmocka_unit_test(noise_is_keyed_by_seed_and_shot),
        cmocka_unit_test(memory_matters),
        cmocka_unit_test(shots_are_given_what_they_remember),
        cmocka_unit_test(given_rows_stay),
        cmocka_unit_test(kept_rows_change_nothing),
        cmocka_unit_test(all_that_is_given_comes_back),
        cmocka_unit_test(solvers_find_the_same_clip),
        cmocka_unit_test(branches_are_shared_out),
        cmocka_unit_test(one_branch_is_not_shared_out),
    };
    setenv("TALKIE_COMM_TIMEOUT", "20", 0);
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    if (failed) tk_parallel_abort(1); // ranks that did not fail may be waiting
    tk_parallel_stop();
    return 0;
}
