// SPDX-License-Identifier: Apache-2.0
// Media as people have it, read the same by import's look at the packets and by decoding: streams
// of unequal length, streams without timestamps, cut files, colours nobody tagged.
/*TEST timeout: 120 */
#include "data/media/reader.h"
#include "tests/data/media/media_files.h"
#include <stdlib.h>

static const tk_media_config small = {
    .width = 32, .height = 32, .fps = 8, .sample_rate = 8000, .channels = 1};

#define TWO_SECONDS "-f lavfi -i testsrc2=s=64x48:r=24:d=2 -f lavfi -i sine=d=2 "
#define PICTURE "-map 0:v -map 1:a -c:v mpeg4 "

// Both roads take the file and agree on its length.
static void takes(const char *path, int64_t fps, int64_t frames)
{
    tk_media m;
    tk_media_origin origin;
    tk_media_config c = small;
    int64_t looked;
    bool has_audio;
    c.fps = fps;
    assert_ok(tk_media_probe(path, &c, 1, &looked, &has_audio));
    assert_ok(tk_media_read(path, &c, 60, 1, &m, &origin));
    assert_int_equal(m.frames, frames);
    assert_int_equal(looked, frames);
    assert_int_equal(origin.has_audio, has_audio);
    tk_media_free(&m);
}

// Time starts anew where the second part begins: both parts are there, one after the other, whole
// also where not every picture says when it is shown (MPEG-PS).
static void test_joined(void **state)
{
    (void)state;
    const char *kind[][2] = {
        {"ts", "-c:v mpeg2video -c:a mp2"},        {"ts", "-c:v libx264 -pix_fmt yuv420p -c:a aac"},
        {"mpg", "-c:v mpeg2video -bf 2 -c:a mp2"}, {"mpg", "-c:v mpeg2video -bf 2 -an"},
        {"mpg", "-c:v mpeg1video -bf 2 -g 9 -an"}, {"vob", "-c:v mpeg2video -an"}};
    for (int i = 0; i < 6; i++) {
        size_t n;
        char name[2][32], args[256];
        snprintf(name[0], sizeof name[0], "part%d.%s", i, kind[i][0]);
        snprintf(name[1], sizeof name[1], "joined%d.%s", i, kind[i][0]);
        snprintf(args, sizeof args, TWO_SECONDS "%s", kind[i][1]);
        const char *part = media_make(name[0], args);
        takes(part, 24, 48);
        unsigned char *x = media_get(part, &n), *twice = malloc(2 * n);
        assert_non_null(twice);
        memcpy(twice, x, n);
        memcpy(twice + n, x, n);
        takes(media_put(name[1], twice, 2 * n), 24, 96);
        free(twice);
        free(x);
    }
}

static void refuses(const char *path, const char *words)
{
    tk_media m;
    int64_t looked;
    bool has_audio;
    assert_status(tk_media_probe(path, &small, 1, &looked, &has_audio), TK_INPUT);
    assert_says(words);
    assert_status(tk_media_read(path, &small, 60, 1, &m, NULL), TK_INPUT);
    assert_says(words);
}

// Two seconds whose last picture comes `late` milliseconds later.
static const char *jumping(const char *name, const char *late)
{
    char args[512];
    snprintf(args, sizeof args,
             "-f lavfi -i testsrc2=s=64x48:r=24:d=2 -c:v mpeg4 -bsf:v "
             "\"setts=ts='TS+if(eq(N,47),%s,0)'\"",
             late);
    return media_make(name, args);
}

// One time that is wrong makes no film of years.
static void test_times_that_jump(void **state)
{
    (void)state;
    int64_t frames;
    bool has_audio;
    assert_ok(tk_media_probe(jumping("pause.mkv", "3500e3"), &small, 1, &frames, &has_audio));
    assert_int_equal(frames, (2 + 3500) * 8);
    const char *late[] = {"3700e3", "4e14"};
    for (int i = 0; i < 2; i++) {
        const char *path = jumping("jump.mkv", late[i]);
        assert_status(tk_media_probe(path, &small, 1, &frames, &has_audio), TK_INPUT);
        assert_says("jump.mkv: its time stamps jump by ");
        assert_says(" seconds at 1.96");
    }
}

