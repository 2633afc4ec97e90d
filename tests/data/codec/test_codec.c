// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 3; timeout: 120 */
#include "core/device/ops/gemm.h"
#include "core/numbers/rng.h"
#include "data/codec/kinds/axes.h"
#include "data/codec/kinds/kinds.h"
#include "data/film/film.h"
#include "parallel/mpi/start.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static tk_comm world;
static const tk_media_config media = {
    .width = 32, .height = 32, .fps = 8, .sample_rate = 8000, .channels = 1};
static const tk_world_config scenes = {
    .seconds = 2, .max_shots = 2, .things = 1, .sets = 1, .styles = 1};
static const tk_codec_config config = {.patch_frames = 2,
                                       .patch_size = 8,
                                       .video_channels = 48,
                                       .audio_hop = 200,
                                       .audio_channels = 64,
                                       .fit_clips = 24};
enum { FRAMES = 16, SAMPLES = 16000 };
static const tk_grid grid = {
    .frames = FRAMES, .height = 32, .width = 32, .latent_frames = 8, .high = 4, .wide = 4};

typedef struct film {
    uint8_t rgb[FRAMES * 32 * 32 * 3];
    float pcm[2 * SAMPLES];
    int64_t height, channels;
    bool flat; // nothing but one grey and silence
} film;

static tk_status shoot(void *ctx, int64_t i, tk_media *clip)
{
    film *f = ctx;
    tk_media_config m = media;
    tk_scene s;
    m.channels = f->channels;
    TK_TRY(tk_scene_make(&scenes, &m, 2, NULL, 3, i, &s));
    TK_TRY(tk_film_render(&s, &m, NULL, FRAMES, f->rgb));
    TK_TRY(tk_film_sound(&s, &m, NULL, SAMPLES, f->pcm));
    if (f->flat) memset(f->rgb, 99, sizeof f->rgb);
    if (f->flat) memset(f->pcm, 0, sizeof f->pcm);
    *clip = tk_media_shape(&m, FRAMES, SAMPLES);
    clip->height = f->height;
    clip->rgb = f->rgb;
    clip->pcm = f->pcm;
    return TK_OK;
}

static film *new_film(void)
{
    film *f = calloc(1, sizeof *f);
    f->height = 32, f->channels = 1;
    return f;
}

static void test_mdct__reconstructs_perfectly(void **state)
{
    (void)state;
    enum { N = 50, LONG = 512 };
    float basis[N * 2 * N], x[LONG], y[LONG] = {0}, frame[2 * N];
    const tk_media track = {.samples = LONG, .channels = 1, .pcm = x};
    tk_mdct_basis(N, basis);
    tk_rng_fill_normal(tk_rng_key(1, TK_RNG_TEST, 0), 0, x, LONG, 1);
    for (int64_t r = 0; r <= (LONG + N - 1) / N; r++) {
        tk_codec_frames(N, &track, 0, r, 1, frame);
        for (int k = 0; k < N; k++) {
            double c = 0;
            for (int t = 0; t < 2 * N; t++) c += (double)(basis[k * 2 * N + t] * frame[t]);
            for (int64_t t = 0; t < 2 * N; t++) {
                int64_t at = (r - 1) * N + t;
                if (at >= 0 && at < LONG) y[at] += (float)c * basis[k * 2 * N + t];
            }
        }
    }
    for (int t = 0; t < LONG; t++) assert_near(y[t], x[t], 1e-5);
}

