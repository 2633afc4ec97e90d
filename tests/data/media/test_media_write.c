// SPDX-License-Identifier: Apache-2.0
// Clips to MP4 and back, pictures to PNG, and nothing left behind where writing fails.
/*TEST timeout: 120 */
#include "data/draw/sheet.h"
#include "data/media/media.h"
#include "tests/data/media/media_files.h"
#include <libavformat/avformat.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

static uint8_t *pictures(int64_t frames, int64_t height, int64_t width) // smooth, moving
{
    uint8_t *rgb = malloc((size_t)(frames * height * width * 3));
    assert_non_null(rgb);
    for (int64_t f = 0; f < frames; f++)
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++) {
                uint8_t *p = rgb + ((f * height + y) * width + x) * 3;
                p[0] = (uint8_t)(128 + 90 * sin((double)(x + 2 * f) / 9));
                p[1] = (uint8_t)(128 + 90 * cos((double)(y - f) / 11));
                p[2] = (uint8_t)(60 + 3 * (f % 40));
            }
    return rgb;
}

static float *tone(int64_t samples, int64_t channels, double rate)
{
    float *pcm = malloc((size_t)(samples * channels) * sizeof *pcm);
    assert_non_null(pcm);
    for (int64_t i = 0; i < samples; i++)
        for (int64_t c = 0; c < channels; c++)
            pcm[i * channels + c] =
                (float)(0.5 * sin(2 * M_PI * (440 + 220 * (double)c) * (double)i / rate));
    return pcm;
}

// Streams of equal length within half a frame, of the kinds that players take.
static void check_streams(const char *path, double seconds, double fps)
{
    AVFormatContext *f = NULL;
    assert_int_equal(avformat_open_input(&f, path, NULL, NULL), 0);
    assert_true(avformat_find_stream_info(f, NULL) >= 0);
    assert_int_equal(f->nb_streams, 2);
    for (int i = 0; i < 2; i++) {
        const AVStream *s = f->streams[i];
        const AVCodecParameters *p = s->codecpar;
        assert_int_equal(p->codec_id, i ? AV_CODEC_ID_AAC : AV_CODEC_ID_H264);
        assert_near((double)s->duration * av_q2d(s->time_base), seconds, 0.5 / fps);
        assert_near((double)s->start_time * av_q2d(s->time_base), 0, 0.5 / fps);
        if (i == 0) {
            assert_int_equal(p->format, AV_PIX_FMT_YUV420P);
            assert_int_equal(p->color_space, AVCOL_SPC_BT709);
            assert_int_equal(p->width % 2 + p->height % 2, 0);
            assert_true(p->height >= 256);
        }
    }
    assert_string_equal(av_dict_get(f->metadata, "comment", NULL, 0)->value, "seed 7");
    avformat_close_input(&f);
}

static tk_status write_mp4(const char *name, const tk_media *m, const char *comment)
{
    tk_media_whole w = tk_media_whole_of(m);
    return whole_file(tk_media_write_mp4, media_path(name), &w.source, comment, 0);
}

static double psnr(const uint8_t *a, const uint8_t *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return 10 * log10(255 * 255 / (sum / (double)n + 1e-9));
}

typedef struct shape {
    int64_t frames, height, width, channels, rate;
    double fps;
} shape;

static void round_trip(const shape *s)
{
    const double seconds = (double)s->frames / s->fps;
    const int64_t samples = (int64_t)(seconds * (double)s->rate) + 1;
    uint8_t *rgb = pictures(s->frames, s->height, s->width);
    float *pcm = tone(samples, s->channels, (double)s->rate);
    const char *path = media_path("trip.mp4");
    const tk_media clip = {.frames = s->frames,
                           .height = s->height,
                           .width = s->width,
                           .fps = s->fps,
                           .rgb = rgb,
                           .samples = samples,
                           .channels = s->channels,
                           .sample_rate = s->rate,
                           .pcm = pcm};
    assert_ok(write_mp4("trip.mp4", &clip, "seed 7"));
    check_streams(path, seconds, s->fps);
    assert_int_equal(media_count("tmp"), 0);
    if (s->fps == rint(s->fps)) {
        tk_media m;
        const tk_media_config c = {.width = s->width,
                                   .height = s->height,
                                   .fps = (int64_t)s->fps,
                                   .sample_rate = s->rate,
                                   .channels = s->channels};
        assert_ok(tk_media_read(path, &c, 60, 1, &m, NULL));
        assert_int_equal(m.frames, s->frames);
        if (s->width % 2 == 0 && s->height % 2 == 0) // else the picture has a repeated edge
            assert_true(psnr(m.rgb, rgb, s->frames * s->height * s->width * 3) > 28);
        // the sound is where it was: its difference from the original is small
        double wrong = 0, all = 0;
        for (int64_t i = s->rate / 50 * s->channels; i < (m.samples - s->rate / 50) * s->channels;
             i++) {
            wrong += (m.pcm[i] - pcm[i]) * (m.pcm[i] - pcm[i]);
            all += pcm[i] * pcm[i];
        }
        assert_true(all > 0);
        assert_near(wrong / all, 0, 0.01);
        tk_media_free(&m);
    }
    free(rgb);
    free(pcm);
}

