// SPDX-License-Identifier: Apache-2.0
// Clips to MP4 and back, pictures to PNG, and nothing left behind where writing fails.
/*TEST timeout: 120 */
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
    assert_ok(whole_file(tk_media_write_mp4, path, rgb, s->frames, s->height, s->width, s->fps, pcm,
                         samples, s->channels, s->rate, "seed 7"));
    check_streams(path, seconds, s->fps);
    assert_int_equal(media_count("tmp"), 0);
    if (s->fps == rint(s->fps)) {
        tk_media m;
        const tk_media_config c = {.width = s->width,
                                   .height = s->height,
                                   .fps = (int64_t)s->fps,
                                   .sample_rate = s->rate,
                                   .channels = s->channels};
        assert_ok(tk_media_read(path, &c, 60, 1, &m));
        assert_int_equal(m.frames, s->frames);
        if (s->width % 2 == 0 && s->height % 2 == 0) // else the picture has a repeated edge
            assert_true(psnr(m.video, rgb, s->frames * s->height * s->width * 3) > 28);
        // the sound is where it was: its difference from the original is small
        double wrong = 0, all = 0;
        for (int64_t i = s->rate / 50 * s->channels; i < (m.samples - s->rate / 50) * s->channels;
             i++) {
            wrong += (m.audio[i] - pcm[i]) * (m.audio[i] - pcm[i]);
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

static void test_sound_is_cut_and_padded(void **state)
{
    (void)state;
    uint8_t *rgb = pictures(16, 64, 64);
    float *pcm = tone(40000, 1, 8000);
    pcm[3] = NAN; // cleaned, not encoded
    pcm[4] = 1e30F;
    const int64_t samples[] = {40000, 4000, 0};
    for (int i = 0; i < 3; i++) {
        assert_ok(whole_file(tk_media_write_mp4, media_path("cut.mp4"), rgb, 16, 64, 64, 8, pcm,
                             samples[i], 1, 8000, "seed 7"));
        check_streams(media_path("cut.mp4"), 2, 8);
    }
    assert_ok(whole_file(tk_media_write_mp4, media_path("mute.mp4"), rgb, 16, 64, 64, 8, NULL, 0, 1,
                         8000, "seed 7"));
    check_streams(media_path("mute.mp4"), 2, 8);
    free(rgb);
    free(pcm);
}

static void test_bad_clips(void **state)
{
    (void)state;
    uint8_t rgb[64 * 64 * 3] = {0};
    const char *path = media_path("bad.mp4");
    assert_status(whole_file(tk_media_write_mp4, path, rgb, 0, 64, 64, 8, NULL, 0, 1, 8000, ""),
                  TK_INPUT);
    assert_status(whole_file(tk_media_write_mp4, path, rgb, 1, 64, 64, 0, NULL, 0, 1, 8000, ""),
                  TK_INPUT);
    assert_status(whole_file(tk_media_write_mp4, path, rgb, 1, 64, 64, NAN, NULL, 0, 1, 8000, ""),
                  TK_INPUT);
    assert_status(whole_file(tk_media_write_mp4, path, rgb, 1, 64, 64, 8, NULL, 0, 3, 8000, ""),
                  TK_INPUT);
    assert_status(whole_file(tk_media_write_mp4, media_path("no/where.mp4"), rgb, 1, 64, 64, 8,
                             NULL, 0, 1, 8000, ""),
                  TK_INPUT);
    assert_says("no/where.mp4");
    assert_int_equal(media_count("bad"), 0);
}

// A file may not grow beyond a few kilobytes, as on a disk that fills up.
static void test_full_disk(void **state)
{
    (void)state;
    struct rlimit was, small = {.rlim_cur = 5000, .rlim_max = RLIM_INFINITY};
    uint8_t *rgb = pictures(24, 128, 128);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    tk_status video = whole_file(tk_media_write_mp4, media_path("full.mp4"), rgb, 24, 128, 128, 8,
                                 NULL, 0, 1, 8000, "");
    tk_status picture = whole_file(tk_media_contact_sheet, media_path("full.png"), rgb, 24, 128,
                                   128, 8, NULL, 0, 1, 8000, 0, NULL, NULL);
    tk_status plot = tk_media_plot(media_path("full-plot.png"), "title", "x", 0, NULL, false);
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
    for (int64_t n = 1; n < 100; n++) {
        tk_alloc_fail_at(n, false);
        tk_status st = whole_file(tk_media_write_mp4, media_path("memory.mp4"), rgb, 4, 64, 64, 8,
                                  NULL, 0, 1, 8000, "");
        tk_alloc_fail_at(0, false);
        if (st == TK_OK) break;
        assert_int_equal(st, TK_MEMORY);
        assert_int_equal(media_count("memory"), 0);
    }
    assert_int_equal(media_count("memory"), 1);
    free(rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),   cmocka_unit_test(test_sound_is_cut_and_padded),
        cmocka_unit_test(test_bad_clips),     cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, media_open, media_close);
}
