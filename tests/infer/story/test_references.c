// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 3; timeout: 60 */
// References of single shots: the same rows as those that all shots are given, of which only the
// ones of a window are in memory, and those of ranks that hold rows alone.
#include "infer/story/references.h"
#include "parallel/mpi/comm.h"
#include "parallel/mpi/start.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <unistd.h>

static tk_comm world, holders; // the last of several ranks is none of these
static bool holds;

// The codec of tests: 1000 samples a second, 8 frames, patches of 4x4.
enum { WIDTH = 32, HEIGHT = 16, FILES = 4, RATE = 1000, SAMPLES = 500, MOST = 240 };

static char folder[] = "/tmp/talkie-references-XXXXXX", path[FILES][64], beside[64];
static char *named[MOST], prompt[] = "Ada waves", nowhere[] = "/nowhere.wav";
static tk_shot_config shots[MOST];
static tk_codec *codec;
static tk_config config;

static void write_bytes(const char *to, const char *head, size_t n_head, int seed, size_t n)
{
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(head, 1, n_head, f), n_head);
    for (size_t i = 0; i < n; i++) fputc((int)((i * 7 + (size_t)seed * 31) % 89), f);
    assert_int_equal(fclose(f), 0);
}

static void write_sound(const char *to, int seed)
{
    enum { CHANNELS = 1, EACH = 2 * CHANNELS };
    const uint32_t bytes = SAMPLES * EACH;
    const uint32_t number[] = {16, 1 | CHANNELS << 16, RATE, RATE * EACH, EACH | 16 << 16};
    const uint32_t all = 36 + bytes;
    char head[44];
    memcpy(head, "RIFF", 4), memcpy(head + 4, &all, 4), memcpy(head + 8, "WAVEfmt ", 8);
    memcpy(head + 16, number, sizeof number), memcpy(head + 36, "data", 4);
    memcpy(head + 40, &bytes, 4);
    write_bytes(to, head, sizeof head, seed, bytes);
}

static int write_files(void **state)
{
    (void)state;
    for (int k = 0; k < FILES; k++) {
        char head[32];
        snprintf(path[k], sizeof path[k], "%s/%d.%s", folder, k, k % 2 ? "wav" : "ppm");
        snprintf(head, sizeof head, "P6\n%d %d\n255\n", WIDTH, HEIGHT);
        if (world.rank > 0) continue;
        if (k % 2)
            write_sound(path[k], k);
        else
            write_bytes(path[k], head, strlen(head), k, (size_t)WIDTH * HEIGHT * 3);
    }
    snprintf(beside, sizeof beside, "%s/clip", folder);
    for (int i = 0; i < MOST; i++) named[i] = path[i * 3 % FILES];
    assert_ok(tk_comm_barrier(&world));
    codec = test_codec(1);
    return codec ? 0 : -1;
}

static int remove_files(void **state)
{
    (void)state;
    assert_ok(tk_comm_barrier(&world));
    for (int k = 0; k < FILES && world.rank == 0; k++) unlink(path[k]);
    tk_codec_free(codec);
    return 0;
}

typedef struct refs {
    tk_arena of_story, arena;
    tk_story story;
    tk_references all;
} refs;

// n shots of one reference each; as many that all are given.
static tk_status refer(int own, int shared, refs *out)
{
    const tk_story_given_ranks ranks = {&world, holds ? &holders : NULL};
    tk_config_free(&config);
    tk_config_init(&config);
    config.media.width = WIDTH;
    config.media.height = HEIGHT;
    config.sample.window = 3;
    config.story.shots = shots;
    config.story.n_shots = MOST;
    for (int i = 0; i < MOST; i++)
        shots[i] = (tk_shot_config){
            .seconds = 1, .prompt = prompt, .references = &named[i], .n_references = i < own};
    config.story.references = named;
    config.story.n_references = shared;
    tk_arena_init(&out->of_story, 0);
    tk_arena_init(&out->arena, 0);
    assert_ok(tk_story_plan(&config, codec, &out->of_story, &out->story));
    return tk_references_read(&config, &out->story, codec, beside, &ranks, &out->arena, &out->all);
}

