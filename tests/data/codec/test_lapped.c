// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2; timeout: 120 */
// Lapped pictures: no seams, and less lost than by patches of the same numbers, on clips that the
// fit has not seen; the transform beneath; edges, windows, files, threads and ranks.
#include "core/numbers/rng.h"
#include "data/codec/kinds/lapped.h"
#include "data/codec/seams.h"
#include "data/film/film.h"
#include "parallel/mpi/start.h"
#include "tests/support/test.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static tk_comm world;
static const tk_media_config media = {
    .width = 64, .height = 48, .fps = 8, .sample_rate = 1000, .channels = 1};
static const tk_world_config scenes = {
    .seconds = 2, .max_shots = 2, .things = 2, .people = 2, .sets = 4, .styles = 1};
// Pictures that so few numbers can hold: what is lost there is the codec's own.
static const tk_world_config plain = {
    .seconds = 2, .max_shots = 2, .things = 1, .sets = 1, .styles = 1};
static const tk_codec_config config = {.video = TK_PICTURE_LAPPED,
                                       .patch_frames = 2,
                                       .patch_size = 8,
                                       .video_channels = 16,
                                       .audio_hop = 50,
                                       .audio_channels = 4};
enum { FRAMES = 16, SAMPLES = 2000, FITTED = 48, HELD_OUT = 32, LINE = 64 * 3 };

typedef struct film {
    uint8_t rgb[FRAMES * 48 * LINE];
    float pcm[SAMPLES];
    bool flat;  // nothing but one grey
    bool plain; // of one thing in a room
} film;

static tk_status shoot(void *ctx, int64_t i, tk_media *clip)
{
    film *f = ctx;
    tk_scene s;
    TK_TRY(tk_scene_make(f->plain ? &plain : &scenes, &media, 2, NULL, 3, i, &s));
    TK_TRY(tk_film_render(&s, &media, NULL, FRAMES, f->rgb));
    if (f->flat) memset(f->rgb, 99, sizeof f->rgb);
    *clip = tk_media_shape(&media, FRAMES, SAMPLES);
    clip->rgb = f->rgb, clip->pcm = f->pcm;
    return TK_OK;
}

static tk_codec *fitted(int64_t kind, film *f, int64_t clips)
{
    tk_codec_config c = config;
    tk_codec *codec;
    c.video = kind;
    assert_ok(tk_codec_fit(&c, &media, shoot, f, clips, &codec));
    return codec;
}

static tk_grid grid_of(const tk_codec *c, int64_t frames, int64_t high, int64_t wide)
{
    tk_grid g;
    const int64_t size = tk_codec_get_info(c)->patch_size;
    assert_ok(
        tk_grid_of(tk_codec_get_info(c), "", frames, high * size, wide * size, TK_GRID_WHOLE, &g));
    return g;
}

// ---- the transform and the figure --------------------------------------------------------------

// Squares of coefficients are those of pixels, pixels come back, and what is flat is one
// coefficient a patch, whatever the sizes.
static void test_lap__is_orthonormal_and_keeps_flat(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {{1, 1, 2, 3}, {3, 2, 1, 1},  {2, 5, 3, 1},
                                        {2, 8, 1, 4}, {4, 16, 2, 2}, {1, 7, 4, 3}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const int64_t frames = shapes[k][0], size = shapes[k][1];
        const int64_t height = shapes[k][2] * size, width = shapes[k][3] * size;
        const int64_t n = frames * height * width * 3;
        uint8_t *rgb = malloc((size_t)n), *back = malloc((size_t)n);
        float *x = malloc((size_t)n * 4), *spare = malloc((size_t)n * 4);
        double pixels = 0, coefficients = 0, others = 0;
        tk_arena a;
        tk_lap l;
        tk_arena_init(&a, 0);
        assert_ok(tk_lap_new(&l, &a, frames, size));
        for (int64_t i = 0; i < n; i++) {
            rgb[i] = (uint8_t)(i * i * 7 % 251 + i % 3);
            pixels += pow((double)rgb[i] / 127.5 - 1, 2);
        }
        assert_ok(tk_lap_forward(&l, rgb, height, width, spare, x));
        for (int64_t i = 0; i < n; i++) coefficients += (double)x[i] * (double)x[i];
        assert_near(coefficients / pixels, 1, 1e-5);
        assert_ok(tk_lap_inverse(&l, x, height, width, spare, back));
        assert_memory_equal(rgb, back, (size_t)n);
        memset(rgb, 200, (size_t)n);
        assert_ok(tk_lap_forward(&l, rgb, height, width, spare, x));
        for (int64_t i = 0; i < n; i++) {
            const int64_t t = i / (height * width), y = i / width % height, at = i % width;
            if (t || y % size || at % size) others = test_larger(others, fabs((double)x[i]));
        }
        assert_true(others < 1e-4);
        free(rgb), free(back), free(x), free(spare);
        tk_arena_free(&a);
    }
}

