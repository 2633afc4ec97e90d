// SPDX-License-Identifier: Apache-2.0
// Cuts, flicker and drift of the world's clips, whose shots are known, and of pictures made to
// mislead: a flash, held frames, noise, a fade, fast motion.
#include "core/numbers/rng.h"
#include "data/world/world.h"
#include "infer/judges/frames.h"
#include "tests/support/test.h"
#include <math.h>
#include <string.h>

enum { CLIPS = 80, SIDE = 48, FRAMES = 24 };
static const tk_world_config world = {.clips = CLIPS, .seed = 11, .seconds = 3, .max_shots = 3};
static const tk_media_config media = {
    .width = 64, .height = 48, .fps = 8, .sample_rate = 8000, .channels = 1};

static uint8_t *render(int64_t index, tk_stage *s, int64_t *frames)
{
    tk_world_scene(&world, &media, 4, (uint64_t)world.seed, index, s);
    *frames = tk_world_frames(&world, &media, 4);
    uint8_t *rgb = tk_alloc((size_t)(*frames * media.height * media.width * 3));
    assert_non_null(rgb);
    tk_world_render(s, &media, *frames, rgb);
    return rgb;
}

// Every frame `times` times, as film at a lower rate than it is read at.
static void watch(tk_frames *f, const uint8_t *rgb, int64_t frames, int64_t height, int64_t width,
                  int times)
{
    *f = (tk_frames){0};
    for (int64_t i = 0; i < frames; i++)
        for (int k = 0; k < times; k++)
            assert_int_equal(tk_frames_add(f, rgb + i * height * width * 3, height, width), TK_OK);
}

// Cuts to another framing: where only a ball jumps, no picture tells a cut.
static void test_cuts(void **state)
{
    (void)state;
    for (int times = 1; times <= 3; times++) {
        tk_cuts_found sum = {0, 0};
        for (int64_t i = 0; i < CLIPS; i++) {
            tk_stage s;
            tk_frames f;
            int64_t frames, shot[256], asked[TK_WORLD_SHOTS];
            uint8_t *rgb = render(i, &s, &frames);
            watch(&f, rgb, frames, media.height, media.width, times);
            const int64_t n = tk_frames_shots(&f, shot);
            int n_asked = 0;
            for (int k = 1; k < s.n_shots; k++)
                if (s.shot[k].span != s.shot[k - 1].span || s.shot[k].cx != s.shot[k - 1].cx)
                    asked[n_asked++] = times * llround(s.shot[k].start * 8);
            const tk_cuts_found m =
                tk_frames_match_cuts(n - 1, shot + 1, n_asked, asked, times - 1);
            sum.hits += m.hits, sum.of += m.of;
            tk_frames_free(&f);
            tk_free(rgb);
        }
        print_message("frames shown %d times: %lld of %lld cuts\n", times, (long long)sum.hits,
                      (long long)sum.of);
        assert_true(sum.hits * 100 >= sum.of * 95);
    }
}

static void fill(uint8_t *rgb, int frame, int r, int g, int b)
{
    uint8_t *p = rgb + (size_t)frame * SIDE * SIDE * 3;
    for (int i = 0; i < SIDE * SIDE; i++, p += 3)
        p[0] = (uint8_t)r, p[1] = (uint8_t)g, p[2] = (uint8_t)b;
}

static int64_t shots_of(const uint8_t *rgb, tk_frames *f, int64_t *shot)
{
    watch(f, rgb, FRAMES, SIDE, SIDE, 1);
    return tk_frames_shots(f, shot);
}

static void test_no_cuts(void **state)
{
    (void)state;
    static uint8_t rgb[FRAMES * SIDE * SIDE * 3];
    const tk_key key = tk_rng_key(3, TK_RNG_TEST, 0);
    int64_t shot[FRAMES];
    tk_frames f;
    for (int i = 0; i < FRAMES; i++) fill(rgb, i, 90, 100, 110);
    fill(rgb, 10, 255, 255, 255); // a flash
    assert_int_equal(shots_of(rgb, &f, shot), 1);
    tk_frames_free(&f);
    for (int i = 0; i < FRAMES; i++) fill(rgb, i, 10 * i, 10 * i, 10 * i); // a fade
    assert_int_equal(shots_of(rgb, &f, shot), 1);
    assert_true(tk_frames_flicker(&f, 1, shot) < 0.01);
    tk_frames_free(&f);
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)tk_rng_below(key, i, 256);
    assert_int_equal(shots_of(rgb, &f, shot), 1);
    tk_frames_free(&f);
    for (int i = 0; i < FRAMES; i++) { // a bright block that crosses the picture in a second
        fill(rgb, i, 60, 60, 60);
        for (int j = 8; j < 32; j++)
            for (int x = 0; x < 16; x++)
                memset(rgb +
                           (((size_t)i * SIDE + (size_t)j) * SIDE + (size_t)((x + 5 * i) % SIDE)) *
                               3,
                       230, 3);
    }
    assert_int_equal(shots_of(rgb, &f, shot), 1);
    tk_frames_free(&f);
}

static void test_flicker_and_drift(void **state)
{
    (void)state;
    static uint8_t rgb[FRAMES * SIDE * SIDE * 3];
    int64_t shot[FRAMES];
    tk_frames f;
    for (int i = 0; i < FRAMES; i++)
        fill(rgb, i, 100 + i % 2 * 10, 100 + i % 2 * 10, 100 + i % 2 * 10);
    assert_int_equal(shots_of(rgb, &f, shot), 1);
    assert_true(fabs(tk_frames_flicker(&f, 1, shot) - 100 * 10 / 255.0) < 0.01);
    tk_frames_free(&f);
    for (int i = 0; i < FRAMES; i++) fill(rgb, i, i < 8 ? 200 : 30, 40, i < 16 ? 40 : 220);
    assert_int_equal(shots_of(rgb, &f, shot), 3);
    assert_int_equal(shot[1], 8);
    assert_int_equal(shot[2], 16);
    assert_true(tk_frames_flicker(&f, 3, shot) < 0.01); // cuts are none
    assert_true(tk_frames_drift(&f, 3, shot, 0) < 1e-6 && tk_frames_drift(&f, 3, shot, 2) > 0.99);
    tk_frames_free(&f);
}

static void test_matching(void **state)
{
    (void)state;
    const int64_t found[] = {10, 21, 40}, asked[] = {10, 20, 30, 41};
    tk_cuts_found m = tk_frames_match_cuts(3, found, 4, asked, 1);
    assert_int_equal(m.hits, 3);
    assert_int_equal(m.of, 4);
    m = tk_frames_match_cuts(3, found, 4, asked, 0);
    assert_int_equal(m.hits, 1);
    m = tk_frames_match_cuts(3, found, 0, asked, 1); // none was asked for
    assert_int_equal(m.hits, 0);
    assert_int_equal(m.of, 3);
    m = tk_frames_match_cuts(0, found, 0, asked, 1);
    assert_int_equal(m.hits, 1);
    assert_int_equal(m.of, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts), cmocka_unit_test(test_no_cuts),
                                       cmocka_unit_test(test_flicker_and_drift),
                                       cmocka_unit_test(test_matching)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
