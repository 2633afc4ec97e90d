// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 60 */
// Layouts ranked: what the search says of one is what its own plan says.
#include "tests/support/test.h"
#include "train/plan/search.h"
#include <stdio.h>

static tk_config config;
static tk_machine machine;
static tk_plan_of of = {.config = &config, .machine = &machine};

static int open_all(void **state)
{
    static const char text[] =
        "model: {hidden: 48, heads: 4, head_dim: 16, layers: 4, refiner_layers: 1, ffn: 80,\n"
        "  text_channels: 14, freq_dim: 8, time_hidden: 12, time_dim: 10, rope_freq_dim: 2}\n"
        "media: {width: 64, height: 32, fps: 24, sample_rate: 7200}\n"
        "codec: {patch_frames: 4, patch_size: 16, video_channels: 24, audio_hop: 400,\n"
        "  audio_channels: 10}\n"
        "plan: {frames: 12, caption: 30}\n"
        "train: {batch: 12, drop_caption: 0}\n";
    (void)state;
    tk_config_init(&config);
    assert_ok(tk_config_parse(&config, TK_CMD_PLAN, "test.yaml", text, strlen(text), 0, NULL));
    assert_ok(tk_machine_load(&machine, "configs/machines/h100.yaml"));
    assert_ok(tk_plan_clips(&config, &of.loader));
    assert_ok(tk_trainer_match(&config, of.loader, 1));
    machine.context.value = machine.communicator.value = 0;
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    tk_loader_close(of.loader);
    tk_machine_free(&machine);
    tk_config_free(&config);
    return 0;
}

// The whole plan of a candidate.
static void plan_candidate(const tk_candidate *k, tk_arena *a, tk_layout_plan *l)
{
    tk_config c = config;
    tk_plan_of own = of;
    c.parallel = k->parallel;
    c.train.microbatch = k->microbatch;
    own.config = &c;
    assert_ok(tk_layout_make(&own, 4, a, l));
}

static void the_best_are_planned_as_alone(void **state)
{
    tk_arena a;
    tk_search s;
    (void)state;
    tk_arena_init(&a, 0);
    machine.memory.value = 1e9;
    assert_ok(tk_search_make(&of, 4, &a, &s));
    // 1, 2 and 4 stages, of which several have four schedules: 1f1b, zb-h1, interleaved once or
    // twice
    assert_true(s.n > 20);
    assert_int_equal(s.fit, s.n);
    for (int64_t i = 0; i < s.n; i++) {
        const tk_candidate *k = &s.candidate[i];
        tk_layout_plan l;
        assert_int_equal(k->parallel.tensor * k->parallel.pipeline * k->parallel.data, 4);
        if (i) assert_true(k->seconds >= s.candidate[i - 1].seconds);
        plan_candidate(k, &a, &l);
        int64_t most = 0;
        for (int r = 0; r < l.n; r++) most = l.plan[r].pool > most ? l.plan[r].pool : most;
        const double memory = (double)k->total / (double)most;
        if (i < TK_SEARCH_BEST) assert_true(k->whole);
        assert_near(memory, 1, k->whole ? 0.01 : 0.12); // others from two short runs
        assert_near(k->seconds / l.seconds, 1, 0.02);
        assert_near(k->mfu / l.mfu, 1, 0.03);
    }
    tk_arena_free(&a);
}

static void what_does_not_fit_says_what_it_lacks(void **state)
{
    tk_arena a;
    tk_search all, s;
    (void)state;
    tk_arena_init(&a, 0);
    machine.memory.value = 1e9;
    assert_ok(tk_search_make(&of, 4, &a, &all));
    machine.memory.value = (double)all.candidate[0].total - 64; // the fastest just does not
    assert_ok(tk_search_make(&of, 4, &a, &s));
    assert_true(s.fit > 0 && s.fit < s.n);
    for (int64_t i = 0; i < s.n; i++) {
        const tk_candidate *k = &s.candidate[i];
        assert_int_equal(k->spare, (int64_t)machine.memory.value - k->total);
        assert_true((k->spare >= 0) == (i < s.fit));
    }
    machine.memory.value = 1e5; // no weights at all
    assert_ok(tk_search_make(&of, 4, &a, &s));
    assert_int_equal(s.fit, 0);
    for (int64_t i = 0; i < s.n; i++) assert_true(s.candidate[i].spare < 0);
    tk_arena_free(&a);
}

static void what_cannot_be_shared_out_is_refused(void **state)
{
    tk_arena a;
    tk_search s;
    (void)state;
    tk_arena_init(&a, 0);
    assert_status(tk_search_make(&of, 1021, &a, &s), TK_INPUT);
    assert_says("1021 GPUs cannot share out 12 clips a step");
    tk_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_are_planned_as_alone),
        cmocka_unit_test(what_does_not_fit_says_what_it_lacks),
        cmocka_unit_test(what_cannot_be_shared_out_is_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
