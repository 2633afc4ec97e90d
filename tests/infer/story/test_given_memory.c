// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// The memory that a storyboard's own soundtrack and own picture take to be read and to become rows
// does not grow with them: of longer ones it is within 5% and 100 bytes a frame.
#include "data/media/media.h"
#include "infer/story/given.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RATE = 8000, FPS = 4, CHANNELS = 2, SIDE = 72, SHORT = 60, LONG = 200, NUMBERS = 20 };
enum { HELD = 2048 }; // bytes of what is given, for as long as the clip is made

static const tk_media_config media = {
    .width = SIDE, .height = SIDE, .fps = FPS, .sample_rate = RATE, .channels = CHANNELS};
static char folder[] = "/tmp/talkie-given-XXXXXX", sound[64], film[64], beside[64];

// ---- media that last so many seconds -----------------------------------------------------------

static tk_status get_picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    static uint8_t picture[SIDE * SIDE * 3];
    (void)s;
    memset(picture, (int)(frame % 200), sizeof picture);
    *rgb = picture;
    return TK_OK;
}

static tk_status get_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    (void)s;
    for (int64_t k = 0; k < n * CHANNELS; k++) pcm[k] = (float)((first + k / CHANNELS) % 40) / 80;
    return TK_OK;
}

static int write_film(int64_t seconds)
{
    tk_media_source s = {.shape = tk_media_shape(&media, seconds * FPS, seconds * RATE),
                         .picture = get_picture,
                         .sound = get_sound};
    return (int)whole_file(tk_media_write_master, film, &s, "");
}

// Silence that takes no room on the disk.
static int write_sound(int64_t seconds)
{
    enum { EACH = CHANNELS * 2 };
    const uint32_t bytes = (uint32_t)(seconds * RATE * EACH);
    const uint32_t numbers[] = {36 + bytes,      16,   1 | CHANNELS << 16, RATE, RATE * EACH,
                                EACH | 16 << 16, bytes};
    FILE *f = fopen(sound, "wb");
    if (!f) return 1;
    fwrite("RIFF", 4, 1, f), fwrite(numbers, 4, 1, f), fwrite("WAVEfmt ", 8, 1, f);
    fwrite(numbers + 1, 4, 5, f), fwrite("data", 4, 1, f), fwrite(numbers + 6, 4, 1, f);
    const int short_of = fflush(f) != 0 || ftruncate(fileno(f), 44 + (off_t)bytes) != 0;
    return fclose(f) != 0 || short_of;
}

// ---- what is given -----------------------------------------------------------------------------

static tk_status show(void *ctx, int64_t i, tk_media *clip)
{
    static uint8_t rgb[2 * FPS * SIDE * SIDE * 3];
    static float pcm[2 * RATE * CHANNELS];
    (void)ctx;
    for (size_t k = 0; k < sizeof rgb; k++) rgb[k] = (uint8_t)(k * (size_t)(i + 3) % 251);
    for (int64_t k = 0; k < 2 * RATE * CHANNELS; k++)
        pcm[k] = 0.3f * sinf((float)(k % 997) * 0.07f * (float)(i + 1));
    *clip = tk_media_shape(&media, 2 * FPS, 2 * RATE);
    clip->rgb = rgb;
    clip->pcm = pcm;
    return TK_OK;
}

