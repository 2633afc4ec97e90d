// SPDX-License-Identifier: Apache-2.0
// Cuts, flicker and drift of the world's clips, whose shots are known, and of pictures made to
// mislead: a flash, held frames, noise, a fade, fast motion.
#include "core/numbers/rng.h"
#include "data/film/film.h"
#include "infer/judges/sight/frames.h"
#include "tests/support/test.h"
#include <math.h>
#include <string.h>

enum { CLIPS = 80, SIDE = 48, FRAMES = 24 };
static const tk_world_config world = {.clips = CLIPS,
                                      .seed = 11,
                                      .seconds = 3,
                                      .max_shots = 3,
                                      .things = 2,
                                      .people = 2,
                                      .sets = 4,
                                      .styles = 3};
static const tk_media_config media = {
    .width = 64, .height = 48, .fps = 8, .sample_rate = 8000, .channels = 1};

static uint8_t *render(int64_t index, tk_scene *s, int64_t *frames)
{
    assert_ok(tk_scene_make(&world, &media, 4, NULL, (uint64_t)world.seed, index, s));
    *frames = tk_scene_frames(&world, &media, 4);
    uint8_t *rgb = tk_alloc((size_t)(*frames * media.height * media.width * 3));
    assert_non_null(rgb);
    assert_ok(tk_film_render(s, &media, NULL, *frames, rgb));
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

// A cut to another size, to the other side or to another part of the set.
static bool is_to_be_seen(const tk_shot *before, const tk_shot *after)
{
    return before->size != after->size || before->reverse != after->reverse ||
           fabs(before->to.cx - after->from.cx) > 0.3 * after->from.span;
}

// Frames at which the scene is cut, each frame being shown `times` times: those to be seen, and
// those that may or may not be.
typedef struct cuts {
    int64_t asked[TK_SCENE_SHOTS], hidden[TK_SCENE_SHOTS];
    int n_asked, n_hidden;
} cuts;

static cuts cuts_of(const tk_scene *s, int times)
{
    cuts c = {.n_asked = 0};
    for (int k = 1; k < s->n_shots; k++) {
        const int64_t at = times * llround(s->shot[k].start * 8);
        if (is_to_be_seen(&s->shot[k - 1], &s->shot[k]))
            c.asked[c.n_asked++] = at;
        else
            c.hidden[c.n_hidden++] = at;
    }
    return c;
}

// Cuts found but those that nobody asks for.
static int64_t without_hidden(const cuts *c, int64_t near, int64_t n, int64_t *found)
{
    int64_t left = 0;
    for (int64_t i = 0; i < n; i++) {
        bool hidden = false;
        for (int k = 0; k < c->n_hidden; k++) hidden |= llabs(found[i] - c->hidden[k]) <= near;
        if (!hidden) found[left++] = found[i];
    }
    return left;
}

static tk_cuts_found judge_cuts(int64_t clip, int times)
{
    tk_scene s;
    tk_frames f;
    int64_t frames, shot[256];
    uint8_t *rgb = render(clip, &s, &frames);
    watch(&f, rgb, frames, media.height, media.width, times);
    const cuts c = cuts_of(&s, times);
    int64_t n = tk_frames_shots(&f, shot);
    n = without_hidden(&c, times - 1, n - 1, shot + 1);
    tk_frames_free(&f);
    tk_free(rgb);
    return tk_frames_match_cuts(n, shot + 1, c.n_asked, c.asked, times - 1);
}

static void test_cuts(void **state)
{
    (void)state;
    for (int times = 1; times <= 3; times++) {
        tk_cuts_found sum = {0, 0};
        for (int64_t i = 0; i < CLIPS; i++) {
            const tk_cuts_found m = judge_cuts(i, times);
            sum.hits += m.hits, sum.of += m.of;
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

// Blocks of 3 x 3 pixels of one pattern or another, moved by three pixels a frame.
static void draw_blocks(uint8_t *rgb, int frame, uint64_t pattern)
{
    const tk_key key = tk_rng_key(4, TK_RNG_TEST, pattern);
    for (int j = 0; j < SIDE; j++)
        for (int i = 0; i < SIDE; i++) {
            const uint64_t at = (uint64_t)(j / 3 * 1000 + i / 3 + frame);
            memset(rgb + (((size_t)frame * SIDE + (size_t)j) * SIDE + (size_t)i) * 3,
                   (int)tk_rng_below(key, at, 256), 3);
        }
}

// Everything changes in every frame, but only at the cut is it more than the camera that moves.
static void test_cut_in_motion(void **state)
{
    (void)state;
    static uint8_t rgb[FRAMES * SIDE * SIDE * 3];
    int64_t shot[FRAMES];
    tk_frames f;
    for (int i = 0; i < FRAMES; i++) draw_blocks(rgb, i, i < 13);
    assert_int_equal(shots_of(rgb, &f, shot), 2);
    assert_int_equal(shot[1], 13);
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

// Largest first, none beside another, and told in order.
static void test_largest(void **state)
{
    (void)state;
    static uint8_t rgb[FRAMES * SIDE * SIDE * 3];
    int64_t at[FRAMES];
    tk_frames f;
    for (int i = 0; i < FRAMES; i++) // two changes at each of 4, 12 and 16, in turn as large
        fill(rgb, i,
             i < 4   ? 0
             : i < 5 ? 60
                     : 90,
             i < 16   ? 40
             : i < 17 ? 240
                      : 230,
             i < 12 ? 10 : 110);
    watch(&f, rgb, FRAMES, SIDE, SIDE, 1);
    assert_int_equal(tk_frames_largest(&f, 0, at), 0);
    assert_int_equal(tk_frames_largest(&f, 1, at), 1);
    assert_int_equal(at[0], 16);
    assert_int_equal(tk_frames_largest(&f, 3, at), 3);
    assert_true(at[0] == 4 && at[1] == 12 && at[2] == 16);
    assert_in_range(tk_frames_largest(&f, FRAMES, at), 4, FRAMES / 2);
    tk_frames_free(&f);
    f = (tk_frames){0};
    assert_int_equal(tk_frames_largest(&f, 3, at), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),          cmocka_unit_test(test_no_cuts),
        cmocka_unit_test(test_cut_in_motion), cmocka_unit_test(test_flicker_and_drift),
        cmocka_unit_test(test_matching),      cmocka_unit_test(test_largest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
