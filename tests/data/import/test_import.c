// SPDX-License-Identifier: Apache-2.0
// Import of real media into a clip file: clips, captions, rests, bad files, any number of ranks.
/*TEST nsize: 1 3; timeout: 120 */
#include "core/base/log.h"
#include "data/clip/clip.h"
#include "data/import/import.h"
#include "data/import/internal.h"
#include "data/media/media.h"
#include "parallel/mpi/start.h"
#include "tests/data/media/media_files.h"
#include <math.h>

static tk_comm world;
static tk_config config;

static tk_status prepare(const char *out)
{
    static char keep[256];
    tk_config_init(&config);
    snprintf(keep, sizeof keep, "%s", out);
    config.media =
        (tk_media_config){.width = 48, .height = 32, .fps = 8, .sample_rate = 8000, .channels = 1};
    config.codec = (tk_codec_config){.patch_frames = 2,
                                     .patch_size = 16,
                                     .video_channels = 48,
                                     .audio_hop = 400,
                                     .audio_channels = 64,
                                     .fit_clips = 4,
                                     .from = "",
                                     .file = ""};
    config.import = (tk_import_config){.clip_seconds = 2, .min_seconds = 1, .empty_features = ""};
    config.output = keep;
    return TK_OK;
}

// Files are made by rank 0; all ranks then use its directory.
static int open_world(void **state)
{
    (void)state;
    tk_log_open(world.rank, 0);
    if (world.rank == 0) media_open(NULL);
    assert_ok(tk_comm_broadcast(&world, media_dir, sizeof media_dir, 0));
    if (world.rank == 0) {
        media_make("plain.mp4", "-f lavfi -i testsrc=s=320x240:r=25:d=3.3 -f lavfi -i "
                                "sine=f=440:r=44100:d=3.3 -pix_fmt yuv420p");
        media_make("short.webm", "-f lavfi -i testsrc2=s=64x64:r=10:d=1.2 -c:v libvpx");
        media_make("tiny.mp4", "-f lavfi -i testsrc2=s=64x64:r=10:d=0.3 -pix_fmt yuv420p");
        media_put("plain.txt", "  a test card\n counts  seconds\r\n", 31);
        media_put("short.txt", "caf\xc3\xa9", 5);
    }
    assert_ok(tk_comm_barrier(&world));
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    assert_ok(tk_comm_barrier(&world));
    return world.rank == 0 ? media_close(NULL) : 0;
}

static void test_imports(void **state)
{
    (void)state;
    char *files[] = {(char *)media_path("plain.mp4"), (char *)"tests/media/big-buck-bunny.mp4",
                     (char *)media_path("short.webm"), (char *)media_path("tiny.mp4")};
    prepare(media_path("good.h5"));
    assert_ok(tk_import_run(&world, &config, 4, files));
    tk_clips clips;
    assert_ok(tk_clips_open(config.output, NULL, &clips));
    assert_int_equal(clips.n, 2 + 3 + 1); // 2 + 1.3, 2 + 2 + 1.28, 1.2 and 0.3 seconds
    const int64_t frames[] = {16, 10, 16, 16, 10, 8};
    const char *captions[] = {
        "a test card counts seconds", "a test card counts seconds", "", "", "", "caf\xc3\xa9"};
    int64_t rows = 0;
    for (int64_t i = 0; i < clips.n; i++) {
        const tk_clip_info *c = &clips.clip[i];
        const tk_bucket *b = &clips.bucket[c->bucket];
        assert_int_equal(b->frames, frames[i]);
        assert_string_equal(c->shot[0].caption, captions[i]);
        assert_near(c->shot[0].seconds, (double)frames[i] / 8, 1e-9);
        if (b->video_bytes + b->audio_bytes > rows) rows = b->video_bytes + b->audio_bytes;
    }
    assert_non_null(strstr(clips.clip[3].name, "big-buck-bunny.mp4 @ 2.00 s"));
    tk_clips_close(&clips);
    tk_config_free(&config);
}

