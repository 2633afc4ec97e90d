// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 240 */
// Judges of looks, learned from the world's examples, tell the truth of clips they have not seen
// and are not taken in by clips that are broken on purpose. LOOKS=400: of so many clips, which is
// what docs/judges.md shows; CODEC=96: and after the codec of that many numbers a patch.
#include "core/base/log.h"
#include "infer/eval/breaks.h"
#include "infer/eval/learn.h"
#include "tests/support/test.h"
#include <stdio.h>

static tk_config config;
static tk_learned learned;
static tk_speech *speech;
static tk_arena arena;
static int64_t judged = 40;

static int begin(void **state)
{
    (void)state;
    tk_config_init(&config);
    config.media = (tk_media_config){
        .width = 96, .height = 64, .fps = 12, .sample_rate = 16000, .channels = 1};
    config.world.seconds = 4, config.world.max_shots = 4, config.world.held_out = TK_HELD_WITH;
    config.codec.patch_frames = 4;
    if (getenv("LOOKS")) judged = atoll(getenv("LOOKS"));
    tk_arena_init(&arena, 0);
    if (tk_scene_open_speech(&config.world, &config.media, &speech)) return 1;
    const double from = tk_now();
    const tk_status st = tk_learn(&config, speech, &arena, &learned);
    if (getenv("LOOKS")) printf("learned in %.1f s\n", tk_now() - from);
    return st != TK_OK;
}

static int end(void **state)
{
    (void)state;
    tk_arena_free(&arena);
    tk_speech_close(speech);
    tk_config_free(&config);
    return 0;
}

static void print_table(const char *what, const tk_confusion *c, const char *const *name)
{
    const double right = (double)tk_confusion_right(c), all = (double)tk_confusion_all(c);
    printf("%s: %.1f%% of %.0f, chance %.1f%%\n", what, 100 * right / all, all,
           100 * tk_confusion_chance(c));
    for (int64_t k = 0; k < c->classes && getenv("LOOKS"); k++) {
        printf("| %-9s |", name[k]);
        for (int64_t q = 0; q <= c->classes; q++)
            printf(" %4lld |", (long long)c->n[k * (c->classes + 1) + q]);
        printf("\n");
    }
}

static double share(const tk_confusion *c)
{
    return (double)tk_confusion_right(c) / (double)tk_confusion_all(c);
}

typedef struct tables {
    tk_confusion style, set, side, size;
} tables;

static void new_tables(tables *t)
{
    assert_ok(tk_confusion_new(TK_STYLES, &arena, &t->style));
    assert_ok(tk_confusion_new(TK_SETS, &arena, &t->set));
    assert_ok(tk_confusion_new(2, &arena, &t->side));
    assert_ok(tk_confusion_new(TK_SIZES, &arena, &t->size));
}

static void judge_shots(const tk_scene *s, const tk_media *m, tables *t)
{
    for (int k = 0; k < s->n_shots; k++) {
        int64_t first, n;
        tk_frames_of(s, m, k, &first, &n);
        tk_setting_look look;
        tk_setting found;
        const tk_setting there = tk_setting_of(s, k);
        assert_ok(tk_setting_look_at(m->rgb + first * m->height * m->width * 3, n, m->height,
                                     m->width, &look));
        assert_ok(tk_settings_find(&learned.settings, &look, &found));
        tk_confusion_add(&t->style, there.style, found.style);
        tk_confusion_add(&t->set, there.set, found.set);
        tk_confusion_add(&t->side, there.side, found.side);
        tk_confusion_add(&t->size, there.size, found.size);
    }
}

static void judge_clips(tk_break b, int64_t clips, tables *t)
{
    new_tables(t);
    const int64_t frames = tk_scene_frames(&config.world, &config.media, 4);
    for (int64_t i = 0; i < clips; i++) {
        tk_scene s;
        tk_media m;
        assert_ok(tk_scene_make(&config.world, &config.media, 4, speech, 11, i, &s));
        assert_ok(tk_break_film(b, &s, &config.media, speech, frames, &m));
        judge_shots(&s, &m, t);
        tk_media_free(&m);
    }
}

static void settings_are_told(void **state)
{
    (void)state;
    static const char *const side[] = {"front", "reverse"};
    tables t;
    judge_clips(TK_BREAK_NONE, judged, &t);
    print_table("style", &t.style, tk_style_name);
    print_table("set", &t.set, tk_set_name);
    print_table("side", &t.side, side);
    print_table("size", &t.size, tk_size_name);
    assert_true(share(&t.style) >= 0.93);
    assert_true(share(&t.set) >= 0.9);
    assert_true(share(&t.size) >= 0.9);
}

static void broken_settings_fail(void **state)
{
    (void)state;
    tables t;
    judge_clips(TK_BREAK_STYLE, judged / 2, &t);
    print_table("style of clips drawn in another", &t.style, tk_style_name);
    assert_true(share(&t.style) < 0.2);
    judge_clips(TK_BREAK_SET, judged / 2, &t);
    print_table("set of clips that play in another", &t.set, tk_set_name);
    assert_true(share(&t.set) < 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_told),
        cmocka_unit_test(broken_settings_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
