// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 90 */
// Captions are read back by a reader of their own and compared with the scene; spoken lines
// likewise.
#include "data/scene/people.h"
#include "data/scene/scene.h"
#include "tests/support/test.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CLIPS = 600, PATCH = 3 };
static const tk_media_config media = {
    .width = 96, .height = 64, .fps = 12, .sample_rate = 16000, .channels = 1};
static const tk_world_config world = {
    .seconds = 6, .max_shots = 3, .things = 2, .people = 2, .speech = 1, .sets = 4, .styles = 3};
static tk_speech *speech;

static void make_told_again(double restyle, int64_t index, tk_scene *s)
{
    tk_world_config w = world;
    w.restyle = restyle;
    assert_ok(tk_scene_make(&w, &media, PATCH, speech, 11, index, s));
}

static void make(int64_t index, tk_scene *s)
{
    make_told_again(0, index, s);
}

// ---- the reader --------------------------------------------------------------------------------

typedef struct phrase { // what a caption that holds these words speaks of
    const char *words;
    tk_beat beat;
    tk_outcome outcome;
} phrase;

// The first that a clause holds counts.
static const phrase phrases[] = {
    {" down the ramp, hits the ", TK_BEAT_RAMP, TK_OUTCOME_HITS},
    {" down the ramp into the ", TK_BEAT_RAMP, TK_OUTCOME_HITS},
    {" down the ramp", TK_BEAT_RAMP, TK_OUTCOME_ROLLS},
    {" hits the ", TK_BEAT_HIT, TK_OUTCOME_HITS},
    {" runs into the ", TK_BEAT_HIT, TK_OUTCOME_HITS},
    {" knocks into the ", TK_BEAT_HIT, TK_OUTCOME_HITS},
    {" water, it sinks", TK_BEAT_LETGO, TK_OUTCOME_SINKS},
    {" water, it floats", TK_BEAT_LETGO, TK_OUTCOME_FLOATS},
    {", it bounces", TK_BEAT_LETGO, TK_OUTCOME_BOUNCES},
    {" bounce.", TK_BEAT_LETGO, TK_OUTCOME_BOUNCES},
    {" sink.", TK_BEAT_LETGO, TK_OUTCOME_SINKS},
    {" float.", TK_BEAT_LETGO, TK_OUTCOME_FLOATS},
    {" rise.", TK_BEAT_LETGO, TK_OUTCOME_RISES},
    {" go.", TK_BEAT_LETGO, TK_OUTCOME_RISES},
    {" fall.", TK_BEAT_LETGO, TK_OUTCOME_LIES},
    {" drops the ", TK_BEAT_LETGO, TK_OUTCOME_LIES},
    {" water, sinks", TK_BEAT_SPLASH, TK_OUTCOME_SINKS},
    {" down, sinks", TK_BEAT_SPLASH, TK_OUTCOME_SINKS},
    {" water, floats", TK_BEAT_SPLASH, TK_OUTCOME_FLOATS},
    {" down, floats", TK_BEAT_SPLASH, TK_OUTCOME_FLOATS},
    {" bounces on", TK_BEAT_LOOK, TK_OUTCOME_BOUNCES},
    {" still bounces", TK_BEAT_LOOK, TK_OUTCOME_BOUNCES},
    {" falls on", TK_BEAT_LOOK, TK_OUTCOME_FALLS},
    {" still falls", TK_BEAT_LOOK, TK_OUTCOME_FALLS},
    {" rolls on", TK_BEAT_LOOK, TK_OUTCOME_ROLLS},
    {" still rolls", TK_BEAT_LOOK, TK_OUTCOME_ROLLS},
    {" slides on", TK_BEAT_LOOK, TK_OUTCOME_SLIDES},
    {" still slides", TK_BEAT_LOOK, TK_OUTCOME_SLIDES},
    {" sinks on", TK_BEAT_LOOK, TK_OUTCOME_SINKS},
    {" still sinks", TK_BEAT_LOOK, TK_OUTCOME_SINKS},
    {" floats there", TK_BEAT_LOOK, TK_OUTCOME_FLOATS},
    {" still floats", TK_BEAT_LOOK, TK_OUTCOME_FLOATS},
    {" rises on", TK_BEAT_LOOK, TK_OUTCOME_RISES},
    {" still rises", TK_BEAT_LOOK, TK_OUTCOME_RISES},
    {" lies ", TK_BEAT_LOOK, TK_OUTCOME_LIES},
    {" bounces", TK_BEAT_DROP, TK_OUTCOME_BOUNCES},
    {" drops ", TK_BEAT_DROP, TK_OUTCOME_LIES},
    {" thuds ", TK_BEAT_DROP, TK_OUTCOME_LIES},
    {" falls ", TK_BEAT_DROP, TK_OUTCOME_LIES},
    {" rises", TK_BEAT_RISE, TK_OUTCOME_RISES},
    {" up.", TK_BEAT_RISE, TK_OUTCOME_RISES},
    {" walks ", TK_BEAT_WALK, TK_OUTCOME_NONE},
    {" goes ", TK_BEAT_WALK, TK_OUTCOME_NONE},
    {" turns ", TK_BEAT_TURN, TK_OUTCOME_NONE},
    {" looks ", TK_BEAT_TURN, TK_OUTCOME_NONE},
    {" asks ", TK_BEAT_ASK, TK_OUTCOME_NONE},
    {" answers", TK_BEAT_ANSWER, TK_OUTCOME_NONE},
    {" says ", TK_BEAT_SAY, TK_OUTCOME_NONE},
    {": \"", TK_BEAT_SAY, TK_OUTCOME_NONE},
    {" waits", TK_BEAT_LOOK, TK_OUTCOME_NONE},
    {" stands ", TK_BEAT_LOOK, TK_OUTCOME_NONE},
};