// What is stored decodes to what the file shows and sounds like at that place.
static void test_round_trip(void **state)
{
    (void)state;
    tk_clips clips;
    tk_media m;
    static float video[8 * 2 * 3 * 48], audio[64 * 64], raw[1 << 16], pcm[16000];
    static uint8_t rgb[16 * 32 * 48 * 3];
    const tk_grid g = {
        .frames = 16, .height = 32, .width = 48, .latent_frames = 8, .high = 2, .wide = 3};
    prepare("");
    assert_ok(tk_clips_open(media_path("good.h5"), NULL, &clips));
    assert_ok(tk_media_read("tests/media/big-buck-bunny.mp4", &config.media, 60, 1, &m, NULL));
    assert_ok(tk_clips_read(&clips, 3, video, audio, raw)); // seconds 2 to 4
    assert_ok(tk_codec_decode_video(clips.codec, video, &g, rgb));
    assert_ok(tk_codec_decode_audio(clips.codec, audio, 41, 1, pcm, 16000));
    double wrong = 0, noise = 0, signal = 0;
    for (size_t i = 0; i < sizeof rgb; i++) {
        double d = (double)rgb[i] - m.rgb[16 * 32 * 48 * 3 + i];
        wrong += d * d;
    }
    for (int i = 0; i < 16000; i++) {
        double d = (double)pcm[i] - (double)m.pcm[16000 + i];
        noise += d * d;
        signal += (double)m.pcm[16000 + i] * (double)m.pcm[16000 + i];
    }
    assert_true(10 * log10(255 * 255 * (double)sizeof rgb / wrong) > 22);
    assert_true(noise < 0.1 * signal);
    tk_media_free(&m);
    tk_clips_close(&clips);
    tk_config_free(&config);
}

// The file is the same from one rank and from all of them, with a given codec too.
static void test_ranks_do_not_matter(void **state)
{
    (void)state;
    char *files[] = {(char *)media_path("short.webm"), (char *)media_path("plain.mp4")};
    char codec[256];
    snprintf(codec, sizeof codec, "%s", media_path("good.h5"));
    prepare(media_path("all.h5"));
    config.codec.from = codec;
    assert_ok(tk_import_run(&world, &config, 2, files));
    if (world.rank == 0) {
        tk_clips a, b, given;
        config.output = (char *)media_path("one.h5");
        assert_ok(tk_import_run(tk_comm_self(), &config, 2, files));
        assert_ok(tk_clips_open(media_path("all.h5"), NULL, &a));
        assert_ok(tk_clips_open(media_path("one.h5"), NULL, &b));
        assert_int_equal(a.n, 3);
        assert_int_equal(b.n, 3);
        for (int i = 0; i < a.n_buckets; i++)
            assert_memory_equal(a.bucket[i].digest, b.bucket[i].digest,
                                (size_t)a.bucket[i].slots * 16);
        // A codec's figures are those of the clips beside it, not of those it was fitted on.
        const tk_codec_info *here = tk_codec_get_info(a.codec), *same = tk_codec_get_info(b.codec);
        assert_ok(tk_clips_open(codec, NULL, &given));
        const tk_codec_info *there = tk_codec_get_info(given.codec);
        assert_true(here->digest == there->digest);
        assert_true(fabs(here->video_psnr_db - there->video_psnr_db) > 0.01);
        assert_true(here->video_psnr_db == same->video_psnr_db);
        assert_true(here->audio_db == same->audio_db);
        tk_clips_close(&given);
        tk_clips_close(&a);
        tk_clips_close(&b);
    }
    tk_config_free(&config);
}

static void refuse(int n, char **files, const char *words)
{
    tk_status st = tk_import_run(&world, &config, n, files);
    assert_int_equal(st, TK_INPUT);
    assert_says(words);
    assert_ok(tk_comm_barrier(&world));
    assert_int_equal(media_count("refused"), 0);
}

