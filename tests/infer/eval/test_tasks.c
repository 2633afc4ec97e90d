// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 240 */
// Tasks that are asked with a part of a clip given: which rows those are, what is judged of the
// others, and that judges find truth right and another clip's rows, put in its place, wrong; no
// model has to be trained for that. Of what takes little to learn; TASKS=40: of all there is, of so
// many clips, as the table that docs/judges.md shows.
#include "infer/eval/measure/measure.h"
#include "infer/eval/tasks/tasks.h"
#include "tests/infer/eval/coded.h"
#include <string.h>

enum { ROWS = 24 }; // clips whose rows are looked at
static tk_eval eval;
static tk_codec *codec;
static tk_asked_figures found;
static int64_t clips = 7;
static bool all_of_it;

// One that shows what moves where it is, so that contacts are seen: a row a frame, many numbers.
static void fit_sharp(tk_config *c)
{
    coded_clips made = {.config = c, .speech = eval.speech};
    c->codec.patch_frames = 1;
    c->codec.patch_size = 8;
    c->codec.video_channels = 64;
    c->codec.video = TK_PICTURE_LAPPED;
    c->codec.audio_hop = 400;
    c->codec.audio = TK_SOUND_MDCT;
    c->codec.audio_channels = 128;
    assert_ok(tk_codec_fit(&c->codec, &c->media, shoot_coded, &made, 8, &codec));
    tk_media_free(&made.media);
}

static int begin(void **state)
{
    (void)state;
    tk_config *c = &eval.config;
    judged_world(c);
    all_of_it = getenv("TASKS") != NULL;
    if (all_of_it) clips = atoll(getenv("TASKS"));
    c->world.seed = 31;
    c->world.speech = c->world.people = all_of_it ? 2 : 0;
    c->world.styles = all_of_it ? TK_STYLES : 1; // one that has colours
    c->eval.shown = all_of_it ? 150 : 15;
    c->eval.clips = clips;
    c->eval.first = 0;
    tk_arena_init(&eval.arena, 0);
    assert_ok(tk_scene_open_speech(&c->world, &c->media, &eval.speech));
    fit_sharp(c);
    eval.trained.meta.codec = codec;
    return 0;
}

static int end(void **state)
{
    (void)state;
    tk_learned_close(&eval.learned);
    tk_arena_free(&eval.arena);
    tk_codec_free(codec);
    tk_speech_close(eval.speech);
    tk_config_free(&eval.config);
    return 0;
}

typedef struct asked { // clip i and the other one, as rows
    tk_eval_clip clip;
    tk_scene scene;
    tk_latents own, other;
} asked;

static void film_rows(const tk_scene *s, const tk_story *plan, tk_arena *a, tk_latents *x)
{
    tk_media m;
    assert_ok(tk_eval_film(&eval, s, plan, &m));
    assert_ok(tk_eval_encode(&eval, &m, plan, a, x));
    tk_media_free(&m);
}

static void ask(int64_t i, bool filmed, tk_arena *a, asked *out)
{
    assert_ok(tk_eval_plan(&eval, i, TK_CAPTIONS_NONE, a, &out->clip));
    assert_ok(tk_asked_other(&eval.config, eval.speech, &out->clip.scene,
                             clips + i * TK_ASKED_OTHERS, &out->scene));
    if (!filmed) return;
    film_rows(&out->clip.scene, &out->clip.plan, a, &out->own);
    film_rows(&out->scene, &out->clip.plan, a, &out->other);
}

// ---- rows --------------------------------------------------------------------------------------

static const uint8_t *mask_of(const tk_asked_parts *p, int m, tk_arena *a)
{
    uint8_t *given = tk_arena_alloc(a, (size_t)tk_shot_count(&p->given.doc, 0, m));
    assert_non_null(given);
    tk_given_rows(&p->given.what, m, 0, p->given.what.whole[m].end, given);
    return given;
}

static int64_t count_given(const tk_asked_parts *p, int m)
{
    int64_t n = 0;
    tk_arena a;
    tk_arena_init(&a, 0);
    const uint8_t *given = mask_of(p, m, &a);
    for (int64_t r = 0; r < tk_shot_count(&p->given.doc, 0, m); r++) n += given[r];
    tk_arena_free(&a);
    return n;
}