static void leave(refs *x)
{
    tk_references_close(&x->all);
    tk_arena_free(&x->of_story);
    tk_arena_free(&x->arena);
}

static void rows_are_those_that_all_shots_get(void **state)
{
    refs x;
    int pictures = 0, sounds = 0;
    (void)state;
    assert_ok(refer(FILES, FILES, &x));
    assert_int_equal(access(beside, F_OK), -1);
    assert_int_equal(x.all.n, 2 * FILES);
    for (int i = 0; i < FILES; i++) {
        const tk_reference *all = &x.all.ref[i], *own = &x.all.ref[FILES + i];
        const tk_codec_info *k = tk_codec_get_info(codec);
        const int64_t n[TK_MODALITIES] = {
            [TK_VIDEO] = all->latents * all->high * all->wide * k->video_channels,
            [TK_AUDIO] = all->audio_rows * x.story.channels * k->audio_channels};
        assert_int_equal(all->shot, -1);
        assert_int_equal(own->shot, i);
        assert_int_equal(own->latents, all->latents);
        assert_int_equal(own->high, all->high);
        assert_int_equal(own->wide, all->wide);
        assert_int_equal(own->audio_rows, all->audio_rows);
        assert_true(!own->video && !own->audio);
        for (int m = 0; m < TK_MODALITIES; m++) {
            float *one = tk_arena_alloc(&x.arena, (size_t)n[m] * sizeof *one);
            float *other = tk_arena_alloc(&x.arena, (size_t)n[m] * sizeof *one);
            if (m == TK_TEXT || !n[m] || !holds) continue;
            assert_ok(tk_references_get(&x.all, all, m, n[m], one));
            assert_ok(tk_references_get(&x.all, own, m, n[m], other));
            assert_memory_equal(one, other, (size_t)n[m] * sizeof *one);
            for (int64_t j = 0; j < n[m]; j++) sounds += m == TK_AUDIO && one[j] != 0;
            for (int64_t j = 0; j < n[m]; j++) pictures += m == TK_VIDEO && one[j] != 0;
        }
    }
    assert_true((pictures > 0 && sounds > 0) == holds);
    leave(&x);
}

static void rows_of_many_are_not_kept(void **state)
{
    enum { FEW = MOST / 10 };
    refs few, many;
    (void)state;
    assert_ok(refer(FEW, 2, &few));
    assert_ok(refer(MOST, 2, &many));
    const size_t more = many.arena.used - few.arena.used;
    print_message("%d more shots with references take %zu bytes more\n", MOST - FEW, more);
    assert_true(more <= (MOST - FEW) * (sizeof(tk_reference) + 4 * sizeof(int64_t)) + 128);
    leave(&few);
    leave(&many);
}

static void what_cannot_be_read_is_told(void **state)
{
    refs x;
    (void)state;
    named[1] = nowhere;
    assert_status(refer(2, 0, &x), TK_INPUT);
    assert_says("/nowhere.wav");
    leave(&x);
    named[1] = path[3];
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_that_all_shots_get),
        cmocka_unit_test(rows_of_many_are_not_kept),
        cmocka_unit_test(what_cannot_be_read_is_told),
    };
    setenv("TALKIE_COMM_TIMEOUT", "20", 0);
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    if (world.rank == 0 && !mkdtemp(folder)) tk_parallel_abort(1);
    if (tk_comm_broadcast(&world, folder, sizeof folder, 0) != TK_OK) tk_parallel_abort(1);
    holds = world.size == 1 || world.rank < world.size - 1;
    if (tk_mpi_split(&world, "holders", holds, &holders) != TK_OK) tk_parallel_abort(1);
    const int failed = cmocka_run_group_tests(tests, write_files, remove_files);
    if (failed || (world.rank == 0 && rmdir(folder))) tk_parallel_abort(1);
    tk_mpi_close(&holders);
    tk_parallel_stop();
    return 0;
}
