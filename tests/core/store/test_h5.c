// SPDX-License-Identifier: Apache-2.0
// HDF5 within bounds: what is written comes back, and damaged, foreign and lying files are
// refused in words.
/*TEST timeout: 60 */
#include "core/store/h5.h"
#include "tests/support/test.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

// The library itself loses memory over damaged metadata and failed closes; ours is still counted.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

static char dir[] = "/tmp/test_h5.XXXXXX", path[64], other[64];

static void expect(tk_status want, tk_status got, const char *words)
{
    if (got != want) fail_msg("status %d: %s", got, tk_status_message());
    assert_says(words);
}

static void ok(tk_status got)
{
    assert_ok(got);
}

static const float values[6] = {1, 2, 3, 4, 5, -6.5f};
static char *const words[] = {"a", "", "a red ball drops", "\xc3\xa9t\xc3\xa9"};

static void write_sample(const char *to)
{
    hid_t f, g;
    int64_t address;
    ok(tk_h5_create(to, "talkie-test", 2, &f));
    ok(tk_h5_put_attr_str(f, "config", "model:\n  hidden: 8\n"));
    ok(tk_h5_put_attr_f64(f, "loss", 0.25));
    ok(tk_h5_put(f, "x", H5T_NATIVE_FLOAT, 2, (int64_t[]){2, 3}, values));
    ok(tk_h5_put_strings(f, "captions", 4, words));
    ok(tk_h5_group(f, "codec", &g));
    ok(tk_h5_put(g, "none", H5T_NATIVE_INT64, 2, (int64_t[]){0, 3}, NULL));
    ok(tk_h5_layout(g, "later", H5T_NATIVE_FLOAT, 1, (int64_t[]){6}, &address));
    assert_true(address > 0);
    H5Gclose(g);
    ok(tk_h5_close(f, to));
    int fd = open(to, O_WRONLY);
    ok(tk_pwrite_all(fd, to, values, sizeof values, address));
    close(fd);
}

// Reads everything the sample has; the first failure ends it.
static tk_status read_all(hid_t f, tk_arena *a)
{
    char *s, **list;
    double loss;
    void *x;
    int64_t n, bytes, address;
    TK_TRY(tk_h5_get_attr_str(f, "config", a, &s));
    TK_TRY(tk_h5_get_attr_f64(f, "loss", &loss));
    TK_TRY(tk_h5_get(f, "x", H5T_NATIVE_FLOAT, 2, (int64_t[]){-1, 3}, a, &x));
    TK_TRY(tk_h5_get_strings(f, "captions", a, &n, &list));
    TK_TRY(tk_h5_get(f, "codec/none", H5T_NATIVE_INT64, 2, (int64_t[]){-1, -1}, a, &x));
    TK_TRY(tk_h5_address(f, "codec/later", &address, &bytes));
    return TK_OK;
}

static tk_status open_and_read(const char *from)
{
    hid_t f;
    tk_arena a;
    TK_TRY(tk_h5_open(from, "talkie-test", 2, &f));
    tk_arena_init(&a, 0);
    tk_status st = read_all(f, &a);
    tk_arena_free(&a);
    H5Fclose(f);
    return st;
}

static char *slurp(const char *from, size_t *n)
{
    struct stat s;
    assert_int_equal(0, stat(from, &s));
    char *bytes = malloc((size_t)s.st_size);
    int fd = open(from, O_RDONLY);
    ok(tk_pread_all(fd, from, bytes, (size_t)s.st_size, 0));
    close(fd);
    *n = (size_t)s.st_size;
    return bytes;
}

static void spill(const char *to, const void *bytes, size_t n)
{
    unlink(to); // truncating in place makes some file systems write to the disk at close
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ok(tk_pwrite_all(fd, to, bytes, n, 0));
    close(fd);
}