// Reads what `c` gives of a timeline of so many seconds, and asks for its rows second by second.
static tk_status give(const tk_config *c, int kind, int64_t seconds)
{
    const tk_codec_config of = {.patch_frames = 2,
                                .patch_size = 8,
                                .video_channels = NUMBERS,
                                .audio = kind,
                                .audio_hop = 200,
                                .audio_channels = NUMBERS};
    const tk_story_given_ranks ranks = {tk_comm_self(), tk_comm_self()};
    const tk_remix none = {0};
    tk_story_shot shot = {0};
    tk_story s = {
        .fps = FPS, .channels = CHANNELS, .sample_rate = RATE, .n_shots = 1, .shot = &shot};
    tk_story_given g = {0};
    tk_codec *codec;
    tk_arena a;
    float *rows;
    tk_arena_init(&a, 0);
    TK_TRY(tk_codec_fit(&of, &media, show, NULL, 2, &codec));
    const tk_codec_info *k = tk_codec_get_info(codec);
    TK_TRY(tk_grid_of(k, "", seconds * FPS, SIDE, SIDE, TK_GRID_WHOLE, &s.grid));
    s.tick = tk_grid_tick(k);
    const size_t before = a.used;
    TK_TRY(tk_story_given_read(c, &s, &none, codec, beside, &ranks, &a, &g));
    if (a.used - before > HELD)
        return TK_FAIL(TK_MEMORY, "%zu bytes are kept of %lld seconds", a.used - before,
                       (long long)seconds);
    TK_ARENA_NEW(rows, &a, 2 * g.each[TK_VIDEO] + RATE / 200 * g.each[TK_AUDIO]);
    for (int64_t at = 0; at < seconds; at++) {
        TK_TRY(tk_story_given_rows(&g, TK_VIDEO, at * FPS / 2, 2, rows));
        TK_TRY(tk_story_given_rows(&g, TK_AUDIO, at * RATE / 200, RATE / 200, rows));
    }
    tk_story_given_close(&g);
    tk_codec_free(codec);
    tk_arena_free(&a);
    return TK_OK;
}

// ---- memory ------------------------------------------------------------------------------------

// In a process of its own, so that this one stays small: how it ended.
static int alone(int (*make)(int64_t seconds), int64_t seconds)
{
    int status;
    const pid_t child = fork();
    if (child == 0) _exit(make(seconds));
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return status;
}

// KiB at the most of a process that reads and encodes what is given, and nothing else.
static long most_of(const tk_config *c, int kind, int64_t seconds)
{
    int status;
    struct rusage used;
    const pid_t child = fork();
    if (child == 0) {
        const tk_status st = give(c, kind, seconds);
        if (st != TK_OK) fprintf(stderr, "%s\n", tk_status_message());
        _exit((int)st);
    }
    assert_true(child > 0 && wait4(child, &status, 0, &used) == child);
    assert_int_equal(status, 0);
    return used.ru_maxrss;
}

static void hold(const char *what, const tk_config *c, int kind, int (*make)(int64_t))
{
    long kib[2];
    for (int k = 0; k < 2; k++) {
        const int64_t seconds = k ? LONG : SHORT;
        assert_int_equal(alone(make, seconds), 0);
        kib[k] = most_of(c, kind, seconds);
    }
    const long frames = (LONG - SHORT) * FPS, room = kib[0] / 20 + frames * 100 / 1024;
    const long kept = what[0] == 'p' ? frames * SIDE * SIDE * 3 / 1024
                                     : (LONG - SHORT) * RATE * CHANNELS * 4L / 1024;
    print_message("%s: %ld KiB, of what is longer %ld; %ld more are allowed\n", what, kib[0],
                  kib[1], room);
    assert_true(kept > 4 * room); // who kept it in memory would be found
    assert_true(kib[1] <= kib[0] + room);
}

static void memory_does_not_grow_with_what_is_given(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); // the sanitizers hold on to what is freed
#endif
    tk_config c = {.story = {.sound = sound, .picture = "", .remix = {.clip = ""}}};
    hold("sound", &c, TK_SOUND_MDCT, write_sound);
    hold("sound as a whole", &c, TK_SOUND_VOCODER, write_sound);
    c.story.sound = "", c.story.picture = film;
    hold("picture", &c, TK_SOUND_MDCT, write_film);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_does_not_grow_with_what_is_given),
    };
    if (!mkdtemp(folder)) return 1;
    snprintf(sound, sizeof sound, "%s/sound.wav", folder);
    snprintf(film, sizeof film, "%s/film.mkv", folder);
    snprintf(beside, sizeof beside, "%s/clip", folder);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(sound);
    unlink(film);
    return rmdir(folder) || failed;
}