static void test_seams__blockiness_is_steps_at_edges_over_steps_elsewhere(void **state)
{
    (void)state;
    uint8_t rgb[2 * 8 * 8 * 3];
    tk_seams s = {0};
    assert_true(isnan(tk_seams_blockiness(&s)));
    for (int k = 0; k < 2 * 8 * 8 * 3; k++) {
        const int y = k / 24 % 8, x = k / 3 % 8;
        rgb[k] = (uint8_t)(10 + 2 * x + 2 * y + 4 * (x / 4) + 4 * (y / 4)); // 6 there, 2 elsewhere
    }
    tk_seams_add(&s, rgb, 2, 8, 8, 4);
    assert_near(tk_seams_blockiness(&s), 3, 1e-9);
    assert_near(s.count[0], 2 * 2 * 8 * 3, 0);
    assert_near(s.count[1], 2 * 2 * 6 * 8 * 3, 0);
    s = (tk_seams){0};
    tk_seams_add(&s, rgb, 1, 8, 8, 8); // one patch has no edges
    assert_true(isnan(tk_seams_blockiness(&s)));
    s = (tk_seams){0};
    memset(rgb, 7, sizeof rgb);
    tk_seams_add(&s, rgb, 2, 8, 8, 4);
    assert_true(isnan(tk_seams_blockiness(&s)));
}

// ---- what it gives -----------------------------------------------------------------------------

// PSNR of a codec on held-out clips, and seams of what it gives.
static double held_out(const tk_codec *c, film *f, tk_seams *s)
{
    const tk_grid g = grid_of(c, FRAMES, 6, 8);
    float *rows = malloc((size_t)(g.video_rows * config.video_channels) * sizeof *rows);
    uint8_t *rgb = malloc(sizeof f->rgb);
    double error = 0;
    for (int64_t k = 0; k < HELD_OUT; k++) {
        tk_media clip;
        shoot(f, 1000 + k, &clip);
        assert_ok(tk_codec_encode_video(c, &clip, rows));
        assert_ok(tk_codec_decode_video(c, rows, &g, rgb));
        for (size_t i = 0; i < sizeof f->rgb; i++) error += pow((double)rgb[i] - clip.rgb[i], 2);
        tk_seams_add(s, rgb, FRAMES, 48, 64, 8);
    }
    free(rows), free(rgb);
    return 10 * log10(65025.0 * HELD_OUT * (double)sizeof f->rgb / error);
}

static void test_lapped__shows_no_seams_and_loses_less(void **state)
{
    (void)state;
    film *f = calloc(1, sizeof *f);
    f->plain = true;
    tk_codec *patch = fitted(TK_PICTURE_PATCH, f, FITTED),
             *lapped = fitted(config.video, f, FITTED);
    tk_seams of_patch = {0}, of_lapped = {0};
    const double before = held_out(patch, f, &of_patch), now = held_out(lapped, f, &of_lapped);
    print_message("patch %.2f dB, blockiness %.2f; lapped %.2f dB, blockiness %.2f\n", before,
                  tk_seams_blockiness(&of_patch), now, tk_seams_blockiness(&of_lapped));
    assert_true(now >= before + 1);
    assert_true(tk_seams_blockiness(&of_lapped) <= 1.1);
    assert_true(tk_seams_blockiness(&of_patch) > 1.3); // the figure sees what is to be seen
    assert_true(tk_codec_get_info(patch)->digest != tk_codec_get_info(lapped)->digest);
    assert_true(tk_patch_kind.salt != tk_lapped_kind.salt);
    assert_int_equal(tk_codec_video_context(lapped), 0);
    tk_codec_free(patch), tk_codec_free(lapped);
    free(f);
}

