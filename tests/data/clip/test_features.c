// SPDX-License-Identifier: Apache-2.0
// Text features of clip files: they come back to the bit, on any number of ranks and in both
// precisions; files that lie about them are refused; loaders read them for those who ask.
/*TEST nsize: 1 3; timeout: 60 */
#include "data/clip/internal.h"
#include "data/clip/loader.h"
#include "parallel/mpi/start.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { CLIPS = 8, MOST = 6 * TEST_TEXT };
static tk_comm world;
static char base[64];

static const char *file_named(const char *name)
{
    static char path[4][96];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s_%s.h5", base, name);
    return p;
}

// The features of clip i's shots, in turn; how many rows.
static int64_t expected(int64_t i, float *x)
{
    int64_t rows = 0;
    for (int k = 0; k < 2; k++) {
        if (k == 1 && i % 4 == 3) continue;
        const int64_t which = k == 1 && i % 4 == 2 ? 2 : i % 2;
        test_feature_rows(which, x + rows * TEST_TEXT);
        rows += test_feature_counts[which];
    }
    return rows;
}

static void check_contents(const tk_clips *c, bool half)
{
    float x[MOST], y[MOST];
    char raw[4 * MOST];
    assert_int_equal(c->features.n, TEST_FEATURES);
    assert_int_equal(c->features.channels, TEST_TEXT);
    assert_int_equal(c->features.half, half);
    assert_int_equal(c->features.empty, 2);
    for (int64_t i = 0; i < CLIPS; i++) {
        const int64_t rows = expected(i, x);
        assert_int_equal(tk_clip_text_rows(&c->clip[i]), rows);
        assert_ok(tk_clips_read_text(c, i, y, raw));
        assert_memory_equal(x, y, (size_t)(rows * TEST_TEXT) * sizeof *x);
    }
    test_feature_rows(2, x);
    assert_ok(tk_clips_read_feature(c, 2, y, raw));
    assert_memory_equal(x, y, TEST_TEXT * sizeof *x);
}

static void test_come_back(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        tk_clips c;
        const char *path = file_named(half ? "half" : "full");
        assert_ok(test_write_featured_clips(&world, path, CLIPS, half, false));
        assert_ok(tk_clips_open_shared(&world, path, NULL, &c));
        check_contents(&c, half);
        tk_clips_close(&c);
    }
}

// What changes a file on rank 0.
static void change(const char *path, void (*by)(hid_t file))
{
    if (world.rank == 0) {
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(file >= 0);
        by(file);
        assert_true(H5Fclose(file) >= 0);
    }
    assert_ok(tk_comm_barrier(&world));
}