static void test_longer_companions(void **state)
{
    (void)state;
    char args[1024];
    const char subtitle[] = "1\n00:00:00,500 --> 00:00:12,000\nfar longer than the picture\n";
    const char chapters[] = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=12000\n";
    const char *srt = media_put("long.srt", subtitle, sizeof subtitle - 1);
    const char *meta = media_put("chapters.ini", chapters, sizeof chapters - 1);
    const char *kind[][2] = {{"mkv", "srt"}, {"mp4", "mov_text"}};
    for (int i = 0; i < 2; i++) {
        char name[32];
        snprintf(args, sizeof args, TWO_SECONDS "-i '%s' " PICTURE "-map 2:s -c:s %s", srt,
                 kind[i][1]);
        snprintf(name, sizeof name, "subtitle.%s", kind[i][0]);
        takes(media_make(name, args), 8, 16);
        snprintf(args, sizeof args, TWO_SECONDS "-i '%s' -map_metadata 2 " PICTURE, meta);
        snprintf(name, sizeof name, "chapters.%s", kind[i][0]);
        takes(media_make(name, args), 8, 16);
        snprintf(name, sizeof name, "tracks.%s", kind[i][0]);
        takes(media_make(name, TWO_SECONDS "-f lavfi -i sine=d=9 " PICTURE "-map 2:a"), 8, 16);
    }
}

static void test_no_timestamps(void **state)
{
    (void)state;
    const char *kind[][2] = {{"raw.h264", "libx264 -bf 2"},
                             {"raw.hevc", "libx265 -x265-params log-level=none"},
                             {"raw.m2v", "mpeg2video -bf 2"},
                             {"raw.m4v", "mpeg4"}};
    for (int i = 0; i < 4; i++) {
        char args[256];
        snprintf(args, sizeof args,
                 "-f lavfi -i testsrc2=s=64x48:r=30:d=3 -pix_fmt yuv420p -c:v %s", kind[i][1]);
        takes(media_make(kind[i][0], args), 8, 24);
    }
}

static void test_cut(void **state)
{
    (void)state;
    const char *kind[][2] = {{"a.avi", "-c:v mpeg4 -c:a mp3"},
                             {"b.mkv", "-c:v mpeg4 -c:a mp3"},
                             {"c.flv", "-c:v flv -c:a mp3"},
                             {"d.webm", "-c:v libvpx -c:a libopus"}};
    for (int i = 0; i < 4; i++) {
        size_t n;
        char cut[32], args[256];
        snprintf(args, sizeof args, TWO_SECONDS "%s", kind[i][1]);
        const char *whole = media_make(kind[i][0], args);
        takes(whole, 8, 16);
        unsigned char *x = media_get(whole, &n);
        snprintf(cut, sizeof cut, "cut-%s", kind[i][0]);
        refuses(media_put(cut, x, n * 3 / 4), "cut off");
        free(x);
    }
}

// Colour (200, 60, 30) coded by a matrix that the file does not name.
static void check_untagged(const char *size, const char *matrix)
{
    char args[512], name[64];
    snprintf(name, sizeof name, "untagged-%s.mkv", size);
    snprintf(args, sizeof args,
             "-f lavfi -i color=0xC83C1E:s=%s:r=8:d=0.5,format=gbrp,scale=out_color_matrix=%s:"
             "out_range=tv,format=yuv444p,setparams=colorspace=unknown:range=unknown -c:v ffv1",
             size, matrix);
    tk_media m;
    assert_ok(tk_media_read(media_make(name, args), &small, 60, 1, &m, NULL));
    const int want[] = {200, 60, 30};
    for (int c = 0; c < 3; c++) assert_true(abs(m.rgb[(16 * m.width + 16) * 3 + c] - want[c]) <= 4);
    tk_media_free(&m);
}