// What each task gives: a part of the picture's rows, and of the sound's.
static void check_parts(const tk_asked_task *t, const tk_story *s, const tk_asked_parts *p)
{
    const int64_t picture = count_given(p, TK_VIDEO), sound = count_given(p, TK_AUDIO);
    const int64_t pictures = s->grid.video_rows, sounds = s->grid.audio_rows * s->channels;
    const int64_t frame = s->grid.high * s->grid.wide, last = s->shot[s->n_shots - 1].latents;
    int made = 0;
    for (int h = 0; h < s->n_shots; h++) made += p->made[h];
    assert_int_equal(p->hide >= 0, t->task == TK_TASK_KEYFRAME);
    switch (t->task) {
    case TK_TASK_CONTINUE:
        assert_int_equal(picture, pictures - last * frame);
        assert_int_equal(sound, s->shot[s->n_shots - 1].first_audio * s->channels);
        assert_true(made == 1 && p->made[s->n_shots - 1]);
        break;
    case TK_TASK_KEYFRAME:
        assert_true(picture == frame && sound == 0 && made == 1);
        break;
    case TK_TASK_PICTURE_TO_SOUND:
        assert_true(picture == pictures && sound == 0 && made == s->n_shots);
        break;
    case TK_TASK_SOUND_TO_PICTURE:
        assert_true(picture == 0 && sound == sounds && made == s->n_shots);
        break;
    case TK_TASK_SPAN:
        assert_true(4 * picture <= pictures + 4 * frame && picture >= 2 * frame);
        assert_true(sound > 0 && 3 * sound < sounds && made > 0);
        break;
    default:
        assert_true(3 * picture < 2 * pictures && picture > 0 && sound == sounds);
    }
}

static void check_rows(const tk_asked_parts *p, const tk_story *s, int m, int64_t channels,
                       const asked *c, const float *joined)
{
    const int64_t frame = s->grid.high * s->grid.wide;
    tk_arena a;
    tk_arena_init(&a, 0);
    const uint8_t *given = mask_of(p, m, &a);
    for (int64_t r = 0; r < tk_shot_count(&p->given.doc, 0, m); r++) {
        const bool hidden = m == TK_VIDEO && r / frame == p->hide;
        const tk_latents *from = given[r] && !hidden ? &c->own : &c->other;
        const int64_t at = hidden ? r + (p->show - p->hide) * frame : r;
        assert_memory_equal(joined + r * channels, from->rows[m] + at * channels,
                            (size_t)channels * sizeof *joined);
    }
    tk_arena_free(&a);
}

static void test_parts__are_given_or_made(void **state)
{
    (void)state;
    const tk_codec_info *k = tk_codec_get_info(codec);
    int asked_for[TK_ASKED_TASKS] = {0}, alike = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        tk_arena a;
        asked c;
        tk_arena_init(&a, 0);
        ask(i, i < 2, &a, &c);
        alike += c.scene.n_shots == c.clip.scene.n_shots;
        assert_true(c.scene.index >= clips);
        for (int h = 0; h < c.clip.plan.n_shots; h++)
            assert_string_equal(c.clip.plan.shot[h].caption, "");
        for (int t = 0; t < TK_ASKED_TASKS; t++) {
            tk_asked_parts p;
            tk_latents x;
            bool can;
            assert_ok(tk_asked_parts_of(&tk_asked_tasks[t], &c.clip.plan, k, &a, &p, &can));
            if (tk_asked_tasks[t].task == TK_TASK_CONTINUE)
                assert_int_equal(can, c.clip.plan.n_shots > 1);
            if (!can) continue;
            asked_for[t]++;
            check_parts(&tk_asked_tasks[t], &c.clip.plan, &p);
            if (i >= 2) continue;
            assert_ok(tk_asked_join(&p, &c.clip.plan, k, &c.own, &c.other, &a, &x));
            check_rows(&p, &c.clip.plan, TK_VIDEO, k->video_channels, &c, x.rows[TK_VIDEO]);
            check_rows(&p, &c.clip.plan, TK_AUDIO, k->audio_channels, &c, x.rows[TK_AUDIO]);
        }
        tk_arena_free(&a);
    }
    for (int t = 0; t < TK_ASKED_TASKS; t++) assert_true(asked_for[t] >= ROWS / 2);
    assert_int_equal(alike, ROWS);
}

// ---- figures -----------------------------------------------------------------------------------

