// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 240 */
// Judges of clothes and of lips, learned from the world's examples, tell the truth of clips they
// have not seen where they are told whose head is where, before and after the codec, and are not
// taken in by clips that are broken on purpose. PEOPLE=160: of so many clips, through the codec of
// a model that speaks (PATCH=4: of so many frames a patch), with the tables that docs/judges.md
// shows.
#include "tests/infer/eval/coded.h"
#include <math.h>
#include <stdio.h>

static tk_config config;
static tk_learned learned;
static tk_speech *speech;
static tk_codec *codec;
static tk_arena arena;
static int64_t judged = 20;
static bool all_of_it;

static int begin(void **state)
{
    (void)state;
    judged_world(&config);
    all_of_it = getenv("PEOPLE") != NULL;
    if (all_of_it) judged = atoll(getenv("PEOPLE"));
    config.eval.shown = all_of_it ? 150 : 75;
    tk_arena_init(&arena, 0);
    if (tk_scene_open_speech(&config.world, &config.media, &speech)) return 1;
    if (fit_codec(&config, speech, all_of_it, &codec)) return 1;
    return tk_learn_people(&config, codec, speech, &arena, &learned) != TK_OK;
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

typedef struct tally {
    tk_confusion clothes[TK_STYLES];
    int64_t lips[TK_STYLES];    // shots asked
    int64_t near[TK_STYLES];    // of them, those whose sound is found to be within a frame
    int64_t right[TK_STYLES];   // and whose lips go with it
    double together[TK_STYLES]; // sum of correlations
} tally;

static bool large(const tk_head *h)
{
    return 1.8 * h->r >= 10;
}

// Where heads are in frames [first, first + n), as if they had been found.
static tk_head_sightings sightings_of(const tk_scene *s, const tk_media *m, int64_t first,
                                      int64_t n)
{
    tk_head_sightings seen = {.n = tk_heads_frames(n)};
    for (int k = 0; k < seen.n; k++) {
        seen.frame[k] = tk_heads_frame(n, k);
        seen.heads[k] = tk_heads_of(s, m, (double)(first + seen.frame[k]) / m->fps, seen.head[k]);
    }
    return seen;
}

static void judge_lips(tk_style style, const tk_lips_clip *clip, int64_t first, int64_t n,
                       const tk_head_way *way, tally *p)
{
    tk_lips lips;
    assert_ok(tk_lips_watch(&learned.lips, (int)style, way, clip, first, n, &lips));
    const bool near = fabs(lips.late_ms) <= 1000 / clip->fps && lips.judged > 0;
    p->lips[style]++;
    p->near[style] += near;
    p->together[style] += lips.together;
    p->right[style] += near && lips.together >= TK_LIPS_TOGETHER;
}

static void judge_shot(const tk_scene *s, const tk_media *m, int k, const tk_lips_clip *clip,
                       tally *p)
{
    int64_t first, n;
    tk_head there[TK_HEADS];
    const tk_shot *h = &s->shot[k];
    tk_frames_of(s, m, k, &first, &n);
    const uint8_t *rgb = m->rgb + first * m->height * m->width * 3;
    const tk_head_sightings seen = sightings_of(s, m, first, n);
    const int all = tk_heads_of(s, m, (double)(first + n / 2) / m->fps, there);
    for (int i = 0; i < all; i++) {
        tk_head_way way;
        double sure[TK_CLOTHES];
        int worn;
        if (!large(&there[i])) continue;
        tk_heads_follow(&seen, there[i].who, &way);
        assert_ok(tk_clothes_watch(&learned.clothes, (int)h->style, &way, rgb, m->height, m->width,
                                   sure, &worn));
        tk_confusion_add(&p->clothes[h->style], there[i].who, worn);
        if (h->n_lines > 0 && there[i].who == s->person[s->line[h->first_line].person] &&
            tk_lips_width(&there[i]) >= TK_LIPS_LEAST)
            judge_lips(h->style, clip, first, n, &way, p);
    }
}

// Before and after the codec.
typedef struct tallies {
    tally as_is, coded;
} tallies;

static void judge_clip(const tk_scene *s, const tk_media *m, int from, tally *p)
{
    tk_lips_clip clip = {.rgb = m->rgb, .height = m->height, .width = m->width, .fps = m->fps};
    tk_arena a;
    tk_arena_init(&a, 0);
    assert_ok(tk_lips_listen(m->pcm, m->samples, m->channels, m->sample_rate, &a, &clip.sound));
    for (int k = from; k < s->n_shots; k++) judge_shot(s, m, k, &clip, p);
    tk_arena_free(&a);
}

static void judge_clips(tk_break b, tallies *p)
{
    const int64_t frames = tk_scene_frames(&config.world, &config.media, config.codec.patch_frames);
    *p = (tallies){0};
    for (int q = 0; q < TK_STYLES; q++) {
        assert_ok(tk_confusion_new(TK_CAST, &arena, &p->as_is.clothes[q]));
        assert_ok(tk_confusion_new(TK_CAST, &arena, &p->coded.clothes[q]));
    }
    for (int64_t i = 0; i < judged; i++) {
        tk_scene s;
        tk_media m;
        assert_ok(tk_scene_make(&config.world, &config.media, config.codec.patch_frames, speech, 12,
                                i, &s));
        assert_ok(tk_break_film(b, &s, &config.media, speech, frames, &m));
        judge_clip(&s, &m, b == TK_BREAK_CLOTHES, &p->as_is);
        pass_through(codec, &m);
        judge_clip(&s, &m, b == TK_BREAK_CLOTHES, &p->coded);
        tk_media_free(&m);
    }
}

static void print_table(const char *what, const tk_confusion *c)
{
    const double right = (double)tk_confusion_right(c), all = (double)tk_confusion_all(c);
    if (all == 0) return;
    printf("  %s: %.1f%% of %.0f, chance %.1f%%\n", what, 100 * right / all, all,
           100 * tk_confusion_chance(c));
    for (int k = 0; k < TK_CAST && getenv("PEOPLE"); k++) {
        printf("| %-4s |", tk_characters[k].name);
        for (int q = 0; q <= TK_CAST; q++)
            printf(" %3lld |", (long long)c->n[k * (TK_CAST + 1) + q]);
        printf("\n");
    }
}

static void print_tally(const char *what, bool coded, const tally *p)
{
    printf("%s%s\n", what, coded ? ", after the codec" : "");
    for (int q = 0; q < TK_STYLES; q++) {
        printf("%s\n", tk_style_name[q]);
        print_table("clothes of a shot", &p->clothes[q]);
        printf("  lips: %lld shots, sound within a frame %lld, in step %lld, correlation %.2f\n",
               (long long)p->lips[q], (long long)p->near[q], (long long)p->right[q],
               p->together[q] / (double)(p->lips[q] ? p->lips[q] : 1));
    }
}

static int64_t sum_of(const int64_t n[TK_STYLES])
{
    return n[TK_STYLE_NATURAL] + n[TK_STYLE_NOIR] + n[TK_STYLE_ANIME];
}

static double clothes_right(const tally *p, tk_style style)
{
    return (double)tk_confusion_right(&p->clothes[style]) /
           (double)tk_confusion_all(&p->clothes[style]);
}

static void judge(tk_break b, tallies *p)
{
    judge_clips(b, p);
    print_tally(tk_break_name[b], false, &p->as_is);
    print_tally(tk_break_name[b], true, &p->coded);
}

static void is_truth(const tally *p)
{
    assert_true(sum_of(p->lips) >= 10);
    assert_true((double)sum_of(p->near) >= 0.85 * (double)sum_of(p->lips));
    assert_true((double)sum_of(p->right) >= 0.80 * (double)sum_of(p->lips));
    assert_true(clothes_right(p, TK_STYLE_NATURAL) >= 0.9);
    assert_true(clothes_right(p, TK_STYLE_ANIME) >= 0.9);
}

static void truth_is_told(void **state)
{
    (void)state;
    tallies p;
    judge(TK_BREAK_NONE, &p);
    is_truth(&p.as_is);
    is_truth(&p.coded);
}

static void others_clothes_are_noticed(void **state)
{
    (void)state;
    tallies p;
    judge(TK_BREAK_CLOTHES, &p);
    for (int i = 0; i < 2; i++) {
        const tally *one = i ? &p.coded : &p.as_is;
        assert_true(clothes_right(one, TK_STYLE_NATURAL) < 0.2);
        assert_true(clothes_right(one, TK_STYLE_ANIME) < 0.2);
    }
}

static void lips_out_of_step_are_noticed(tk_break b)
{
    tallies p;
    judge(b, &p);
    assert_true((double)sum_of(p.as_is.right) < 0.2 * (double)sum_of(p.as_is.lips));
    assert_true((double)sum_of(p.coded.right) < 0.2 * (double)sum_of(p.coded.lips));
}

static void lips_of_other_words_are_noticed(void **state)
{
    (void)state;
    lips_out_of_step_are_noticed(TK_BREAK_LIPS);
}

static void late_sound_is_noticed(void **state)
{
    (void)state;
    lips_out_of_step_are_noticed(TK_BREAK_SOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truth_is_told), cmocka_unit_test(others_clothes_are_noticed),
        cmocka_unit_test(lips_of_other_words_are_noticed), cmocka_unit_test(late_sound_is_noticed)};
    return cmocka_run_group_tests(tests, begin, end);
}