// Pictures of few patches, down to one, are all edges; and an error in the rows shows as about as
// much in the pixels.
static void test_lapped__few_patches_and_errors_in_rows(void **state)
{
    (void)state;
    enum { SIDE = 32 };
    static const int64_t shapes[][2] = {{1, 1}, {1, 4}, {4, 1}, {2, 2}};
    film *f = calloc(1, sizeof *f);
    tk_codec *lapped = fitted(config.video, f, FITTED);
    static uint8_t rgb[2 * SIDE * SIDE * 3], back[2][sizeof rgb];
    static float rows[16 * 16];
    tk_media clip;
    shoot(f, 1001, &clip);
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const tk_grid g = grid_of(lapped, 2, shapes[k][0], shapes[k][1]);
        const int64_t line = g.width * 3, bytes = 2 * g.height * line;
        const tk_media part = {.frames = 2, .height = g.height, .width = g.width, .rgb = rgb};
        for (int64_t y = 0; y < 2 * g.height; y++)
            memcpy(rgb + y * line,
                   clip.rgb + ((y / g.height * 48 + 20 + y % g.height) * 64 + 16) * 3,
                   (size_t)line);
        assert_ok(tk_codec_encode_video(lapped, &part, rows));
        assert_ok(tk_codec_decode_video(lapped, rows, &g, back[0]));
        double lost = 0, off = 0;
        for (int64_t n = 0; n < g.video_rows * 16; n++) rows[n] += n % 2 ? 0.2f : -0.2f;
        assert_ok(tk_codec_decode_video(lapped, rows, &g, back[1]));
        for (int64_t n = 0; n < bytes; n++) lost += pow((double)back[0][n] - rgb[n], 2);
        for (int64_t n = 0; n < bytes; n++) off += pow((double)back[1][n] - back[0][n], 2);
        assert_true(10 * log10(65025.0 * (double)bytes / lost) > 25);
        assert_true(10 * log10(65025.0 * (double)bytes / off) > 22);
    }
    tk_codec_free(lapped);
    free(f);
}

static void test_lapped__rows_are_scaled_and_flat_clips_stay_finite(void **state)
{
    (void)state;
    film *f = calloc(1, sizeof *f);
    tk_codec *c = fitted(config.video, f, FITTED);
    const tk_grid g = grid_of(c, FRAMES, 6, 8);
    const int64_t n = g.video_rows * config.video_channels;
    float *rows = malloc((size_t)n * sizeof *rows);
    uint8_t *rgb = malloc(sizeof f->rgb);
    double squares = 0;
    tk_media clip;
    for (int64_t k = 0; k < FITTED; k++) {
        shoot(f, k, &clip);
        assert_ok(tk_codec_encode_video(c, &clip, rows));
        for (int64_t i = 0; i < n; i++) squares += (double)(rows[i] * rows[i]);
    }
    assert_near(squares / (double)(FITTED * n), 1, 0.05);
    for (int64_t i = 0; i < n; i++) rows[i] = i % 3 ? 1e30f : -1e30f;
    assert_ok(tk_codec_decode_video(c, rows, &g, rgb));
    tk_codec_free(c);
    f->flat = true;
    c = fitted(config.video, f, 2);
    assert_ok(tk_codec_encode_video(c, &clip, rows));
    for (int64_t i = 0; i < n; i++) assert_true(isfinite(rows[i]));
    shoot(f, 0, &clip);
    assert_ok(tk_codec_encode_video(c, &clip, rows));
    for (int64_t i = 0; i < n; i++) assert_true(fabsf(rows[i]) < 10);
    assert_ok(tk_codec_decode_video(c, rows, &g, rgb));
    for (size_t i = 0; i < sizeof f->rgb; i++) assert_in_range(rgb[i], 98, 100);
    tk_codec_free(c);
    free(rows), free(rgb), free(f);
}

// ---- the same everywhere -----------------------------------------------------------------------

