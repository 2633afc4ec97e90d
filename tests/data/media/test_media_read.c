// SPDX-License-Identifier: Apache-2.0
// Media of every odd kind onto our clocks: rates, sizes, rotation, sound, bad files.
/*TEST timeout: 120 */
#include "data/media/media.h"
#include "tests/data/media/media_files.h"
#include <math.h>

static const tk_media_config small = {
    .width = 32, .height = 32, .fps = 8, .sample_rate = 8000, .channels = 1};

// Video whose grey level says when it was: 100 luma steps a second from black.
#define RAMP(rate, seconds)                                                                    \
    "-f lavfi -i \"color=black:s=64x48:r=" rate ":d=" seconds ",format=yuv420p,geq=lum='16.5+" \
    "100*T':cb=128:cr=128\" "
#define LEVELS_A_SECOND (100 * 255.0 / 219)
#define LOSSLESS "-c:v ffv1 "

static double mean_of(const tk_media *m, int64_t frame)
{
    const int64_t n = m->height * m->width * 3;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += m->rgb[frame * n + i];
    return sum / (double)n;
}

static double level(const tk_media *m, double t0, double t1) // root mean square of the sound
{
    const double rate = 8000;
    int64_t a = (int64_t)(t0 * rate), b = (int64_t)(t1 * rate);
    double sum = 0;
    for (int64_t i = a * m->channels; i < b * m->channels; i++) sum += m->pcm[i] * m->pcm[i];
    return sqrt(sum / (double)((b - a) * m->channels));
}

// Every frame of ours shows the source at most `seconds` away from its time.
static void check_times(const char *path, int64_t fps, int64_t frames, double seconds)
{
    tk_media m;
    tk_media_config c = small;
    c.fps = fps;
    assert_ok(tk_media_read(path, &c, 60, 1, &m, NULL));
    assert_int_equal(m.frames, frames);
    for (int64_t k = 0; k < m.frames; k++)
        assert_near(mean_of(&m, k) / LEVELS_A_SECOND, (double)k / (double)fps, seconds + 0.008);
    tk_media_free(&m);
}

static void test_rates(void **state)
{
    (void)state;
    const char *ntsc = media_make("ntsc.mkv", RAMP("24000/1001", "2") LOSSLESS);
    check_times(ntsc, 8, 16, 0.5 / 23.976);
    check_times(ntsc, 25, 50, 0.5 / 23.976);
    check_times(ntsc, 60, 120, 0.5 / 23.976);
    check_times(media_make("fast.mkv", RAMP("60", "1.5") LOSSLESS), 8, 12, 0.5 / 60);
    // frames longer than ours begin at our nearest one, so they stay up to their length
    check_times(media_make("slow.mkv", RAMP("5", "2") LOSSLESS), 20, 40, 0.2);
}

static void test_variable_rate(void **state)
{
    (void)state;
    const char *path =
        media_make("variable.mkv",
                   "-f lavfi -i \"color=black:s=64x48:r=30:d=2,format=yuv420p,geq=lum='16.5+100*"
                   "T':cb=128:cr=128,select='lt(t,0.7)+not(mod(n,3))'\" -vsync vfr " LOSSLESS);
    check_times(path, 8, 15, 0.05); // the last frame taken ends at 1.93 s
}

static void test_odd_sizes(void **state)
{
    (void)state;
    const char *name[] = {"odd.mkv", "wide.mkv", "tall.mkv"};
    const char *args[] = {"-f lavfi -i testsrc=s=101x57:r=10:d=1 -c:v ffv1 -pix_fmt yuv444p",
                          "-f lavfi -i testsrc=s=400x16:r=10:d=1 -c:v ffv1",
                          "-f lavfi -i testsrc=s=18x300:r=10:d=1 -c:v ffv1"};
    for (int i = 0; i < 3; i++) {
        tk_media m;
        tk_media_config c = small;
        c.width = 33, c.height = 47;
        assert_ok(tk_media_read(media_make(name[i], args[i]), &c, 60, 1, &m, NULL));
        assert_int_equal(m.frames, 8);
        assert_int_equal(m.width, 33);
        assert_int_equal(m.height, 47);
        tk_media_free(&m);
    }
}