static void test_round_trips(void **state)
{
    (void)state;
    const shape shapes[] = {
        {16, 64, 64, 1, 8000, 8},         {25, 90, 160, 2, 44100, 25},  {13, 57, 101, 2, 11025, 12},
        {31, 128, 128, 1, 22050, 23.976}, {60, 256, 256, 2, 48000, 60}, {1, 64, 64, 1, 16000, 8},
        {7, 300, 17, 1, 96000, 3},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) round_trip(&shapes[i]);
}

// Two seconds, with what sound there is.
static tk_media two_seconds(uint8_t *rgb, float *pcm, int64_t samples)
{
    return (tk_media){.frames = 16,
                      .height = 64,
                      .width = 64,
                      .fps = 8,
                      .rgb = rgb,
                      .samples = samples,
                      .channels = 1,
                      .sample_rate = 8000,
                      .pcm = pcm};
}

static void test_sound_is_cut_and_padded(void **state)
{
    (void)state;
    uint8_t *rgb = pictures(16, 64, 64);
    float *pcm = tone(40000, 1, 8000);
    pcm[3] = NAN; // cleaned, not encoded
    pcm[4] = 1e30F;
    const int64_t samples[] = {40000, 4000, 0};
    for (int i = 0; i < 3; i++) {
        const tk_media clip = two_seconds(rgb, pcm, samples[i]);
        assert_ok(write_mp4("cut.mp4", &clip, "seed 7"));
        check_streams(media_path("cut.mp4"), 2, 8);
    }
    const tk_media mute = two_seconds(rgb, NULL, 0);
    assert_ok(write_mp4("mute.mp4", &mute, "seed 7"));
    check_streams(media_path("mute.mp4"), 2, 8);
    free(rgb);
    free(pcm);
}

static void test_bad_clips(void **state)
{
    (void)state;
    uint8_t rgb[64 * 64 * 3] = {0};
    tk_media bad[4], good = two_seconds(rgb, NULL, 0);
    good.frames = 1;
    for (int i = 0; i < 4; i++) bad[i] = good;
    bad[0].frames = 0;
    bad[1].fps = 0;
    bad[2].fps = NAN;
    bad[3].channels = 3;
    for (int i = 0; i < 4; i++) assert_status(write_mp4("bad.mp4", &bad[i], ""), TK_INPUT);
    assert_status(write_mp4("no/where.mp4", &good, ""), TK_INPUT);
    assert_says("no/where.mp4");
    assert_int_equal(media_count("bad"), 0);
}

// A source that fails does so through the writers, and nothing is left behind.
static tk_status no_picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    static uint8_t grey[64 * 64 * 3];
    (void)s;
    *rgb = grey;
    return frame < 9 ? TK_OK : TK_FAIL(TK_MEMORY, "no more pictures");
}

static tk_status no_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    memset(pcm, 0, (size_t)(n * s->shape.channels) * sizeof *pcm);
    return first < 8000 ? TK_OK : TK_FAIL(TK_MEMORY, "no more sound");
}

static void test_sources_that_fail(void **state)
{
    (void)state;
    const tk_media clip = two_seconds(NULL, NULL, 16000);
    tk_media_whole w = tk_media_whole_of(&clip);
    w.source.shape.samples = 0;
    w.source.picture = no_picture;
    for (int i = 0; i < 2; i++) {
        assert_status(whole_file(tk_media_write_mp4, media_path("fails.mp4"), &w.source, "", 0),
                      TK_MEMORY);
        assert_says(i ? "no more sound" : "no more pictures");
        assert_status(whole_file(tk_draw_sheet, media_path("fails.png"), &w.source, 0, NULL),
                      TK_MEMORY);
        assert_says(i ? "no more sound" : "no more pictures");
        w.source.shape.frames = 9;
        w.source.shape.samples = 16000;
        w.source.sound = no_sound;
    }
    assert_int_equal(media_count("fails"), 0);
}

