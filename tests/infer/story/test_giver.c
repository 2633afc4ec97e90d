// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Films and sound that a storyboard gives, read and encoded part by part: the rows of the whole, by
// every kind of codec.
#include "data/media/media.h"
#include "infer/story/giver.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RATE = 8000, FPS = 4, SECONDS = 28, CHANNELS = 2, CLIP = 2 * RATE, NUMBERS = 20 };

static const tk_media_config media = {
    .width = 8, .height = 8, .fps = FPS, .sample_rate = RATE, .channels = CHANNELS};
static char folder[] = "/tmp/talkie-giver-XXXXXX", sound[64], film[64], scratch[64];

// A tone that glides and comes and goes, of channel ch.
static double tone(int64_t t, int64_t ch)
{
    const double at = (double)t / RATE;
    return 0.3 * sin(2 * M_PI * (150 + 90 * (double)ch) * at + 9 * sin(at)) * fabs(sin(1.3 * at));
}

static void put_number(FILE *f, uint32_t x, int bytes)
{
    for (int k = 0; k < bytes; k++) fputc((int)(x >> 8 * k & 255), f);
}

// Such sound of so many samples as a WAV file.
static void write_sound(int64_t samples)
{
    const uint32_t bytes = (uint32_t)samples * CHANNELS * 2;
    FILE *f = fopen(sound, "wb");
    assert_non_null(f);
    fputs("RIFF", f);
    put_number(f, 36 + bytes, 4);
    fputs("WAVEfmt ", f);
    put_number(f, 16, 4);
    put_number(f, 1, 2);
    put_number(f, CHANNELS, 2);
    put_number(f, RATE, 4);
    put_number(f, RATE * CHANNELS * 2, 4);
    put_number(f, CHANNELS * 2, 2);
    put_number(f, 16, 2);
    fputs("data", f);
    put_number(f, bytes, 4);
    for (int64_t t = 0; t < samples; t++)
        for (int64_t ch = 0; ch < CHANNELS; ch++)
            put_number(f, (uint32_t)(int32_t)lrint(32000 * tone(t, ch)), 2);
    assert_int_equal(fclose(f), 0);
}

static tk_status record(void *ctx, int64_t i, tk_media *clip)
{
    static uint8_t rgb[2 * FPS * 8 * 8 * 3];
    static float pcm[CLIP * CHANNELS];
    (void)ctx;
    for (size_t k = 0; k < sizeof rgb; k++) rgb[k] = (uint8_t)(k * (size_t)(i + 3) % 251);
    for (int64_t k = 0; k < CLIP * CHANNELS; k++)
        pcm[k] = (float)tone(k / CHANNELS + i * CLIP, k % CHANNELS);
    *clip = tk_media_shape(&media, 2 * FPS, CLIP);
    clip->rgb = rgb;
    clip->pcm = pcm;
    return TK_OK;
}

typedef struct board { // a storyboard's timeline
    tk_codec *codec;
    tk_story story;
    tk_latents_file rows;
    tk_giver giver;
} board;

// Of sound of kind `kind`, pictures of kind `video`, and `high` x 8 pixels.
static void open_board(board *b, int video, int kind, int64_t high)
{
    const tk_codec_config of = {.patch_frames = 2,
                                .patch_size = 4,
                                .video_channels = 2,
                                .video = video,
                                .audio = kind,
                                .audio_hop = 150,
                                .audio_channels = NUMBERS};
    *b = (board){.story = {.fps = FPS, .channels = CHANNELS, .sample_rate = RATE}};
    assert_ok(tk_codec_fit(&of, &media, record, NULL, 2, &b->codec));
    const tk_codec_info *k = tk_codec_get_info(b->codec);
    assert_ok(tk_grid_of(k, "", SECONDS * FPS, high, 8, TK_GRID_WHOLE, &b->story.grid));
    b->story.tick = tk_grid_tick(k);
    const tk_latents_form form = {
        .rows = {b->story.grid.latent_frames, b->story.grid.audio_rows},
        .numbers = {b->story.grid.high * b->story.grid.wide * k->video_channels,
                    CHANNELS * NUMBERS}};
    assert_ok(tk_latents_scratch(scratch, &form, &b->rows));
    b->giver = (tk_giver){&b->story, b->codec, &b->rows};
}

static void close_board(board *b)
{
    tk_latents_close(&b->rows);
    tk_codec_free(b->codec);
}

// Latent frames [first, first + n) of the timeline have the rows of the file's sound as a whole,
// which silence follows; those around are zeros.
static void assert_rows(const board *b, int64_t first, int64_t n)
{
    const tk_codec_info *k = tk_codec_get_info(b->codec);
    const int64_t all = b->story.grid.audio_rows, samples = tk_grid_sample(k, n);
    const int64_t begin = tk_grid_audio_row(k, first), rows = tk_grid_audio_rows(k, samples);
    const int64_t end = begin + rows < all ? begin + rows : all, each = CHANNELS * NUMBERS;
    const int64_t last =
        first + n < b->story.grid.latent_frames ? tk_grid_audio_row(k, first + n) : end;
    float *want = calloc((size_t)(all * each), sizeof *want);
    float *got = calloc((size_t)(all * each), sizeof *got);
    tk_media heard, whole = tk_media_shape(&media, 0, samples);
    assert_ok(tk_media_hear(sound, &media, SECONDS + 1, &heard));
    whole.pcm = calloc((size_t)(samples * CHANNELS), sizeof *whole.pcm);
    const int64_t have = heard.samples < samples ? heard.samples : samples;
    memcpy(whole.pcm, heard.pcm, (size_t)(have * CHANNELS) * sizeof *whole.pcm);
    float *encoded = calloc((size_t)(rows * each), sizeof *encoded);
    assert_ok(tk_codec_encode_audio(b->codec, &whole, encoded));
    memcpy(want + begin * each, encoded, (size_t)((last - begin) * each) * sizeof *want);
    assert_ok(tk_latents_get(&b->rows, TK_CODEC_AUDIO, 0, all, got));
    assert_memory_equal(want, got, (size_t)(all * each) * sizeof *want);
    free(whole.pcm);
    free(encoded);
    free(want);
    free(got);
    tk_media_free(&heard);
}