static void test_h5__reads_what_was_written(void **state)
{
    (void)state;
    hid_t f;
    tk_arena a;
    char *s, **list;
    double loss = 0;
    void *x;
    int64_t n, bytes, address, dim[2] = {-1, 3};
    int ndim;
    write_sample(path);
    tk_arena_init(&a, 0);
    ok(tk_h5_open(path, "talkie-test", 2, &f));
    ok(tk_h5_get_attr_str(f, "config", &a, &s));
    assert_string_equal("model:\n  hidden: 8\n", s);
    ok(tk_h5_get_attr_f64(f, "loss", &loss));
    assert_true(loss == 0.25);
    ok(tk_h5_get(f, "x", H5T_NATIVE_FLOAT, 2, dim, &a, &x));
    assert_int_equal(2, dim[0]);
    assert_memory_equal(values, x, sizeof values);
    ok(tk_h5_get_strings(f, "captions", &a, &n, &list));
    assert_int_equal(4, n);
    for (int i = 0; i < 4; i++) assert_string_equal(words[i], list[i]);
    ok(tk_h5_shape(f, "codec/none", 2, &ndim, dim));
    assert_int_equal(2, ndim);
    assert_int_equal(0, dim[0]);
    ok(tk_h5_address(f, "codec/later", &address, &bytes));
    assert_int_equal(sizeof values, bytes);
    int fd = open(path, O_RDONLY);
    float later[6];
    ok(tk_pread_all(fd, path, later, sizeof later, address));
    assert_memory_equal(values, later, sizeof later);
    close(fd);
    assert_true(tk_h5_exists(f, "codec/later"));
    assert_false(tk_h5_exists(f, "codec/never"));
    assert_false(tk_h5_exists(f, "no/such/thing"));
    ok(tk_h5_close(f, path));
    tk_arena_free(&a);
}

static void test_h5__many_and_long_strings(void **state)
{
    (void)state;
    enum { N = 3000 };
    hid_t f;
    tk_arena a;
    char **in, **out, *big;
    int64_t n;
    tk_arena_init(&a, 0);
    in = tk_arena_alloc(&a, N * sizeof *in);
    for (int i = 0; i < N; i++)
        in[i] = tk_arena_printf(&a, "%d%*s", i, i % 97 == 0 ? 9000 : i % 60, "end");
    big = tk_arena_alloc(&a, 200001);
    memset(big, 'y', 200000);
    ok(tk_h5_create(path, "talkie-test", 1, &f));
    ok(tk_h5_put_strings(f, "names", N, in));
    ok(tk_h5_put_strings(f, "no_names", 0, NULL));
    ok(tk_h5_put_attr_str(f, "big", big));
    ok(tk_h5_put_attr_str(f, "empty", ""));
    ok(tk_h5_close(f, path));
    ok(tk_h5_open(path, "talkie-test", 1, &f));
    ok(tk_h5_get_strings(f, "names", &a, &n, &out));
    assert_int_equal(N, n);
    for (int i = 0; i < N; i++) assert_string_equal(in[i], out[i]);
    ok(tk_h5_get_strings(f, "no_names", &a, &n, &out));
    assert_int_equal(0, n);
    char *s;
    ok(tk_h5_get_attr_str(f, "big", &a, &s));
    assert_string_equal(big, s);
    ok(tk_h5_get_attr_str(f, "empty", &a, &s));
    assert_string_equal("", s);
    ok(tk_h5_close(f, path));
    tk_arena_free(&a);
}

