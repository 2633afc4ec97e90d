// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Scenes with held-out people that are given by reference: prompts name nobody, the right faces and
// voices are those of the people, the wrong ones of nobody in the scene.
#include "data/film/film.h"
#include "data/world/likeness.h"
#include "infer/eval/cited.h"
#include "tests/support/test.h"
#include <math.h>

enum { SCENES = 24, SIDE = 32, BYTES = 3 * SIDE * SIDE, RATE = 16000 };
static const tk_media_config media = {
    .width = 64, .height = 48, .fps = 8, .sample_rate = RATE, .channels = 1};
static const tk_world_config only = {.seconds = 2,
                                     .max_shots = 2,
                                     .things = 1,
                                     .people = 2,
                                     .speech = 1,
                                     .sets = 4,
                                     .styles = 3,
                                     .held_out = TK_HELD_ONLY};
static tk_speech *speech;
static tk_codec *codec;
static tk_arena arena;
static tk_scene scene[SCENES];

static tk_status portrait_clip(void *ctx, int64_t i, tk_media *out)
{
    static uint8_t rgb[4 * BYTES];
    static float pcm[RATE];
    (void)ctx;
    *out = (tk_media){.frames = 4,
                      .height = SIDE,
                      .width = SIDE,
                      .fps = 8,
                      .samples = RATE / 2,
                      .sample_rate = RATE,
                      .channels = 1,
                      .rgb = rgb,
                      .pcm = pcm};
    for (int f = 0; f < 4; f++)
        TK_TRY(
            tk_film_portrait(&tk_characters[i % TK_CAST], TK_STYLE_NATURAL, SIDE, rgb + f * BYTES));
    return tk_film_voice(&tk_characters[i % TK_CAST], speech, "orange window", RATE / 2, pcm);
}

// The member of the cast whose portrait the rows show.
static int face_of(const tk_reference *r)
{
    static uint8_t rgb[4 * BYTES], portrait[BYTES];
    double near = INFINITY;
    int who = -1;
    tk_grid g;
    assert_int_equal(r->high * r->wide, 4);
    assert_ok(tk_grid_of(tk_codec_get_info(codec), "face", 4, SIDE, SIDE, TK_GRID_WHOLE, &g));
    assert_ok(tk_codec_decode_video(codec, r->video, &g, rgb));
    for (int c = 0; c < TK_CAST; c++) {
        double far = 0;
        assert_ok(tk_film_portrait(&tk_characters[c], TK_STYLE_NATURAL, SIDE, portrait));
        for (int i = 0; i < BYTES; i++) far += abs(rgb[i] - portrait[i]);
        if (far < near) near = far, who = c;
    }
    return who;
}

static void test_prompts__name_nobody(void **state)
{
    (void)state;
    int tags = 0;
    for (int k = 0; k < SCENES; k++) {
        const tk_clip_shot *shot;
        assert_ok(tk_cited_captions(&scene[k], k % 2, &arena, &shot));
        for (int h = 0; h < scene[k].n_shots; h++) {
            for (int i = 0; i < scene[k].n_people; i++)
                assert_null(strstr(shot[h].caption, tk_characters[scene[k].person[i]].name));
            const bool face = strstr(shot[h].caption, "<face ") != NULL;
            assert_int_equal(strstr(shot[h].caption, "<voice ") != NULL, face && k % 2);
            tags += face;
        }
    }
    assert_true(tags > 5);
}

static void test_references__are_right_or_wrong(void **state)
{
    (void)state;
    int held = 0, people = 0;
    for (int k = 0; k < SCENES; k++)
        for (int wrong = 0; wrong < 2; wrong++) {
            const tk_scene *s = &scene[k];
            tk_references r;
            assert_ok(tk_cited_references(s, &media, codec, speech, wrong, &arena, &r));
            assert_int_equal(r.n, 2 * s->n_people);
            for (int i = 0; i < s->n_people; i++) {
                const tk_reference *face = &r.ref[2 * i], *voice = face + 1;
                assert_true(face->audio_rows == 0 && voice->latents == 0 && voice->audio_rows > 0);
                const int who = face_of(face);
                assert_int_equal(who == s->person[i], !wrong);
                for (int q = 0; wrong && q < s->n_people; q++)
                    assert_int_not_equal(who, s->person[q]);
                people++, held += tk_is_held_out(s->person[i]);
            }
            if (wrong && s->n_people == 2)
                assert_int_not_equal(face_of(&r.ref[0]), face_of(&r.ref[2]));
        }
    assert_true(people > SCENES / 2 && held > 4);
}

static void test_figures__are_of_what_is_held_out(void **state)
{
    (void)state;
    int kept[3] = {0}, left[3] = {0};
    for (int k = 0; k < SCENES; k++) {
        const tk_scene *s = &scene[k];
        tk_figures f = {0};
        for (int i = 0; i < TK_FIGURES; i++) f.hits[i] = 1, f.of[i] = 2;
        tk_keep_held_out(s, &f);
        bool people = true, things = true;
        for (int i = 0; i < s->n_people; i++) people &= s->person[i] >= TK_CAST_TRAINED;
        for (int i = 0; i < s->n_things; i++)
            things &= s->thing[i].kind == TK_CRATE && s->thing[i].colour == TK_HELD_COLOUR;
        const bool keeps[3] = {people, s->set == TK_SET_WORKSHOP, things};
        static const tk_figure of[3][3] = {{TK_FIG_WHO, TK_FIG_CLOTHES, TK_FIG_STORY_FACE},
                                           {TK_FIG_SET, TK_FIG_SAME_SCAPE, TK_FIG_STORY_SET},
                                           {TK_FIG_OBJECT, TK_FIG_SAME, TK_FIG_STORY_OBJECT}};
        for (int i = 0; i < 3; i++) {
            for (int q = 0; q < 3; q++) assert_near(f.of[of[i][q]], keeps[i] ? 2 : 0, 0);
            kept[i] += keeps[i], left[i] += !keeps[i];
        }
        assert_near(f.of[TK_FIG_STYLE], 2, 0);
    }
    for (int i = 0; i < 3; i++) assert_true(kept[i] > 0 && left[i] > 0);
}

static int set_up(void **state)
{
    static const tk_codec_config c = {.patch_frames = 4,
                                      .patch_size = 16,
                                      .video_channels = 64,
                                      .audio_hop = 400,
                                      .audio_channels = 64,
                                      .fit_clips = 10,
                                      .file = ""};
    (void)state;
    tk_arena_init(&arena, 0);
    assert_ok(tk_speech_open(RATE, &speech));
    tk_media_config small = media;
    small.width = small.height = SIDE;
    assert_ok(tk_codec_fit(&c, &small, portrait_clip, NULL, 10, &codec));
    for (int k = 0; k < SCENES; k++)
        assert_ok(tk_scene_make(&only, &media, 4, speech, 3, k, &scene[k]));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tk_codec_free(codec);
    tk_speech_close(speech);
    tk_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompts__name_nobody),
        cmocka_unit_test(test_references__are_right_or_wrong),
        cmocka_unit_test(test_figures__are_of_what_is_held_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
