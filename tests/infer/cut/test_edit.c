// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 30 */
// Shots that dissolve and fade: which frames are mixed with which, what is heard with them, however
// it is asked for.
#include "infer/cut/edit.h"
#include "tests/support/test.h"
#include <math.h>
#include <string.h>

enum { FPS = 10, RATE = 1000, SHOTS = 3, EACH = 20, MADE = SHOTS * EACH };

typedef struct counted { // frame f is all f, the sound of shot k is k + 1 tenths
    tk_media_source source;
    uint8_t rgb[2 * 2 * 3];
    int64_t asked; // pictures
} counted;

static tk_status counted_picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    counted *c = (counted *)s;
    assert_true(frame >= 0 && frame < MADE);
    memset(c->rgb, (int)frame, sizeof c->rgb);
    *rgb = c->rgb;
    c->asked++;
    return TK_OK;
}

static tk_status counted_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    assert_true(first >= 0 && first + n <= s->shape.samples);
    for (int64_t i = 0; i < n; i++) pcm[i] = 0.1F * (float)((first + i) / (EACH * RATE / FPS) + 1);
    return TK_OK;
}

static counted made(void)
{
    return (counted){.source = {{.frames = MADE,
                                 .width = 2,
                                 .height = 2,
                                 .fps = FPS,
                                 .samples = MADE * RATE / FPS,
                                 .channels = 1,
                                 .sample_rate = RATE},
                                counted_picture,
                                counted_sound,
                                NULL}};
}

static tk_cut cut_of(tk_cut_shot shot[SHOTS])
{
    tk_cut cut = {.n = SHOTS, .shot = shot, .fps = FPS, .channels = 1};
    for (int i = 0; i < SHOTS; i++) {
        shot[i].from = i * EACH;
        shot[i].frames = EACH;
        shot[i].at = cut.frames - shot[i].dissolve;
        cut.frames += EACH - shot[i].dissolve;
    }
    cut.samples = cut.frames * RATE / FPS;
    return cut;
}

static int shown(tk_edit *e, int64_t frame)
{
    const uint8_t *rgb;
    assert_ok(e->source.picture(&e->source, frame, &rgb));
    for (int i = 1; i < 12; i++) assert_int_equal(rgb[i], rgb[0]);
    return rgb[0];
}

static void cuts_change_nothing(void **state)
{
    (void)state;
    counted of = made();
    tk_cut_shot shot[SHOTS] = {{0}};
    const tk_cut cut = cut_of(shot);
    tk_edit e;
    float pcm[MADE * RATE / FPS], whole[MADE * RATE / FPS];
    tk_edit_open(&e, &cut, &of.source);
    assert_int_equal(e.source.shape.frames, MADE);
    assert_int_equal(e.source.shape.samples, MADE * RATE / FPS);
    for (int i = 0; i < MADE; i++) assert_int_equal(shown(&e, i), i);
    assert_ok(e.source.sound(&e.source, 0, MADE * RATE / FPS, pcm));
    assert_ok(counted_sound(&of.source, 0, MADE * RATE / FPS, whole));
    assert_memory_equal(pcm, whole, sizeof pcm);
    tk_edit_close(&e);
}

static void shots_dissolve(void **state)
{
    (void)state;
    counted of = made();
    tk_cut_shot shot[SHOTS] = {{0}, {.dissolve = 4}, {0}};
    const tk_cut cut = cut_of(shot);
    tk_edit e;
    tk_edit_open(&e, &cut, &of.source);
    assert_int_equal(e.source.shape.frames, MADE - 4);
    assert_int_equal(e.source.shape.samples, (MADE - 4) * RATE / FPS);
    for (int i = 0; i < MADE - 4; i++) {
        const int before = i, after = i + 4; // frames as they were made
        const double own = (i - 16 + 0.5) / 4;
        const int want = i < 16   ? before
                         : i < 20 ? (int)lrint(own * after + (1 - own) * before)
                                  : after;
        assert_int_equal(shown(&e, i), want);
    }
    assert_int_equal(of.asked, MADE);  // each once
    assert_int_equal(shown(&e, 3), 3); // and out of order
    assert_int_equal(shown(&e, 17), (int)lrint(0.375 * 21 + 0.625 * 17));
    tk_edit_close(&e);
}

static void sound_goes_with_the_picture(void **state)
{
    (void)state;
    enum { ALL = (MADE - 4) * RATE / FPS };
    counted of = made();
    tk_cut_shot shot[SHOTS] = {{.fade_in = 5}, {.dissolve = 4}, {.fade_out = 10}};
    const tk_cut cut = cut_of(shot);
    tk_edit e;
    float pcm[ALL], again[ALL];
    tk_edit_open(&e, &cut, &of.source);
    assert_ok(e.source.sound(&e.source, 0, ALL, pcm));
    for (int64_t at = 0, n = 1; at < ALL; at += n, n = n * 7 % 211 + 1) {
        if (n > ALL - at) n = ALL - at;
        assert_ok(e.source.sound(&e.source, at, n, again + at));
    }
    assert_memory_equal(pcm, again, sizeof pcm);
    assert_near(pcm[0], 0, 1e-3);
    assert_near(pcm[250], 0.05, 1e-3);
    assert_near(pcm[600], 0.1, 1e-6);
    assert_near(pcm[1800], (0.1 + 0.2) * sqrt(0.5), 1e-3); // halfway
    assert_near(pcm[2100], 0.2, 1e-6);
    assert_near(pcm[ALL - 500], 0.15, 1e-3);
    assert_near(pcm[ALL - 1], 0, 1e-3);
    assert_int_equal(shown(&e, MADE - 5), (int)lrint((MADE - 1) * 0.05));
    assert_int_equal(shown(&e, MADE - 4 - 5), (int)lrint((MADE - 5) * 0.45));
    tk_edit_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_change_nothing),
        cmocka_unit_test(shots_dissolve),
        cmocka_unit_test(sound_goes_with_the_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
