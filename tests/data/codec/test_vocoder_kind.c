// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2; timeout: 60 */
// The kind of sound "vocoder" as a codec: fitted, stored, shared, and decoded in parts.
#include "data/codec/kinds/kinds.h"
#include "data/vocoder/vocoder.h"
#include "parallel/mpi/start.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <unistd.h>

static tk_comm world;
static const tk_codec_config config = {.patch_frames = 2,
                                       .patch_size = 4,
                                       .video_channels = 2,
                                       .audio = TK_SOUND_VOCODER,
                                       .audio_hop = 200,
                                       .audio_channels = 20};
static const tk_media_config media = {
    .width = 8, .height = 8, .fps = 8, .sample_rate = 8000, .channels = 1};
enum { FRAMES = 16, SAMPLES = 16000, ROWS = 80 };

typedef struct track {
    int64_t channels;
    bool silent;
    uint8_t rgb[FRAMES * 8 * 8 * 3];
    float pcm[2 * SAMPLES];
} track;

// A voice that comes and goes over noise; clip and channel choose its pitch.
static tk_status record(void *ctx, int64_t i, tk_media *clip)
{
    track *f = ctx;
    tk_media_config m = media;
    m.channels = f->channels;
    tk_rng_fill_normal(tk_rng_key(1, TK_RNG_TEST, (uint64_t)i), 0, f->pcm, SAMPLES * m.channels,
                       0.01f);
    for (int64_t t = 0; t < SAMPLES; t++)
        for (int64_t ch = 0; ch < m.channels; ch++) {
            const double hz = 100 + 23 * (double)(i % 5) + 60 * (double)ch;
            const double loud = fmax(0, sin(2 * M_PI * (double)t * (1 + (double)ch) / 7000));
            double sum = 0;
            for (int k = 1; k * hz < 3500; k++)
                sum += sin(2 * M_PI * hz * k * (double)t / 8000 + k * k) / k;
            f->pcm[t * m.channels + ch] += (float)(0.15 * loud * sum);
        }
    for (size_t k = 0; k < sizeof f->rgb; k++) f->rgb[k] = (uint8_t)(k * (size_t)(i + 3) % 251);
    if (f->silent) memset(f->pcm, 0, sizeof f->pcm);
    *clip = tk_media_shape(&m, FRAMES, SAMPLES);
    clip->rgb = f->rgb;
    clip->pcm = f->pcm;
    return TK_OK;
}

static tk_codec *fit(track *f, int64_t clips)
{
    tk_media_config m = media;
    tk_codec *c;
    m.channels = f->channels;
    assert_ok(tk_codec_fit(&config, &m, record, f, clips, &c));
    return c;
}

static track *new_track(int64_t channels)
{
    track *f = calloc(1, sizeof *f);
    f->channels = channels;
    return f;
}

static void every_number_has_unit_variance(void **state)
{
    (void)state;
    track *f = new_track(1);
    tk_codec *c = fit(f, 6);
    tk_media clip;
    double sum[20] = {0}, square[20] = {0};
    static float rows[ROWS * 20];
    assert_int_equal(tk_grid_audio_rows(tk_codec_get_info(c), SAMPLES), ROWS);
    for (int i = 0; i < 6; i++) {
        record(f, i, &clip);
        assert_ok(tk_codec_encode_audio(c, &clip, rows));
        for (int k = 0; k < ROWS * 20; k++)
            sum[k % 20] += (double)rows[k], square[k % 20] += (double)rows[k] * (double)rows[k];
    }
    for (int k = 0; k < 20; k++) {
        const double mean = sum[k] / (6 * ROWS);
        assert_near(mean, 0, 1e-3);
        assert_near(square[k] / (6 * ROWS) - mean * mean, 1, 0.02);
    }
    const double apart = tk_codec_get_info(c)->audio_db;
    assert_true(apart > 1 && apart < 8);
    assert_string_equal(tk_codec_audio_figure(c), "dB log-spectral distance");
    tk_codec_free(c);
    free(f);
}

// Parts of any length, with rows that are not numbers wherever a part does not look; each channel
// as if it were alone.
static void parts_join(void **state)
{
    (void)state;
    track *f = new_track(2);
    tk_codec *c = fit(f, 2);
    tk_media clip;
    static float rows[ROWS * 2 * 20], seen[ROWS * 2 * 20], whole[SAMPLES * 2], joined[SAMPLES * 2];
    const int64_t context = tk_codec_audio_context(c);
    const int64_t lengths[] = {199, 2000, 1, 5000, 64};
    record(f, 3, &clip);
    assert_ok(tk_codec_encode_audio(c, &clip, rows));
    assert_ok(tk_codec_decode_audio(c, rows, ROWS, 2, whole, SAMPLES));
    for (int64_t t = 0, n, k = 0; t < SAMPLES; t += n, k++) {
        n = lengths[k % 5] < SAMPLES - t ? lengths[k % 5] : SAMPLES - t;
        const int64_t begin = t / 200 - context, last = (t + n - 1) / 200 + context;
        const int64_t from = begin < 0 ? 0 : begin; // what is before it is not there
        for (int64_t j = from * 40; j < ROWS * 40; j++)
            seen[j - from * 40] = j / 40 > last ? NAN : rows[j];
        assert_ok(tk_codec_decode_audio_part(c, (tk_row_part){seen, from}, ROWS, 2, t, n,
                                             joined + t * 2));
    }
    assert_memory_equal(whole, joined, sizeof whole);
    double left = 0, right = 0, both = 0;
    for (int t = 0; t < SAMPLES; t++) {
        left += (double)(whole[2 * t] * whole[2 * t]);
        right += (double)(whole[2 * t + 1] * whole[2 * t + 1]);
        both += (double)(whole[2 * t] * whole[2 * t + 1]);
    }
    assert_true(left > 0 && right > 0 && fabs(both) < 0.3 * sqrt(left * right));
    tk_codec_free(c);
    free(f);
}

