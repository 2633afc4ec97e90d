// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2; timeout: 120 */
// Sampling on an emulated GPU gives the processor's latents on every layout, the same bits in
// whatever order its streams run and in graphs, and takes its memory once, as it was forecast.
#include "core/device/trace.h"
#include "infer/story/forecast.h"
#include "infer/story/story.h"
#include "tests/support/ranks.h"
#include "tests/support/stories.h"
#include "tests/support/tested.h"
#include <stdio.h>
#include <unistd.h>

static tk_comm world;
static tk_arena arena;
static char dir[64], path[128], own_path[128], picture[128]; // shared by the ranks
static tk_config config;
static tk_story story;
static tk_references refs;
static tk_trained trained, own; // given rows ask all rows; each other alone, and are kept
static const tk_trained *from = &trained;
static tk_latents cpu;

enum { ALL_STEPS = 8 }; // of both windows

typedef struct made { // what a storyboard took
    bool holds;       // latents
    tk_latents x;
    tk_forecast planned;
    tk_pool pool;
    int64_t steps, recorded, replayed;
    standin_counts after[ALL_STEPS];
} made;

static int set_up(void **state)
{
    (void)state;
    tk_arena_init(&arena, 0);
    snprintf(dir, sizeof dir, "/tmp/talkie-XXXXXX");
    if (world.rank == 0 && !mkdtemp(dir)) return -1;
    assert_ok(tk_comm_broadcast(&world, dir, sizeof dir, 0));
    snprintf(path, sizeof path, "%s/model.h5", dir);
    snprintf(picture, sizeof picture, "%s/reference.ppm", dir);
    snprintf(own_path, sizeof own_path, "%s/own.h5", dir);
    stories_save_model(&world, path, true, "all");
    stories_save_model(&world, own_path, true, "own");
    stories_plan(&world, picture, &arena, &config, &story);
    config.sample.steps = ALL_STEPS / 2;
    assert_ok(tk_trained_open(path, "", &world, &arena, &trained));
    assert_ok(tk_trained_open(own_path, "", &world, &arena, &own));
    const tk_story_given_ranks ranks = {tk_comm_self(), NULL};
    assert_ok(tk_references_read(&config, &story, trained.meta.codec, "", &ranks, &arena, &refs));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_ok(tk_comm_barrier(&world));
    if (world.rank == 0) unlink(path), unlink(own_path), unlink(picture), rmdir(dir);
    tk_trained_close(&trained);
    tk_trained_close(&own);
    tk_config_free(&config);
    tk_arena_free(&arena);
    return 0;
}

static tk_status get_story(void *ctx, int64_t i, tk_arena *a, tk_config *out, const char **name)
{
    (void)ctx, (void)i, (void)a;
    *out = config;
    *name = "it";
    return TK_OK;
}

static tk_status count_step(void *ctx, int64_t left)
{
    made *m = ctx;
    (void)left;
    m->after[m->steps++] = standin_count();
    return TK_OK;
}

static void sample(const tk_parallel_config *asked, made *m)
{
    const tk_stories all = {.n = 1, .get = get_story};
    tk_parallel_config p = *asked;
    tk_mesh mesh;
    tk_session s;
    *m = (made){0};
    assert_ok(tk_mesh_open(&mesh, &world, &p, TK_AXIS_DATA));
    assert_ok(tk_session_open(&s, &mesh, from, &p, true));
    assert_ok(tk_stories_forecast(&all, &s, &p, &m->planned));
    assert_ok(tk_stories_take_memory(&all, &s, &p));
    assert_ok(tk_session_load(&s));
    const tk_story_task task = {
        .config = &config, .story = &story, .refs = &refs, .step_done = count_step, .ctx = m};
    assert_ok(tk_story_sample(&s, &task, &arena, &m->x));
    assert_int_equal(m->steps, ALL_STEPS);
    m->holds = mesh.axis[TK_AXIS_PIPELINE].rank == 0;
    m->pool = s.device.pool;
    m->recorded = s.sampler.recorded, m->replayed = s.sampler.replayed;
    tk_session_close(&s);
    tk_mesh_close(&mesh);
}

static void sample_on_gpus(int tensor, int pipeline, int guidance, uint64_t seed, bool graph,
                           made *m)
{
    const tk_parallel_config p = {.device = TK_DEVICE_CUDA,
                                  .share_gpu = 1,
                                  .tensor = tensor,
                                  .pipeline = pipeline,
                                  .guidance = guidance,
                                  .threads = 1};
    config.sample.graph = graph;
    standin_seed(seed);
    sample(&p, m);
    config.sample.graph = 0;
}

