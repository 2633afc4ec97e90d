// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Sounds begin at their sample, are as loud as the blow, and each set sounds like itself.
#include "data/film/film.h"
#include "tests/support/test.h"
#include <math.h>

enum { RATE = 16000, SAMPLES = 2 * RATE };
static const tk_media_config mono = {
    .width = 96, .height = 64, .fps = 12, .sample_rate = RATE, .channels = 1};
static const tk_media_config stereo = {
    .width = 96, .height = 64, .fps = 12, .sample_rate = RATE, .channels = 2};

static tk_scene quiet_scene(tk_set set, uint64_t seed)
{
    tk_scene s = {.seed = seed, .set = set, .water_from = INFINITY, .n_shots = 1, .n_people = 1};
    s.shot[0] = (tk_shot){.seconds = 60, .person = -1, .thing = -1, .other = -1};
    s.shot[0].from = s.shot[0].to = (tk_camera){0, 1, 5};
    s.step[s.n_steps++] = (tk_step){.t = -10};
    return s;
}

static void hear(const tk_scene *s, float *pcm)
{
    assert_ok(tk_film_sound(s, &mono, NULL, SAMPLES, pcm));
}

static void put_event(tk_scene *s, tk_event_kind kind, double t, double x, double speed, int thing,
                      int other)
{
    s->event[s->n_events++] = (tk_scene_event){kind, t, x, speed, thing, other};
}

static double energy(const float *a, const float *b, int64_t from, int64_t to)
{
    double e = 0;
    for (int64_t i = from; i < to; i++) e += pow((double)(a[i] - b[i]), 2);
    return e;
}

static void sounds_begin_at_their_sample(void **state)
{
    (void)state;
    static float with[SAMPLES], without[SAMPLES];
    for (int set = 0; set < TK_SETS; set++)
        for (int kind = 0; kind < TK_EVENTS; kind++)
            for (int k = 0; k < 2 * TK_KINDS; k++) {
                tk_scene s = quiet_scene((tk_set)set, 3);
                s.n_things = 2;
                for (int i = 0; i < 2; i++)
                    s.thing[i] = (tk_thing){.kind = (tk_kind)(k % TK_KINDS),
                                            .heavy = k >= TK_KINDS,
                                            .radius = 0.25,
                                            .mass = 1,
                                            .restitution = 0.5};
                hear(&s, without);
                const double t = 0.5 + 0.0137 * k;
                put_event(&s, (tk_event_kind)kind, t, 0, 4, 0, kind == TK_EVENT_HIT ? 1 : -1);
                hear(&s, with);
                const int64_t first = llround(t * RATE);
                for (int64_t i = 0; i < first; i++) assert_true(with[i] == without[i]);
                assert_true(with[first] != without[first]);
                // most of it is there within a tenth of a second
                const double all = energy(with, without, first, SAMPLES);
                assert_true(all > 1e-4);
                assert_true(energy(with, without, first, first + RATE / 10) > 0.3 * all);
            }
}

static void harder_blows_are_louder(void **state)
{
    (void)state;
    static float soft[SAMPLES], hard[SAMPLES], none[SAMPLES];
    for (int kind = TK_EVENT_IMPACT; kind <= TK_EVENT_SPLASH; kind++) {
        tk_scene s = quiet_scene(TK_SET_ROOM, 3);
        s.n_things = 2;
        s.thing[0] = s.thing[1] = (tk_thing){.kind = TK_CRATE, .radius = 0.3, .mass = 3};
        hear(&s, none);
        put_event(&s, (tk_event_kind)kind, 0.4, 0, 1.5, 0, 1);
        hear(&s, soft);
        s.event[0].speed = 5;
        hear(&s, hard);
        assert_true(energy(hard, none, 0, SAMPLES) > 3 * energy(soft, none, 0, SAMPLES));
    }
}

// Levels in dB of bands an octave wide, 62 Hz to 4 kHz, by second differences of running sums.
enum { OCTAVES = 7 };
static void spectrum(const float *pcm, double db[OCTAVES])
{
    for (int k = 0; k < OCTAVES; k++) {
        double sum = 0;
        for (int step = 0; step < 6; step++) { // probes over the octave
            const double w = 2 * M_PI * 44 * exp2(k + step / 6.0) / RATE, c = 2 * cos(w);
            for (int64_t from = 0; from + 2000 <= SAMPLES; from += 2000) {
                double s1 = 0, s2 = 0; // Goertzel's
                for (int64_t i = 0; i < 2000; i++) {
                    const double s0 = (double)pcm[from + i] + c * s1 - s2;
                    s2 = s1, s1 = s0;
                }
                sum += s1 * s1 + s2 * s2 - c * s1 * s2;
            }
        }
        db[k] = 10 * log10(sum + 1e-12);
    }
}