// Left half red, right half blue in pixels of 4:1, so that what is shown is 4 times as wide: the
// centre crop of a square holds the border, and red and blue beside it.
static void test_covers_and_crops(void **state)
{
    (void)state;
    const char *path =
        media_make("aspect.mkv", "-f lavfi -i color=red:s=32x32:d=1:r=8 -f lavfi -i "
                                 "color=blue:s=32x32:d=1:r=8 -filter_complex hstack,setsar=4 "
                                 "-c:v ffv1 -pix_fmt bgr0");
    tk_media m;
    assert_ok(tk_media_read(path, &small, 60, 1, &m, NULL));
    const uint8_t *row = m.rgb + 16 * 32 * 3;
    assert_true(row[0] > 240 && row[2] < 15);
    assert_true(row[12 * 3] > 240 && row[12 * 3 + 2] < 15);
    assert_true(row[19 * 3] < 15 && row[19 * 3 + 2] > 240);
    assert_true(row[31 * 3] < 15 && row[31 * 3 + 2] > 240);
    tk_media_free(&m);
}

static void put_int32(unsigned char *p, int32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)((uint32_t)v >> (24 - 8 * i));
}

// Writes a matrix (x' = a x + c y, y' = b x + d y) into the track header of an MP4.
static const char *turned(const char *name, const char *from, int a, int b, int c, int d)
{
    size_t n;
    unsigned char *x = media_get(from, &n), *at = x;
    while (at + 80 < x + n && memcmp(at, "tkhd", 4)) at++;
    assert_true(at + 80 < x + n);
    const int m[9] = {a, b, 0, c, d, 0, 0, 0, 0};
    for (int i = 0; i < 8; i++) put_int32(at + 44 + 4 * i, m[i] * 65536);
    const char *path = media_put(name, x, n);
    free(x);
    return path;
}

// Colours at the upper left, upper right, lower left, lower right: r, g, b or w.
static void check_corners(const char *path, const char *want)
{
    tk_media m;
    char got[5] = "";
    assert_ok(tk_media_read(path, &small, 60, 1, &m, NULL));
    for (int i = 0; i < 4; i++) {
        const uint8_t *p = m.rgb + ((i / 2 * 16 + 8) * 32 + i % 2 * 16 + 8) * 3;
        got[i] = p[0] > 128 && p[1] > 128 ? 'w' : p[0] > 128 ? 'r' : p[1] > 90 ? 'g' : 'b';
    }
    assert_string_equal(got, want);
    tk_media_free(&m);
}

static void test_rotation(void **state)
{
    (void)state;
    const char *path = media_make(
        "corners.mp4",
        "-f lavfi -i color=red:s=32x32:d=0.5:r=8 -f lavfi -i color=lime:s=32x32:d=0.5:r=8 "
        "-f lavfi -i color=blue:s=32x32:d=0.5:r=8 -f lavfi -i "
        "color=white:s=32x32:d=0.5:r=8 -filter_complex "
        "'[0][1]hstack[a];[2][3]hstack[b];[a][b]vstack' -pix_fmt yuv420p");
    check_corners(path, "rgbw");
    check_corners(turned("right.mp4", path, 0, 1, -1, 0), "brwg");  // a quarter turn clockwise
    check_corners(turned("down.mp4", path, -1, 0, 0, -1), "wbgr");  // half a turn
    check_corners(turned("left.mp4", path, 0, -1, 1, 0), "gwrb");   // a quarter turn back
    check_corners(turned("mirror.mp4", path, -1, 0, 0, 1), "grwb"); // left and right swapped
}

#define FLASH(rate)                                                                        \
    "-f lavfi -i \"color=black:s=64x48:r=" rate ":d=2,drawbox=color=white:t=fill:enable='" \
    "between(t,0.999,1.2)'\" "
#define BEEP(rate) "-f lavfi -i \"aevalsrc='between(t,1,1.2)*sin(2000*PI*t)':s=" rate ":d=2\" "

// Our first white frame and the first loud sample are `apart` seconds from each other.
static void check_sync(const char *path, double flash, double apart)
{
    tk_media m;
    assert_ok(tk_media_read(path, &small, 60, 1, &m, NULL));
    int64_t frame = 0, sample = 0;
    while (frame < m.frames && mean_of(&m, frame) < 128) frame++;
    while (sample < m.samples && fabsf(m.pcm[sample]) < 0.25F) sample++;
    assert_true(frame < m.frames && sample < m.samples);
    const double beep = (double)sample / 8000;
    assert_near((double)frame / 8, flash, 0.5 / 8);
    assert_near(beep - (double)frame / 8, apart, 0.5 / 8);
    assert_near(beep, flash + apart, 0.01); // sound is exact; containers shift it by their rounding
    tk_media_free(&m);
}