// Every bad file is named in one message, and no output appears; or they alone are left out.
static void test_bad_files(void **state)
{
    (void)state;
    if (world.rank == 0) {
        size_t n;
        unsigned char *x = media_get(media_path("plain.mp4"), &n);
        media_put("cut.mp4", x, n / 2);
        free(x);
        media_put("noise.mp4", "this is no film", 15);
        media_put("binary.mp4", "", 0);
        media_put("binary.txt", "\xff\xfe", 2);
        char command[512];
        snprintf(command, sizeof command, "cp '%s' '%s'", media_path("tiny.mp4"),
                 media_path("latin.mp4"));
        assert_int_equal(system(command), 0);
        media_put("latin.txt", "caf\xe9", 4);
    }
    assert_ok(tk_comm_barrier(&world));
    char *files[] = {(char *)media_path("plain.mp4"), (char *)media_path("cut.mp4"),
                     (char *)media_path("noise.mp4"), (char *)media_path("latin.mp4"),
                     (char *)media_path("gone.mp4")};
    prepare(media_path("refused.h5"));
    refuse(4, files + 1, "4 of 4 files");
    config.import.bad = TK_BAD_STOP;
    refuse(5, files, "4 of 5 files");
    assert_says("cut.mp4");
    assert_says("noise.mp4");
    assert_says("latin.txt: byte 4");
    assert_says("gone.mp4");
    tk_config_free(&config);
    prepare(media_path("rest.h5"));
    refuse(5, files, "gone.mp4"); // a slip, not a bad file: never left out
    assert_ok(tk_import_run(&world, &config, 4, files));
    tk_clips clips;
    assert_ok(tk_clips_open(config.output, NULL, &clips));
    assert_int_equal(clips.n, 2);
    tk_clips_close(&clips);
    tk_config_free(&config);
}

