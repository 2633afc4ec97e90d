// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Clips written part by part: the bytes are those of a clip decoded as a whole, whatever the
// window, and memory does not grow with the clip, nor does the index while encoders are there.
#include "data/codec/decoder.h"
#include "data/draw/sheet.h"
#include "data/media/media.h"
#include "tests/data/media/media_files.h"
#include "tests/support/clips.h"
#include <math.h>
#include <sys/resource.h>
#include <sys/wait.h>

typedef struct rows { // of a clip
    tk_codec *codec;
    tk_grid grid;
    float *video, *audio;
} rows;

static rows make(int64_t latents, int64_t side)
{
    rows r = {.codec = test_codec(3)};
    assert_non_null(r.codec);
    const tk_codec_info *i = tk_codec_get_info(r.codec);
    assert_ok(
        tk_grid_of(i, "test", tk_grid_frame(i, latents), side, side + 8, TK_GRID_WHOLE, &r.grid));
    const int64_t n = r.grid.video_rows * i->video_channels;
    const int64_t m = r.grid.audio_rows * i->channels * i->audio_channels;
    r.video = malloc((size_t)n * sizeof(float));
    r.audio = malloc((size_t)m * sizeof(float));
    assert_true(r.video && r.audio);
    for (int64_t k = 0; k < n; k++) r.video[k] = 0.02f * sinf((float)k * 0.37f);
    for (int64_t k = 0; k < m; k++) r.audio[k] = 0.3f * sinf((float)(k * k % 911));
    return r;
}

static tk_latents_whole latents_of(const rows *r)
{
    return tk_latents_whole_of(r->video, r->audio);
}

static void drop(rows *r)
{
    tk_codec_free(r->codec);
    free(r->video);
    free(r->audio);
}

static tk_status write_both(tk_media_source *s)
{
    const int64_t half = s->shape.frames / 2;
    const tk_sheet_shot shots[] = {{0, "one"}, {half, "two"}};
    TK_TRY(whole_file(tk_media_write_mp4, media_path("clip.mp4"), s, "windows", 0));
    return whole_file(tk_draw_sheet, media_path("clip.png"), s, 2, shots);
}

typedef struct bytes {
    unsigned char *x[2];
    size_t n[2];
} bytes;

static bytes take(void)
{
    bytes b;
    b.x[0] = media_get(media_path("clip.mp4"), &b.n[0]);
    b.x[1] = media_get(media_path("clip.png"), &b.n[1]);
    return b;
}

static void windows_make_the_bytes_of_the_whole(void **state)
{
    (void)state;
    rows r = make(21, 24); // 42 frames: the sheet shows some of them only
    tk_media m = tk_grid_media(tk_codec_get_info(r.codec), &r.grid);
    assert_ok(tk_media_alloc(&m));
    assert_ok(tk_codec_decode_video(r.codec, r.video, &r.grid, m.rgb));
    assert_ok(
        tk_codec_decode_audio(r.codec, r.audio, r.grid.audio_rows, m.channels, m.pcm, m.samples));
    tk_media_whole whole = tk_media_whole_of(&m);
    assert_ok(write_both(&whole.source));
    const bytes first = take();
    const int64_t windows[] = {1, 8, 1000, TK_DECODER_WINDOW};
    for (int k = 0; k < 4; k++) {
        tk_decoder d;
        tk_latents_whole latents = latents_of(&r);
        assert_ok(tk_decoder_open(&d, r.codec, &r.grid, &latents.source, windows[k]));
        assert_ok(write_both(&d.source));
        tk_decoder_close(&d);
        const bytes now = take();
        for (int f = 0; f < 2; f++) {
            assert_int_equal(now.n[f], first.n[f]);
            assert_memory_equal(now.x[f], first.x[f], first.n[f]);
            free(now.x[f]);
        }
    }
    free(first.x[0]), free(first.x[1]);
    tk_media_free(&m);
    drop(&r);
}

// KiB that a process of its own comes to hold while it writes so many latent frames, beyond what it
// holds before.
static long growth(int64_t latents)
{
    int told[2];
    long kib = 0;
    assert_int_equal(pipe(told), 0);
    const pid_t child = fork();
    if (child == 0) {
        rows r = make(latents, 248);
        struct rusage before, after;
        tk_decoder d;
        getrusage(RUSAGE_SELF, &before);
        tk_latents_whole all = latents_of(&r);
        tk_status st = tk_decoder_open(&d, r.codec, &r.grid, &all.source, TK_DECODER_WINDOW);
        if (st == TK_OK) st = write_both(&d.source);
        getrusage(RUSAGE_SELF, &after);
        kib = after.ru_maxrss - before.ru_maxrss;
        _exit(st == TK_OK && write(told[1], &kib, sizeof kib) == sizeof kib ? 0 : 1);
    }
    int status;
    assert_true(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    assert_int_equal(read(told[0], &kib, sizeof kib), sizeof kib);
    close(told[0]), close(told[1]);
    return kib;
}

static void memory_does_not_grow_with_the_clip(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); // the sanitizers hold on to what is freed
#endif
    const long few = growth(40), many = growth(120);
    const long pictures = (120 - 40) * 2 * 248 * 256 * 3 / 1024; // of what is longer
    print_message("80 frames: %ld KiB, 240 frames: %ld KiB; pictures of the difference: %ld KiB\n",
                  few, many, pictures);
    assert_true(many - few < pictures / 4);
}

typedef struct sparse {     // silence with few pictures
    tk_media_source source; // the first member
    int64_t early;          // a picture by when all is there that is needed until the last
    long kib[2];            // resident at the most: then, and with the last picture
    uint8_t rgb[16 * 16 * 3];
} sparse;

static tk_status get_sparse(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    sparse *x = (sparse *)s;
    struct rusage now;
    getrusage(RUSAGE_SELF, &now);
    if (frame <= x->early) x->kib[0] = now.ru_maxrss;
    x->kib[1] = now.ru_maxrss;
    memset(x->rgb, (int)(frame % 250), sizeof x->rgb);
    *rgb = x->rgb;
    return TK_OK;
}

// 47 packets of sound a second, of each of which an index says where it lies.
static void index_waits_until_encoders_are_gone(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); // the sanitizers hold on to what is freed
#endif
    enum { SECONDS = 800, EVERY = 8, INDEX = 48000 / 1024 * SECONDS * 64 / 1024 };
    const pid_t child = fork();
    if (child == 0) {
        sparse x = {.source = {.shape = {.frames = SECONDS / EVERY,
                                         .height = 16,
                                         .width = 16,
                                         .fps = 1.0 / EVERY,
                                         .channels = 1,
                                         .sample_rate = 8000},
                               .picture = get_sparse},
                    .early = 50};
        if (whole_file(tk_media_write_mp4, media_path("sparse.mp4"), &x.source, "", 0)) _exit(1);
        fprintf(stderr, "at picture %d: %ld KiB, at the last: %ld; an index has %d\n", (int)x.early,
                x.kib[0], x.kib[1], INDEX);
        _exit(x.kib[1] - x.kib[0] < INDEX / 4 ? 0 : 2);
    }
    int status;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_waits_until_encoders_are_gone), // first: its child begins small
        cmocka_unit_test(windows_make_the_bytes_of_the_whole),
        cmocka_unit_test(memory_does_not_grow_with_the_clip),
    };
    return cmocka_run_group_tests(tests, media_open, media_close);
}
