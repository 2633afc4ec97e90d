// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2; timeout: 60 */
#include "data/clip/internal.h"
#include "data/clip/loader.h"
#include "parallel/mpi/start.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 20, SECOND = 11, ALL = FIRST + SECOND, BATCH = 7, BROKEN = 6 };
static tk_comm world;
static char path[5][96]; // two whole files, one of another codec, one with a damaged clip, none
static char *both[] = {path[0], path[1]};

static tk_data_config config(char **files, int64_t n)
{
    return (tk_data_config){
        .files = files, .n_files = n, .threads = 3, .prefetch = 2, .max_bad = 3};
}

static tk_loader *open_loader(char **files, int64_t n)
{
    tk_data_config c = config(files, n);
    tk_loader *l;
    assert_ok(tk_loader_open(&c, NULL, &world, &l));
    return l;
}

static void check_sample(const tk_sample *s)
{
    float video[TEST_VIDEO], audio[TEST_AUDIO];
    test_rows(s->index < FIRST ? s->index : s->index - FIRST, video, audio);
    assert_true(s->ok);
    assert_memory_equal(s->video, video, (size_t)s->bucket->video_bytes * 2);
    assert_memory_equal(s->audio, audio, (size_t)s->bucket->audio_bytes * 2);
    if (!s->cited[0] || !s->info->n_citations) return;
    test_reference_rows(0, video, audio); // a face; 20 numbers of it
    assert_memory_equal(s->cited[0], video, 20 * sizeof *video);
    test_reference_rows(1, video, audio); // a voice; 18
    assert_memory_equal(s->cited[1], audio, 18 * sizeof *audio);
}

static void test_order__is_pure_and_covers_every_epoch(void **state)
{
    (void)state;
    tk_loader *l = open_loader(both, 2);
    assert_int_equal(tk_loader_count(l), ALL);
    int same = 0;
    for (int epoch = 0; epoch < 4; epoch++) {
        int seen[ALL] = {0};
        for (int64_t k = epoch * ALL; k < (epoch + 1) * ALL; k++) {
            int64_t i = tk_loader_sample(l, 5, k / BATCH, BATCH, k % BATCH);
            assert_int_equal(i, tk_loader_sample(l, 5, 0, BATCH, k)); // k-th of all, however cut
            seen[i]++;
            same += i == tk_loader_sample(l, 5, 0, 1, k % ALL);
        }
        for (int i = 0; i < ALL; i++) assert_int_equal(seen[i], 1);
    }
    assert_true(same < 2 * ALL); // later epochs have an order of their own
    tk_loader_close(l);
}

// Documents [begin, end) of steps [first, last) are those of the pure order, with their rows.
static bool cites;
static void stream(tk_loader *l, int64_t first, int64_t last, int64_t begin, int64_t end)
{
    tk_loader_cites(l, cites);
    assert_ok(tk_loader_start(l, 5, first, BATCH, begin, end));
    for (int64_t step = first; step < last; step++) {
        for (int64_t j = begin; j < end; j++) {
            tk_sample s;
            assert_ok(tk_loader_take(l, step, j, &s));
            assert_int_equal(s.index, tk_loader_sample(l, 5, step, BATCH, j));
            check_sample(&s);
            assert_int_equal(s.cited[0] != NULL, cites);
            const tk_bucket *b;
            assert_ptr_equal(s.info, tk_loader_info(l, s.index, &b));
            assert_ptr_equal(s.bucket, b);
        }
        tk_loader_release(l, step);
    }
}

static void test_stream__any_range_any_start(void **state)
{
    (void)state;
    tk_loader *l = open_loader(both, 2);
    stream(l, 0, 12, 0, BATCH);
    stream(l, 9, 14, 2, 5); // resumed, another range
    stream(l, 1000, 1003, 6, 7);
    cites = true;
    stream(l, 9, 14, 2, 5);
    cites = false;
    assert_ok(tk_loader_start(l, 5, 0, BATCH, 3, 3)); // nothing to read
    tk_loader_release(l, 0);
    assert_int_equal(tk_loader_skipped(l), 0);
    assert_true(tk_loader_bytes(l) > 0);
    tk_loader_close(l);
}

// Ended while threads are still ahead; a step is given back before all of it was taken.
static void test_stream__stops_cleanly(void **state)
{
    (void)state;
    for (int k = 0; k < 50; k++) {
        tk_loader *l = open_loader(both, 2);
        tk_sample s;
        assert_ok(tk_loader_start(l, 5, 0, BATCH, 0, BATCH));
        if (k % 3 == 1) assert_ok(tk_loader_take(l, 0, 0, &s));
        if (k % 3 == 1) tk_loader_release(l, 0);
        if (k % 3 == 1) assert_ok(tk_loader_take(l, 1, 3, &s));
        if (k % 3 == 1) check_sample(&s);
        assert_status(tk_loader_take(l, 99, 0, &s), TK_INTERNAL);
        tk_loader_close(l);
    }
}