// A matrix with known eigenvectors (rotations of the axes) and values.
static void test_pca__finds_axes_and_values(void **state)
{
    (void)state;
    enum { N = 120, KEEP = 20 };
    static float a[N * N], q[N * N], found[KEEP * N];
    double value[KEEP];
    tk_rng_fill_normal(tk_rng_key(1, TK_RNG_TEST, 1), 0, q, N * N, 1);
    for (int i = 0; i < N; i++) { // Gram-Schmidt
        for (int j = 0; j < i; j++) {
            double d = 0;
            for (int k = 0; k < N; k++) d += (double)q[i * N + k] * (double)q[j * N + k];
            for (int k = 0; k < N; k++) q[i * N + k] -= (float)d * q[j * N + k];
        }
        double size = 0;
        for (int k = 0; k < N; k++) size += (double)q[i * N + k] * (double)q[i * N + k];
        for (int k = 0; k < N; k++) q[i * N + k] /= (float)sqrt(size);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double s = 0;
            for (int k = 0; k < N; k++)
                s += pow(0.8, k) * (double)q[k * N + i] * (double)q[k * N + j];
            a[i * N + j] = (float)s;
        }
    assert_ok(tk_pca(a, N, KEEP, found, value));
    for (int c = 0; c < KEEP; c++) {
        double along = 0;
        for (int k = 0; k < N; k++) along += (double)found[c * N + k] * (double)q[c * N + k];
        assert_near(value[c], pow(0.8, c), 2e-5);
        assert_near(fabs(along), 1, 2e-3);
    }
}

// Of any rank, zero too: orthonormal rows whose largest entry is positive, and the same bits
// however many threads there are.
static void test_pca__basis_is_whole_and_fixed(void **state)
{
    (void)state;
    enum { N = 300, KEEP = 100 };
    static float x[N * N], a[N * N], found[KEEP * N], again[KEEP * N];
    static const int ranks[] = {0, 3, N};
    double value[KEEP], value_again[KEEP];
    const int threads = omp_get_max_threads();
    tk_rng_fill_normal(tk_rng_key(1, TK_RNG_TEST, 2), 0, x, N * N, 1);
    for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) {
        assert_ok(tk_gemm(0, 'T', 'N', N, N, ranks[r], x, N, x, N, 0, a, N));
        omp_set_num_threads(1);
        assert_ok(tk_pca(a, N, KEEP, found, value));
        omp_set_num_threads(3);
        assert_ok(tk_pca(a, N, KEEP, again, value_again));
        assert_memory_equal(found, again, sizeof found);
        assert_memory_equal(value, value_again, sizeof value);
        for (int c = 0; c < KEEP; c++) {
            const float *f = found + c * N;
            int top = 0;
            for (int k = 0; k < N; k++) top = fabsf(f[k]) > fabsf(f[top]) ? k : top;
            assert_true(f[top] > 0);
            assert_true(c == 0 || value[c] <= value[c - 1]);
            for (int d = 0; d <= c; d++) {
                double along = 0;
                for (int k = 0; k < N; k++) along += (double)f[k] * (double)found[d * N + k];
                assert_near(along, c == d, 1e-5);
            }
        }
        assert_true(ranks[r] >= KEEP || value[ranks[r]] <= 1e-5 * (value[0] + 1));
    }
    omp_set_num_threads(threads);
}

