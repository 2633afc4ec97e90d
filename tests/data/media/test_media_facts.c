// SPDX-License-Identifier: Apache-2.0
// What the reader says it changed: every fact in words, and nothing where nothing was changed.
/*TEST timeout: 120 */
#include "data/media/reader.h"
#include "tests/data/media/media_files.h"

static const tk_media_config like = {
    .width = 64, .height = 48, .fps = 8, .sample_rate = 48000, .channels = 2};

static const char *facts_of(const char *path)
{
    static char words[512];
    static uint8_t rgb[64 * 48 * 3 * 32];
    static float pcm[48000 * 2 * 4];
    tk_media_reader *r;
    tk_facts facts;
    int64_t got;
    assert_ok(tk_media_reader_open(path, &like, 1, &r));
    assert_ok(tk_media_reader_next(r, 32, rgb, pcm, &got));
    tk_media_reader_facts(r, &facts);
    tk_media_reader_close(r);
    tk_facts_words(&facts, words, sizeof words);
    return words;
}

static void says(const char *name, const char *args, const char *words)
{
    assert_string_equal(facts_of(media_make(name, args)), words);
}

#define PICTURE "-f lavfi -i color=gray:s=64x48:r=25:d=2 "
#define TONE(expr, layout, rate) "-f lavfi -i \"aevalsrc='" expr "':c=" layout ":s=" rate ":d=2\" "
#define STORED "-c:v ffv1 -c:a pcm_s16le "
#define TAGS(transfer, primaries) "-color_trc " transfer " -color_primaries " primaries " "

static void test_nothing(void **state)
{
    (void)state;
    says("same.mkv", PICTURE TONE("0.5*sin(1000*t)|0", "stereo", "48000") STORED, "");
    says("silent.mkv", "-f lavfi -i testsrc2=s=320x240:r=30:d=2 -c:v ffv1", ""); // scaled, 30 to 8
    says("solid.mkv", "-f lavfi -i color=red:s=64x48:r=25:d=1,format=yuva444p -c:v ffv1", "");
}

static void test_pictures(void **state)
{
    (void)state;
    const char *fields = "-pix_fmt yuv420p -flags +ildct+ilme -c:v mpeg2video";
    char args[512];
    snprintf(args, sizeof args, PICTURE "%s", fields);
    says("fields.mkv", args, "deinterlaced");
    says("pq.mkv", PICTURE "-pix_fmt yuv420p10le -c:v ffv1 " TAGS("smpte2084", "bt2020"),
         "tone-mapped from PQ");
    says("hlg.mkv", PICTURE "-pix_fmt yuv420p10le -c:v ffv1 " TAGS("arib-std-b67", "bt2020"),
         "tone-mapped from HLG");
    says("wide.mkv", PICTURE "-pix_fmt yuv420p10le -c:v ffv1 " TAGS("bt2020-10", "bt2020"),
         "colours of BT.2020 brought to BT.709");
    says("p3.mkv", PICTURE "-c:v ffv1 " TAGS("bt709", "smpte432"),
         "colours of Display P3 brought to BT.709");
    says("clear.mkv", "-f lavfi -i color=white@0.5:s=64x48:r=8:d=1,format=yuva444p -c:v ffv1",
         "transparent parts blended over black");
    says("wide.avi", "-f lavfi -i color=gray:s=96x48:r=8:d=1 -c:v mjpeg",
         "cropped from 2.00:1 to 1.33:1");
    says("still.png", "-f lavfi -i color=gray:s=64x48 -frames:v 1", "a still, held for 1 s");
}

static void test_turned(void **state)
{
    (void)state;
    media_make("level.mp4", PICTURE "-pix_fmt yuv420p");
    char args[256];
    snprintf(args, sizeof args, "-display_rotation 180 -i '%s' -c copy", media_path("level.mp4"));
    if (system("ffmpeg -v error -h full 2>&1 | grep -q display_rotation") != 0)
        snprintf(args, sizeof args, "-i '%s' -c copy -metadata:s:v rotate=180",
                 media_path("level.mp4"));
    says("turned.mp4", args, "turned as the file says");
}

static void test_sound(void **state)
{
    (void)state;
    says("mono.mkv", PICTURE TONE("0.5*sin(1000*t)", "mono", "48000") STORED, "");
    says("centre.mkv", PICTURE TONE("0|0|0.5*sin(1000*t)|0|0|0", "5.1", "44100") STORED,
         "sound downmixed from 5.1, sound resampled from 44100 Hz");
    says("loud.mkv",
         PICTURE TONE("0.99*sin(1000*t)|0|0.99*sin(1000*t)|0|0|0", "5.1", "48000") STORED,
         "sound downmixed from 5.1, sound limited, by up to 5.9 dB");
    says("gap.mkv",
         PICTURE "-f lavfi -i \"sine=r=48000:d=2,aformat=cl=stereo,aselect='not(between(t,0.5,1))'"
                 "\" " STORED,
         "gaps of 0.49 s in the sound filled with silence");
    says("short.mkv", PICTURE "-f lavfi -i \"sine=r=48000:d=0.5,aformat=cl=stereo\" " STORED,
         "silence in the last 1.50 s, which have no sound");
    says("nearly.mkv", PICTURE "-f lavfi -i \"sine=r=48000:d=1.9,aformat=cl=stereo\" " STORED, "");
    says("longer.mkv", PICTURE "-f lavfi -i \"sine=r=48000:d=3,aformat=cl=stereo\" " STORED, "");
}

static void test_several(void **state)
{
    (void)state;
    size_t n;
    unsigned char *x = media_get(
        media_make("part.ts",
                   "-f lavfi -i color=gray:s=48x48:r=25:d=1 " TONE(
                       "0.5*sin(1000*t)|0", "stereo",
                       "44100") "-c:v mpeg2video -flags +ildct+ilme -pix_fmt yuv420p -c:a mp2"),
        &n);
    unsigned char *thrice = malloc(3 * n);
    assert_non_null(thrice);
    for (int i = 0; i < 3; i++) memcpy(thrice + (size_t)i * n, x, n);
    assert_string_equal(facts_of(media_put("joined.ts", thrice, 3 * n)),
                        "clock restarted 2 times, deinterlaced, cropped from 1.00:1 to 1.33:1, "
                        "sound resampled from 44100 Hz");
    free(thrice);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing), cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_turned),  cmocka_unit_test(test_sound),
        cmocka_unit_test(test_several),
    };
    return cmocka_run_group_tests(tests, media_open, media_close);
}