static void test_bad_sample__is_zeros_counted_and_passed_over(void **state)
{
    (void)state;
    char *files[] = {path[3]};
    tk_loader *l = open_loader(files, 1);
    int bad = 0;
    assert_ok(tk_loader_start(l, 5, 0, 10, 0, 10));
    for (int64_t step = 0; step < 6; step++) {
        for (int64_t j = 0; j < 10; j++) {
            tk_sample s;
            assert_ok(tk_loader_take(l, step, j, &s));
            assert_true(s.ok == (s.index != BROKEN));
            assert_ok(tk_loader_take(l, step, j, &s)); // counts once, however often it is taken
            for (int64_t k = 0; !s.ok && k < s.bucket->video_bytes / 2; k++)
                assert_true(s.video[k] == 0);
            for (int64_t k = 0; !s.ok && k < s.bucket->audio_bytes / 2; k++)
                assert_true(s.audio[k] == 0);
            bad += !s.ok;
        }
        tk_loader_release(l, step);
    }
    assert_int_equal(bad, 3); // once in each of three epochs of twenty
    assert_int_equal(tk_loader_skipped(l), 3);
    tk_loader_close(l);
}

static void test_bad_samples__too_many_in_a_row_end_the_run(void **state)
{
    (void)state;
    char *files[] = {path[4]};
    if (world.rank == 0) { // the rows are gone after the file was opened: cut it then
        assert_ok(test_write_clips(tk_comm_self(), path[4], 1, FIRST, -1));
    }
    assert_ok(tk_agree(&world, TK_OK));
    tk_loader *l = open_loader(files, 1);
    assert_ok(tk_agree(&world, TK_OK));
    if (world.rank == 0) assert_int_equal(truncate(path[4], 100), 0);
    assert_ok(tk_agree(&world, TK_OK));
    tk_sample s;
    assert_ok(tk_loader_start(l, 5, 0, BATCH, 0, BATCH));
    assert_ok(tk_loader_take(l, 0, 0, &s));
    assert_false(s.ok);
    assert_ok(tk_loader_take(l, 0, 1, &s));
    assert_status(tk_loader_take(l, 0, 2, &s), TK_INPUT);
    assert_says("3 samples in a row");
    assert_says("clip");
    tk_loader_close(l);
    assert_ok(tk_agree(&world, TK_OK));
    if (world.rank == 0) unlink(path[4]);
}

static void test_open__refuses_what_does_not_go_together(void **state)
{
    (void)state;
    tk_loader *l;
    char *mixed[] = {path[0], path[2]}, *missing[] = {"/nowhere/clips.h5"};
    tk_data_config c = config(mixed, 2);
    assert_status(tk_loader_open(&c, NULL, &world, &l), TK_INPUT);
    assert_says("codec");
    assert_says(path[2]);
    c = config(missing, 1);
    assert_status(tk_loader_open(&c, NULL, &world, &l), TK_INPUT);
    assert_says("/nowhere/clips.h5");
    c = config(NULL, 0);
    assert_status(tk_loader_open(&c, NULL, &world, &l), TK_INPUT);
    char link_to[112], *twice[] = {path[1], path[0], link_to};
    snprintf(link_to, sizeof link_to, "%s.link", path[1]);
    if (world.rank == 0) assert_int_equal(link(path[1], link_to), 0);
    assert_ok(tk_agree(&world, TK_OK));
    c = config(twice, 3);
    assert_status(tk_loader_open(&c, NULL, &world, &l), TK_INPUT);
    assert_says("are the same file");
    assert_says(path[1]);
    assert_says(link_to);
    if (world.rank == 0) unlink(link_to);
    assert_null(l);
}

// Files may be opened again; another one under the name is not read.
static void test_files__replaced_meanwhile_are_noticed(void **state)
{
    (void)state;
    float video[TEST_VIDEO], audio[TEST_AUDIO];
    char raw[4096];
    tk_clips c;
    if (world.rank) return;
    assert_ok(test_write_clips(tk_comm_self(), path[4], 1, 3, -1));
    assert_ok(tk_clips_open(path[4], NULL, &c));
    assert_ok(test_write_clips(tk_comm_self(), path[4], 1, 3, -1));
    assert_ok(tk_clips_read(&c, 0, video, audio, raw)); // from the one still open
    tk_clip_forget(&c);                                 // as where others need its descriptor
    assert_status(tk_clips_read(&c, 0, video, audio, raw), TK_IO);
    assert_says("replaced by another file");
    unlink(path[4]);
    assert_status(tk_clips_read(&c, 0, video, audio, raw), TK_IO);
    assert_says("cannot open");
    tk_clips_close(&c);
}