typedef struct reading {
    char head[64], clause[128]; // the clause ends in "."
    const phrase *what;
    char spoken[64]; // what stands in quotes
} reading;

static reading read_caption(const char *caption)
{
    reading r = {0};
    const char *colon = strstr(caption, ": "), *quote = strchr(caption, '"');
    assert_non_null(colon);
    snprintf(r.head, sizeof r.head, "%.*s,", (int)(colon - caption), caption);
    const char *end = strstr(caption, ". ");
    snprintf(r.clause, sizeof r.clause, " %.*s.",
             (int)(end ? end - colon - 2 : (long)strlen(colon + 2)), colon + 2);
    if (quote)
        snprintf(r.spoken, sizeof r.spoken, "%.*s", (int)strcspn(quote + 1, "\""), quote + 1);
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases && !r.what; i++)
        if (strstr(r.clause, phrases[i].words)) r.what = &phrases[i];
    return r;
}

// Place of the first of n words in a text, -1 if none is there.
static int find_word(const char *text, const char *const *words, int n)
{
    for (int i = 0; i < n; i++) {
        const char *at = strstr(text, words[i]);
        const size_t len = strlen(words[i]);
        if (at && (at == text || !isalpha((unsigned char)at[-1])) &&
            !isalpha((unsigned char)at[len]))
            return i;
    }
    return -1;
}

// ---- captions ----------------------------------------------------------------------------------

static void check_head(const tk_scene *s, int k, const char *head)
{
    const tk_shot *h = &s->shot[k];
    assert_int_equal(find_word(head, tk_size_name, TK_SIZES), h->size);
    assert_int_equal(strstr(head, " pan,") != NULL, h->move == TK_MOVE_PAN);
    assert_int_equal(strstr(head, " push in,") != NULL, h->move == TK_MOVE_PUSH);
    assert_int_equal(strstr(head, " reverse,") != NULL, h->reverse);
    assert_int_equal(find_word(head, tk_set_name, TK_SETS), h->tells ? (int)s->set : -1);
    assert_int_equal(find_word(head, tk_style_name, TK_STYLES), h->tells ? (int)h->style : -1);
}

