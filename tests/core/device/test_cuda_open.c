// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 30 */
// The device "cuda": where it cannot be had, words that say what would be right.
#include "core/device/device.h"
#include "tests/support/test.h"
#ifdef TK_CUDA
#include "core/device/cuda/cuda.h"

// Code for an architecture runs on it and on later ones of its generation; of "a" on it alone.
static void architectures_fit(void **state)
{
    (void)state;
    assert_true(tk_cuda_fits("90a", 9, 0));
    assert_false(tk_cuda_fits("90a", 9, 1));
    assert_false(tk_cuda_fits("90a", 10, 0));
    assert_true(tk_cuda_fits("80", 8, 0));
    assert_true(tk_cuda_fits("80", 8, 6));
    assert_false(tk_cuda_fits("86", 8, 0));
    assert_false(tk_cuda_fits("80", 9, 0));
    assert_true(tk_cuda_fits("90a  100f", 10, 3));
    assert_true(tk_cuda_fits("90a 120", 12, 1));
    assert_false(tk_cuda_fits("", 9, 0));
    assert_false(tk_cuda_fits("native", 9, 0));
}
#endif

// Opened, or refused in words for the user; and opened again after.
static void it_opens_or_says_why_not(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        tk_device d;
        const tk_status st = tk_device_open(&d, tk_device_find(TK_DEVICE_CUDA), 1, 1 << 20);
        if (st == TK_OK) {
            assert_string_equal(d.ops->name, "cuda");
        } else {
            assert_status(st, TK_INPUT);
            assert_int_equal(tk_status_exit_code(st), 2);
            assert_says("device=cuda: ");
            assert_says("device=cpu");
            assert_null(d.ops);
        }
        tk_device_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef TK_CUDA
        cmocka_unit_test(architectures_fit),
#endif
        cmocka_unit_test(it_opens_or_says_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