static void test_fit__rows_have_unit_variance_and_media_come_back(void **state)
{
    (void)state;
    film *f = new_film();
    tk_codec *c;
    tk_media clip;
    assert_ok(tk_codec_fit(&config, &media, shoot, f, 24, &c));
    const tk_codec_info *i = tk_codec_get_info(c);
    assert_true(i->video_psnr_db > 28 && i->video_psnr_db < 99);
    assert_true(i->audio_db > 25 && i->audio_db < 99);
    assert_int_equal(tk_grid_audio_rows(i, SAMPLES), 81);
    float *video = malloc(8 * 16 * 48 * 4), *audio = malloc(81 * 64 * 4);
    double v = 0, a = 0, error = 0, noise = 0, power = 0;
    uint8_t *rgb = malloc(sizeof f->rgb);
    float *pcm = malloc(SAMPLES * 4);
    for (int64_t k = 0; k < 24; k++) {
        shoot(f, k, &clip);
        assert_ok(tk_codec_encode_video(c, &clip, video));
        assert_ok(tk_codec_encode_audio(c, &clip, audio));
        assert_ok(tk_codec_decode_video(c, video, &grid, rgb));
        assert_ok(tk_codec_decode_audio(c, audio, 81, 1, pcm, SAMPLES));
        for (int n = 0; n < 8 * 16 * 48; n++) v += (double)(video[n] * video[n]);
        for (int n = 0; n < 81 * 64; n++) a += (double)(audio[n] * audio[n]);
        for (size_t n = 0; n < sizeof f->rgb; n++) error += pow((double)rgb[n] - clip.rgb[n], 2);
        for (int n = 0; n < SAMPLES; n++) noise += pow((double)pcm[n] - (double)clip.pcm[n], 2);
        for (int n = 0; n < SAMPLES; n++) power += pow((double)clip.pcm[n], 2);
    }
    assert_near(v / (24.0 * 8 * 16 * 48), 1, 0.01);
    assert_near(a / (24.0 * 81 * 64), 1, 0.01);
    assert_near(10 * log10(65025 * 24.0 * sizeof f->rgb / error), i->video_psnr_db, 1);
    assert_near(10 * log10(power / noise), i->audio_db, 2);
    free(video), free(audio), free(rgb), free(pcm), free(f);
    tk_codec_free(c);
}

// All components of a patch: nothing is lost but rounding.
static void test_fit__complete_basis_is_lossless(void **state)
{
    (void)state;
    film *f = new_film();
    tk_codec *c;
    tk_codec_config all = {.patch_frames = 1,
                           .patch_size = 4,
                           .video_channels = 48,
                           .audio_hop = 64,
                           .audio_channels = 64};
    assert_ok(tk_codec_fit(&all, &media, shoot, f, 4, &c));
    assert_true(tk_codec_get_info(c)->video_psnr_db > 55);
    assert_true(tk_codec_get_info(c)->audio_db > 55);
    tk_codec_free(c);
    free(f);
}

static void test_fit__stereo_channels_are_apart(void **state)
{
    (void)state;
    film *f = new_film();
    tk_codec *c;
    tk_media_config two = media;
    f->channels = two.channels = 2;
    assert_ok(tk_codec_fit(&config, &two, shoot, f, 12, &c));
    float *rows = malloc(81 * 2 * 64 * 4), *mono = malloc(81 * 64 * 4), *pcm = malloc(SAMPLES * 8);
    float *right = malloc(SAMPLES * 4);
    for (int n = 0; n < SAMPLES; n++) right[n] = f->pcm[2 * n + 1];
    const tk_media both = {.samples = SAMPLES, .channels = 2, .pcm = f->pcm};
    const tk_media alone = {.samples = SAMPLES, .channels = 1, .pcm = right};
    assert_ok(tk_codec_encode_audio(c, &both, rows));
    assert_ok(tk_codec_encode_audio(c, &alone, mono));
    for (int r = 0; r < 81; r++)
        for (int k = 0; k < 64; k++)
            assert_near(rows[(r * 2 + 1) * 64 + k], mono[r * 64 + k], 1e-5);
    assert_ok(tk_codec_decode_audio(c, rows, 81, 2, pcm, SAMPLES));
    double noise = 0, power = 0;
    for (int n = 0; n < 2 * SAMPLES; n++) noise += pow((double)(pcm[n] - f->pcm[n]), 2);
    for (int n = 0; n < 2 * SAMPLES; n++) power += pow((double)f->pcm[n], 2);
    assert_true(noise < 0.01 * power);
    free(rows), free(mono), free(pcm), free(right), free(f);
    tk_codec_free(c);
}