// Where the clause speaks of a thing, it names the shot's.
static void check_things(const tk_scene *s, const tk_shot *h, const char *clause)
{
    char name[2][32] = {"", ""};
    const int about[2] = {h->thing, h->outcome == TK_OUTCOME_HITS ? h->other : -1};
    for (int i = 0; i < 2; i++) {
        if (about[i] < 0) continue;
        const tk_thing *o = &s->thing[about[i]];
        const bool noir = h->style == TK_STYLE_NOIR;
        snprintf(name[i], sizeof name[i], "the %s%s%s", noir ? "" : tk_colour_name[o->colour],
                 noir ? "" : " ", tk_kind_name[o->kind]);
        assert_non_null(strstr(clause, name[i]));
    }
    if (about[1] >= 0) assert_true(strstr(clause, name[0]) < strstr(clause, name[1]));
    if (h->style == TK_STYLE_NOIR || h->thing < 0)
        assert_int_equal(find_word(clause, tk_colour_name, TK_COLOURS), -1);
}

static void check_person(const tk_scene *s, int k, const char *clause)
{
    const tk_shot *h = &s->shot[k];
    if (h->person < 0) return;
    const tk_character *c = tk_scene_character(s, h->person);
    const bool again = k > 0 && s->shot[k - 1].person == h->person;
    const char *name = again ? (c->pronoun[0] == 'S' ? "she" : "he") : c->name;
    assert_int_equal(strncmp(clause + 1, name, strlen(name)), 0);
    if (h->beat == TK_BEAT_ASK && strstr(clause, tk_scene_character(s, h->other)->name))
        assert_int_not_equal(h->other, h->person);
}

static void check_words(const tk_scene *s, const tk_shot *h, const char *spoken)
{
    char said[64] = "";
    assert_true(h->n_lines <= 1);
    for (int i = 0; h->n_lines && i < s->line[h->first_line].n; i++) {
        if (i) strcat(said, " ");
        strcat(said, tk_word_text(s->line[h->first_line].word[i]));
    }
    assert_string_equal(spoken, said);
}

static void check_captions(double restyle)
{
    static const char *const toward[] = {"left", "to us", "right"};
    size_t bytes = 0, shots = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        static tk_scene s;
        make_told_again(restyle, i, &s);
        for (int k = 0; k < s.n_shots; k++) {
            const tk_shot *h = &s.shot[k];
            const reading r = read_caption(h->caption);
            if (!r.what || r.what->beat != h->beat || r.what->outcome != h->outcome)
                fail_msg("\"%s\" is not read as beat %d, outcome %d", h->caption, h->beat,
                         h->outcome);
            check_head(&s, k, r.head);
            check_person(&s, k, r.clause);
            check_words(&s, h, r.spoken);
            if (!strchr(r.clause, '"')) check_things(&s, h, r.clause);
            if (h->beat == TK_BEAT_DROP)
                assert_int_equal(find_word(r.clause, tk_place_name, TK_PLACES), h->place);
            if (h->beat == TK_BEAT_WALK || h->beat == TK_BEAT_TURN)
                assert_int_equal(find_word(r.clause, toward, 3), h->toward + 1);
            assert_true(strlen(h->caption) <= 80);
            bytes += strlen(h->caption), shots++;
        }
    }
    assert_true(bytes <= 45 * shots);
}

static void test_captions__say_what_is_there(void **state)
{
    (void)state;
    check_captions(0);
    check_captions(0.4);
}

// Style and set are told in the first shot, and again in that share of the others, in half of these
// the style being another, which stays.
static void test_captions__tell_the_style_again(void **state)
{
    static const double share[] = {0, 0.4, 1};
    (void)state;
    for (int r = 0; r < 3; r++) {
        double later = 0, told = 0, other = 0;
        for (int64_t i = 0; i < CLIPS; i++) {
            static tk_scene s;
            make_told_again(share[r], i, &s);
            assert_true(s.shot[0].tells);
            for (int k = 1; k < s.n_shots; k++) {
                const bool changes = s.shot[k].style != s.shot[k - 1].style;
                later++, told += s.shot[k].tells, other += changes;
                assert_true(s.shot[k].tells || !changes);
            }
        }
        assert_true(later > 100);
        assert_true(fabs(told / later - share[r]) < 0.1 &&
                    fabs(other / later - share[r] / 2) < 0.1);
    }
}

