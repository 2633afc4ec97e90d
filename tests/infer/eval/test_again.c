// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Rows of sound that are decoded and encoded again, as they would be if shots were given as sound
// instead of as rows: a codec that keeps the wave gives them back; of what a model got wrong it
// mends nothing. One that does not moves them each time.
#include "core/numbers/rng.h"
#include "data/film/film.h"
#include "tests/infer/eval/coded.h"
#include <math.h>
#include <stdio.h>

enum { CLIPS = 4, TIMES = 8 };

static tk_config config;
static tk_speech *speech;

static int begin(void **state)
{
    (void)state;
    judged_world(&config);
    return tk_scene_open_speech(&config.world, &config.media, &speech) != TK_OK;
}

static int end(void **state)
{
    (void)state;
    tk_speech_close(speech);
    tk_config_free(&config);
    return 0;
}

static double apart(const float *x, const float *y, int64_t n)
{
    double d = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        const double e = (double)x[i] - (double)y[i];
        d += e * e, all += (double)y[i] * (double)y[i];
    }
    return sqrt(d / all);
}

typedef struct path { // off the true rows, relative: as given, after one time, after all
    double given, once, last;
} path;

static void again(const tk_codec *codec, double wrong, path *out)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    *out = (path){0};
    for (int i = 0; i < CLIPS; i++) {
        tk_scene s;
        tk_media m;
        assert_ok(tk_scene_make(&config.world, &config.media, k->patch_frames, speech, 77, i, &s));
        const int64_t frames = tk_scene_frames(&config.world, &config.media, k->patch_frames);
        m = tk_media_shape(&config.media, frames, tk_media_samples(&config.media, frames));
        assert_ok(tk_media_alloc(&m));
        assert_ok(tk_film_sound(&s, &config.media, speech, m.samples, m.pcm));
        const int64_t rows = tk_grid_audio_rows(k, m.samples), n = rows * k->audio_channels;
        float *x = tk_alloc((size_t)(2 * n) * sizeof *x), *y = x + n;
        assert_ok(tk_codec_encode_audio(codec, &m, x));
        tk_rng_fill_normal(tk_rng_key(5, TK_RNG_TEST, (uint64_t)i), 0, y, n, (float)wrong);
        for (int64_t j = 0; j < n; j++) y[j] += x[j];
        out->given += apart(y, x, n) / CLIPS;
        for (int t = 1; t <= TIMES; t++) {
            assert_ok(tk_codec_decode_audio(codec, y, rows, 1, m.pcm, m.samples));
            assert_ok(tk_codec_encode_audio(codec, &m, y));
            if (t == 1) out->once += apart(y, x, n) / CLIPS;
        }
        out->last += apart(y, x, n) / CLIPS;
        tk_free(x);
        tk_media_free(&m);
    }
}

static void measure(const tk_codec *codec, const char *name, path out[3])
{
    static const double wrong[3] = {0, 0.1, 0.3};
    for (int w = 0; w < 3; w++) {
        again(codec, wrong[w], &out[w]);
        printf("%-8s rows %.1f off at random: %.3f off as given, %.3f encoded again, %.3f after %d "
               "times\n",
               name, wrong[w], out[w].given, out[w].once, out[w].last, TIMES);
    }
}

static void a_wave_that_is_kept_stays(void **state)
{
    tk_codec *codec;
    path p[3];
    (void)state;
    assert_ok(fit_codec(&config, speech, false, &codec));
    measure(codec, "mdct", p);
    for (int w = 0; w < 3; w++) {
        assert_true(fabs(p[w].once - p[w].given) <= 0.1 * p[w].given + 0.02);
        assert_true(fabs(p[w].last - p[w].given) <= 0.1 * p[w].given + 0.02);
    }
    tk_codec_free(codec);
}

// The codec of the shipped weights.
static void a_spectrum_moves(void **state)
{
    tk_config c = config;
    tk_codec *codec;
    path p[3];
    (void)state;
    c.codec.from = "weights/world.safetensors";
    assert_ok(tk_codec_given(tk_comm_self(), &c.codec, &config.media, &codec));
    measure(codec, "vocoder", p);
    for (int w = 0; w < 3; w++) assert_true(p[w].last > p[w].given);
    tk_codec_free(codec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wave_that_is_kept_stays),
        cmocka_unit_test(a_spectrum_moves),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
