// SPDX-License-Identifier: Apache-2.0
// When sounds begin: the world's impacts and splashes, whose samples are known, noise and silence.
#include "core/numbers/rng.h"
#include "data/film/film.h"
#include "infer/judges/sound/onsets.h"
#include "tests/support/test.h"
#include <math.h>
#include <string.h>

enum { CLIPS = 60, ONSETS = 128 };
static const tk_world_config world = {
    .seconds = 4, .max_shots = 3, .things = 2, .sets = TK_SETS, .styles = TK_STYLES};
static const tk_media_config media = {
    .width = 96, .height = 64, .fps = 12, .sample_rate = 16000, .channels = 1};

static int onsets(const float *pcm, int64_t samples, int64_t rate, double t[ONSETS])
{
    int n;
    assert_int_equal(tk_onsets_of(pcm, samples, 1, rate, ONSETS, t, &n), TK_OK);
    return n;
}

// A blow that stands out: hard, and nothing loud shortly before it.
static bool stands_out(const tk_scene *s, int k)
{
    const tk_scene_event *e = &s->event[k];
    if (e->kind == TK_EVENT_STEP || e->speed < 2.5 || e->t > 3.9) return false;
    for (int q = 0; q < k; q++)
        if (s->event[q].t > e->t - 0.5) return false;
    return true;
}

static bool near_any(double t, int n, const double *at)
{
    for (int k = 0; k < n; k++)
        if (fabs(at[k] - t) < 0.03) return true;
    return false;
}

static void test_world(void **state)
{
    (void)state;
    static float pcm[4 * 16000];
    int blows = 0, heard = 0, found = 0, extra = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        tk_scene s;
        double t[ONSETS], event[TK_SCENE_EVENTS];
        assert_ok(tk_scene_make(&world, &media, 4, NULL, 9, i, &s));
        assert_ok(tk_film_sound(&s, &media, NULL, 4 * 16000, pcm));
        const int n = onsets(pcm, 4 * 16000, 16000, t);
        for (int k = 0; k < s.n_events; k++) {
            event[k] = s.event[k].t;
            if (!stands_out(&s, k)) continue;
            blows++;
            heard += near_any(event[k], n, t);
        }
        for (int k = 0; k < n && s.n_events; k++, found++)
            extra += !near_any(t[k], s.n_events, event);
    }
    print_message("%d of %d blows heard; %d of %d sounds without an event\n", heard, blows, extra,
                  found);
    assert_true(blows > 20 && heard * 100 >= blows * 95);
    assert_true(extra * 8 <= found); // a wave may come in steeply
}

static void test_noise(void **state)
{
    (void)state;
    enum { SAMPLES = 8000 };
    static float pcm[SAMPLES];
    const tk_key key = tk_rng_key(3, TK_RNG_TEST, 0);
    double t[ONSETS];
    for (int i = 0; i < SAMPLES; i++) pcm[i] = 0.2f * (float)tk_rng_normal(key, (unsigned)i);
    assert_int_equal(onsets(pcm, SAMPLES, 8000, t), 0); // it was there from the first sample on
    for (int i = SAMPLES / 2; i < SAMPLES; i++) pcm[i] *= 4;
    assert_int_equal(onsets(pcm, SAMPLES, 8000, t), 1);
    assert_true(fabs(t[0] - 0.5) < 0.02);
    memset(pcm, 0, sizeof pcm);
    assert_int_equal(onsets(pcm, SAMPLES, 8000, t), 0);
    assert_int_equal(onsets(pcm, 0, 8000, t), 0);
    assert_int_equal(onsets(pcm, 1, 8000, t), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_world), cmocka_unit_test(test_noise)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
