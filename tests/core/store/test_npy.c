// SPDX-License-Identifier: Apache-2.0
// .npy files: those that numpy writes are read, number for number; all others are refused in words,
// each for its own reason.
/*TEST timeout: 60 */
#include "core/store/npy.h"
#include "tests/support/npy.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static char dir[] = "/tmp/test_npy.XXXXXX";
static char path[64];

static void write_bytes(const void *x, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(x, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

// What numpy 2.4 saves of numpy.array([[1, -2.5], [0.5, 3]], dtype), byte for byte.
static const char head32[] =
    "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }            "
    "                                              \n";
static const char head16[] =
    "\x93NUMPY\x01\x00v\x00{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2), }            "
    "                                              \n";

static void read_and_compare(const char *head, const void *numbers, size_t bytes, bool half)
{
    static const float want[] = {1, -2.5f, 0.5f, 3};
    unsigned char file[256];
    float x[4];
    tk_npy n;
    memcpy(file, head, 128);
    memcpy(file + 128, numbers, bytes);
    write_bytes(file, 128 + bytes);
    assert_ok(tk_npy_look(path, &n));
    assert_int_equal(n.rows, 2);
    assert_int_equal(n.cols, 2);
    assert_int_equal(n.half, half);
    assert_ok(tk_npy_read(&n, x));
    assert_memory_equal(x, want, sizeof want);
}

static void test_numpys_own(void **state)
{
    (void)state;
    assert_int_equal(sizeof head32 - 1, 128);
    assert_int_equal(sizeof head16 - 1, 128);
    read_and_compare(head32, "\x00\x00\x80\x3f\x00\x00\x20\xc0\x00\x00\x00\x3f\x00\x00\x40\x40", 16,
                     false);
    read_and_compare(head16, "\x00\x3c\x00\xc1\x00\x38\x00\x42", 8, true);
}

// More numbers than are read at a time.
static void test_many(void **state)
{
    enum { ROWS = 70, COLS = 2001 };
    static float x[ROWS * COLS], y[ROWS * COLS];
    tk_npy n;
    (void)state;
    for (int i = 0; i < ROWS * COLS; i++) x[i] = (float)(i % 2047) - 1000;
    for (int half = 0; half < 2; half++) {
        test_write_npy(path, ROWS, COLS, half, x);
        assert_ok(tk_npy_look(path, &n));
        assert_ok(tk_npy_read(&n, y));
        assert_memory_equal(x, y, sizeof x);
    }
}

static void refuse(const char *words)
{
    tk_npy n;
    static float x[64];
    tk_status st = tk_npy_look(path, &n);
    if (st == TK_OK) st = tk_npy_read(&n, x);
    if (st != TK_INPUT) fail_msg("not refused: %s", words);
    assert_says(words);
    assert_says(path);
    tk_status_clear();
}

static void refuse_head(const char *text, size_t bytes, const char *words)
{
    static const float zeros[64];
    test_forge_npy(path, text, zeros, bytes);
    refuse(words);
}

static void test_refused(void **state)
{
    (void)state;
#define HEAD(type, order, shape) \
    "{'descr': " type ", 'fortran_order': " order ", 'shape': " shape "}"
    refuse_head(HEAD("'<f8'", "False", "(2, 2)"), 32, "\"<f8\"");
    refuse_head(HEAD("'>f4'", "False", "(2, 2)"), 16, "\">f4\"");
    refuse_head(HEAD("'|O'", "False", "(2, 2)"), 16, "\"|O\"");
    refuse_head(HEAD("[('a', '<f4')]", "False", "(2, 2)"), 16, "[('a'");
    refuse_head("{'fortran_order': False, 'shape': (2, 2)}", 16, "\"none\"");
    refuse_head(HEAD("'<f4'", "True", "(2, 2)"), 16, "Fortran order");
    refuse_head(HEAD("'<f4'", "Maybe", "(2, 2)"), 16, "fortran_order");
    refuse_head(HEAD("'<f4'", "False", "(4,)"), 16, "of shape (4,)");
    refuse_head(HEAD("'<f4'", "False", "(1, 2, 2)"), 16, "of shape (1, 2, 2)");
    refuse_head(HEAD("'<f4'", "False", "()"), 4, "of shape ()");
    refuse_head(HEAD("'<f4'", "False", "(0, 4)"), 0, "of shape (0, 4)");
    refuse_head(HEAD("'<f4'", "False", "(-1, 4)"), 16, "of shape (-1, 4)");
    refuse_head(HEAD("'<f4'", "False", "(65537, 4)"), 16, "of shape (65537, 4)");
    refuse_head(HEAD("'<f4'", "False", "(99999999999999999999, 4)"), 16, "of shape (9999");
    refuse_head(HEAD("'<f4'", "False", "(2, 2"), 16, "of shape (2, 2");
    refuse_head("{'descr': '<f4', 'fortran_order': False}", 16, "of shape none");
    refuse_head(HEAD("'<f4'", "False", "(2, 2)"), 12, "cut off");
    refuse_head(HEAD("'<f4'", "False", "(60000, 60000)"), 16, "cut off");
    refuse_head(HEAD("'<f4'", "False", "(2, 2)"), 20, "damaged");
}

static void test_no_such_file(void **state)
{
    (void)state;
    unlink(path);
    refuse("No such file");
    write_bytes("", 0);
    refuse("0 bytes");
    write_bytes("PK\x03\x04 a zip, as of numpy.savez", 32);
    refuse("numpy.save");
    write_bytes("\x93NUMPY\x09\x00\x10\x00{}          ", 22);
    refuse("version 9");
    write_bytes("\x93NUMPY\x02\x00\xff\xff\xff\xff{}", 14);
    refuse("4294967295");
    write_bytes("\x93NUMPY\x01\x00\x00\x0e{}", 12);
    refuse("3584");
}

static void test_not_finite(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, NAN};
    test_write_npy(path, 3, 2, false, x);
    refuse("number 1 of row 2 (from 0) is not finite");
    const float y[] = {1, 2, -INFINITY, 4, 5, 6};
    test_write_npy(path, 3, 2, true, y);
    refuse("number 0 of row 1 (from 0) is not finite");
}

static int open_folder(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return 1;
    snprintf(path, sizeof path, "%s/x.npy", dir);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numpys_own), cmocka_unit_test(test_many),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_no_such_file),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, open_folder, remove_folder);
}