enum { TIMES = 5, LONG = TIMES * SAMPLES }; // a track of more rows than are made at once

typedef struct long_track {
    tk_media_source source; // the first member
    const tk_media *m;
    int64_t most; // samples asked for at once
} long_track;

static tk_status get_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    long_track *t = (long_track *)s;
    assert_true(first >= 0 && n > 0 && first + n <= LONG);
    if (n > t->most) t->most = n;
    memcpy(pcm, t->m->pcm + first * t->m->channels, (size_t)(n * t->m->channels) * sizeof *pcm);
    return TK_OK;
}

typedef struct made_rows {
    float *rows;
    int64_t each, n;
} made_rows;

static tk_status take_rows(void *ctx, int64_t first, int64_t n, const float *rows)
{
    made_rows *r = ctx;
    assert_int_equal(first, r->n);
    memcpy(r->rows + first * r->each, rows, (size_t)(n * r->each) * sizeof *rows);
    r->n += n;
    return TK_OK;
}

// A track that is asked for in pieces has the rows of the whole, also by a kind that knows no
// parts.
static void tracks_are_encoded_in_pieces(void **state)
{
    (void)state;
    static float pcm[LONG * 2], whole[(TIMES * ROWS + 1) * 2 * 20], joined[TIMES * ROWS * 40 + 40];
    for (int kind = 0; kind < 2; kind++) {
        track *f = new_track(2);
        tk_codec_config of = config;
        tk_media_config m = media;
        tk_codec *c;
        tk_media clip;
        m.channels = 2;
        of.audio = kind ? TK_SOUND_MDCT : TK_SOUND_VOCODER;
        assert_ok(tk_codec_fit(&of, &m, record, f, 2, &c));
        for (int i = 0; i < TIMES; i++) {
            record(f, i, &clip);
            memcpy(pcm + i * SAMPLES * 2, clip.pcm, SAMPLES * 2 * sizeof *pcm);
        }
        clip = tk_media_shape(&m, 0, LONG);
        clip.pcm = pcm;
        long_track t = {{tk_media_shape(&m, 0, LONG), NULL, get_sound, NULL}, &clip, 0};
        made_rows made = {.rows = joined, .each = 40};
        assert_ok(tk_codec_encode_audio(c, &clip, whole));
        assert_ok(tk_codec_encode_track(c, &t.source, take_rows, &made));
        assert_int_equal(made.n, tk_grid_audio_rows(tk_codec_get_info(c), LONG));
        assert_memory_equal(whole, joined, (size_t)(made.n * 40) * sizeof *whole);
        if (!kind) assert_true(t.most <= 1 << 14);
        tk_codec_free(c);
        free(f);
    }
}