static void test_sync(void **state)
{
    (void)state;
    check_sync(media_make("sync.mp4", FLASH("25") BEEP("44100") "-pix_fmt yuv420p"), 1, 0);
    check_sync(media_make("sync.webm", FLASH("30") BEEP("48000") "-c:v libvpx -c:a libopus"), 1, 0);
    check_sync(media_make("sync.avi", FLASH("24") BEEP("22050") "-c:v mjpeg -c:a pcm_s16le"), 1, 0);
    check_sync(media_make("sync.ts", FLASH("25") BEEP("48000") "-c:v mpeg2video -c:a mp2"), 1, 0);
    // sound that begins late is late; before the first picture nothing is kept
    check_sync(media_make("late.mkv",
                          FLASH("25") "-itsoffset 0.3 " BEEP("48000") LOSSLESS "-c:a pcm_s16le"),
               1, 0.3);
    check_sync(media_make("early.mkv",
                          "-itsoffset 0.6 " FLASH("25") BEEP("48000") LOSSLESS "-c:a pcm_s16le"),
               1, -0.6);
    check_sync(
        media_make("late.mp4", FLASH("25") "-itsoffset 0.3 " BEEP("48000") "-pix_fmt yuv420p"), 1,
        0.3);
}

static void test_gap_in_sound(void **state)
{
    (void)state;
    const char *path = media_make(
        "gap.mkv", FLASH("25") "-f lavfi -i \"sine=f=500:r=16000:d=2,volume=8,aselect='not(between("
                               "t,0.5,1.0))'\" " LOSSLESS "-c:a pcm_s16le");
    tk_media m;
    assert_ok(tk_media_read(path, &small, 60, 1, &m, NULL));
    assert_int_equal(m.samples, 16000);
    assert_true(level(&m, 0.1, 0.4) > 0.3);
    assert_true(level(&m, 0.65, 0.9) < 1e-4);
    assert_true(level(&m, 1.15, 1.9) > 0.3);
    tk_media_free(&m);
}

static void check_sound(const char *path, int64_t channels, double left, double right)
{
    tk_media m;
    tk_media_origin origin;
    tk_media_config c = small;
    c.channels = channels;
    assert_ok(tk_media_read(path, &c, 60, 1, &m, &origin));
    assert_true(origin.has_audio);
    assert_int_equal(m.channels, channels);
    double sum[2] = {0};
    for (int64_t i = 2000; i < 6000; i++)
        for (int64_t k = 0; k < channels; k++)
            sum[k] += m.pcm[i * channels + k] * m.pcm[i * channels + k];
    assert_near(sqrt(sum[0] / 4000), left, 0.02);
    if (channels > 1) assert_near(sqrt(sum[1] / 4000), right, 0.02);
    tk_media_free(&m);
}

static void test_channels(void **state)
{
    (void)state;
    const char *video = "-f lavfi -i color=gray:s=32x32:r=8:d=1 ";
    char args[512];
    const double rms = 0.5 / sqrt(2);
    snprintf(args, sizeof args, "%s -f lavfi -i \"aevalsrc='0.5*sin(1000*t)':s=48000:d=1\" %s",
             video, LOSSLESS "-c:a pcm_s16le");
    check_sound(media_make("mono.mkv", args), 1, rms, 0);
    check_sound(media_path("mono.mkv"), 2, rms, rms); // doubled at its own level
    snprintf(args, sizeof args, "%s -f lavfi -i \"aevalsrc='0.5*sin(1000*t)|0':s=11025:d=1\" %s",
             video, LOSSLESS "-c:a pcm_s16le");
    check_sound(media_make("stereo.mkv", args), 2, rms, 0);
    check_sound(media_path("stereo.mkv"), 1, rms / 2, 0); // the mean of both
}

