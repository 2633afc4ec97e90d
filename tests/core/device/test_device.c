// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 30 */
// Moving bytes to, from and inside a device: what arrives, and what is refused before any device
// sees it.
#include "core/device/device.h"
#include "tests/support/test.h"

enum { POOL = 1 << 16 };

static void bytes_arrive_as_they_were_sent(void **state)
{
    (void)state;
    const tk_device_ops *const ops[] = {&tk_device_ref, &tk_device_cpu};
    for (int k = 0; k < 2; k++) {
        tk_device d;
        tk_tensor a = {0}, b = {0};
        const float sent[4] = {1, 2, 3, 4};
        float got[4] = {0};
        assert_ok(tk_device_open(&d, ops[k], 1, POOL));
        assert_true(tk_device_computes(&d));
        assert_ok(tk_device_put(&d, sent, TK_F32, 4, 1, &a));
        assert_ok(tk_device_new(&d, TK_F32, 4, 1, &b));
        assert_ok(tk_device_zero(&d, b.data, tk_bytes(&b)));
        assert_ok(tk_device_copy(&d, (char *)b.data + 4, a.data, 12));
        assert_ok(tk_device_get(&d, &b, got));
        for (int i = 0; i < 4; i++) assert_true(got[i] == (float)i);
        tk_device_close(&d);
    }
}

static void what_lies_outside_is_refused(void **state)
{
    (void)state;
    const tk_device_ops *const ops[] = {&tk_device_ref, &tk_device_cpu, &tk_device_dry};
    for (int k = 0; k < 3; k++) {
        tk_device d;
        tk_tensor a = {0};
        char host[64] = {0};
        assert_ok(tk_device_open(&d, ops[k], 1, POOL));
        assert_ok(tk_device_new(&d, TK_F32, 16, 1, &a));
        char *const end = d.pool.base + POOL;
        assert_status(tk_device_upload(&d, end - 32, host, 64), TK_INTERNAL);
        assert_says("upload: 64 bytes at");
        assert_says("do not lie in the pool");
        assert_status(tk_device_upload(&d, a.data, NULL, 64), TK_INTERNAL);
        assert_says("upload: 64 bytes of host memory at NULL");
        assert_status(tk_device_download(&d, NULL, a.data, 64), TK_INTERNAL);
        assert_status(tk_device_download(&d, host, NULL, 64), TK_INTERNAL);
        assert_status(tk_device_copy(&d, a.data, d.pool.base - 64, 64), TK_INTERNAL);
        assert_says("copy from");
        assert_status(tk_device_copy(&d, end, a.data, 1), TK_INTERNAL);
        assert_status(tk_device_zero(&d, a.data, SIZE_MAX), TK_INTERNAL);
        assert_ok(tk_device_zero(&d, NULL, 0));
        assert_ok(tk_device_upload(&d, end, NULL, 0));
        tk_device_close(&d);
    }
}

static void rows_of_two_strides_are_copied(void **state)
{
    (void)state;
    const tk_device_ops *const ops[] = {&tk_device_ref, &tk_device_cpu};
    for (int k = 0; k < 2; k++) {
        tk_device d;
        tk_tensor a = {0}, b = {0};
        float sent[12], got[20] = {0};
        for (int i = 0; i < 12; i++) sent[i] = (float)(i + 1);
        assert_ok(tk_device_open(&d, ops[k], 1, POOL));
        assert_ok(tk_device_put(&d, sent, TK_F32, 3, 4, &a));
        assert_ok(tk_device_new(&d, TK_F32, 4, 5, &b));
        assert_ok(tk_device_zero(&d, b.data, tk_bytes(&b)));
        float *const to = b.data;
        const float *const from = a.data;
        assert_ok(tk_device_copy_2d(&d, to + 5 + 1, 5 * 4, from + 2, 4 * 4, 3, 2 * 4));
        assert_ok(tk_device_copy_2d(&d, to + 5 + 3, 5 * 4, to + 5 + 1, 5 * 4, 3, 2 * 4)); // columns
        assert_ok(tk_device_get(&d, &b, got));
        for (int r = 0; r < 4; r++) {
            const float x = (float)(r * 4 - 1), y = x + 1;
            const float want[5] = {0, x, y, x, y};
            for (int c = 0; c < 5; c++) assert_true(got[r * 5 + c] == (r ? want[c] : 0));
        }
        tk_device_close(&d);
    }
}

static void copies_that_overlap_or_leave_the_pool_are_refused(void **state)
{
    (void)state;
    const tk_device_ops *const ops[] = {&tk_device_ref, &tk_device_cpu, &tk_device_dry};
    for (int k = 0; k < 3; k++) {
        tk_device d;
        tk_tensor a = {0};
        assert_ok(tk_device_open(&d, ops[k], 1, POOL));
        assert_ok(tk_device_new(&d, TK_F32, 64, 16, &a));
        char *const x = a.data, *const end = d.pool.base + POOL;
        assert_status(tk_device_copy(&d, x + 60, x, 64), TK_INTERNAL);
        assert_says("overlap");
        assert_ok(tk_device_copy(&d, x + 64, x, 64));
        // Columns [0, 16) of rows of 64 bytes into [48, 64) and into [56, 72), the next row's
        // begin.
        assert_ok(tk_device_copy_2d(&d, x + 48, 64, x, 64, 8, 16));
        assert_status(tk_device_copy_2d(&d, x + 56, 64, x, 64, 8, 16), TK_INTERNAL);
        assert_status(tk_device_copy_2d(&d, x, 64, x + 8, 64, 8, 16), TK_INTERNAL);
        assert_says("overlap");
        assert_status(tk_device_copy_2d(&d, x + 16, 32, x, 64, 8, 16), TK_INTERNAL);
        assert_status(tk_device_copy_2d(&d, x + 1024, 8, x, 64, 8, 16), TK_INTERNAL);
        assert_says("8 rows of 16 bytes cannot lie 8 bytes apart");
        assert_status(tk_device_copy_2d(&d, x + 1024, SIZE_MAX / 2, x, 64, 4, 16), TK_INTERNAL);
        assert_ok(tk_device_copy_2d(&d, end - 80, 64, x, 64, 2, 16));
        assert_status(tk_device_copy_2d(&d, end - 79, 64, x, 64, 2, 16), TK_INTERNAL);
        assert_says("copy to: 80 bytes at");
        assert_status(tk_device_copy_2d(&d, x, 64, end - 79, 64, 2, 16), TK_INTERNAL);
        assert_ok(tk_device_copy_2d(&d, NULL, 0, NULL, 0, 0, 16));
        assert_ok(tk_device_copy_2d(&d, NULL, 0, NULL, 0, 2, 0));
        tk_device_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_as_they_were_sent),
        cmocka_unit_test(what_lies_outside_is_refused),
        cmocka_unit_test(rows_of_two_strides_are_copied),
        cmocka_unit_test(copies_that_overlap_or_leave_the_pool_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