static void judge(const asked *c, const tk_asked_task *t, const tk_asked_parts *p,
                  const tk_latents *made, tk_arena *a, tk_figures *to)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    tk_figures f = {0};
    tk_latents x;
    tk_media m;
    assert_ok(tk_asked_join(p, &c->clip.plan, k, &c->own, made, a, &x));
    assert_ok(tk_story_decode(&c->clip.plan, codec, &x, &m));
    assert_ok(tk_measure_clip(&eval.learned, &c->clip.scene, &m, p->made, &f));
    tk_media_free(&m);
    tk_asked_count(t, &f, to);
}

static void judge_clip(int64_t i)
{
    tk_arena a;
    asked c;
    tk_arena_init(&a, 0);
    ask(i, true, &a, &c);
    for (int t = 0; t < TK_ASKED_TASKS; t++) {
        const tk_asked_task *task = &tk_asked_tasks[t];
        tk_asked_parts p;
        bool can;
        assert_ok(tk_asked_parts_of(task, &c.clip.plan, tk_codec_get_info(codec), &a, &p, &can));
        if (!can) continue;
        judge(&c, task, &p, &c.own, &a, &found.column[t][TK_ASKED_TRUTH]);
        judge(&c, task, &p, &c.other, &a, &found.column[t][TK_ASKED_CHANCE]);
    }
    tk_arena_free(&a);
}

static double share(const tk_figures *f, tk_figure k)
{
    return f->hits[k] / f->of[k];
}

static double share_of_all(int t, tk_asked_column c)
{
    const tk_figures *f = &found.column[t][c];
    double hits = 0, of = 0;
    for (int k = 0; k < TK_FIGURES; k++) hits += f->hits[k], of += f->of[k];
    assert_true(of >= 5);
    return hits / of;
}

static void test_figures__tell_the_truth_from_another_clip(void **state)
{
    (void)state;
    tk_config *c = &eval.config;
    assert_ok(tk_learn(c, codec, eval.speech, &eval.arena, &eval.learned));
    assert_ok(tk_learn_sounds(c, codec, eval.speech, &eval.arena, &eval.learned));
    assert_ok(tk_learn_things(c, codec, eval.speech, &eval.arena, &eval.learned.things));
    if (all_of_it) assert_ok(tk_learn_people(c, codec, eval.speech, &eval.arena, &eval.learned));
    for (int64_t i = 0; i < clips; i++) judge_clip(i);
    for (int t = 0; t < TK_ASKED_TASKS; t++) found.asked[t] = true;
    tk_asked_print(&found);
    for (int t = 0; t < TK_ASKED_TASKS; t++) {
        assert_true(share_of_all(t, TK_ASKED_TRUTH) >= 0.85);
        assert_true(share_of_all(t, TK_ASKED_CHANCE) <= 0.65);
        for (int i = 0; i < tk_asked_tasks[t].n; i++) {
            const tk_figure k = tk_asked_tasks[t].figures[i];
            const tk_figures *f = found.column[t];
            if (f[TK_ASKED_TRUTH].of[k] >= 5)
                assert_true(share(&f[TK_ASKED_CHANCE], k) < share(&f[TK_ASKED_TRUTH], k));
        }
    }
}

static void test_names__are_of_tasks_that_give(void **state)
{
    (void)state;
    char *two[] = {"span", "keyframe"}, *all[] = {"all"}, *none[] = {"span", "text"};
    tk_asked_figures f = {0};
    assert_ok(tk_asked_read(&(tk_eval_config){.tasks = two, .n_tasks = 2}, &f));
    for (int t = 0; t < TK_ASKED_TASKS; t++)
        assert_int_equal(f.asked[t], tk_asked_tasks[t].task == TK_TASK_SPAN ||
                                         tk_asked_tasks[t].task == TK_TASK_KEYFRAME);
    json_t *report = tk_asked_report(&f);
    assert_int_equal(json_object_size(report), 2);
    json_decref(report);
    assert_ok(tk_asked_read(&(tk_eval_config){.tasks = all, .n_tasks = 1}, &f));
    for (int t = 0; t < TK_ASKED_TASKS; t++) assert_true(f.asked[t]);
    assert_int_equal(tk_asked_read(&(tk_eval_config){.tasks = none, .n_tasks = 2}, &f), TK_INPUT);
    assert_non_null(strstr(tk_status_message(), "\"text\" is no task that gives"));
    tk_status_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts__are_given_or_made),
        cmocka_unit_test(test_names__are_of_tasks_that_give),
        cmocka_unit_test(test_figures__tell_the_truth_from_another_clip),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