// Half of white over black, in a coding where what is transparent comes beside the picture.
static void test_transparent(void **state)
{
    (void)state;
    const char *coder[] = {"libvpx-vp9", "libvpx"};
    for (int i = 0; i < 2; i++) {
        char args[512], ask[256];
        snprintf(ask, sizeof ask, "ffmpeg -v error -h encoder=%s 2>&1 | grep -q yuva420p",
                 coder[i]);
        if (system(ask) != 0) {
            print_message("skipped: no encoder %s for transparent pictures\n", coder[i]);
            skip();
        }
        snprintf(args, sizeof args,
                 "-f lavfi -i color=white:s=64x48:r=8:d=0.5,format=yuva420p,geq=lum=235:cb=128:cr="
                 "128:a=128 -c:v %s -auto-alt-ref 0 -pix_fmt yuva420p",
                 coder[i]);
        tk_media m;
        assert_ok(tk_media_read(media_make("transparent.webm", args), &small, 60, 1, &m, NULL));
        assert_near(m.rgb[(16 * m.width + 16) * 3], 128, 3);
        tk_media_free(&m);
    }
}

static void test_untagged_colours(void **state)
{
    (void)state;
    check_untagged("1280x544", "bt709");
    check_untagged("640x580", "bt709");
    check_untagged("1278x576", "bt601");
    check_untagged("320x240", "bt601");
}

// A grey picture, 8 pixels a side, of JPEG: `scan` is one block's code.
static const char *grey_jpeg(const char *name, const char *scan)
{
    const char quanta[] = "\xff\xdb\0\x43\0", frame[] = "\xff\xc0\0\x0b\x08\0\x08\0\x08\1\1\x11\0",
               dc[] = "\xff\xc4\0\x1f\0\0\1\5\1\1\1\1\1\1\0\0\0\0\0\0\0"
                      "\0\1\2\3\4\5\6\7\x08\x09\x0a\x0b",
               ac[] = "\xff\xc4\0\x14\x10\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
               begin[] = "\xff\xda\0\x08\1\1\0\0\x3f\0";
    char file[512], *at = file;
#define PUT(x) (memcpy(at, x, sizeof x - 1), at += sizeof x - 1)
    PUT("\xff\xd8"), PUT(quanta);
    memset(at, 8, 64), at += 64;
    PUT(frame), PUT(dc), PUT(ac), PUT(begin);
    memcpy(at, scan, 2), at += 2;
    PUT("\xff\xd9");
#undef PUT
    return media_put(name, file, (size_t)(at - file));
}

static const char *grey_pgm(const char *name, int level)
{
    char file[80] = "P5\n8 8\n255\n";
    const size_t n = strlen(file);
    memset(file + n, level, 64);
    return media_put(name, file, n + 64);
}

static void shows_grey(const char *path, int level)
{
    tk_media m;
    assert_ok(tk_media_read(path, &small, 60, 1, &m, NULL));
    for (int c = 0; c < 3; c++) assert_near(m.rgb[(16 * m.width + 16) * 3 + c], level, 1);
    tk_media_free(&m);
}

// Grey that does not say has all levels from 0 to 255; what says that it has 16 to 235 is
// stretched.
static void test_untagged_grey(void **state)
{
    (void)state;
    char args[512];
    shows_grey(grey_jpeg("dark.jpg", "\xf0\xf7"), 16);
    shows_grey(grey_jpeg("light.jpg", "\xf7\x07"), 240);
    const char *dark = grey_pgm("dark.pgm", 16), *light = grey_pgm("light.pgm", 240);
    shows_grey(dark, 16);
    shows_grey(light, 240);
    snprintf(args, sizeof args, "-i '%s'", dark);
    shows_grey(media_make("dark.tiff", args), 16);
    snprintf(args, sizeof args, "-i '%s' -vf format=ya8 -c:v tiff", light);
    shows_grey(media_make("clear.tiff", args), 240);
    shows_grey(media_make("grey.mkv",
                          "-f lavfi -i color=gray:s=64x64:r=8:d=0.5,format=gray,geq=lum=235,"
                          "setparams=range=tv -c:v libx265 -x265-params log-level=none"),
               255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longer_companions), cmocka_unit_test(test_joined),
        cmocka_unit_test(test_no_timestamps),     cmocka_unit_test(test_cut),
        cmocka_unit_test(test_untagged_colours),  cmocka_unit_test(test_untagged_grey),
        cmocka_unit_test(test_times_that_jump),   cmocka_unit_test(test_transparent)};
    return cmocka_run_group_tests(tests, media_open, media_close);
}