// What is said to become of a thing is what its motion is.
static void test_captions__outcomes_are_so(void **state)
{
    (void)state;
    int seen[TK_OUTCOMES] = {0};
    for (int64_t i = 0; i < CLIPS; i++) {
        static tk_scene s;
        make(i, &s);
        for (int k = 0; k < s.n_shots; k++) {
            const tk_shot *h = &s.shot[k];
            const double end = h->start + h->seconds;
            seen[h->outcome]++;
            if (h->thing < 0) continue;
            int heard[TK_EVENTS] = {0};
            for (int e = 0; e < s.n_events; e++)
                if (s.event[e].kind != TK_EVENT_STEP && s.event[e].thing == h->thing &&
                    s.event[e].t >= h->start && s.event[e].t < end)
                    heard[s.event[e].kind]++;
            const tk_pose from = tk_scene_thing_at(&s, h->thing, h->start + 1e-9),
                          to = tk_scene_thing_at(&s, h->thing, end - 1e-9);
            switch (h->outcome) {
            case TK_OUTCOME_RISES:
                assert_true(to.y > from.y);
                break;
            case TK_OUTCOME_SINKS:
                assert_true(to.y < from.y && to.y < 0);
                break;
            case TK_OUTCOME_FLOATS:
                assert_true(to.y > -0.5 && to.y < 0.5);
                break;
            case TK_OUTCOME_HITS:
                assert_true(heard[TK_EVENT_HIT] > 0);
                break;
            case TK_OUTCOME_ROLLS:
                assert_true(to.x != from.x);
                break;
            case TK_OUTCOME_BOUNCES:
                assert_true(heard[TK_EVENT_IMPACT] > 0);
                break;
            default:
                break;
            }
            if (h->outcome == TK_OUTCOME_LIES && h->beat == TK_BEAT_LOOK)
                assert_true(to.x == from.x && to.y == from.y);
        }
    }
    for (int o = 0; o < TK_OUTCOMES; o++)
        if (o != TK_OUTCOME_FALLS && o != TK_OUTCOME_SLIDES) assert_true(seen[o] > 0);
}

// ---- speech ------------------------------------------------------------------------------------

static double seconds_of(const tk_scene *s, const tk_scene_line *l)
{
    char text[128] = "";
    tk_line said;
    tk_arena a;
    for (int i = 0; i < l->n; i++) strcat(strcat(text, " "), tk_word_text(l->word[i]));
    tk_arena_init(&a, 0);
    assert_ok(tk_speak(speech, tk_scene_character(s, l->person)->voice, text, &a, &said));
    tk_arena_free(&a);
    return (double)said.samples / 16000;
}

static void test_lines__fit_into_their_shots(void **state)
{
    (void)state;
    int said[TK_WORDS] = {0}, lines = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        static tk_scene s;
        make(i, &s);
        for (int k = 0; k < s.n_shots; k++) {
            const tk_shot *h = &s.shot[k];
            if (!h->n_lines) continue;
            const tk_scene_line *l = &s.line[h->first_line];
            assert_int_equal(l->person, h->person);
            assert_true(l->t >= h->start && l->t + l->seconds <= h->start + h->seconds);
            if (lines++ % 3 == 0) assert_near(l->seconds, seconds_of(&s, l), 1e-3 * l->n);
            assert_int_equal(tk_scene_body_at(&s, l->person, l->t + 0.01).line, h->first_line);
            for (int n = 0; n < l->n; n++) said[l->word[n]]++;
        }
        for (int n = 1; n < s.n_lines; n++)
            assert_true(s.line[n].t >= s.line[n - 1].t + s.line[n - 1].seconds);
    }
    assert_true(lines > CLIPS / 2);
    for (int w = 0; w < TK_WORDS; w++) assert_true(said[w] > 3);
}