static void test_fit__constant_clips_stay_finite(void **state)
{
    (void)state;
    film *f = new_film();
    tk_codec *c;
    tk_media clip;
    f->flat = true;
    assert_ok(tk_codec_fit(&config, &media, shoot, f, 2, &c));
    float *rows = malloc(8 * 16 * 48 * 4);
    uint8_t *rgb = malloc(sizeof f->rgb);
    shoot(f, 0, &clip);
    assert_ok(tk_codec_encode_video(c, &clip, rows));
    for (int n = 0; n < 8 * 16 * 48; n++) assert_true(isfinite(rows[n]) && fabsf(rows[n]) < 10);
    assert_ok(tk_codec_decode_video(c, rows, &grid, rgb));
    for (size_t n = 0; n < sizeof f->rgb; n++) assert_in_range(rgb[n], 98, 100);
    free(rows), free(rgb), free(f);
    tk_codec_free(c);
}

static void test_decode__survives_wild_rows(void **state)
{
    (void)state;
    film *f = new_film();
    tk_codec *c;
    float rows[16 * 48], pcm[400];
    const tk_grid one = {
        .frames = 2, .height = 32, .width = 32, .latent_frames = 1, .high = 4, .wide = 4};
    uint8_t rgb[2 * 32 * 32 * 3];
    assert_ok(tk_codec_fit(&config, &media, shoot, f, 2, &c));
    for (int n = 0; n < 16 * 48; n++) rows[n] = n % 3 ? 1e30f : -1e30f;
    assert_ok(tk_codec_decode_video(c, rows, &one, rgb));
    assert_ok(tk_codec_decode_audio(c, rows, 3, 1, pcm, 400));
    for (int n = 0; n < 400; n++) assert_true(fabsf(pcm[n]) <= 1);
    tk_codec_free(c);
    free(f);
}

static void test_fit__refuses_what_cannot_be(void **state)
{
    (void)state;
    film *f = new_film();
    tk_codec *c;
    tk_codec_config bad = config;
    assert_status(tk_codec_fit(&config, &media, shoot, f, 0, &c), TK_INPUT);
    bad.video_channels = 385; // of a patch of 384 numbers
    assert_status(tk_codec_fit(&bad, &media, shoot, f, 1, &c), TK_INPUT);
    assert_says("385");
    bad = config, bad.audio_channels = 201;
    assert_status(tk_codec_fit(&bad, &media, shoot, f, 1, &c), TK_INPUT);
    bad = config, bad.patch_size = 64, bad.patch_frames = 8;
    assert_status(tk_codec_fit(&bad, &media, shoot, f, 1, &c), TK_INPUT);
    f->height = 31; // does not divide
    assert_status(tk_codec_fit(&config, &media, shoot, f, 1, &c), TK_INPUT);
    assert_says("32x31");
    assert_null(c);
    free(f);
}

static void test_file__round_trip_and_damage(void **state)
{
    (void)state;
    film *f = new_film();
    tk_codec *c, *back;
    char path[] = "/tmp/tk_codec_XXXXXX";
    hid_t file, group;
    close(mkstemp(path));
    assert_ok(tk_codec_fit(&config, &media, shoot, f, 2, &c));
    assert_ok(tk_h5_create(path, "talkie-test", 1, &file));
    assert_ok(tk_h5_group(file, "codec", &group));
    assert_ok(tk_codec_write(c, false, group));
    assert_ok(tk_codec_read(group, NULL, &back));
    assert_true(tk_codec_get_info(back)->digest == tk_codec_get_info(c)->digest);
    assert_near(tk_codec_get_info(back)->video_psnr_db, tk_codec_get_info(c)->video_psnr_db, 0);
    tk_codec_free(back);
    struct {
        const char *name;
        int64_t value;
    } lies[] = {{"patch_size", 1 << 30},   {"patch_frames", 0},   {"video_channels", 49},
                {"audio_hop", -5},         {"audio_channels", 0}, {"channels", 3},
                {"sample_rate", 1LL << 60}};
    for (size_t k = 0; k < sizeof lies / sizeof *lies; k++) {
        int64_t right;
        assert_ok(tk_h5_get_attr_i64(group, lies[k].name, &right));
        H5Adelete(group, lies[k].name);
        assert_ok(tk_h5_put_attr_i64(group, lies[k].name, lies[k].value));
        assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
        assert_null(back);
        H5Adelete(group, lies[k].name);
        assert_ok(tk_h5_put_attr_i64(group, lies[k].name, right));
    }
    H5Ldelete(group, "video_scale", H5P_DEFAULT);
    int64_t n = 48;
    float *scale = test_codec_array(c, "video_scale");
    scale[3] *= 1.01f; // sound numbers, but not those that were written
    assert_ok(tk_h5_put(group, "video_scale", H5T_NATIVE_FLOAT, 1, &n, scale));
    assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
    assert_says("digest");
    scale[3] = NAN;
    H5Ldelete(group, "video_scale", H5P_DEFAULT);
    assert_ok(tk_h5_put(group, "video_scale", H5T_NATIVE_FLOAT, 1, &n, scale));
    assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
    assert_says("video_scale");
    H5Gclose(group);
    assert_ok(tk_h5_close(file, path));
    tk_codec_free(c);
    unlink(path);
    free(f);
}

