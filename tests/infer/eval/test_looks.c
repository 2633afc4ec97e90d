// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 240 */
// Judges of looks, learned from the world's examples, tell the truth of clips they have not seen
// and are not taken in by clips that are broken on purpose, before and after the codec; so do
// figures of what people wear and of their lips, under the heads that are found. LOOKS=160: of so
// many clips, through the codec of a model that speaks, with the tables that docs/judges.md shows.
#include "core/base/log.h"
#include "infer/eval/measure/measure.h"
#include "tests/infer/eval/coded.h"
#include <math.h>
#include <stdio.h>

static tk_config config;
static tk_learned learned;
static tk_speech *speech;
static tk_codec *codec;
static tk_arena arena;
static int64_t judged = 30;
static const char *const way_name[] = {"as it is", "after the codec"};

static int begin(void **state)
{
    (void)state;
    judged_world(&config);
    if (getenv("LOOKS")) judged = atoll(getenv("LOOKS"));
    tk_arena_init(&arena, 0);
    if (tk_scene_open_speech(&config.world, &config.media, &speech)) return 1;
    if (fit_codec(&config, speech, getenv("LOOKS") != NULL, &codec)) return 1;
    config.eval.shown = getenv("LOOKS") ? 150 : 120;
    const double from = tk_now();
    const tk_status st = tk_learn(&config, codec, speech, &arena, &learned);
    if (getenv("LOOKS")) printf("learned in %.1f s\n", tk_now() - from);
    return st != TK_OK;
}

static int end(void **state)
{
    (void)state;
    tk_arena_free(&arena);
    tk_codec_free(codec);
    tk_speech_close(speech);
    tk_config_free(&config);
    return 0;
}