static void set_number(hid_t file, const char *name, int64_t to)
{
    int64_t x[2 * CLIPS];
    hid_t d = H5Dopen2(file, name, H5P_DEFAULT);
    assert_true(H5Dread(d, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    x[1] = to;
    assert_true(H5Dwrite(d, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(d);
}

static void point_outside(hid_t file)
{
    set_number(file, "shots/features", TEST_FEATURES);
}

static void count_wrong(hid_t file)
{
    set_number(file, "features/rows", 3);
}

static void count_backwards(hid_t file)
{
    set_number(file, "features/rows", -2);
}

static void lose_values(hid_t file)
{
    assert_true(H5Ldelete(file, "features/values", H5P_DEFAULT) >= 0);
}

static void mean_another_empty(hid_t file)
{
    int64_t to = 7;
    hid_t group = H5Gopen2(file, "features", H5P_DEFAULT);
    hid_t a = H5Aopen(group, "empty", H5P_DEFAULT);
    assert_true(H5Awrite(a, H5T_NATIVE_INT64, &to) >= 0);
    H5Aclose(a);
    H5Gclose(group);
}

static void test_refused(void **state)
{
    static const struct {
        void (*by)(hid_t file);
        const char *words;
    } lies[] = {{point_outside, "has number 3; there are 3"},
                {count_wrong, "features/values has 6 rows, its features have 7"},
                {count_backwards, "have -2 rows"},
                {lose_values, "features/values are not of half or single precision"},
                {mean_another_empty, "text features 7 of 3"}};
    (void)state;
    for (size_t k = 0; k < sizeof lies / sizeof *lies; k++) {
        tk_clips c;
        const char *path = file_named("lies");
        assert_ok(test_write_featured_clips(&world, path, CLIPS, false, false));
        change(path, lies[k].by);
        assert_status(tk_clips_open_shared(&world, path, NULL, &c), TK_INPUT);
        assert_says(lies[k].words);
        assert_says("lies.h5");
        tk_status_clear();
    }
}

static void test_damage(void **state)
{
    (void)state;
    tk_clips c;
    float x[MOST];
    char raw[4 * MOST];
    const char *path = file_named("damaged");
    assert_ok(test_write_featured_clips(&world, path, CLIPS, true, false));
    assert_ok(tk_clips_open_shared(&world, path, NULL, &c));
    if (world.rank == 0) {
        unsigned char byte;
        const int fd = open(path, O_RDWR);
        assert_ok(tk_pread_all(fd, path, &byte, 1, c.features.feature[1].address));
        byte ^= 1;
        assert_ok(tk_pwrite_all(fd, path, &byte, 1, c.features.feature[1].address));
        close(fd);
    }
    assert_ok(tk_comm_barrier(&world));
    assert_status(tk_clips_read_text(&c, 1, x, raw), TK_INPUT);
    assert_says("the text of \"clip 1\" is damaged");
    tk_status_clear();
    tk_clips_close(&c);
}

// A loader reads them when it is asked to, and knows those of an empty caption then.
static void test_loader(void **state)
{
    (void)state;
    char *files[] = {(char *)file_named("full"), (char *)file_named("half")};
    const tk_data_config d = {.files = files, .n_files = 2, .threads = 2, .prefetch = 1};
    float x[MOST];
    tk_text_form form;
    for (int asks = 0; asks < 2; asks++) {
        tk_loader *l;
        assert_ok(tk_loader_open(&d, "", &world, &l));
        tk_loader_texts(l, asks);
        assert_ok(tk_loader_start(l, 1, 0, 4, 0, 4));
        assert_ok(tk_loader_text_form(l, &form));
        assert_int_equal(form.channels, TEST_TEXT);
        assert_int_equal(form.empty_rows, 1);
        test_feature_rows(2, x);
        if (asks) assert_memory_equal(form.empty, x, TEST_TEXT * sizeof *x);
        for (int j = 0; j < 4; j++) {
            tk_sample s;
            assert_ok(tk_loader_take(l, 0, j, &s));
            assert_true(s.ok);
            assert_int_equal(s.text != NULL, asks);
            if (!asks) continue;
            const int64_t rows = expected(s.index % CLIPS, x);
            assert_memory_equal(s.text, x, (size_t)(rows * TEST_TEXT) * sizeof *x);
        }
        tk_loader_close(l);
    }
}

// Files of two encoders do not go together, nor one with a file of captions only.
static void test_two_kinds(void **state)
{
    (void)state;
    tk_loader *l;
    tk_text_form form;
    assert_ok(test_write_clips(&world, file_named("bare"), 1, CLIPS, -1));
    char *files[] = {(char *)file_named("full"), (char *)file_named("bare")};
    const tk_data_config d = {.files = files, .n_files = 2, .threads = 1, .prefetch = 1};
    assert_ok(tk_loader_open(&d, "", &world, &l));
    assert_status(tk_loader_text_form(l, &form), TK_INPUT);
    assert_says("bare.h5 holds captions only");
    tk_status_clear();
    tk_loader_close(l);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_come_back), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damage),    cmocka_unit_test(test_loader),
        cmocka_unit_test(test_two_kinds),
    };
    assert_ok(tk_parallel_start(&argc, &argv, &world));
    if (world.rank == 0) snprintf(base, sizeof base, "/tmp/test_features_%d", (int)getpid());
    assert_ok(tk_comm_broadcast(&world, base, sizeof base, 0));
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    assert_ok(tk_comm_barrier(&world));
    const char *names[] = {"half", "full", "lies", "damaged", "bare"};
    for (int i = 0; i < 5 && world.rank == 0; i++) unlink(file_named(names[i]));
    tk_parallel_stop();
    return failed;
}