// Six channels (front, centre, low, surround), each silent but for a tone of the level given.
static const char *surround(const char *name, const double *level)
{
    char args[512];
    snprintf(args, sizeof args,
             "-f lavfi -i color=gray:s=32x32:r=8:d=1 -f lavfi -i \"aevalsrc='%g*sin(1000*t)|"
             "%g*sin(1000*t)|%g*sin(1000*t)|%g*sin(1000*t)|%g*sin(1000*t)|%g*sin(1000*t):c=5.1':"
             "s=48000:d=1\" " LOSSLESS "-c:a pcm_s16le",
             level[0], level[1], level[2], level[3], level[4], level[5]);
    return media_make(name, args);
}

static void test_surround(void **state)
{
    (void)state;
    const double rms = 0.5 / sqrt(2);
    const struct {
        double level[6], left, right;
    } mix[] = {{{0.5, 0, 0, 0, 0, 0}, rms, 0},
               {{0, 0, 0.5, 0, 0, 0}, rms, rms}, // as in a stereo file of the same samples

               {{0, 0, 0, 0.5, 0, 0}, 0, 0},
               {{0, 0, 0, 0, 0, 0.5}, 0, rms * M_SQRT1_2}};
    for (int i = 0; i < 4; i++) {
        const char *path = surround("surround.mkv", mix[i].level);
        check_sound(path, 2, mix[i].left, mix[i].right);
        check_sound(path, 1, (mix[i].left + mix[i].right) / 2, 0);
    }
    // Everything at full scale sums to 2.7: limited, so that it stays the sine it was.
    const double full[] = {0.999, 0.999, 0.999, 0, 0.999, 0.999};
    tk_media m;
    tk_media_config c = small;
    c.channels = 2;
    assert_ok(tk_media_read(surround("full.mkv", full), &c, 60, 1, &m, NULL));
    double in = 0, at = 0, all = 0;
    float most = 0;
    for (int i = 2000; i < 6000; i++) {
        const double x = m.pcm[i * 2];
        at += x * sin(i / 8.0), in += sin(i / 8.0) * sin(i / 8.0), all += x * x;
        most = (float)test_larger(most, fabsf(m.pcm[i * 2]));
    }
    assert_true(most > 0.95F && most <= 1);
    assert_true(at * at / in > 0.99 * all); // 0.93 is left of one that is cut off
    tk_media_free(&m);
}

static void test_no_sound(void **state)
{
    (void)state;
    tk_media m;
    tk_media_origin origin;
    assert_ok(tk_media_read(media_make("silent.mp4", RAMP("25", "1") "-pix_fmt yuv420p"), &small,
                            60, 1, &m, &origin));
    assert_false(origin.has_audio);
    assert_int_equal(m.samples, 8000);
    assert_true(level(&m, 0, 1) == 0);
    assert_near(origin.seconds, 1, 1e-6);
    tk_media_free(&m);
}

static void test_stills_and_gifs(void **state)
{
    (void)state;
    tk_media m;
    tk_media_origin origin;
    const char *name[] = {"still.png", "still.jpg", "still.gif", "still.webp"};
    for (int i = 0; i < 4; i++) {
        const char *path = media_make(name[i], "-f lavfi -i color=red:s=50x40 -frames:v 1");
        assert_ok(tk_media_read(path, &small, 60, 1.5, &m, &origin));
        assert_int_equal(m.frames, 12);
        assert_near(origin.seconds, 1.5, 1e-9);
        assert_true(m.rgb[11 * 32 * 32 * 3] > 230);
        tk_media_free(&m);
    }
    const char *gif = media_make("moving.gif", RAMP("10", "1"));
    assert_ok(tk_media_read(gif, &small, 60, 1, &m, NULL));
    assert_int_equal(m.frames, 8);
    assert_true(mean_of(&m, 7) > mean_of(&m, 0) + 60);
    tk_media_free(&m);
    // half transparent white is grey on black
    gif = media_make("clear.png", "-f lavfi -i color=white@0.5:s=32x32,format=rgba -frames:v 1");
    assert_ok(tk_media_read(gif, &small, 60, 1, &m, NULL));
    assert_near(mean_of(&m, 0), 127, 2);
    tk_media_free(&m);
}

static void test_most_seconds(void **state)
{
    (void)state;
    tk_media m;
    const char *path = media_make("long.mkv", RAMP("25", "2") BEEP("8000") LOSSLESS);
    assert_ok(tk_media_read(path, &small, 0.5, 1, &m, NULL));
    assert_int_equal(m.frames, 4);
    assert_int_equal(m.samples, 4000);
    tk_media_free(&m);
}

