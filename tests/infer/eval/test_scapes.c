// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// The judge of soundscapes tells which set a shot sounds as, under all else that sounds, before and
// after the codec; where it sounds as in another set, and in silence, it does not find the set.
// SCAPES=120: of so many clips, through the codec of a model that speaks, with the tables that
// docs/judges.md shows.
#include "infer/judges/sound/scapes.h"
#include "tests/infer/eval/coded.h"
#include <math.h>
#include <stdio.h>

enum { SEED = 41 };
static tk_config config;
static tk_learned learned;
static tk_speech *speech;
static tk_codec *codec;
static tk_arena arena;
static int64_t judged = 16;

static int begin(void **state)
{
    (void)state;
    judged_world(&config);
    if (getenv("SCAPES")) judged = atoll(getenv("SCAPES"));
    tk_arena_init(&arena, 0);
    if (tk_scene_open_speech(&config.world, &config.media, &speech)) return 1;
    if (fit_codec(&config, speech, getenv("SCAPES") != NULL, &codec)) return 1;
    config.eval.shown = getenv("SCAPES") ? 150 : 60;
    return tk_learn_sounds(&config, codec, speech, &arena, &learned) != TK_OK;
}

static int end(void **state)
{
    (void)state;
    tk_learned_close(&learned);
    tk_arena_free(&arena);
    tk_codec_free(codec);
    tk_speech_close(speech);
    tk_config_free(&config);
    return 0;
}

static void judge_shots(const tk_scene *s, const tk_media *m, tk_confusion *c)
{
    for (int k = 0; k < s->n_shots; k++) {
        const int64_t first = llround(s->shot[k].start * (double)m->sample_rate);
        int64_t last = llround((s->shot[k].start + s->shot[k].seconds) * (double)m->sample_rate);
        double feature[TK_SCAPE_FEATURES];
        tk_arena a;
        if (last > m->samples) last = m->samples;
        tk_arena_init(&a, 0);
        assert_ok(tk_scape_of(m->pcm + first * m->channels, last - first, m->channels,
                              m->sample_rate, &a, feature));
        tk_arena_free(&a);
        tk_confusion_add(c, (int)s->set, tk_classes_find(&learned.scapes, feature, NULL));
    }
}

// As it is, and after the codec.
static void judge_clips(tk_break b, int64_t n, tk_confusion way[2])
{
    const int64_t frames = tk_scene_frames(&config.world, &config.media, config.codec.patch_frames);
    for (int w = 0; w < 2; w++) assert_ok(tk_confusion_new(TK_SETS, &arena, &way[w]));
    for (int64_t i = 0; i < n; i++) {
        tk_scene s;
        tk_grid g;
        tk_media m = tk_media_shape(&config.media, 0, tk_media_samples(&config.media, frames));
        assert_ok(tk_grid_of(tk_codec_get_info(codec), "test", frames, config.media.height,
                             config.media.width, TK_GRID_WHOLE, &g));
        assert_ok(tk_media_alloc(&m));
        assert_ok(tk_scene_make(&config.world, &config.media, config.codec.patch_frames, speech,
                                SEED, i, &s));
        assert_ok(tk_break_sound(b, &s, &config.media, speech, m.samples, m.pcm));
        judge_shots(&s, &m, &way[0]);
        assert_ok(tk_media_through_codec(codec, &g, &m));
        judge_shots(&s, &m, &way[1]);
        tk_media_free(&m);
    }
}

static double share(const tk_confusion *c)
{
    return (double)tk_confusion_right(c) / (double)tk_confusion_all(c);
}

static void print_table(const char *what, int way, const tk_confusion *c)
{
    printf("**%s, %s: %.1f%% of %lld, chance %.1f%%**\n\n", what,
           way ? "after the codec" : "as it is", 100 * share(c), (long long)tk_confusion_all(c),
           100 * tk_confusion_chance(c));
    printf("| there \\ found | room | street | beach | workshop | none |\n"
           "| --- | ---: | ---: | ---: | ---: | ---: |\n");
    for (int k = 0; k < TK_SETS; k++) {
        printf("| %s |", tk_set_name[k]);
        for (int q = 0; q <= TK_SETS; q++)
            printf(" %lld |", (long long)c->n[k * (TK_SETS + 1) + q]);
        printf("\n");
    }
    printf("\n");
}

static void test_truth__is_told(void **state)
{
    (void)state;
    tk_confusion way[2];
    judge_clips(TK_BREAK_NONE, judged, way);
    for (int w = 0; w < 2; w++) print_table("soundscape", w, &way[w]);
    assert_true(share(&way[0]) >= 0.95);
    assert_true(share(&way[1]) >= 0.90);
}

static void test_broken_clips__are_not_taken_for_it(void **state)
{
    (void)state;
    tk_confusion way[2];
    judge_clips(TK_BREAK_SCAPE, judged / 2, way);
    for (int w = 0; w < 2; w++) print_table("as in another set", w, &way[w]);
    for (int w = 0; w < 2; w++) assert_true(share(&way[w]) <= 0.1);
    judge_clips(TK_BREAK_SILENCE, judged / 2, way);
    print_table("silence", 0, &way[0]);
    assert_true(share(&way[0]) <= tk_confusion_chance(&way[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truth__is_told),
        cmocka_unit_test(test_broken_clips__are_not_taken_for_it),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