static void test_broadcast__gives_the_same_codec(void **state)
{
    (void)state;
    film *f = new_film();
    tk_codec *c = NULL;
    if (world.rank == 0) assert_ok(tk_codec_fit(&config, &media, shoot, f, 2, &c));
    assert_ok(tk_codec_broadcast(&world, &c, 0));
    uint64_t digest = tk_codec_get_info(c)->digest;
    assert_ok(tk_same(&world, "digest", &digest, sizeof digest));
    float *rows = malloc(8 * 16 * 48 * 4);
    tk_media clip;
    shoot(f, 1, &clip);
    assert_ok(tk_codec_encode_video(c, &clip, rows));
    assert_ok(tk_same(&world, "rows", rows, 8 * 16 * 48 * 4));
    free(rows);
    tk_codec_free(c);
    free(f);
}

static void test_fit__every_failed_allocation_is_reported(void **state)
{
    (void)state;
    film *f = new_film();
    tk_codec_config small = {.patch_frames = 1,
                             .patch_size = 4,
                             .video_channels = 4,
                             .audio_hop = 16,
                             .audio_channels = 4};
    tk_status st = TK_MEMORY;
    int64_t nth = 1;
    for (; st == TK_MEMORY && nth < 1000; nth++) {
        tk_codec *c = NULL;
        tk_alloc_fail_at(nth, false);
        st = tk_codec_fit(&small, &media, shoot, f, 1, &c);
        tk_alloc_fail_at(0, false);
        assert_true((st == TK_OK) == (c != NULL));
        tk_codec_free(c);
    }
    assert_ok(st);
    assert_true(nth > 5);
    free(f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_mdct__reconstructs_perfectly),
        cmocka_unit_test(test_pca__finds_axes_and_values),
        cmocka_unit_test(test_pca__basis_is_whole_and_fixed),
        cmocka_unit_test(test_fit__rows_have_unit_variance_and_media_come_back),
        cmocka_unit_test(test_fit__complete_basis_is_lossless),
        cmocka_unit_test(test_fit__stereo_channels_are_apart),
        cmocka_unit_test(test_fit__constant_clips_stay_finite),
        cmocka_unit_test(test_decode__survives_wild_rows),
        cmocka_unit_test(test_fit__refuses_what_cannot_be),
        cmocka_unit_test(test_file__round_trip_and_damage),
        cmocka_unit_test(test_fit__every_failed_allocation_is_reported),
    };
    const struct CMUnitTest together[] = {
        cmocka_unit_test(test_broadcast__gives_the_same_codec),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    int failed = cmocka_run_group_tests(together, NULL, NULL);
    if (world.size == 1) failed += cmocka_run_group_tests(alone, NULL, NULL);
    tk_parallel_stop();
    return failed;
}