// Of several ranks that read a clip one alone may fail: no rank goes on without its rows.
static void test_read_that_fails__ends_the_run(void **state)
{
    (void)state;
    char *files[] = {path[4]};
    tk_data_config config_of_it = config(files, 1);
    tk_clips c;
    tk_loader *l;
    tk_sample s;
    if (world.rank) return;
    assert_ok(test_write_clips(tk_comm_self(), path[4], 1, FIRST, -1));
    assert_ok(tk_loader_open(&config_of_it, NULL, tk_comm_self(), &l));
    assert_ok(tk_clips_open(path[4], NULL, &c));
    assert_ok(test_write_clips(tk_comm_self(), path[4], 1, FIRST, -1));
    tk_clip_forget(&c); // the loader's too
    assert_ok(tk_loader_start(l, 5, 0, BATCH, 0, BATCH));
    assert_status(tk_loader_take(l, 0, 0, &s), TK_IO);
    assert_says("replaced by another file");
    assert_int_equal(tk_loader_skipped(l), 0);
    tk_loader_close(l);
    tk_clips_close(&c);
    unlink(path[4]);
}

static int make_files(void **state)
{
    (void)state;
    int64_t id = getpid();
    if (tk_comm_broadcast(&world, &id, sizeof id, 0) != TK_OK) return 1;
    for (int k = 0; k < 5; k++)
        snprintf(path[k], sizeof path[k], "/tmp/tk_loader_%lld_%d.h5", (long long)id, k);
    return test_write_clips(&world, path[0], 1, FIRST, -1) ||
           test_write_clips(&world, path[1], 1, SECOND, -1) ||
           test_write_clips(&world, path[2], 2, 3, -1) ||
           test_write_clips(&world, path[3], 1, FIRST, BROKEN);
}

// A shape is told of as a clip of a file would be; latents follow from frames unless they are
// given.
static void test_described__tells_of_clips_that_are_nowhere(void **state)
{
    (void)state;
    const tk_clip_shape shape = {.codec = {.patch_frames = 4,
                                           .patch_size = 32,
                                           .video_channels = 96,
                                           .audio_hop = 800,
                                           .audio_channels = 32,
                                           .audio_tail = 1,
                                           .fps = 24,
                                           .sample_rate = 32000,
                                           .channels = 2},
                                 .frames = 124,
                                 .height = 768,
                                 .width = 1344,
                                 .caption = 512};
    for (int k = 0; k < 2; k++) {
        tk_clip_shape s = shape;
        const tk_bucket *b;
        tk_loader *l;
        s.latents = k ? 37 : 0;
        assert_ok(tk_loader_describe(&s, &l));
        assert_false(tk_loader_reads(l));
        assert_int_equal(tk_loader_count(l), 1);
        assert_int_equal(tk_loader_sample(l, 5, 3, 7, 6), 0);
        const tk_clip_info *i = tk_loader_info(l, 0, &b);
        assert_int_equal(i->n_shots, 1);
        assert_int_equal(strlen(i->shot[0].caption), 512);
        assert_int_equal(b->latent_frames * b->high * b->wide, (k ? 37 : 31) * 24 * 42);
        assert_int_equal(i->shot[0].latent_frames, b->latent_frames);
        assert_int_equal(b->audio_rows, 208); // 124 / 24 s of 40 a second, and the tail
        assert_int_equal(tk_codec_get_info(tk_loader_codec(l))->video_channels, 96);
        tk_loader_close(l);
    }
}

static void test_described__refuses_what_does_not_divide(void **state)
{
    (void)state;
    tk_clip_shape shape = {.codec = {.patch_frames = 4,
                                     .patch_size = 32,
                                     .video_channels = 96,
                                     .audio_hop = 800,
                                     .audio_channels = 32,
                                     .fps = 24,
                                     .sample_rate = 32000,
                                     .channels = 2},
                           .frames = 125,
                           .height = 768,
                           .width = 1344};
    tk_loader *l;
    assert_status(tk_loader_describe(&shape, &l), TK_INPUT);
    assert_says("plan.frames: 125 frames of 1344x768 do not divide into patches of 4 frames");
    assert_null(l);
    shape.latents = 37; // another codec's business
    assert_ok(tk_loader_describe(&shape, &l));
    tk_loader_close(l);
}

static int remove_files(void **state)
{
    (void)state;
    if (tk_agree(&world, TK_OK) != TK_OK) return 1;
    for (int k = 0; k < 4 && world.rank == 0; k++) unlink(path[k]);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order__is_pure_and_covers_every_epoch),
        cmocka_unit_test(test_stream__any_range_any_start),
        cmocka_unit_test(test_stream__stops_cleanly),
        cmocka_unit_test(test_bad_sample__is_zeros_counted_and_passed_over),
        cmocka_unit_test(test_bad_samples__too_many_in_a_row_end_the_run),
        cmocka_unit_test(test_open__refuses_what_does_not_go_together),
        cmocka_unit_test(test_files__replaced_meanwhile_are_noticed),
        cmocka_unit_test(test_read_that_fails__ends_the_run),
        cmocka_unit_test(test_described__tells_of_clips_that_are_nowhere),
        cmocka_unit_test(test_described__refuses_what_does_not_divide),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    int failed = cmocka_run_group_tests(tests, make_files, remove_files);
    tk_parallel_stop();
    return failed;
}
