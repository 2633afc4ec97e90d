// SPDX-License-Identifier: Apache-2.0
#include "core/numbers/tensor.h"
#include "tests/support/test.h"
#include <math.h>

static void test_tensor__views(void **state)
{
    (void)state;
    float x[12];
    tk_tensor t = tk_tensor_2d(x, TK_F32, 4, 3);
    assert_int_equal(tk_count(&t), 12);
    assert_int_equal(tk_bytes(&t), 48);
    assert_int_equal(tk_rows(&t), 4);
    assert_int_equal(tk_cols(&t), 3);
    tk_tensor part = tk_tensor_rows(t, 1, 2);
    assert_ptr_equal(part.data, x + 3);
    assert_int_equal(part.dim[0], 2);
    assert_int_equal(part.dim[1], 3);
    tk_tensor none = tk_tensor_rows(t, 4, 0);
    assert_int_equal(tk_count(&none), 0);
    tk_tensor again = tk_tensor_reshape(t, 2, 6);
    assert_ptr_equal(again.data, x);
    assert_int_equal(again.dim[1], 6);
    tk_tensor half = tk_tensor_rows(tk_tensor_2d(x, TK_BF16, 4, 3), 2, 1);
    assert_ptr_equal(half.data, (char *)x + 12);
    assert_int_equal(tk_bytes(&half), 6);
    tk_tensor absent = tk_tensor_rows(tk_tensor_2d(NULL, TK_F32, 4, 3), 2, 1);
    assert_null(absent.data);
}

static void test_tensor__shape_in_words(void **state)
{
    (void)state;
    char buf[40], tiny[5];
    tk_tensor t = tk_tensor_2d(NULL, TK_F32, 193, 192);
    tk_tensor_print_shape(&t, buf, sizeof buf);
    assert_string_equal(buf, "(193, 192) f32");
    tk_tensor_print_shape(&t, tiny, sizeof tiny);
    assert_string_equal(tiny, "(193");
    t = tk_tensor_1d(NULL, TK_BF16, 7);
    tk_tensor_print_shape(&t, buf, sizeof buf);
    assert_string_equal(buf, "(7) bf16");
}

static void test_split__covers_evenly(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 40; n++)
        for (int64_t parts = 1; parts < 12; parts++) {
            int64_t at = 0, largest = 0, smallest = INT64_MAX, before = INT64_MAX;
            for (int64_t i = 0; i < parts; i++) {
                int64_t count = tk_split_count(n, parts, i);
                assert_int_equal(tk_split_begin(n, parts, i), at);
                assert_true(count <= before); // larger shares first
                before = count;
                at += count;
                largest = count > largest ? count : largest;
                smallest = count < smallest ? count : smallest;
            }
            assert_int_equal(at, n);
            assert_true(largest - smallest <= 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensor__views),
        cmocka_unit_test(test_tensor__shape_in_words),
        cmocka_unit_test(test_split__covers_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