static void sound_has_the_rows_of_the_whole(void **state)
{
    (void)state;
    static const int kinds[] = {TK_SOUND_MDCT, TK_SOUND_VOCODER};
    for (int kind = 0; kind < 2; kind++) {
        for (int part = 0; part < 2; part++) {
            board b;
            open_board(&b, TK_PICTURE_PATCH, kinds[kind], 8);
            const int64_t all = b.story.grid.latent_frames, first = part ? 1 : 0;
            const int64_t n = part ? all - 9 : all; // a row too long for its place
            const tk_given_media m = {
                .key = "sound", .path = sound, .first = first, .n = n, .sound = true};
            write_sound(tk_grid_sample(tk_codec_get_info(b.codec), n) - 777);
            assert_ok(tk_give_sound(&b.giver, &m));
            assert_rows(&b, first, n);
            close_board(&b);
        }
    }
}

enum { HIGH = 4 * 7, SHORT = SECONDS * FPS - 9 }; // of a film: an odd number of patches; frames

static void write_film(void)
{
    tk_media m = tk_media_shape(&media, SHORT, RATE);
    m.height = HIGH;
    assert_ok(tk_media_alloc(&m));
    for (int64_t k = 0; k < SHORT * HIGH * 8 * 3; k++) m.rgb[k] = (uint8_t)(k * k % 251);
    tk_media_whole whole = tk_media_whole_of(&m);
    tk_file f;
    assert_ok(tk_file_begin(&f, film));
    assert_ok(tk_media_write_master(&f, &whole.source, ""));
    assert_ok(tk_file_commit(&f));
    tk_media_free(&m);
}

// The film's pictures, the last one held to the end of the timeline, encoded as a whole.
static void encode_film(const board *b, float *rows)
{
    tk_media_config of = media;
    of.height = HIGH;
    tk_media seen, whole = tk_media_shape(&of, b->story.grid.frames, RATE);
    const size_t picture = HIGH * 8 * 3;
    assert_ok(tk_media_read(film, &of, SECONDS, 1, &seen, NULL));
    assert_int_equal(seen.frames, SHORT);
    assert_ok(tk_media_alloc(&whole));
    for (int64_t f = 0; f < whole.frames; f++)
        memcpy(whole.rgb + (size_t)f * picture,
               seen.rgb + (size_t)(f < SHORT ? f : SHORT - 1) * picture, picture);
    assert_ok(tk_codec_encode_video(b->codec, &whole, rows));
    tk_media_free(&seen);
    tk_media_free(&whole);
}

// The products of an odd number of patches do not begin where parts do.
static void pictures_have_the_rows_of_the_whole(void **state)
{
    (void)state;
    static const int kinds[] = {TK_PICTURE_PATCH, TK_PICTURE_LAPPED};
    write_film();
    for (int kind = 0; kind < 2; kind++) {
        board b;
        open_board(&b, kinds[kind], TK_SOUND_MDCT, HIGH);
        const tk_grid *g = &b.story.grid;
        const tk_given_media m = {.key = "picture",
                                  .path = film,
                                  .n = g->latent_frames,
                                  .picture = true,
                                  .short_too = true};
        const size_t numbers = (size_t)g->video_rows * 2;
        float *want = malloc(numbers * sizeof *want), *got = malloc(numbers * sizeof *got);
        encode_film(&b, want);
        assert_ok(tk_give_film(&b.giver, &m));
        assert_ok(tk_latents_get(&b.rows, TK_CODEC_VIDEO, 0, g->latent_frames, got));
        assert_memory_equal(want, got, numbers * sizeof *got);
        free(want), free(got);
        close_board(&b);
    }
}

static void what_is_too_short_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        board b;
        open_board(&b, TK_PICTURE_PATCH, kind ? TK_SOUND_VOCODER : TK_SOUND_MDCT, 8);
        const tk_given_media m = {
            .key = "sound", .path = sound, .n = b.story.grid.latent_frames, .sound = true};
        write_sound((SECONDS - 1) * RATE);
        assert_int_equal(tk_give_sound(&b.giver, &m), TK_INPUT);
        assert_non_null(strstr(tk_status_message(), "lasts 27 seconds, the shots 28"));
        tk_status_clear();
        close_board(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_has_the_rows_of_the_whole),
        cmocka_unit_test(pictures_have_the_rows_of_the_whole),
        cmocka_unit_test(what_is_too_short_is_refused),
    };
    if (!mkdtemp(folder)) return 1;
    snprintf(sound, sizeof sound, "%s/sound.wav", folder);
    snprintf(film, sizeof film, "%s/film.mkv", folder);
    snprintf(scratch, sizeof scratch, "%s/rows", folder);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(sound);
    unlink(film);
    return rmdir(folder) || failed;
}
