// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Colours that slide a little with every shot of a long story are found at its end; the world's own
// shots, told again, have none, and those of other scenes of the same set and style have little.
#include "data/film/film.h"
#include "infer/eval/measure/measure.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

enum { CLIPS = 40, FEW = 8, TOLD = 60 }; // TOLD: shots of a story

static tk_config config;
static tk_scene scene[CLIPS];
static tk_media film[CLIPS];

static int begin(void **state)
{
    (void)state;
    tk_config_init(&config);
    config.media =
        (tk_media_config){.width = 64, .height = 48, .fps = 8, .sample_rate = 8000, .channels = 1};
    config.world.seconds = 4, config.world.max_shots = 4, config.world.speech = 0;
    for (int i = 0; i < CLIPS; i++) {
        assert_ok(tk_scene_make(&config.world, &config.media, 4, NULL, 21, i, &scene[i]));
        const int64_t frames = tk_scene_frames(&config.world, &config.media, 4);
        film[i] = tk_media_shape(&config.media, frames, tk_media_samples(&config.media, frames));
        assert_ok(tk_media_alloc(&film[i]));
        assert_ok(tk_film_render(&scene[i], &config.media, NULL, frames, film[i].rgb));
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < CLIPS; i++) tk_media_free(&film[i]);
    tk_config_free(&config);
    return 0;
}

static double share(const tk_figures *f)
{
    return f->hits[TK_FIG_DRIFT] / f->of[TK_FIG_DRIFT];
}

// The film as the last telling of a story in which every shot has a little more of one colour and
// less of another than the one before.
static void slide(const tk_media *from, int n_shots, double each, tk_media *to)
{
    *to = *from;
    assert_ok(tk_media_alloc(to));
    const int64_t picture = from->height * from->width;
    for (int64_t f = 0; f < from->frames; f++) {
        const double shots = TOLD - n_shots + (double)(f * n_shots / from->frames);
        for (int64_t i = f * picture; i < (f + 1) * picture; i++)
            for (int c = 0; c < 3; c++) {
                const double x = from->rgb[3 * i + c] * pow(1 + each * (1 - c), shots);
                to->rgb[3 * i + c] = (uint8_t)lround(fmin(255, x));
            }
    }
}

static void told_again_nothing_drifts(void **state)
{
    (void)state;
    tk_figures same = {0};
    for (int i = 0; i < CLIPS; i++) tk_measure_drift(&scene[i], &film[i], &film[i], &same);
    assert_true(same.of[TK_FIG_DRIFT] >= CLIPS);
    assert_true(share(&same) == 1);
    assert_near(tk_figures_quantile(&same, TK_OFF_DRIFT, 0.5), 0, 0.005);
}

static void a_slide_is_found(void **state)
{
    static const double each[] = {0.001, 0.002, 0.005, 0.01};
    double left = 1;
    (void)state;
    for (size_t k = 0; k < sizeof each / sizeof *each; k++) {
        tk_figures f = {0};
        for (int i = 0; i < FEW; i++) {
            tk_media slid;
            slide(&film[i], scene[i].n_shots, each[k], &slid);
            tk_measure_drift(&scene[i], &film[i], &slid, &f);
            tk_media_free(&slid);
        }
        printf("%.1f%% a shot: %.0f of %.0f keep their colours, half go %.3f or more\n",
               100 * each[k], f.hits[TK_FIG_DRIFT], f.of[TK_FIG_DRIFT],
               tk_figures_quantile(&f, TK_OFF_DRIFT, 0.5));
        assert_true(share(&f) < left || left == 0);
        left = share(&f);
        if (each[k] >= 0.005) assert_true(left == 0);
    }
}

static bool alike(const tk_scene *a, const tk_scene *b)
{
    return a->set == b->set && a->shot[0].style == b->shot[0].style;
}

static void scenes_of_a_kind_are_near(void **state)
{
    tk_figures like = {0}, other = {0};
    (void)state;
    for (int i = 0; i < CLIPS; i++)
        for (int k = 0; k < CLIPS; k++) {
            if (i == k || scene[i].n_shots != scene[k].n_shots) continue;
            if (alike(&scene[i], &scene[k]))
                tk_measure_drift(&scene[i], &film[i], &film[k], &like);
            else if (scene[i].set != scene[k].set)
                tk_measure_drift(&scene[i], &film[i], &film[k], &other);
        }
    const tk_column_of_figures column[] = {{"alike", &like}, {"other", &other}};
    tk_figures_print(2, column);
    assert_true(share(&like) > 0.3 && share(&other) < 0.1);
    assert_true(tk_figures_quantile(&like, TK_OFF_DRIFT, 0.5) < 0.08);
    assert_true(tk_figures_quantile(&other, TK_OFF_DRIFT, 0.5) > 0.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_again_nothing_drifts),
        cmocka_unit_test(a_slide_is_found),
        cmocka_unit_test(scenes_of_a_kind_are_near),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