static void test_h5__missing_foreign_and_empty(void **state)
{
    (void)state;
    expect(TK_INPUT, open_and_read("/tmp/no/such/file.h5"), "No such file");
    expect(TK_INPUT, open_and_read(dir), "not a regular file");
    spill(other, "", 0);
    expect(TK_INPUT, open_and_read(other), "empty");
    spill(other, "checkpoint: runs/world\nshots: []\n", 33);
    expect(TK_INPUT, open_and_read(other), "not an HDF5 file");
    assert_int_equal(0, unlink(other));
    assert_int_equal(0, mkfifo(other, 0600)); // must not wait for a writer
    expect(TK_INPUT, open_and_read(other), "not a regular file");
    assert_int_equal(0, unlink(other));
    hid_t f;
    write_sample(path);
    expect(TK_INPUT, tk_h5_open(path, "talkie-clips", 2, &f), "wanted is \"talkie-clips\"");
    expect(TK_INPUT, tk_h5_open(path, "talkie-test", 1, &f), "newer talkie (version 2");
    expect(TK_INPUT, tk_h5_open(path, "talkie-test", 3, &f), "older talkie (version 2");
    hid_t bare = H5Fcreate(other, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(bare);
    expect(TK_INPUT, tk_h5_open(other, "talkie-test", 1, &f), "no attribute \"format\"");
    expect(TK_INPUT, tk_h5_open(other, NULL, 0, &f), "is not a talkie file");
    ok(tk_h5_open(path, NULL, 0, &f)); // any of talkie's, of any version
    H5Fclose(f);
    ok(tk_h5_create(other, "walkie-test", 2, &f));
    ok(tk_h5_close(f, other));
    expect(TK_INPUT, tk_h5_open(other, NULL, 0, &f), "wanted is one of talkie's");
}

static void test_h5__wrong_type_and_shape(void **state)
{
    (void)state;
    hid_t f;
    tk_arena a;
    void *x;
    char **list, *s;
    int64_t n, dim[4] = {-1, -1, -1, -1}, address, bytes;
    int ndim;
    double v;
    write_sample(path);
    tk_arena_init(&a, 0);
    hid_t more = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    ok(tk_h5_put(more, "bytes", H5T_NATIVE_UINT8, 1, (int64_t[]){3}, "a\0b"));
    H5Fclose(more);
    ok(tk_h5_open(path, "talkie-test", 2, &f));
    expect(TK_INPUT, tk_h5_get(f, "y", H5T_NATIVE_FLOAT, 2, dim, &a, &x), "/y is missing");
    expect(TK_INPUT, tk_h5_get(f, "x", H5T_NATIVE_FLOAT, 1, dim, &a, &x), "shape (2, 3)");
    dim[1] = 4;
    expect(TK_INPUT, tk_h5_get(f, "x", H5T_NATIVE_FLOAT, 2, dim, &a, &x), "wanted is (any, 4)");
    expect(TK_INPUT, tk_h5_get(f, "x", H5T_NATIVE_INT64, 2, dim, &a, &x), "integers");
    expect(TK_INPUT, tk_h5_get(f, "codec", H5T_NATIVE_FLOAT, 2, dim, &a, &x), "codec");
    expect(TK_INPUT, tk_h5_get(f, "captions", H5T_NATIVE_FLOAT, 1, dim, &a, &x), "captions");
    expect(TK_INPUT, tk_h5_get_strings(f, "x", &a, &n, &list), "integers");
    expect(TK_INPUT, tk_h5_get_strings(f, "bytes", &a, &n, &list), "no end");
    expect(TK_INPUT, tk_h5_shape(f, "x", 1, &ndim, dim), "2 dimensions");
    expect(TK_INPUT, tk_h5_get_attr_str(f, "loss", &a, &s), "one string");
    expect(TK_INPUT, tk_h5_get_attr_i64(f, "loss", &n), "one integer");
    expect(TK_INPUT, tk_h5_get_attr_f64(f, "gain", &v), "missing");
    expect(TK_INPUT, tk_h5_address(f, "nowhere", &address, &bytes), "missing");
    ok(tk_h5_close(f, path));
    tk_arena_free(&a);
}

// Files that claim more than they hold: by never written chunks, by virtual and external data.
static void test_h5__claims_beyond_the_file(void **state)
{
    (void)state;
    hid_t f;
    tk_arena a;
    void *x;
    int64_t dim[1] = {-1}, address, bytes;
    hsize_t huge = (hsize_t)1 << 50, chunk = 1024, ten = 10;
    ok(tk_h5_create(path, "talkie-test", 1, &f));
    hid_t space = H5Screate_simple(1, &huge, NULL), plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Dclose(H5Dcreate2(f, "hole", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, plan, H5P_DEFAULT));
    H5Pset_chunk(plan, 1, &chunk);
    H5Pset_deflate(plan, 9);
    H5Dclose(H5Dcreate2(f, "chunks", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, plan, H5P_DEFAULT));
    hid_t outside = H5Pcreate(H5P_DATASET_CREATE), small = H5Screate_simple(1, &ten, NULL);
    H5Pset_external(outside, "/etc/passwd", 0, 40);
    H5Dclose(H5Dcreate2(f, "outside", H5T_NATIVE_INT32, small, H5P_DEFAULT, outside, H5P_DEFAULT));
    H5Pclose(outside);
    H5Pclose(plan);
    H5Sclose(small);
    H5Sclose(space);
    ok(tk_h5_close(f, path));
    tk_arena_init(&a, 0);
    ok(tk_h5_open(path, "talkie-test", 1, &f));
    expect(TK_INPUT, tk_h5_get(f, "hole", H5T_NATIVE_FLOAT, 1, dim, &a, &x), "incomplete");
    expect(TK_INPUT, tk_h5_address(f, "hole", &address, &bytes), "incomplete");
    expect(TK_INPUT, tk_h5_get(f, "chunks", H5T_NATIVE_FLOAT, 1, dim, &a, &x), "incomplete");
    expect(TK_INPUT, tk_h5_address(f, "chunks", &address, &bytes), "contiguous");
    expect(TK_INPUT, tk_h5_get(f, "outside", H5T_NATIVE_INT32, 1, dim, &a, &x), "outside");
    ok(tk_h5_close(f, path));
    tk_arena_free(&a);
}

static void test_h5__truncated_anywhere(void **state)
{
    (void)state;
    size_t n;
    write_sample(path);
    char *bytes = slurp(path, &n);
    for (size_t keep = 0; keep < n; keep += keep < 256 || keep + 64 > n ? 1 : 29) {
        spill(other, bytes, keep);
        expect(TK_INPUT, open_and_read(other), other);
    }
    free(bytes);
}

static void test_h5__same_content_same_bytes(void **state)
{
    (void)state;
    size_t n, m;
    write_sample(path);
    sleep(1); // times are in seconds
    write_sample(other);
    char *a = slurp(path, &n), *b = slurp(other, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

// A flipped byte anywhere: an error or other values, never a crash (the tests under sanitizers see
// to silent ones).
static void test_h5__flipped_anywhere(void **state)
{
    (void)state;
    size_t n, refused = 0;
    write_sample(path);
    char *bytes = slurp(path, &n);
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= (char)(1 << (i * 7 % 8));
        spill(other, bytes, n);
        bytes[i] ^= (char)(1 << (i * 7 % 8));
        tk_status st = open_and_read(other);
        assert_true(st == TK_OK || st == TK_INPUT || st == TK_IO);
        refused += st != TK_OK;
    }
    assert_true(refused > 200);
    free(bytes);
}

static void test_h5__allocation_fails(void **state)
{
    (void)state;
    write_sample(path);
    int64_t before = tk_alloc_count();
    ok(open_and_read(path));
    int64_t n = tk_alloc_count() - before;
    assert_true(n > 1);
    for (int64_t i = 1; i <= n; i++) {
        tk_alloc_fail_at(i, true);
        tk_status st = open_and_read(path);
        tk_alloc_fail_at(0, false);
        assert_int_equal(TK_MEMORY, st);
    }
}

static void test_io__full_disk(void **state)
{
    (void)state;
    hid_t f;
    static float much[1 << 18];
    struct rlimit old, low;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    low = old;
    low.rlim_cur = 200000;
    ok(tk_h5_create(path, "talkie-test", 1, &f));
    setrlimit(RLIMIT_FSIZE, &low);
    tk_status put = tk_h5_put(f, "x", H5T_NATIVE_FLOAT, 1, (int64_t[]){1 << 18}, much);
    char message[256];
    snprintf(message, sizeof message, "%s", tk_status_message());
    tk_status closed = tk_h5_close(f, path);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_true(put == TK_IO || closed == TK_IO);
    assert_non_null(strstr(put == TK_IO ? message : tk_status_message(), "disk full"));
    int fd = open("/dev/full", O_WRONLY);
    if (fd >= 0) {
        expect(TK_IO, tk_pwrite_all(fd, "/dev/full", much, 4096, 0), "disk full");
        close(fd);
    }
}

static void test_io__commit_and_short_reads(void **state)
{
    (void)state;
    char x[8];
    spill(other, "12345", 5);
    ok(tk_commit_file(other, path));
    assert_int_equal(-1, access(other, F_OK));
    int fd = open(path, O_RDONLY);
    ok(tk_pread_all(fd, path, x, 5, 0));
    assert_memory_equal("12345", x, 5);
    expect(TK_INPUT, tk_pread_all(fd, path, x, 8, 0), "truncated");
    close(fd);
    expect(TK_IO, tk_pread_all(fd, path, x, 5, 0), "cannot read");
    expect(TK_IO, tk_commit_file("/tmp/no/such", path), "/tmp/no/such");
    assert_int_equal(0, chdir(dir));
    spill("bare", "x", 1);
    ok(tk_commit_file("bare", "name"));
    assert_int_equal(0, unlink("name"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h5__reads_what_was_written),
        cmocka_unit_test(test_h5__many_and_long_strings),
        cmocka_unit_test(test_h5__missing_foreign_and_empty),
        cmocka_unit_test(test_h5__wrong_type_and_shape),
        cmocka_unit_test(test_h5__claims_beyond_the_file),
        cmocka_unit_test(test_h5__truncated_anywhere),
        cmocka_unit_test(test_h5__same_content_same_bytes),
        cmocka_unit_test(test_h5__flipped_anywhere),
        cmocka_unit_test(test_h5__allocation_fails),
        cmocka_unit_test(test_io__commit_and_short_reads),
        cmocka_unit_test(test_io__full_disk),
    };
    if (!mkdtemp(dir)) return 1;
    snprintf(path, sizeof path, "%s/a.h5", dir);
    snprintf(other, sizeof other, "%s/b.h5", dir);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(other);
    rmdir(dir);
    return failed;
}