static void test_dialogue__is_answered_in_the_reverse_shot(void **state)
{
    (void)state;
    int asked = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        static tk_scene s;
        make(i, &s);
        for (int k = 0; k < s.n_shots; k++) {
            const tk_shot *h = &s.shot[k];
            assert_int_equal(h->reverse, h->beat == TK_BEAT_ANSWER);
            if (h->beat != TK_BEAT_ASK) continue;
            assert_true(k + 1 < s.n_shots && h[1].beat == TK_BEAT_ANSWER);
            asked++;
            assert_int_equal(h[1].person, h->other);
            assert_int_equal(h[1].other, h->person);
            const double t = h->start + h->seconds - 1e-6;
            const tk_body a = tk_scene_body_at(&s, h->person, t),
                          b = tk_scene_body_at(&s, h->other, t);
            assert_int_equal(a.facing, b.x > a.x ? 1 : -1);
            assert_int_equal(b.facing, -a.facing);
        }
    }
    assert_true(asked > CLIPS / 20);
}

static void test_speech__can_be_left_out(void **state)
{
    (void)state;
    tk_speech *none;
    tk_world_config w = world;
    w.speech = 0;
    assert_ok(tk_scene_open_speech(&w, &media, &none));
    assert_null(none);
    tk_media_config m = media;
    m.sample_rate = 4000;
    assert_ok(tk_scene_open_speech(&world, &m, &none));
    assert_null(none);
    for (int64_t i = 0; i < 200; i++) {
        static tk_scene s;
        assert_ok(tk_scene_make(&w, &media, PATCH, NULL, 11, i, &s));
        assert_int_equal(s.n_lines, 0);
        for (int k = 0; k < s.n_shots; k++) assert_null(strchr(s.shot[k].caption, '"'));
    }
}

static void test_cast__is_told_apart(void **state)
{
    (void)state;
    for (int i = 0; i < TK_CAST; i++)
        for (int k = 0; k < i; k++) {
            const tk_character *a = &tk_characters[i], *b = &tk_characters[k];
            assert_true(tk_characters_apart(a, b) >= 3);
            assert_int_not_equal(a->voice, b->voice);
            assert_string_not_equal(a->name, b->name);
        }
}

// In every clip with people there is one stranger, who looks and sounds like nobody of the cast.
static void test_strangers__are_of_no_cast(void **state)
{
    (void)state;
    enum { SCENES = 80 };
    static tk_scene scene[SCENES];
    tk_world_config with = world;
    int strangers = 0, said = 0, clips = 0;
    with.strangers = 1;
    for (int k = 0; k < SCENES; k++) {
        tk_scene *s = &scene[k];
        assert_ok(tk_scene_make(&with, &media, 3, speech, 9, k, s));
        int here = 0;
        for (int i = 0; i < s->n_people; i++) here += s->person[i] == TK_STRANGER;
        assert_int_equal(here, s->n_people > 0);
        if (!here) continue;
        const tk_character *c = &s->stranger;
        for (int q = TK_CAST_TRAINED; q < TK_CAST; q++)
            assert_true(tk_characters_apart(c, &tk_characters[q]) >= 4);
        for (int q = 0; q < k; q++)
            if (scene[q].n_people) assert_true(tk_characters_apart(c, &scene[q].stranger) > 0);
        assert_true(c->voice >= TK_VOICES && c->voice < TK_VOICES_ALL);
        for (int h = 0; h < s->n_shots; h++) clips += strstr(s->shot[h].caption, "someone") != 0;
        for (int l = 0; l < s->n_lines; l++) {
            const tk_scene_line *line = &s->line[l];
            assert_near(seconds_of(s, line), line->seconds, 1.2e-3 * line->n);
            said += s->person[line->person] == TK_STRANGER;
        }
        strangers++;
    }
    assert_true(strangers > SCENES / 2 && said > 10 && clips > SCENES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_captions__say_what_is_there),
        cmocka_unit_test(test_captions__tell_the_style_again),
        cmocka_unit_test(test_captions__outcomes_are_so),
        cmocka_unit_test(test_lines__fit_into_their_shots),
        cmocka_unit_test(test_dialogue__is_answered_in_the_reverse_shot),
        cmocka_unit_test(test_speech__can_be_left_out),
        cmocka_unit_test(test_cast__is_told_apart),
        cmocka_unit_test(test_strangers__are_of_no_cast),
    };
    if (tk_scene_open_speech(&world, &media, &speech) != TK_OK || !speech) return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tk_speech_close(speech);
    return failed;
}
