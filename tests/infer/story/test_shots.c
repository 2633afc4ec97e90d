// SPDX-License-Identifier: Apache-2.0
// How storyboards become shots, rows and windows.
#include "infer/story/shots.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

static tk_codec *codec; // patches of 2 frames of 4x4 pixels, 8 frames/s, hops of 8 at 1000 a second
static tk_arena arena;
static tk_config config;

static int set_up(void **state)
{
    (void)state;
    tk_arena_init(&arena, 0);
    codec = test_codec(1);
    return codec ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tk_codec_free(codec);
    tk_arena_free(&arena);
    return 0;
}

// A storyboard of n shots of these seconds; the model saw 16x8 pictures, window seconds at once.
static tk_status plan(int n, const double *seconds, double window, tk_story *out)
{
    static tk_shot_config shots[32];
    static char prompt[32][16];
    tk_config_free(&config);
    tk_config_init(&config);
    for (int i = 0; i < n; i++) {
        snprintf(prompt[i], sizeof prompt[i], "shot %d", i);
        shots[i] = (tk_shot_config){.seconds = seconds[i], .prompt = prompt[i]};
    }
    config.media.width = 16;
    config.media.height = 8;
    config.sample.window = window;
    config.story.shots = shots;
    config.story.n_shots = n;
    return tk_story_plan(&config, codec, &arena, out);
}

// Shots from `memory` on are given it.
static void assert_window(const tk_story *s, int i, int memory, int target, int end)
{
    assert_true(i < s->n_windows);
    const tk_window *w = &s->windows[i];
    assert_int_equal(w->target, target);
    assert_int_equal(w->end, end);
    assert_int_equal(w->n_memory, target - memory);
    for (int k = 0; k < w->n_memory; k++) {
        assert_int_equal(w->memory[k].shot, memory + k);
        assert_int_equal(w->memory[k].why, TK_MEMORY_LAST);
    }
    for (int k = 0; k < end - memory; k++) assert_int_equal(tk_window_shot(w, k), memory + k);
}

static void what_fits_is_made_together(void **state)
{
    (void)state;
    tk_story s;
    assert_ok(plan(3, (double[]){1, 0.5, 1.5}, 3, &s));
    assert_int_equal(s.n_windows, 1);
    assert_window(&s, 0, 0, 0, 3);
    assert_int_equal(s.grid.latent_frames, 12);
    assert_int_equal(s.grid.frames, 24);
    assert_int_equal(s.grid.samples, 3000);
    assert_int_equal(s.grid.high, 2);
    assert_int_equal(s.grid.wide, 4);
}

static void longer_ones_go_shot_by_shot(void **state)
{
    (void)state;
    tk_story s;
    assert_ok(plan(6, (double[]){1, 1, 1, 1, 2, 3}, 3, &s));
    assert_int_equal(s.n_windows, 4);
    assert_window(&s, 0, 0, 0, 3);
    assert_window(&s, 1, 1, 3, 4);
    assert_window(&s, 2, 3, 4, 5);
    assert_window(&s, 3, 5, 5, 6); // it fills the window: no memory
}

static const int64_t FIRST[] = {0}, SECOND_AND_FIRST[] = {1, 0};

static void a_storyboard_says_what_shots_remember(void **state)
{
    (void)state;
    tk_story s;
    assert_ok(plan(5, (double[]){0.5, 0.5, 0.5, 0.5, 0.5}, 2, &s));
    assert_int_equal(s.n_windows, 2);
    tk_shot_config *shot = config.story.shots;
    shot[1].remember = (int64_t *)FIRST; // so it is made alone, though it would fit
    shot[2].remember = (int64_t *)FIRST;
    shot[2].n_remember = 1;
    shot[4].remember = (int64_t *)SECOND_AND_FIRST;
    shot[4].n_remember = 2;
    assert_ok(tk_story_plan(&config, codec, &arena, &s));
    assert_int_equal(s.n_windows, 5);
    assert_window(&s, 0, 0, 0, 1);
    assert_window(&s, 1, 1, 1, 2); // nothing
    assert_int_equal(s.windows[2].n_memory, 1);
    assert_int_equal(s.windows[2].memory[0].shot, 0);
    assert_int_equal(s.windows[2].memory[0].why, TK_MEMORY_ASKED);
    assert_window(&s, 3, 0, 3, 4); // chosen for it
    assert_int_equal(s.windows[4].n_memory, 2);
    assert_int_equal(s.windows[4].memory[0].shot, 0); // in their order
    assert_int_equal(s.windows[4].memory[1].shot, 1);
    assert_int_equal(tk_window_shot(&s.windows[4], 2), 4);
}

static void what_is_remembered_has_to_fit(void **state)
{
    (void)state;
    tk_story s;
    assert_ok(plan(3, (double[]){1, 1.5, 1}, 2, &s));
    config.story.shots[2].remember = (int64_t *)SECOND_AND_FIRST;
    config.story.shots[2].n_remember = 2;
    assert_status(tk_story_plan(&config, codec, &arena, &s), TK_INPUT);
    assert_says("shots[2].remember: with the shot itself these are 3.5 seconds");
    config.story.shots[2].n_remember = 1;
    assert_status(tk_story_plan(&config, codec, &arena, &s), TK_INPUT);
    config.story.shots[2].remember = (int64_t *)FIRST;
    assert_ok(tk_story_plan(&config, codec, &arena, &s));
}