static void assert_close(const tk_latents *a, const tk_latents *b)
{
    for (int m = 0; m < TK_MODALITIES; m++) {
        double far = 0, all = 0;
        for (int64_t i = 0; i < stories_numbers(&story, m); i++) {
            const double x = (double)b->rows[m][i], e = (double)a->rows[m][i] - x;
            far += e * e, all += x * x;
        }
        assert_true((m == TK_TEXT || all > 0) && far <= 1e-6 * all);
    }
}

static void assert_same(const made *a, const made *b)
{
    for (int m = 0; m < TK_MODALITIES && a->holds; m++)
        if (m != TK_TEXT)
            assert_memory_equal(a->x.rows[m], b->x.rows[m],
                                (size_t)stories_numbers(&story, m) * sizeof(float));
}

// At once: nothing is taken after the weights are there.
static void assert_as_planned(const made *m)
{
    assert_int_equal(m->pool.peak, m->planned.pool);
    for (int i = 0; i < TK_POOL_PURPOSES; i++)
        assert_int_equal(m->pool.at_peak[i], m->planned.held[i]);
    assert_int_equal(m->after[ALL_STEPS - 1].allocations, m->after[0].allocations);
}

// Of the host for the last step but one of the first window (the window is put away before the last
// one is told), where nobody asks in vain.
static int64_t calls_of_a_step(const made *m)
{
    const standin_counts *last = &m->after[ALL_STEPS / 2 - 2], *before = last - 1;
    return last->calls - before->calls - (last->host_waits - before->host_waits);
}

static void sample_on_layout(int tensor, int pipeline, int guidance, made *out)
{
    made asked, graphs;
    sample_on_gpus(tensor, pipeline, guidance, 0, false, &asked);
    sample_on_gpus(tensor, pipeline, guidance, 1, true, &graphs);
    if (asked.holds) assert_close(&asked.x, &cpu);
    assert_same(&graphs, &asked);
    assert_as_planned(&asked);
    assert_as_planned(&graphs);
    assert_int_equal(graphs.recorded, story.n_windows);
    assert_int_equal(graphs.replayed, ALL_STEPS - 2 * story.n_windows);
    const int branches = guidance > 1 ? 1 : 2; // on a rank
    assert_in_range(calls_of_a_step(&asked) / branches, 50, 1000);
    assert_in_range(calls_of_a_step(&graphs), 1, 40);
    *out = asked;
}

static void latents_are_those_of_the_processor(void **state)
{
    (void)state;
    const tk_parallel_config p = {
        .device = TK_DEVICE_CPU, .tensor = 1, .pipeline = 1, .threads = 1};
    made host;
    for (int k = 0; k < 3; k++) { // without memory of the step before and with it; with kept rows
        config.sample.solver = k == 1 ? TK_SOLVER_MULTISTEP : TK_SOLVER_EULER;
        from = k == 2 ? &own : &trained;
        sample(&p, &host); // every rank by itself
        cpu = host.x;
        made whole, shared;
        sample_on_layout(k == 1 ? 1 : world.size, k == 1 ? world.size : 1, 1, &whole);
        if (world.size % 2) continue;
        sample_on_gpus(1, k == 1 ? world.size / 2 : 1, 1, 2, false, &whole);
        sample_on_layout(1, k == 1 ? world.size / 2 : 1, 2, &shared);
        assert_same(&shared, &whole); // branches that are shared out change no bit
    }
}

// Whatever call fails while steps are asked for, recorded or launched, some of them: nothing is
// left.
static void any_call_may_fail(void **state)
{
    enum { APART = 97 };
    const tk_parallel_config asked = {
        .device = TK_DEVICE_CUDA, .tensor = 1, .pipeline = 1, .threads = 1};
    const tk_story_task task = {.config = &config, .story = &story, .refs = &refs};
    tk_status st = TK_INTERNAL;
    (void)state;
    if (world.size > 1) skip();
    config.sample.graph = 1;
    for (int64_t n = 1; st != TK_OK; n += APART) {
        tk_parallel_config p = asked;
        tk_mesh mesh;
        tk_session s;
        tk_latents x;
        assert_ok(tk_mesh_open(&mesh, &world, &p, TK_AXIS_DATA));
        assert_ok(tk_session_open(&s, &mesh, &own, &p, true));
        assert_ok(tk_session_load(&s));
        const size_t weights = s.device.pool.in_use;
        tk_trace_fail_at(n);
        st = tk_story_sample(&s, &task, &arena, &x);
        tk_trace_fail_at(0);
        if (st != TK_OK) assert_says("as a test wants it to");
        assert_int_equal(s.device.pool.in_use, weights);
        tk_session_close(&s);
        tk_mesh_close(&mesh);
    }
    config.sample.graph = 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latents_are_those_of_the_processor),
        cmocka_unit_test(any_call_may_fail),
    };
    ranks_run_with(argc, argv, world, tests, set_up, tear_down);
}