static void refuse(const char *path, const char *words)
{
    tk_media m;
    assert_status(tk_media_read(path, &small, 60, 1, &m, NULL), TK_INPUT);
    assert_says(strrchr(path, '/') + 1);
    assert_says(words);
    assert_null(m.rgb);
    assert_null(m.pcm);
}

static void test_bad_files(void **state)
{
    (void)state;
    unsigned char noise[20000];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
    refuse(media_path("missing.mp4"), "No such file");
    refuse(media_put("empty.mp4", "", 0), "empty");
    refuse(media_put("noise.mp4", noise, sizeof noise), "");
    refuse(media_put("text.mp4", "a red ball drops\n", 17), "not a media file");
    const char list[] = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nlong.mkv\n#EXT-X-ENDLIST\n";
    refuse(media_put("list.m3u8", list, sizeof list - 1), "not a media file");
    const char script[] = "ffconcat version 1.0\nfile long.mkv\n";
    refuse(media_put("script.mp4", script, sizeof script - 1), "not a media file");
    refuse(media_make("sound.wav", BEEP("8000")), "no video");
    refuse(media_make("sound.mp3", BEEP("44100")), "no video");
    char folder[80];
    snprintf(folder, sizeof folder, "%s/.", media_dir);
    refuse(folder, "directory");
}

static void test_truncated(void **state)
{
    (void)state;
    const char *name[] = {"whole.mp4", "fast.mp4", "whole2.mkv"};
    const char *args[] = {
        FLASH("25") BEEP("44100") "-c:v libx264 -qp 4 -pix_fmt yuv420p",
        RAMP("25", "2") BEEP("44100") "-c:v libx264 -qp 4 -pix_fmt yuv420p -movflags +faststart",
        RAMP("25", "2") BEEP("44100") LOSSLESS "-c:a pcm_s16le"};
    const char *words[] = {"not a media file", "cut off", "cut off"};
    for (int i = 0; i < 3; i++) {
        size_t n;
        unsigned char *x = media_get(media_make(name[i], args[i]), &n);
        char cut[32];
        snprintf(cut, sizeof cut, "cut-%s", name[i]);
        refuse(media_put(cut, x, n / 2), words[i]);
        free(x);
    }
}

// Every allocation of ours failing is a message, not a crash or a leak of files.
static void test_out_of_memory(void **state)
{
    (void)state;
    tk_media m;
    const char *path = media_make("memory.mkv", RAMP("25", "0.5") BEEP("44100") LOSSLESS);
    assert_ok(tk_media_read(path, &small, 60, 1, &m, NULL));
    tk_media_free(&m);
    int failed = 0;
    for (int64_t n = 1; n < 1000; n++) {
        tk_alloc_fail_at(n, false);
        tk_status st = tk_media_read(path, &small, 60, 1, &m, NULL);
        tk_alloc_fail_at(0, false);
        tk_media_free(&m);
        if (st == TK_OK) break;
        assert_int_equal(st, TK_MEMORY);
        failed++;
    }
    assert_true(failed > 5 && failed < 999);
}

static void test_real_clip(void **state)
{
    (void)state;
    tk_media m;
    tk_media_origin origin;
    const tk_media_config c = {
        .width = 96, .height = 64, .fps = 8, .sample_rate = 16000, .channels = 2};
    assert_ok(tk_media_read("tests/media/big-buck-bunny.mp4", &c, 60, 1, &m, &origin));
    assert_int_equal(m.frames, 42);
    assert_near(origin.seconds, 5.28, 0.01);
    assert_true(origin.has_audio);
    assert_int_equal(m.samples, 84000);
    assert_true(mean_of(&m, 20) > 30 && mean_of(&m, 20) < 220);
    tk_media_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),           cmocka_unit_test(test_variable_rate),
        cmocka_unit_test(test_odd_sizes),       cmocka_unit_test(test_covers_and_crops),
        cmocka_unit_test(test_rotation),        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_gap_in_sound),    cmocka_unit_test(test_channels),
        cmocka_unit_test(test_surround),        cmocka_unit_test(test_no_sound),
        cmocka_unit_test(test_stills_and_gifs), cmocka_unit_test(test_most_seconds),
        cmocka_unit_test(test_bad_files),       cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_out_of_memory),   cmocka_unit_test(test_real_clip),
    };
    return cmocka_run_group_tests(tests, media_open, media_close);
}
