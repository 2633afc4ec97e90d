// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2; timeout: 60 */
// Text features of a storyboard: each window gets those of its own shots, as they were when they
// were read, and of the others none is kept in memory.
#include "infer/story/text.h"
#include "parallel/mpi/start.h"
#include "tests/support/npy.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static tk_comm world;

enum { CHANNELS = 8, FILES = 5, MOST_ROWS = 60, MOST = 600 };

static char folder[] = "/tmp/talkie-text-XXXXXX", path[FILES][64], beside[64];
static tk_shot_config shots[MOST];
static tk_config config;
static tk_trained trained;

static int64_t rows_of(int file)
{
    return MOST_ROWS - 11 * file;
}

static float number_of(int file, int64_t i)
{
    return (float)(file * 10000 + i) / 64;
}

static int write_files(void **state)
{
    (void)state;
    for (int k = 0; k < FILES && world.rank == 0; k++) {
        float x[MOST_ROWS * CHANNELS];
        for (int64_t i = 0; i < rows_of(k) * CHANNELS; i++) x[i] = number_of(k, i);
        test_write_npy(path[k], rows_of(k), CHANNELS, false, x);
    }
    return tk_comm_barrier(&world) == TK_OK ? 0 : -1;
}

static int remove_files(void **state)
{
    (void)state;
    assert_ok(tk_comm_barrier(&world));
    for (int k = 0; k < FILES && world.rank == 0; k++) unlink(path[k]);
    return tk_comm_barrier(&world) == TK_OK ? 0 : -1;
}

static void tell(int n)
{
    for (int i = 0; i < n; i++) shots[i] = (tk_shot_config){.features = path[i * 7 % FILES]};
    config.story.n_shots = n;
}

static void assert_window(const tk_story_text *x, const tk_window *w)
{
    tk_arena a;
    float *got;
    tk_arena_init(&a, 0);
    assert_ok(tk_story_text_of(x, w, &a, &got));
    assert_non_null(got);
    for (int k = 0; k < tk_window_shots(w); k++) {
        const int file = tk_window_shot(w, k) * 7 % FILES;
        for (int64_t i = 0; i < rows_of(file) * CHANNELS; i++)
            assert_true(*got++ == number_of(file, i));
    }
    tk_arena_free(&a);
}

static void a_window_gets_its_own(void **state)
{
    static const tk_remembered memory[] = {{.shot = 0}, {.shot = 3}, {.shot = 400}};
    const tk_window all = {.end = 12}, last = {.target = MOST - 1, .end = MOST},
                    given = {.target = 500, .end = 502, .n_memory = 3, .memory = memory};
    tk_arena a;
    tk_story_text x;
    (void)state;
    tell(MOST);
    tk_arena_init(&a, 0);
    assert_ok(tk_story_text_read(&config, &trained, beside, &world, &a, &x));
    assert_int_not_equal(access(beside, F_OK), 0);
    remove_files(NULL); // as they were when they were read
    assert_window(&x, &all);
    assert_window(&x, &last);
    assert_window(&x, &given);
    write_files(NULL);
    tk_story_text_close(&x);
    tk_arena_free(&a);
}

static void numbers_are_not_kept(void **state)
{
    size_t bytes[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        tk_arena a;
        tk_story_text x;
        tk_arena_init(&a, 0);
        tell(k ? MOST : MOST / 10);
        assert_ok(tk_story_text_read(&config, &trained, beside, &world, &a, &x));
        bytes[k] = a.used;
        tk_story_text_close(&x);
        tk_arena_free(&a);
    }
    const size_t more = MOST - MOST / 10;
    print_message("%zu more shots take %zu bytes more\n", more, bytes[1] - bytes[0]);
    assert_true(bytes[1] - bytes[0] <= more * sizeof(tk_npy) + 64);
}

static void what_is_no_number_is_refused(void **state)
{
    float x[MOST_ROWS * CHANNELS] = {0};
    tk_arena a;
    tk_story_text text;
    (void)state;
    tell(4);
    x[11] = NAN;
    if (world.rank == 0) test_write_npy(path[4], rows_of(4), CHANNELS, false, x);
    tk_arena_init(&a, 0);
    assert_ok(tk_comm_barrier(&world));
    assert_status(tk_story_text_read(&config, &trained, beside, &world, &a, &text), TK_INPUT);
    assert_says("number 3 of row 1");
    tk_story_text_close(&text);
    assert_status(tk_story_text_read(&config, &trained, "/nowhere/clip", &world, &a, &text),
                  TK_INPUT);
    assert_says("/nowhere");
    tk_story_text_close(&text);
    tk_arena_free(&a);
    write_files(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_gets_its_own),
        cmocka_unit_test(numbers_are_not_kept),
        cmocka_unit_test(what_is_no_number_is_refused),
    };
    setenv("TALKIE_COMM_TIMEOUT", "20", 0);
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    if (world.rank == 0 && !mkdtemp(folder)) tk_parallel_abort(1);
    if (tk_comm_broadcast(&world, folder, sizeof folder, 0) != TK_OK) tk_parallel_abort(1);
    for (int k = 0; k < FILES; k++) snprintf(path[k], sizeof path[k], "%s/%d.npy", folder, k);
    snprintf(beside, sizeof beside, "%s/clip", folder);
    config.story.shots = shots;
    config.sample.guidance = 1;
    trained.path = "it";
    trained.config.model.text = TK_TEXT_FEATURES;
    trained.config.model.text_channels = CHANNELS;
    const int failed = cmocka_run_group_tests(tests, write_files, remove_files);
    if (failed || (world.rank == 0 && rmdir(folder))) tk_parallel_abort(1);
    tk_parallel_stop();
    return 0;
}
