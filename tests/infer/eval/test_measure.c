// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 240 */
// What eval's judges find in the world's own clips, and in clips that are broken on purpose: there
// the figure that tells of it falls; and stories of many shots. Of sounds alone, as test_looks.c
// tells of looks; MEASURE=40: of all there is, of so many clips, as the table that docs/judges.md
// shows.
#include "core/base/log.h"
#include "infer/eval/breaks.h"
#include "infer/eval/measure/measure.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

static tk_config config;
static tk_learned learned;
static tk_speech *speech;
static tk_arena arena;
static int64_t clips = 10;
static bool all_of_it;
static tk_figures truth;

static int begin(void **state)
{
    (void)state;
    tk_config_init(&config);
    config.media = (tk_media_config){
        .width = 96, .height = 64, .fps = 12, .sample_rate = 16000, .channels = 1};
    config.world.seconds = 4, config.world.max_shots = 4, config.world.held_out = TK_HELD_WITH;
    config.codec.patch_frames = 4;
    config.eval.shown = 60;
    all_of_it = getenv("MEASURE") != NULL;
    if (all_of_it) clips = atoll(getenv("MEASURE")), config.eval.shown = 150;
    tk_arena_init(&arena, 0);
    if (tk_scene_open_speech(&config.world, &config.media, &speech)) return 1;
    if (all_of_it && tk_learn(&config, NULL, speech, &arena, &learned)) return 1;
    if (all_of_it && tk_learn_people(&config, NULL, speech, &arena, &learned)) return 1;
    if (all_of_it && tk_learn_things(&config, NULL, speech, &arena, &learned.things)) return 1;
    if (tk_learn_sounds(&config, NULL, speech, &arena, &learned)) return 1;
    return 0;
}

static int end(void **state)
{
    (void)state;
    tk_learned_close(&learned);
    tk_arena_free(&arena);
    tk_speech_close(speech);
    tk_config_free(&config);
    return 0;
}

static tk_status sound_alone(tk_break b, const tk_scene *s, int64_t frames, tk_media *m)
{
    *m = tk_media_shape(&config.media, frames, tk_media_samples(&config.media, frames));
    TK_TRY(tk_media_alloc(m));
    return tk_break_sound(b, s, &config.media, speech, m->samples, m->pcm);
}

static void measure(tk_break b, int64_t n, tk_figures *f)
{
    const int64_t frames = tk_scene_frames(&config.world, &config.media, 4);
    *f = (tk_figures){0};
    for (int64_t i = 0; i < n; i++) {
        tk_scene s;
        tk_media m;
        assert_ok(tk_scene_make(&config.world, &config.media, 4, speech, 21, i, &s));
        if (all_of_it)
            assert_ok(tk_break_film(b, &s, &config.media, speech, frames, &m));
        else
            assert_ok(sound_alone(b, &s, frames, &m));
        assert_ok(tk_measure_clip(&learned, &s, &m, NULL, f));
        tk_media_free(&m);
    }
}

static double share(const tk_figures *f, tk_figure k)
{
    return f->of[k] > 0 ? f->hits[k] / f->of[k] : NAN;
}

static void truth_is_found(void **state)
{
    (void)state;
    static const tk_figure sure[] = {TK_FIG_WORDS, TK_FIG_LINES, TK_FIG_QUIET,     TK_FIG_VOICE,
                                     TK_FIG_STEPS, TK_FIG_SCAPE, TK_FIG_SAME_SCAPE};
    measure(TK_BREAK_NONE, clips, &truth);
    const tk_column_of_figures column[] = {{"truth", &truth}};
    tk_figures_print(1, column);
    for (size_t i = 0; i < sizeof sure / sizeof *sure; i++)
        assert_true(share(&truth, sure[i]) >= 0.75);
    assert_true(share(&truth, TK_FIG_STEPS) >= 0.95 && share(&truth, TK_FIG_VOICE) >= 0.9);
}

// The figure that a break is to be seen in, and the share that is left of it at most.
static const struct spoilt {
    tk_break broken;
    tk_figure figure;
    double most;
} spoilt[] = {
    {TK_BREAK_PEOPLE, TK_FIG_SAME_FACE, 0.2}, {TK_BREAK_CLOTHES, TK_FIG_SAME_CLOTHES, 0.2},
    {TK_BREAK_LIPS, TK_FIG_LIPS, 0.15},       {TK_BREAK_SOUND, TK_FIG_LIPS, 0.15},
    {TK_BREAK_COLOURS, TK_FIG_SAME, 0.2},     {TK_BREAK_SILENCE, TK_FIG_WORDS, 0},
    {TK_BREAK_SILENCE, TK_FIG_STEPS, 0},      {TK_BREAK_SILENCE, TK_FIG_SCAPE, 0},
    {TK_BREAK_SILENCE, TK_FIG_VOICE, 0},      {TK_BREAK_WORDS, TK_FIG_WORDS, 0.15},
    {TK_BREAK_VOICE, TK_FIG_VOICE, 0.15},     {TK_BREAK_SCAPE, TK_FIG_SCAPE, 0.15},
    {TK_BREAK_GRAVITY, TK_FIG_GRAVITY, 0},    {TK_BREAK_SOUND, TK_FIG_SYNC, 0.4},
};

static void broken_clips_fail(void **state)
{
    (void)state;
    tk_figures all[TK_BREAKS] = {0};
    bool made[TK_BREAKS] = {false};
    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        const struct spoilt *p = &spoilt[i];
        if (truth.of[p->figure] == 0) continue; // of pictures
        if (!made[p->broken]) measure(p->broken, clips, &all[p->broken]);
        made[p->broken] = true;
        const double left = share(&all[p->broken], p->figure);
        printf("  %s (%s): figure %d: %.0f%% of %.0f\n", tk_break_name[p->broken],
               tk_break_words[p->broken], (int)p->figure, 100 * left, all[p->broken].of[p->figure]);
        assert_true(left <= p->most);
    }
}

// A story is as many shots as a clip can have; what it began with is asked for at its end.
static void stories_are_counted(void **state)
{
    (void)state;
    const tk_world_config clip = config.world;
    tk_figures story, other;
    config.world.seconds = 8, config.world.max_shots = TK_SCENE_SHOTS;
    assert_true(truth.of[TK_FIG_STORY_SCAPE] == 0);
    measure(TK_BREAK_NONE, clips / 2, &story);
    measure(TK_BREAK_SCAPE, clips / 2, &other);
    config.world = clip;
    const tk_column_of_figures column[] = {{"truth", &story}, {"scape", &other}};
    tk_figures_print(2, column);
    assert_true(story.of[TK_FIG_STORY_SCAPE] >= 3);
    assert_true(share(&story, TK_FIG_STORY_SCAPE) >= 0.75);
    assert_true(share(&other, TK_FIG_STORY_SCAPE) <= 0.15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truth_is_found),
        cmocka_unit_test(broken_clips_fail),
        cmocka_unit_test(stories_are_counted),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
