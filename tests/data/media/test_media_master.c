// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Masters hold what went into them, and sound is brought to a loudness.
#include "data/media/level.h"
#include "data/media/media.h"
#include "tests/data/media/media_files.h"
#include <libavformat/avformat.h>
#include <math.h>

enum { RATE = 8000 };

typedef struct noisy { // pictures and sound of which nothing repeats
    tk_media media;
    uint32_t state;
} noisy;

static uint32_t draw(noisy *n)
{
    n->state = n->state * 1664525 + 1013904223;
    return n->state >> 8;
}

static void make_noise(noisy *n, int64_t frames, int64_t width, int64_t height, int64_t channels)
{
    *n = (noisy){.media = {.frames = frames,
                           .width = width,
                           .height = height,
                           .fps = 12,
                           .samples = frames * RATE / 12,
                           .channels = channels,
                           .sample_rate = RATE},
                 .state = 7};
    assert_ok(tk_media_alloc(&n->media));
    for (int64_t i = 0; i < frames * width * height * 3; i++) n->media.rgb[i] = (uint8_t)draw(n);
    for (int64_t i = 0; i < n->media.samples * channels; i++)
        n->media.pcm[i] = (float)draw(n) / (1 << 23) - 1;
}

static tk_status write_master(const tk_file *f, tk_media_source *s, const char *comment)
{
    return tk_media_write_master(f, s, comment);
}

static void check_streams(const char *path)
{
    AVFormatContext *f = NULL;
    assert_int_equal(avformat_open_input(&f, path, NULL, NULL), 0);
    assert_true(avformat_find_stream_info(f, NULL) >= 0);
    assert_int_equal(f->nb_streams, 2);
    assert_int_equal(f->streams[0]->codecpar->codec_id, AV_CODEC_ID_FFV1);
    assert_int_equal(f->streams[1]->codecpar->codec_id, AV_CODEC_ID_PCM_S24LE);
    assert_string_equal(av_dict_get(f->metadata, "comment", NULL, 0)->value, "talkie, seed 7");
    avformat_close_input(&f);
}

static void a_master_loses_nothing(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 2; channels++) {
        noisy n;
        tk_media back;
        size_t bytes, again;
        make_noise(&n, 24, 31, 17, channels);
        tk_media_whole w = tk_media_whole_of(&n.media);
        const char *path = media_path("master.mkv"), *twice = media_path("twice.mkv");
        assert_ok(whole_file(write_master, path, &w.source, "talkie, seed 7"));
        assert_ok(whole_file(write_master, twice, &w.source, "talkie, seed 7"));
        check_streams(path);
        unsigned char *x = media_get(path, &bytes), *y = media_get(twice, &again);
        assert_int_equal(bytes, again);
        assert_memory_equal(x, y, bytes);
        free(x), free(y);
        const tk_media_config c = {
            .width = 31, .height = 17, .fps = 12, .sample_rate = RATE, .channels = channels};
        assert_ok(tk_media_read(path, &c, 60, 1, &back, NULL));
        assert_int_equal(back.frames, 24);
        assert_memory_equal(back.rgb, n.media.rgb, (size_t)(24 * 31 * 17 * 3));
        assert_int_equal(back.samples, n.media.samples);
        double most = 0;
        for (int64_t i = 0; i < n.media.samples * channels; i++)
            most = test_larger(most, fabs((double)back.pcm[i] - n.media.pcm[i]));
        assert_true(most <= 1.0 / (1 << 23));
        tk_media_free(&back);
        tk_media_free(&n.media);
    }
}

static tk_status brighter(tk_media_source *s, const tk_shown *p)
{
    (void)s;
    for (int64_t y = 0; y < p->height; y++)
        for (int64_t x = 0; x < p->width; x++)
            p->luma[y * p->stride + x] = (uint8_t)(p->luma[y * p->stride + x] + (x % 2 ? 10 : 0));
    return TK_OK;
}