static void silence_and_wild_rows(void **state)
{
    (void)state;
    track *f = new_track(1);
    tk_codec *c;
    tk_media clip;
    static float rows[ROWS * 20], pcm[SAMPLES];
    static const float wild[] = {1e30f, -1e30f, INFINITY, NAN, 0};
    f->silent = true;
    c = fit(f, 2);
    record(f, 0, &clip);
    assert_ok(tk_codec_encode_audio(c, &clip, rows));
    for (int k = 0; k < ROWS * 20; k++) assert_true(isfinite(rows[k]) && fabsf(rows[k]) < 10);
    assert_ok(tk_codec_decode_audio(c, rows, ROWS, 1, pcm, SAMPLES));
    for (int t = 0; t < SAMPLES; t++) assert_true(fabsf(pcm[t]) < 1e-4f);
    for (int k = 0; k < ROWS * 20; k++) rows[k] = wild[k * k % 5];
    assert_ok(tk_codec_decode_audio(c, rows, ROWS, 1, pcm, SAMPLES));
    for (int t = 0; t < SAMPLES; t++) assert_true(fabsf(pcm[t]) <= 1);
    tk_codec_free(c);
    free(f);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    track *f = new_track(1);
    tk_codec *c;
    tk_codec_config bad = config;
    tk_media_config low = media;
    bad.audio_channels = 4;
    assert_status(tk_codec_fit(&bad, &media, record, f, 1, &c), TK_INPUT);
    assert_says("4 audio channels; a vocoder's rows of 200 samples at 8000 Hz have 5 to 64");
    bad.audio_channels = 65;
    assert_status(tk_codec_fit(&bad, &media, record, f, 1, &c), TK_INPUT);
    low.sample_rate = 4000;
    assert_status(tk_codec_fit(&config, &low, record, f, 1, &c), TK_INPUT);
    assert_says("8000");
    assert_null(c);
    free(f);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    track *f = new_track(1);
    const int threads = omp_get_max_threads();
    uint64_t digest[2];
    for (int k = 0; k < 2; k++) {
        omp_set_num_threads(k ? 3 : 1);
        tk_codec *c = fit(f, 2);
        digest[k] = tk_codec_get_info(c)->digest;
        tk_codec_free(c);
    }
    omp_set_num_threads(threads);
    assert_true(digest[0] == digest[1]);
    free(f);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    track *f = new_track(1);
    tk_status st = TK_MEMORY;
    int64_t nth = 1;
    for (; st == TK_MEMORY && nth < 200; nth++) {
        tk_codec *c = NULL;
        tk_alloc_fail_at(nth, false);
        st = tk_codec_fit(&config, &media, record, f, 1, &c);
        tk_alloc_fail_at(0, false);
        assert_true((st == TK_OK) == (c != NULL));
        tk_codec_free(c);
    }
    assert_ok(st);
    assert_true(nth > 5);
    free(f);
}

// Written, read, and sent to the other ranks: the same codec, which makes the same sound.
static void it_goes_through_files_and_ranks(void **state)
{
    (void)state;
    char path[] = "/tmp/tk_vocoder_XXXXXX";
    hid_t file, group;
    track *f = new_track(1);
    tk_codec *c = fit(f, 2), *back = NULL;
    tk_media clip;
    static float rows[2][ROWS * 20], pcm[2][SAMPLES];
    close(mkstemp(path));
    assert_ok(tk_h5_create(path, "talkie-test", 1, &file));
    assert_ok(tk_h5_group(file, "codec", &group));
    assert_ok(tk_codec_write(c, false, group));
    assert_true(H5Aexists(group, "audio_lsd_db") > 0 && H5Aexists(group, "audio_snr_db") == 0);
    if (world.rank == 0) assert_ok(tk_codec_read(group, NULL, &back));
    assert_ok(tk_codec_broadcast(&world, &back, 0));
    assert_string_equal(tk_codec_name(back, TK_CODEC_AUDIO), "vocoder");
    assert_true(tk_codec_get_info(back)->digest == tk_codec_get_info(c)->digest);
    assert_true(tk_codec_get_info(back)->audio_db == tk_codec_get_info(c)->audio_db);
    record(f, 1, &clip);
    for (int k = 0; k < 2; k++) {
        assert_ok(tk_codec_encode_audio(k ? back : c, &clip, rows[k]));
        assert_ok(tk_codec_decode_audio(k ? back : c, rows[k], ROWS, 1, pcm[k], SAMPLES));
    }
    assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
    assert_memory_equal(pcm[0], pcm[1], sizeof pcm[0]);
    tk_codec_free(back);
    static const struct {
        const char *name;
        int64_t value;
    } lies[] = {{"audio_hop", 1},
                {"audio_channels", 65},
                {"audio_channels", 3},
                {"sample_rate", 4000},
                {"sample_rate", 16000}};
    for (size_t k = 0; k < sizeof lies / sizeof *lies; k++) {
        int64_t right;
        assert_ok(tk_h5_get_attr_i64(group, lies[k].name, &right));
        H5Adelete(group, lies[k].name);
        assert_ok(tk_h5_put_attr_i64(group, lies[k].name, lies[k].value));
        assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
        H5Adelete(group, lies[k].name);
        assert_ok(tk_h5_put_attr_i64(group, lies[k].name, right));
    }
    test_codec_array(c, "voice_deviation")[2] = 0;
    int64_t n = 4;
    H5Ldelete(group, "voice_deviation", H5P_DEFAULT);
    assert_ok(tk_h5_put(group, "voice_deviation", H5T_NATIVE_FLOAT, 1, &n,
                        test_codec_array(c, "voice_deviation")));
    assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
    assert_says("voice_deviation");
    H5Gclose(group);
    assert_ok(tk_h5_close(file, path));
    tk_codec_free(c);
    unlink(path);
    free(f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(every_number_has_unit_variance),
        cmocka_unit_test(parts_join),
        cmocka_unit_test(tracks_are_encoded_in_pieces),
        cmocka_unit_test(silence_and_wild_rows),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    const struct CMUnitTest together[] = {
        cmocka_unit_test(it_goes_through_files_and_ranks),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    int failed = cmocka_run_group_tests(together, NULL, NULL);
    if (world.size == 1) failed += cmocka_run_group_tests(alone, NULL, NULL);
    tk_parallel_stop();
    return failed;
}