// Windows of any length, with rows that are not numbers wherever a window does not look.
static void test_lapped__windows_are_the_whole(void **state)
{
    (void)state;
    film *f = calloc(1, sizeof *f);
    tk_codec *c = fitted(config.video, f, 3);
    const tk_grid g = grid_of(c, FRAMES, 6, 8);
    const int64_t each = g.high * g.wide * config.video_channels, bytes = 2 * 48 * LINE;
    float *rows = malloc((size_t)(g.latent_frames * each) * sizeof *rows),
          *seen = malloc((size_t)(g.latent_frames * each) * sizeof *rows);
    uint8_t *whole = malloc(sizeof f->rgb), *joined = malloc(sizeof f->rgb);
    const int threads = omp_get_max_threads();
    tk_rng_fill_normal(tk_rng_key(1, TK_RNG_TEST, 0), 0, rows, g.latent_frames * each, 1);
    assert_ok(tk_codec_decode_video(c, rows, &g, whole));
    for (int64_t part = 1; part < 8; part += 2) {
        omp_set_num_threads(1 + (int)part / 2);
        for (int64_t at = 0; at < g.latent_frames; at += part) {
            const int64_t n = g.latent_frames - at < part ? g.latent_frames - at : part;
            for (int64_t k = at * each; k < g.latent_frames * each; k++)
                seen[k - at * each] = k / each >= at + n ? NAN : rows[k];
            assert_ok(tk_codec_decode_video_part(c, (tk_row_part){seen, at}, &g, at, n,
                                                 joined + at * bytes));
        }
        assert_memory_equal(whole, joined, sizeof f->rgb);
    }
    omp_set_num_threads(threads);
    tk_codec_free(c);
    free(rows), free(seen), free(whole), free(joined), free(f);
}

static void test_lapped__fit_is_the_same_on_any_number_of_threads(void **state)
{
    (void)state;
    film *f = calloc(1, sizeof *f);
    const int threads = omp_get_max_threads();
    uint64_t digest[2];
    for (int k = 0; k < 2; k++) {
        omp_set_num_threads(1 + 2 * k);
        tk_codec *c = fitted(config.video, f, 4);
        digest[k] = tk_codec_get_info(c)->digest;
        tk_codec_free(c);
    }
    omp_set_num_threads(threads);
    assert_true(digest[0] == digest[1]);
    free(f);
}

static void check_lie(tk_codec *c, hid_t group, const char *name, float *number, float lie)
{
    const float right = *number;
    tk_codec *back;
    tk_codec_array list[2 * TK_CODEC_ARRAYS];
    *number = lie;
    for (int k = tk_codec_arrays(c, list) - 1; k >= 0; k--) {
        if (strcmp(list[k].name, name)) continue;
        int64_t dim[2] = {list[k].rows ? list[k].rows : list[k].cols, list[k].cols};
        H5Ldelete(group, name, H5P_DEFAULT);
        assert_ok(tk_h5_put(group, name, H5T_NATIVE_FLOAT, list[k].rows ? 2 : 1, dim, list[k].x));
        assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
        assert_says(lie == right ? "digest" : name);
        assert_null(back);
        *number = right;
        H5Ldelete(group, name, H5P_DEFAULT);
        assert_ok(tk_h5_put(group, name, H5T_NATIVE_FLOAT, list[k].rows ? 2 : 1, dim, list[k].x));
    }
}

static void test_lapped__files_hold_it_and_lies_are_refused(void **state)
{
    (void)state;
    film *f = calloc(1, sizeof *f);
    tk_codec *c = fitted(config.video, f, 3), *back;
    tk_lapped *l = (tk_lapped *)c->half[TK_CODEC_VIDEO];
    char path[] = "/tmp/tk_lapped_XXXXXX";
    hid_t file, group;
    close(mkstemp(path));
    assert_ok(tk_h5_create(path, "talkie-test", 1, &file));
    assert_ok(tk_h5_group(file, "codec", &group));
    assert_ok(tk_codec_write(c, false, group));
    assert_ok(tk_codec_read(group, NULL, &back));
    assert_true(tk_codec_get_info(back)->digest == tk_codec_get_info(c)->digest);
    assert_string_equal(tk_codec_name(back, TK_CODEC_VIDEO), "lapped");
    assert_true(tk_codec_get_info(back)->video_blockiness > 0.5);
    assert_near(tk_codec_get_info(back)->video_blockiness, tk_codec_get_info(c)->video_blockiness,
                0);
    const tk_lapped *m = (const tk_lapped *)back->half[TK_CODEC_VIDEO];
    assert_memory_equal(l->out, m->out, (size_t)(TK_LAPPED_NEAR * 16 * l->kept) * sizeof *l->out);
    tk_codec_free(back);
    H5Adelete(group, "video_blockiness"); // as files of old
    assert_ok(tk_codec_read(group, NULL, &back));
    assert_near(tk_codec_get_info(back)->video_blockiness, 0, 0);
    tk_codec_free(back);
    const float lies[] = {-1, 0.5f, NAN, 384, 1e30f};
    for (size_t k = 0; k < sizeof lies / sizeof *lies; k++)
        check_lie(c, group, "video_place", &l->place[0], lies[k]);
    check_lie(c, group, "video_place", &l->place[5], l->place[4]);
    check_lie(c, group, "video_place", &l->place[l->kept - 1], 384);
    check_lie(c, group, "video_waves", &l->waves[7], INFINITY);
    check_lie(c, group, "video_scale", &l->scale[1], 0);
    check_lie(c, group, "video_mean", &l->mean[2], NAN);
    H5Adelete(group, "video_channels");
    assert_ok(tk_h5_put_attr_i64(group, "video_channels", 257));
    assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
    assert_says("257");
    H5Adelete(group, "video_channels");
    assert_ok(tk_h5_put_attr_i64(group, "video_channels", 15));
    assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
    H5Gclose(group);
    assert_ok(tk_h5_close(file, path));
    unlink(path);
    tk_codec_free(c);
    free(f);
}

