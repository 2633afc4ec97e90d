// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
#include "data/codec/grid.h"
#include "tests/support/test.h"

static tk_codec_info info_of(int64_t patch_frames, int64_t patch_size, int64_t hop, int64_t tail,
                             int64_t fps, int64_t rate)
{
    return (tk_codec_info){.patch_frames = patch_frames,
                           .patch_size = patch_size,
                           .audio_hop = hop,
                           .audio_tail = tail,
                           .fps = fps,
                           .sample_rate = rate};
}

static void test_grid__counts_rows(void **state)
{
    (void)state;
    const tk_codec_info i = info_of(2, 8, 200, 1, 8, 8000);
    tk_grid g;
    assert_ok(tk_grid_of(&i, "clip", 16, 24, 32, TK_GRID_WHOLE, &g));
    assert_int_equal(g.latent_frames, 8);
    assert_int_equal(g.high, 3);
    assert_int_equal(g.wide, 4);
    assert_int_equal(g.video_rows, 96);
    assert_int_equal(g.samples, 16000);
    assert_int_equal(g.audio_rows, 81);
    assert_ok(tk_grid_of(&i, "clip", 16, 24, 32, 16001, &g));
    assert_int_equal(g.audio_rows, 82);
    assert_ok(tk_grid_of(&i, "clip", 16, 24, 32, 0, &g));
    assert_int_equal(g.audio_rows, 1);
}

static void test_grid__refuses_what_does_not_divide(void **state)
{
    (void)state;
    const tk_codec_info i = info_of(2, 8, 200, 1, 8, 8000);
    const int64_t odd[][3] = {{15, 24, 32}, {16, 23, 32}, {16, 24, 31}, {0, 24, 32}, {16, -8, 32}};
    tk_grid g;
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        assert_false(tk_grid_divides(&i, odd[k][0], odd[k][1], odd[k][2]));
        assert_status(tk_grid_of(&i, "clip 7", odd[k][0], odd[k][1], odd[k][2], 0, &g), TK_INPUT);
        assert_says("clip 7: ");
    }
    assert_int_equal(tk_grid_side(&i, 31), 24);
    assert_int_equal(tk_grid_side(&i, 32), 32);
    assert_int_equal(tk_grid_side(&i, 3), 8);
}

// Whatever the rates, rows of parts add up to those of the whole, and no part has less than none.
static void test_grid__parts_add_up(void **state)
{
    (void)state;
    const int64_t fps[] = {1, 7, 24, 30, 1000}, rate[] = {100, 8000, 11025, 44100};
    const int64_t hop[] = {1, 97, 400, 4096}, patch[] = {1, 2, 5};
    for (int k = 0; k < 5 * 4 * 4 * 3; k++) {
        const tk_codec_info i =
            info_of(patch[k % 3], 8, hop[k / 3 % 4], k % 2, fps[k / 12 % 5], rate[k / 60]);
        int64_t before = 0;
        for (int64_t f = 0; f < 50; f++) {
            tk_grid g;
            const int64_t row = tk_grid_audio_row(&i, f + 1), sample = tk_grid_sample(&i, f + 1);
            assert_ok(tk_grid_of(&i, "", tk_grid_frame(&i, f + 1), 8, 8, TK_GRID_WHOLE, &g));
            assert_int_equal(g.latent_frames, f + 1);
            assert_int_equal(g.samples, sample);
            assert_int_equal(g.audio_rows, row + i.audio_tail);
            assert_true(row >= before);
            assert_true(row * i.audio_hop >= sample && (row - 1) * i.audio_hop < sample);
            before = row;
        }
    }
}

// Seconds that are whole latent frames but for the last bit are not rounded down.
static void test_grid__seconds_survive_rounding(void **state)
{
    (void)state;
    for (int64_t fps = 1; fps <= 60; fps++) {
        const tk_codec_info i = info_of(3, 8, 200, 1, fps, 8000);
        for (int64_t n = 0; n < 1000; n++)
            assert_int_equal(tk_grid_latents(&i, (double)n * tk_grid_tick(&i)), n);
        assert_int_equal(tk_grid_latents(&i, 0.999 * tk_grid_tick(&i)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid__counts_rows),
        cmocka_unit_test(test_grid__refuses_what_does_not_divide),
        cmocka_unit_test(test_grid__parts_add_up),
        cmocka_unit_test(test_grid__seconds_survive_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