// A file may not grow beyond a few kilobytes, as on a disk that fills up.
static void test_full_disk(void **state)
{
    (void)state;
    struct rlimit was, small = {.rlim_cur = 5000, .rlim_max = RLIM_INFINITY};
    uint8_t *rgb = pictures(24, 128, 128);
    tk_media clip = two_seconds(rgb, NULL, 0);
    clip.frames = 24;
    clip.height = clip.width = 128;
    tk_media_whole w = tk_media_whole_of(&clip);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    tk_status video = write_mp4("full.mp4", &clip, "");
    tk_status picture = whole_file(tk_draw_sheet, media_path("full.png"), &w.source, 0, NULL);
    tk_status plot = tk_draw_plot(media_path("full-plot.png"), "title", "x", 0, NULL, false);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(video, TK_IO);
    assert_int_equal(picture, TK_IO);
    assert_int_equal(plot, TK_IO);
    assert_int_equal(media_count("full"), 0);
    free(rgb);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    uint8_t *rgb = pictures(4, 64, 64);
    float *pcm = tone(4000, 1, 8000);
    tk_media clip = two_seconds(rgb, pcm, 4000);
    clip.frames = 4;
    int64_t n = 1;
    for (; n < 100; n++) {
        tk_alloc_fail_at(n, false);
        tk_status st = write_mp4("memory.mp4", &clip, "");
        tk_alloc_fail_at(0, false);
        if (st == TK_OK) break;
        assert_int_equal(st, TK_MEMORY);
        assert_int_equal(media_count("memory"), 0);
    }
    assert_true(n > 4);
    assert_int_equal(media_count("memory"), 1);
    free(rgb);
    free(pcm);
}

// Bytes of a file of the folder; *n is how many.
static uint8_t *bytes_of(const char *name, size_t *n)
{
    FILE *f = fopen(media_path(name), "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *x = malloc(*n);
    assert_true(x && fread(x, 1, *n, f) == *n);
    fclose(f);
    return x;
}

// Room behind ftyp, of any size: it is empty, and the file plays as without.
static void room_is_left_before_all_that_plays(void **state)
{
    (void)state;
    static const int64_t rooms[] = {8, 9, 31, 32, 45, 5000, 200000};
    tk_media m = {.frames = 8, .width = 32, .height = 32, .fps = 8};
    m.samples = m.sample_rate = 8000;
    m.channels = 1;
    m.rgb = pictures(m.frames, m.height, m.width);
    m.pcm = tone(m.samples, 1, 8000);
    tk_media_whole w = tk_media_whole_of(&m);
    size_t n, n_plain;
    assert_ok(write_mp4("plain.mp4", &m, "seed 7"));
    uint8_t *plain = bytes_of("plain.mp4", &n_plain);
    const size_t ftyp = (size_t)plain[3];
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        const size_t room = (size_t)rooms[i];
        w = tk_media_whole_of(&m);
        assert_ok(
            whole_file(tk_media_write_mp4, media_path("room.mp4"), &w.source, "seed 7", rooms[i]));
        uint8_t *x = bytes_of("room.mp4", &n);
        assert_int_equal(n, n_plain + room);
        assert_memory_equal(x, plain, ftyp);
        const uint8_t head[8] = {(uint8_t)(room >> 24),
                                 (uint8_t)(room >> 16),
                                 (uint8_t)(room >> 8),
                                 (uint8_t)room,
                                 'f',
                                 'r',
                                 'e',
                                 'e'};
        assert_memory_equal(x + ftyp, head, 8);
        for (size_t k = 8; k < room; k++) assert_int_equal(x[ftyp + k], 0);
        assert_memory_equal(x + ftyp + room + 4, "moov", 4);
        check_streams(media_path("room.mp4"), 1, 8);
        tk_media a, b;
        tk_media_origin o;
        const tk_media_config c = {32, 32, 8, 8000, 1};
        assert_ok(tk_media_read(media_path("plain.mp4"), &c, 10, 1, &a, &o));
        assert_ok(tk_media_read(media_path("room.mp4"), &c, 10, 1, &b, &o));
        assert_int_equal(a.frames, b.frames);
        assert_memory_equal(a.rgb, b.rgb, (size_t)(a.frames * 32 * 32 * 3));
        assert_memory_equal(a.pcm, b.pcm, (size_t)a.samples * sizeof *a.pcm);
        tk_media_free(&a);
        tk_media_free(&b);
        free(x);
    }
    free(plain);
    free(m.rgb);
    free(m.pcm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_left_before_all_that_plays),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_sound_is_cut_and_padded),
        cmocka_unit_test(test_bad_clips),
        cmocka_unit_test(test_sources_that_fail),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, media_open, media_close);
}