static void test_lapped__refuses_what_cannot_be_and_reports_no_memory(void **state)
{
    (void)state;
    film *f = calloc(1, sizeof *f);
    tk_codec *c;
    tk_codec_config other = config;
    other.video_channels = 257;
    assert_status(tk_codec_fit(&other, &media, shoot, f, 1, &c), TK_INPUT);
    assert_says("at most 256");
    other = (tk_codec_config){.video = TK_PICTURE_LAPPED,
                              .patch_frames = 1,
                              .patch_size = 4,
                              .video_channels = 49,
                              .audio_hop = 4,
                              .audio_channels = 2};
    assert_status(tk_codec_fit(&other, &media, shoot, f, 1, &c), TK_INPUT);
    assert_says("49");
    other.video_channels = 4;
    tk_status st = TK_MEMORY;
    int64_t nth = 1;
    for (; st == TK_MEMORY && nth < 1000; nth++) {
        tk_alloc_fail_at(nth, false);
        st = tk_codec_fit(&other, &media, shoot, f, 1, &c);
        tk_alloc_fail_at(0, false);
        assert_true((st == TK_OK) == (c != NULL));
        tk_codec_free(c);
    }
    assert_ok(st);
    assert_true(nth > 20);
    free(f);
}

static void test_lapped__goes_to_all_ranks(void **state)
{
    (void)state;
    film *f = calloc(1, sizeof *f);
    tk_codec *c = world.rank == 0 ? fitted(config.video, f, 2) : NULL;
    assert_ok(tk_codec_broadcast(&world, &c, 0));
    uint64_t digest = tk_codec_get_info(c)->digest;
    assert_ok(tk_same(&world, "digest", &digest, sizeof digest));
    const tk_grid g = grid_of(c, FRAMES, 6, 8);
    const size_t bytes = (size_t)(g.video_rows * 16) * sizeof(float);
    float *rows = malloc(bytes);
    tk_media clip;
    shoot(f, 1, &clip);
    assert_ok(tk_codec_encode_video(c, &clip, rows));
    assert_ok(tk_same(&world, "rows", rows, bytes));
    free(rows), free(f);
    tk_codec_free(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_lap__is_orthonormal_and_keeps_flat),
        cmocka_unit_test(test_seams__blockiness_is_steps_at_edges_over_steps_elsewhere),
        cmocka_unit_test(test_lapped__shows_no_seams_and_loses_less),
        cmocka_unit_test(test_lapped__few_patches_and_errors_in_rows),
        cmocka_unit_test(test_lapped__rows_are_scaled_and_flat_clips_stay_finite),
        cmocka_unit_test(test_lapped__windows_are_the_whole),
        cmocka_unit_test(test_lapped__fit_is_the_same_on_any_number_of_threads),
        cmocka_unit_test(test_lapped__files_hold_it_and_lies_are_refused),
        cmocka_unit_test(test_lapped__refuses_what_cannot_be_and_reports_no_memory),
    };
    const struct CMUnitTest together[] = {
        cmocka_unit_test(test_lapped__goes_to_all_ranks),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    int failed = cmocka_run_group_tests(together, NULL, NULL);
    if (world.size == 1) failed += cmocka_run_group_tests(alone, NULL, NULL);
    tk_parallel_stop();
    return failed;
}