// A mark changes brightness alone: each colour by as much, at the size that the clip has.
static void marks_go_into_its_colours(void **state)
{
    (void)state;
    noisy n;
    tk_media back;
    make_noise(&n, 2, 32, 16, 1);
    for (int64_t i = 0; i < 2 * 32 * 16 * 3; i++) n.media.rgb[i] = (uint8_t)(20 + i % 3 * 80);
    tk_media_whole w = tk_media_whole_of(&n.media);
    w.source.shown = brighter;
    const char *path = media_path("marked.mkv");
    assert_ok(whole_file(write_master, path, &w.source, ""));
    const tk_media_config c = {
        .width = 32, .height = 16, .fps = 12, .sample_rate = RATE, .channels = 1};
    assert_ok(tk_media_read(path, &c, 60, 1, &back, NULL));
    for (int64_t i = 0; i < 2 * 32 * 16 * 3; i++)
        assert_int_equal(back.rgb[i], n.media.rgb[i] + (i / 3 % 2 ? 12 : 0));
    tk_media_free(&back);
    tk_media_free(&n.media);
}

// ---- loudness ----------------------------------------------------------------------------------

typedef struct toned { // a tone, with a bang each second
    tk_media_source source;
    double tone, bang;
} toned;

static tk_status toned_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    const toned *t = (const toned *)s;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = first + i;
        pcm[i] = (float)(t->tone * sin(2 * M_PI * 997 * (double)at / RATE));
        if (at % RATE < RATE / 200) pcm[i] = (float)(at % 2 ? t->bang : -t->bang);
    }
    return TK_OK;
}

static tk_loudness_figures leveled(double tone, double bang, double lufs, float *out, float *most)
{
    toned t = {{{.samples = 10 * RATE,
                 .channels = 1,
                 .sample_rate = RATE,
                 .frames = 120,
                 .fps = 12,
                 .width = 2,
                 .height = 2},
                NULL,
                toned_sound,
                NULL},
               tone,
               bang};
    tk_leveled l;
    tk_loudness_figures now;
    assert_ok(tk_level_open(&l, &t.source, lufs, "a tone"));
    *most = 0;
    for (int64_t at = 0, n = 777; at < 10 * RATE; at += n) {
        if (n > 10 * RATE - at) n = 10 * RATE - at;
        assert_ok(l.source.sound(&l.source, at, n, out + at));
        for (int64_t i = 0; i < n; i++) *most = (float)test_larger(*most, fabsf(out[at + i]));
    }
    float again[3000]; // out of order it is the same, to the bit
    for (int64_t at = 70000; at >= 0; at -= 10000) {
        assert_ok(l.source.sound(&l.source, at, 3000, again));
        assert_memory_equal(again, out + at, sizeof again);
    }
    assert_ok(tk_level_figures(&l, &now));
    tk_level_close(&l);
    return now;
}

static void sound_is_brought_to_a_loudness(void **state)
{
    (void)state;
    static float pcm[10 * RATE];
    float most;
    assert_near(leveled(0.01, 0, -23, pcm, &most).lufs, -23, 0.2);
    assert_near(leveled(0.9, 0, -23, pcm, &most).lufs, -23, 0.2);
    // Peaks are held below -2 dB, and the tone is as loud as was asked for all the same.
    assert_near(leveled(0.05, 0.4, -16, pcm, &most).lufs, -16, 0.2);
    assert_true(most <= powf(10, -2.0f / 20) + 1e-6f && most > 0.7f);
    // Peaks that would have to be limited by more than 12 dB keep it softer.
    assert_true(leveled(0.001, 0.9, -2, pcm, &most).lufs < -6);
    assert_true(most <= powf(10, -2.0f / 20) + 1e-6f);
    // Silence stays what it is.
    leveled(0, 0, -23, pcm, &most);
    assert_true(most == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_master_loses_nothing),
        cmocka_unit_test(marks_go_into_its_colours),
        cmocka_unit_test(sound_is_brought_to_a_loudness),
    };
    return cmocka_run_group_tests(tests, media_open, media_close);
}