// Overwrites the media bytes of [from, to) of a file's length with noise.
static void damage(const char *path, const char *name, double from, double to)
{
    size_t n;
    uint32_t x = 1;
    unsigned char *bytes = media_get(path, &n);
    for (size_t i = (size_t)(from * (double)n); i < (size_t)(to * (double)n); i++)
        bytes[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
    media_put(name, bytes, n);
    free(bytes);
}

// Ten clips of two seconds, a key frame a second, damage in the fourth: the others are imported.
static void test_damage_inside(void **state)
{
    (void)state;
    if (world.rank == 0) {
        damage(media_make("long.mp4", "-f lavfi -i testsrc=s=160x120:r=25:d=20,noise=c0s=9:allf=t "
                                      "-f lavfi -i sine=d=20 -g 25 -pix_fmt yuv420p"),
               "hurt.mp4", 0.34, 0.36);
    }
    assert_ok(tk_comm_barrier(&world));
    char *files[] = {(char *)media_path("hurt.mp4"), (char *)media_path("plain.mp4")};
    prepare(media_path("left.h5"));
    assert_ok(tk_import_run(&world, &config, 2, files));
    tk_clips clips;
    assert_ok(tk_clips_open(config.output, NULL, &clips));
    assert_int_equal(clips.n, 9 + 2);
    for (int64_t i = 0; i < clips.n; i++) {
        char *at = strstr(clips.clip[i].name, "hurt.mp4 @ 6.00 s");
        assert_null(at);
        float *rows = malloc((size_t)(8 * 2 * 3 * 48 + 64 * 64) * sizeof *rows);
        float *raw = malloc(1 << 18);
        assert_ok(tk_clips_read(&clips, i, rows, rows + 8 * 2 * 3 * 48, raw));
        free(rows);
        free(raw);
    }
    tk_clips_close(&clips);
    config.import.bad = TK_BAD_STOP;
    config.output = (char *)media_path("refused.h5");
    refuse(2, files, "hurt.mp4 is damaged at ");
    config.import.bad = TK_BAD_SKIP;
    config.import.clip_seconds = 20; // nothing is left
    refuse(1, files, "hurt.mp4 is damaged at ");
    tk_config_free(&config);
}

static void put_text(const char *name, const char *text)
{
    media_put(name, text, strlen(text));
}

// What the lists beside two files name is stored once and cited by all clips of each.
static void test_references(void **state)
{
    (void)state;
    static const char *const names[] = {"plain.mp4", "short.webm", "tiny.mp4"};
    char path[3][256], *files[3];
    for (int i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s", media_path(names[i])); // they last for eight calls
        files[i] = path[i];
    }
    if (world.rank == 0) {
        media_make("face.png", "-f lavfi -i testsrc2=s=64x64:d=1 -frames:v 1");
        media_make("voice.wav", "-f lavfi -i sine=f=300:r=16000:d=0.6");
        put_text("plain.references", "<face 1> Ada: face.png\n\n <voice 1>  Ada : voice.wav\r\n");
        put_text("short.references", "<face 1>: ./face.png\n<face 2>: face.png");
    }
    assert_ok(tk_comm_barrier(&world));
    prepare(media_path("cited.h5"));
    assert_ok(tk_import_run(&world, &config, 3, files));
    tk_clips c;
    assert_ok(tk_clips_open(config.output, NULL, &c));
    assert_int_equal(c.n_references, 3); // face.png, voice.wav, ./face.png
    assert_int_equal(c.reference[0].latent_frames, 1);
    assert_int_equal(c.reference[0].high, 1); // a portrait of half of 32 pixels
    assert_int_equal(c.reference[0].wide, 1);
    assert_int_equal(c.reference[0].audio_rows, 0);
    assert_int_equal(c.reference[1].latent_frames, 0);
    assert_int_equal(c.reference[1].audio_rows, 12); // 0.6 seconds of 20 rows each
    for (int64_t i = 0; i < 2; i++) {                // both clips of plain.mp4
        assert_int_equal(c.clip[i].n_citations, 2);
        assert_string_equal(c.clip[i].citation[0].tag, "face 1");
        assert_string_equal(c.clip[i].citation[1].word, "Ada");
        assert_int_equal(c.clip[i].citation[1].reference, 1);
    }
    assert_string_equal(c.clip[2].citation[0].word, "");
    assert_int_equal(c.clip[2].citation[1].reference, 0);
    static float video[6 * 48], audio[12 * 64], raw[4096];
    assert_ok(tk_clips_read_reference(&c, 0, video, audio, raw));
    assert_ok(tk_clips_read_reference(&c, 1, video, audio, raw));
    double loud = 0;
    for (int i = 0; i < 12 * 64; i++) loud += fabs((double)audio[i]);
    assert_true(loud > 1);
    tk_clips_close(&c);
    if (world.rank == 0) put_text("plain.references", "<face 1> Ada: face.png\nface 2: x.png\n");
    assert_ok(tk_comm_barrier(&world));
    refuse(1, files, "plain.references:2: \"face 2: x.png\" is not of the form");
    if (world.rank == 0) put_text("plain.references", "<face 1>: nowhere.png\n");
    assert_ok(tk_comm_barrier(&world));
    refuse(1, files, "nowhere.png");
    if (world.rank == 0) put_text("plain.references", "<face 1>: face.png\n<face 1>: face.png");
    assert_ok(tk_comm_barrier(&world));
    refuse(1, files, "two references <face 1>");
    if (world.rank == 0) unlink(media_path("plain.references"));
    tk_config_free(&config);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    char *files[] = {(char *)media_path("plain.mp4")}, *tiny[] = {(char *)media_path("tiny.mp4")};
    prepare(media_path("refused.h5"));
    refuse(0, files, "no media");
    refuse(1, tiny, "min_seconds");
    config.media.width = 50;
    refuse(1, files, "multiples of the codec's patch");
    config.media.width = 48;
    config.import.clip_seconds = 0.1;
    refuse(1, files, "import.clip_seconds");
    config.import.clip_seconds = 2;
    config.codec.from = files[0];
    refuse(1, files, "plain.mp4");
    config.codec.from = (char *)"";
    config.output = (char *)"";
    refuse(1, files, "-o");
    config.output = files[0];
    refuse(1, files, "same file as the input");
    config.output = (char *)media_path("no/refused.h5");
    refuse(1, files, "not there");
    tk_config_free(&config);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_imports),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_ranks_do_not_matter),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_damage_inside),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_bad_arguments),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    int failed = cmocka_run_group_tests(tests, open_world, close_world);
    if (failed) tk_parallel_abort(1); // ranks that did not fail may be waiting
    tk_parallel_stop();
    return 0;
}