// Every row of the track belongs to one shot, in order, also where hops do not divide a frame.
static void rows_are_cut_without_gaps(void **state)
{
    (void)state;
    static const double seconds[] = {0.25, 0.5, 0.25, 1, 0.75, 0.25, 2};
    tk_story s;
    assert_ok(plan(7, seconds, 2, &s));
    int64_t latent = 0, audio = 0;
    for (int i = 0; i < s.n_shots; i++) {
        const tk_story_shot *k = &s.shot[i];
        assert_int_equal(k->first_latent, latent);
        assert_int_equal(k->first_audio, audio);
        assert_near((double)k->first_audio * 8, k->start * 1000, 8);
        latent += k->latents;
        audio += k->audio_rows;
    }
    assert_int_equal(latent, s.grid.latent_frames);
    assert_int_equal(audio + s.tail, s.grid.audio_rows);
    assert_int_equal(s.grid.audio_rows,
                     tk_grid_audio_rows(tk_codec_get_info(codec), s.grid.samples));
}

static void lengths_are_rounded(void **state)
{
    (void)state;
    tk_story s;
    assert_ok(plan(3, (double[]){0.01, 0.9, 1.13}, 3, &s));
    assert_int_equal(s.shot[0].latents, 1); // never nothing
    assert_int_equal(s.shot[1].latents, 3); // ends at 0.91 seconds, that is 1
    assert_int_equal(s.shot[2].latents, 4);
    assert_near(s.shot[2].seconds, 1, 1e-9);
    assert_near(s.shot[2].asked, 1.13, 1e-9);
}

// Rounding does not add up: 20 shots of 0.35 seconds are 7 seconds.
static void many_short_shots_last_as_asked(void **state)
{
    double seconds[20];
    tk_story s;
    (void)state;
    for (int i = 0; i < 20; i++) seconds[i] = 0.35;
    assert_ok(plan(20, seconds, 3, &s));
    assert_int_equal(s.grid.latent_frames, 28);
    for (int i = 0; i < 20; i++)
        assert_near(s.shot[i].start + s.shot[i].seconds, 0.35 * (i + 1), 0.125 + 1e-9);
}

static void style_comes_first(void **state)
{
    (void)state;
    tk_story s;
    assert_ok(plan(1, (double[]){1}, 3, &s));
    assert_string_equal(s.shot[0].caption, "shot 0");
    config.story.style = "noir";
    assert_ok(tk_story_plan(&config, codec, &arena, &s));
    assert_string_equal(s.shot[0].caption, "noir, shot 0");
}

static void what_cannot_be_is_said(void **state)
{
    (void)state;
    tk_story s;
    assert_status(plan(2, (double[]){1, 4}, 3, &s), TK_INPUT);
    assert_says("shots[1]");
    assert_says("3 seconds"); // the longest possible
    static const double bad[] = {0, -1, NAN, INFINITY, 1e300};
    for (int i = 0; i < 5; i++) {
        assert_status(plan(1, &bad[i], 3, &s), TK_INPUT);
        assert_says("shots[0]");
    }
    assert_status(plan(1, (double[]){0.1}, 0.1, &s), TK_INPUT);
    assert_says("sample.window");
    assert_status(plan(0, NULL, 3, &s), TK_INPUT);
    assert_ok(plan(1, (double[]){1}, 3, &s));
    config.story.size[0] = 18, config.story.size[1] = 8;
    assert_status(tk_story_plan(&config, codec, &arena, &s), TK_INPUT);
    assert_says("16x8"); // the nearest that is possible
    config.story.size[0] = 8192, config.story.size[1] = 8192;
    config.sample.window = 1e5;
    config.story.shots[0].seconds = 1e5;
    assert_status(tk_story_plan(&config, codec, &arena, &s), TK_INPUT);
    assert_says("shorter or smaller");
    config.story.size[0] = config.story.size[1] = 0;
    config.story.shots[0].seconds = 1;
    config.story.fps = 24;
    assert_status(tk_story_plan(&config, codec, &arena, &s), TK_INPUT);
    assert_says("fps");
    config.story.fps = 8;
    assert_ok(tk_story_plan(&config, codec, &arena, &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_made_together),
        cmocka_unit_test(longer_ones_go_shot_by_shot),
        cmocka_unit_test(a_storyboard_says_what_shots_remember),
        cmocka_unit_test(what_is_remembered_has_to_fit),
        cmocka_unit_test(rows_are_cut_without_gaps),
        cmocka_unit_test(lengths_are_rounded),
        cmocka_unit_test(many_short_shots_last_as_asked),
        cmocka_unit_test(style_comes_first),
        cmocka_unit_test(what_cannot_be_is_said),
    };
    const int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    tk_config_free(&config);
    return failed;
}