static void sets_sound_like_themselves(void **state)
{
    (void)state;
    static float pcm[SAMPLES];
    enum { SEEDS = 4 };
    double db[TK_SETS][SEEDS][OCTAVES];
    for (int set = 0; set < TK_SETS; set++)
        for (int k = 0; k < SEEDS; k++) {
            const tk_scene s = quiet_scene((tk_set)set, 11 + 5 * (uint64_t)k);
            hear(&s, pcm);
            spectrum(pcm, db[set][k]);
        }
    for (int set = 0; set < TK_SETS; set++)
        for (int k = 1; k < SEEDS; k++) { // nearest of the first seed's
            int best = -1;
            double least = INFINITY;
            for (int other = 0; other < TK_SETS; other++) {
                double far = 0;
                for (int i = 0; i < OCTAVES; i++) far += pow(db[set][k][i] - db[other][0][i], 2);
                if (far < least) least = far, best = other;
            }
            assert_int_equal(best, set);
        }
}

static void speech_is_heard_over_the_soundscape(void **state)
{
    (void)state;
    static float pcm[SAMPLES], voice[SAMPLES];
    tk_speech *speech;
    assert_ok(tk_speech_open(RATE, &speech));
    for (int set = 0; set < TK_SETS; set++) {
        tk_scene s = quiet_scene((tk_set)set, 2);
        hear(&s, pcm);
        double around = 0;
        for (int i = 0; i < SAMPLES; i++) around += (double)(pcm[i] * pcm[i]) / SAMPLES;
        const double below = -10 * log10(around / pow((double)TK_SPEECH_LEVEL, 2));
        assert_true(below > 20 && below < 40);
        int n;
        assert_ok(tk_words_of("hello", TK_SCENE_WORDS, s.line[0].word, &n));
        s.n_lines = 1, s.line[0].t = 0.3, s.line[0].n = n, s.line[0].seconds = 1;
        static float said[SAMPLES];
        assert_ok(tk_film_sound(&s, &mono, speech, SAMPLES, said));
        assert_ok(tk_film_voice(&tk_characters[s.person[0]], speech, "hello", SAMPLES, voice));
        const int64_t first = llround(0.3 * RATE);
        for (int64_t i = 0; i < SAMPLES; i++) { // what is added is the voice, from its sample on
            const float want = i < first ? 0 : voice[i - first];
            if (fabsf(said[i]) < 0.85F) assert_near((double)(said[i] - pcm[i]), (double)want, 1e-5);
        }
    }
    assert_status(tk_film_voice(&tk_characters[0], speech, "xylophone", SAMPLES, voice), TK_INPUT);
    tk_speech_close(speech);
}

// world.soundscapes=false: what happens sounds as ever, and nothing else does.
static void silent_sets_have_their_events(void **state)
{
    (void)state;
    static float with[SAMPLES], without[SAMPLES], scape[SAMPLES];
    tk_world_config c = {.seconds = 4, .max_shots = 1, .things = 2, .sets = 4, .styles = 3};
    tk_scene s;
    assert_ok(tk_scene_make(&c, &mono, 3, NULL, 1, 0, &s));
    assert_true(s.silent);
    c.soundscapes = 1;
    for (int64_t k = 0; k == 0 || s.n_events == 0 || s.event[0].t > 1; k++)
        assert_ok(tk_scene_make(&c, &mono, 3, NULL, 1, k, &s));
    assert_false(s.silent);
    hear(&s, with);
    s.silent = true;
    hear(&s, without);
    const int64_t first = llround(s.event[0].t * RATE);
    for (int64_t i = 0; i < first; i++) assert_true(without[i] == 0);
    assert_true(without[first] != 0);
    s.n_events = 0;
    s.silent = false;
    hear(&s, scape);
    for (int64_t i = 0; i < SAMPLES; i++)
        assert_true(fabsf(with[i] - without[i] - scape[i]) < 1e-3f || fabsf(with[i]) > 0.85f);
}

static void sums_are_limited_and_panned(void **state)
{
    (void)state;
    static float pcm[2 * SAMPLES];
    tk_scene s = quiet_scene(TK_SET_STREET, 3);
    s.n_things = 1;
    s.thing[0] = (tk_thing){.kind = TK_BALL, .heavy = true, .radius = 0.32, .mass = 30};
    for (int k = 0; k < 30; k++) put_event(&s, TK_EVENT_IMPACT, 0.5 + 0.003 * k, -2, 12, 0, -1);
    assert_ok(tk_film_sound(&s, &stereo, NULL, SAMPLES, pcm));
    double side[2] = {0}, most = 0;
    for (int i = 0; i < 2 * SAMPLES; i++) {
        side[i & 1] += (double)(pcm[i] * pcm[i]);
        most = test_larger(most, fabs((double)pcm[i]));
    }
    assert_true(most > 0.9 && most < 1);
    assert_true(side[0] > 4 * side[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sounds_begin_at_their_sample),
        cmocka_unit_test(harder_blows_are_louder),
        cmocka_unit_test(sets_sound_like_themselves),
        cmocka_unit_test(speech_is_heard_over_the_soundscape),
        cmocka_unit_test(silent_sets_have_their_events),
        cmocka_unit_test(sums_are_limited_and_panned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