static void print_table(const char *what, int way, const tk_confusion *c, const char *const *name)
{
    const double right = (double)tk_confusion_right(c), all = (double)tk_confusion_all(c);
    if (all == 0) return;
    printf("  %s, %s: %.1f%% of %.0f, chance %.1f%%\n", what, way_name[way], 100 * right / all, all,
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

static void film(tk_break b, uint64_t seed, int64_t i, tk_scene *s, tk_media *m)
{
    const int64_t latent = config.codec.patch_frames;
    assert_ok(tk_scene_make(&config.world, &config.media, latent, speech, seed, i, s));
    assert_ok(tk_break_film(b, s, &config.media, speech,
                            tk_scene_frames(&config.world, &config.media, latent), m));
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

// t: before and after the codec.
static void judge_clips(tk_break b, int64_t clips, tables t[2])
{
    new_tables(&t[0]);
    new_tables(&t[1]);
    for (int64_t i = 0; i < clips; i++) {
        tk_scene s;
        tk_media m;
        film(b, 11, i, &s, &m);
        judge_shots(&s, &m, &t[0]);
        pass_through(codec, &m);
        judge_shots(&s, &m, &t[1]);
        tk_media_free(&m);
    }
}

static void settings_are_told(void **state)
{
    (void)state;
    static const char *const side[] = {"front", "reverse"};
    tables t[2];
    judge_clips(TK_BREAK_NONE, judged, t);
    for (int w = 0; w < 2; w++) {
        print_table("style", w, &t[w].style, tk_style_name);
        print_table("set", w, &t[w].set, tk_set_name);
        print_table("side", w, &t[w].side, side);
        print_table("size", w, &t[w].size, tk_size_name);
    }
    for (int w = 0; w < 2; w++) {
        assert_true(share(&t[w].style) >= (w ? 0.90 : 0.95));
        assert_true(share(&t[w].set) >= (w ? 0.90 : 0.95));
        assert_true(share(&t[w].size) >= 0.9);
    }
}

static void broken_settings_fail(void **state)
{
    (void)state;
    tables style[2], set[2];
    judge_clips(TK_BREAK_STYLE, judged / 2, style);
    judge_clips(TK_BREAK_SET, judged / 2, set);
    for (int w = 0; w < 2; w++) {
        print_table("style of clips drawn in another", w, &style[w].style, tk_style_name);
        print_table("set of clips that play in another", w, &set[w].set, tk_set_name);
        assert_true(share(&style[w].style) < 0.2);
        assert_true(share(&set[w].set) < 0.25);
    }
}

// Heads of the frames in the middle of shots: whose they are found to be, where they are; and who
// is surest in a shot that shows one person's head and no other.
typedef struct people {
    tk_confusion who[TK_STYLES], shot[TK_STYLES];
    int64_t there, found, frames, beside;
} people;

static void judge_middle(const tk_scene *s, const tk_media *m, int64_t frame, people *p)
{
    const tk_style style = tk_scene_style_at(s, (double)frame / m->fps);
    tk_head there[TK_HEADS], found[4];
    int n;
    const int all = tk_heads_of(s, m, (double)frame / m->fps, there);
    assert_ok(tk_heads_find(&learned.heads, (int)style, m->rgb + frame * m->height * m->width * 3,
                            4, found, &n));
    p->frames++;
    for (int i = 0; i < all; i++) {
        if (1.8 * there[i].r < 10) continue;
        int hit = -1;
        for (int k = 0; k < n && hit < 0; k++)
            if (hypot(found[k].x - there[i].x, found[k].y - there[i].y) < 0.6 * there[i].r &&
                fabs(log(found[k].r / there[i].r)) < 0.4)
                hit = k;
        tk_confusion_add(&p->who[style], there[i].who, hit < 0 ? -1 : found[hit].who);
        p->there++, p->found += hit >= 0;
    }
    for (int k = 0; k < n; k++) {
        bool true_one = false;
        for (int i = 0; i < all; i++)
            true_one |= hypot(found[k].x - there[i].x, found[k].y - there[i].y) < there[i].r;
        p->beside += !true_one;
    }
}

static void judge_shots_of_people(const tk_scene *s, const tk_media *m, int from, people *p)
{
    for (int k = from; k < s->n_shots; k++) {
        int64_t first, n;
        tk_head there[TK_HEADS];
        double sure[TK_HEAD_PEOPLE];
        tk_head_sightings seen;
        tk_frames_of(s, m, k, &first, &n);
        judge_middle(s, m, first + n / 2, p);
        const int all = tk_heads_of(s, m, (double)(first + n / 2) / m->fps, there);
        if (all != 1 || 1.8 * there[0].r < 10) continue;
        assert_ok(tk_heads_watch(&learned.heads, (int)s->shot[k].style,
                                 m->rgb + first * m->height * m->width * 3, n, &seen));
        tk_confusion_add(&p->shot[s->shot[k].style], there[0].who, tk_heads_who(&seen, sure));
    }
}

static void judge_people(tk_break b, int64_t clips, people p[2])
{
    for (int w = 0; w < 2; w++) {
        p[w] = (people){0};
        for (int q = 0; q < TK_STYLES; q++) {
            assert_ok(tk_confusion_new(TK_CAST, &arena, &p[w].who[q]));
            assert_ok(tk_confusion_new(TK_CAST, &arena, &p[w].shot[q]));
        }
    }
    for (int64_t i = 0; i < clips; i++) {
        tk_scene s;
        tk_media m;
        film(b, 12, i, &s, &m);
        judge_shots_of_people(&s, &m, b != TK_BREAK_NONE, &p[0]);
        pass_through(codec, &m);
        judge_shots_of_people(&s, &m, b != TK_BREAK_NONE, &p[1]);
        tk_media_free(&m);
    }
}

static void print_people(const char *what, int way, const people *p)
{
    const char *character[TK_CAST];
    for (int k = 0; k < TK_CAST; k++) character[k] = tk_characters[k].name;
    printf("%s, %s: heads of >= 10 pixels %lld, found %lld; taken for heads beside them: %lld in "
           "%lld pictures\n",
           what, way_name[way], (long long)p->there, (long long)p->found, (long long)p->beside,
           (long long)p->frames);
    for (int q = 0; q < TK_STYLES; q++) {
        printf("%s\n", tk_style_name[q]);
        print_table("heads of a picture", way, &p->who[q], character);
        print_table("person of a shot", way, &p->shot[q], character);
    }
}

static void people_are_known(void **state)
{
    (void)state;
    people p[2];
    judge_people(TK_BREAK_NONE, judged / 2, p);
    for (int w = 0; w < 2; w++) print_people("people", w, &p[w]);
    for (int w = 0; w < 2; w++) { // of noir: docs/judges.md
        const tk_confusion *natural = &p[w].shot[TK_STYLE_NATURAL],
                           *anime = &p[w].shot[TK_STYLE_ANIME];
        const int64_t of = tk_confusion_all(natural) + tk_confusion_all(anime);
        assert_true(of >= 10);
        assert_true((double)(tk_confusion_right(natural) + tk_confusion_right(anime)) >=
                    0.85 * (double)of);
    }
}

static void swapped_people_are_noticed(void **state)
{
    (void)state;
    people p[2];
    judge_people(TK_BREAK_PEOPLE, judged / 3, p);
    for (int w = 0; w < 2; w++) {
        print_people("others after a cut", w, &p[w]);
        for (int q = 0; q < TK_STYLES; q++)
            assert_true(4 * tk_confusion_right(&p[w].shot[q]) <= tk_confusion_all(&p[w].shot[q]));
    }
}

// ---- figures of people -------------------------------------------------------------------------

static const int64_t talks = 6; // clips in which people speak, in colour

static void measure_talks(tk_break b, tk_figures *f)
{
    *f = (tk_figures){0};
    for (int64_t i = 0, n = 0; n < talks; i++) {
        tk_scene s;
        tk_media m;
        film(b, 13, i, &s, &m);
        const bool tells = !tk_scene_in_style(&s, TK_STYLE_NOIR) && s.n_lines > 0;
        if (tells) assert_ok(tk_measure_clip(&learned, &s, &m, NULL, f));
        tk_media_free(&m);
        n += tells;
    }
}

static double part_of(const tk_figures *f, tk_figure k)
{
    assert_true(f->of[k] >= 4);
    return f->hits[k] / f->of[k];
}

static void figures_of_people_tell(void **state)
{
    (void)state;
    tk_figures truth, clothes, lips, late;
    tk_config c = config;
    c.eval.shown = 75;
    assert_ok(tk_learn_people(&c, NULL, speech, &arena, &learned));
    measure_talks(TK_BREAK_NONE, &truth);
    measure_talks(TK_BREAK_CLOTHES, &clothes);
    measure_talks(TK_BREAK_LIPS, &lips);
    measure_talks(TK_BREAK_SOUND, &late);
    const tk_column_of_figures column[] = {
        {"truth", &truth}, {"clothes", &clothes}, {"lips", &lips}, {"sound", &late}};
    tk_figures_print(4, column);
    assert_true(part_of(&truth, TK_FIG_CLOTHES) >= 0.9);
    assert_true(part_of(&truth, TK_FIG_SAME_CLOTHES) >= 0.9);
    assert_true(part_of(&truth, TK_FIG_LIPS) >= 0.85);
    assert_true(part_of(&clothes, TK_FIG_SAME_CLOTHES) <= 0.1);
    assert_true(part_of(&lips, TK_FIG_LIPS) <= 0.1);
    assert_true(part_of(&late, TK_FIG_LIPS) <= 0.1);
    assert_true(fabs(tk_figures_quantile(&truth, TK_OFF_LIPS, 0.5)) <= 20);
    assert_true(tk_figures_quantile(&late, TK_OFF_LIPS, 0.5) >= 200);
    assert_true(tk_figures_quantile(&truth, TK_OFF_TOGETHER, 0.5) >= 0.8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_told),      cmocka_unit_test(broken_settings_fail),
        cmocka_unit_test(people_are_known),       cmocka_unit_test(swapped_people_are_noticed),
        cmocka_unit_test(figures_of_people_tell),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
