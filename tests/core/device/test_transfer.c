// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 30; cuda: too */
// Many tensors in one upload: each one's contents, alignment and memory.
#include "core/device/transfer.h"
#include "tests/support/test.h"
#include "tests/support/tested.h"
#include <string.h>

static tk_device d;
static tk_staging host;
static int64_t uploads;

static tk_status counted(tk_device *to, void *at, const void *from, size_t bytes)
{
    uploads++;
    return tested_device()->upload(to, at, from, bytes);
}

static int open_device(void **state)
{
    static tk_device_ops ops;
    (void)state;
    ops = *tested_device();
    ops.upload = counted;
    uploads = 0;
    assert_ok(tk_device_open(&d, &ops, 1, 1 << 16));
    tk_staging_init(&host, &d);
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    assert_int_equal(d.pool.in_use, 0);
    assert_ok(tk_device_sync(&d));
    tk_staging_free(&host);
    tk_staging_free(&host);
    tk_device_close(&d);
    return 0;
}

static void all_arrive_in_one_upload(void **state)
{
    const int32_t index[3] = {5, 6, 7};
    const float rows[4] = {1, 2, 3, 4};
    int32_t got[3];
    float put_together[6];
    tk_tensor i, none, r;
    tk_transfer x;
    (void)state;
    tk_transfer_begin(&x, &host);
    assert_ok(tk_transfer_put(&x, index, TK_I32, 3, 1, &i));
    assert_ok(tk_transfer_put(&x, NULL, TK_F32, 0, 7, &none));
    assert_ok(tk_transfer_new(&x, TK_F32, 3, 2, &r));
    assert_int_equal(tk_count(&r), 6);
    assert_null(r.data);
    assert_ok(tk_transfer_fill(&x, rows, sizeof rows / 2));
    assert_ok(tk_transfer_fill(&x, NULL, sizeof rows / 2));
    assert_ok(tk_transfer_fill(&x, rows + 2, sizeof rows / 2));
    assert_ok(tk_transfer_send(&x));
    assert_int_equal(uploads, 1);
    assert_non_null(none.data);
    assert_true((uintptr_t)i.data % 64 == 0 && (uintptr_t)r.data % 64 == 0);
    assert_ok(tk_device_get(&d, &i, got));
    assert_memory_equal(got, index, sizeof got);
    assert_ok(tk_device_get(&d, &r, put_together));
    assert_memory_equal(put_together, ((float[]){1, 2, 0, 0, 3, 4}), sizeof put_together);
    tk_transfer_free(&x);
    tk_transfer_free(&x);
}

static void wrong_contents_are_refused(void **state)
{
    const float row[2] = {1, 2};
    tk_tensor r, s;
    tk_transfer x;
    (void)state;
    tk_transfer_begin(&x, &host);
    assert_status(tk_transfer_fill(&x, row, sizeof row), TK_INTERNAL);
    assert_status(tk_transfer_put(&x, NULL, TK_F32, 1, 2, &r), TK_INTERNAL);
    assert_says("host memory at NULL");
    for (int last = 0; last < 2; last++) {
        tk_transfer_begin(&x, &host);
        if (last) assert_ok(tk_transfer_put(&x, row, TK_F32, 1, 2, &s));
        assert_ok(tk_transfer_new(&x, TK_F32, 2, 2, &r));
        assert_ok(tk_transfer_fill(&x, row, sizeof row));
        if (!last) assert_ok(tk_transfer_put(&x, row, TK_F32, 1, 2, &s));
        assert_status(tk_transfer_send(&x), TK_INTERNAL);
        assert_says("a tensor of 16 bytes was filled with 8");
        assert_null(r.data);
        tk_transfer_free(&x);
    }
    assert_int_equal(uploads, 0);
}

static void nothing_is_sent_as_nothing(void **state)
{
    tk_transfer x = {0};
    (void)state;
    tk_transfer_free(&x);
    tk_transfer_begin(&x, &host);
    assert_ok(tk_transfer_send(&x));
    assert_int_equal(uploads, 0);
    tk_transfer_free(&x);
}

// Two transfers on their way have memory of their own; a loop of equal steps soon allocates
// nothing.
static void host_memory_is_used_again(void **state)
{
    const float row[64] = {1, 2, 3};
    int64_t before = 0;
    (void)state;
    for (int step = 0; step < 6; step++) {
        tk_tensor r[2];
        tk_transfer x[2];
        if (step == 3) before = tk_alloc_count();
        for (int k = 0; k < 2; k++) {
            tk_transfer_begin(&x[k], &host);
            assert_ok(tk_transfer_put(&x[k], row, TK_F32, 64, 1, &r[k]));
            assert_ok(tk_transfer_send(&x[k]));
        }
        assert_true(host.used >= 2 * sizeof row);
        for (int k = 0; k < 2; k++) tk_transfer_free(&x[k]);
        assert_ok(tk_device_sync(&d)); // the device has read it
        tk_staging_reset(&host);
        assert_int_equal(host.used, 0);
    }
    assert_int_equal(tk_alloc_count(), before);
}

// Nobody would look at the contents: none are made.
static void a_dry_device_gets_addresses_alone(void **state)
{
    tk_device dry;
    tk_staging none;
    tk_tensor r;
    tk_transfer x;
    (void)state;
    assert_ok(tk_device_open_dry(&dry, tested_device(), 1, (size_t)1 << 46));
    tk_staging_init(&none, &dry);
    tk_transfer_begin(&x, &none);
    assert_ok(tk_transfer_new(&x, TK_F32, 1 << 20, 1 << 20, &r));
    assert_ok(tk_transfer_fill(&x, NULL, (size_t)4 << 40));
    assert_ok(tk_transfer_send(&x));
    assert_non_null(r.data);
    assert_int_equal(dry.pool.in_use, (size_t)4 << 40);
    assert_null(none.head);
    tk_transfer_free(&x);
    tk_staging_free(&none);
    tk_device_close(&dry);
}

static void several_go_as_one(void **state)
{
    const int32_t index[3] = {5, 6, 7};
    const float rows[4] = {1, 2, 3, 4};
    int32_t got[3];
    float back[4];
    tk_tensor i, r, none;
    tk_transfer all, x[3];
    (void)state;
    for (int k = 0; k < 3; k++) tk_transfer_begin(&x[k], &host);
    assert_ok(tk_transfer_put(&x[0], index, TK_I32, 3, 1, &i));
    assert_ok(tk_transfer_put(&x[1], rows, TK_F32, 2, 2, &r)); // x[2] is empty
    tk_transfer_begin(&all, &host);
    for (int k = 0; k < 3; k++) tk_transfer_join(&all, &x[k]);
    assert_ok(tk_transfer_put(&all, NULL, TK_F32, 0, 7, &none));
    assert_ok(tk_transfer_send(&x[1])); // nothing yet
    assert_null(r.data);
    assert_ok(tk_transfer_send(&all));
    assert_int_equal(uploads, 1);
    assert_int_equal((uintptr_t)r.data % 64, 0);
    for (int k = 0; k < 3; k++) tk_transfer_free(&x[k]);
    assert_ok(tk_device_get(&d, &i, got));
    assert_ok(tk_device_get(&d, &r, back));
    assert_memory_equal(got, index, sizeof got);
    assert_memory_equal(back, rows, sizeof back);
    tk_transfer_free(&all);
}

// Other numbers to where the first ones were to go.
static void bytes_go_to_where_others_were(void **state)
{
    int32_t index[3] = {5, 6, 7}, got[3];
    tk_tensor i, again;
    tk_transfer x, y;
    (void)state;
    tk_transfer_begin(&x, &host);
    assert_ok(tk_transfer_put(&x, index, TK_I32, 3, 1, &i));
    assert_ok(tk_transfer_place(&x));
    assert_int_equal(uploads, 0);
    for (int k = 0; k < 3; k++) {
        index[0] = k;
        tk_transfer_begin(&y, &host);
        assert_ok(tk_transfer_put(&y, index, TK_I32, 3, 1, &again));
        assert_ok(tk_transfer_send_to(&y, &x.block));
        tk_transfer_free(&y);
        assert_ok(tk_device_get(&d, &i, got));
        assert_memory_equal(got, index, sizeof got);
    }
    tk_transfer_begin(&y, &host);
    assert_ok(tk_transfer_put(&y, index, TK_I32, 2, 1, &again));
    assert_int_equal(tk_transfer_send_to(&y, &x.block), TK_INTERNAL);
    assert_says("a transfer of 8 bytes in the place of one of 12");
    tk_transfer_free(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_arrive_in_one_upload, open_device, close_device),
        cmocka_unit_test_setup_teardown(wrong_contents_are_refused, open_device, close_device),
        cmocka_unit_test_setup_teardown(nothing_is_sent_as_nothing, open_device, close_device),
        cmocka_unit_test_setup_teardown(host_memory_is_used_again, open_device, close_device),
        cmocka_unit_test_setup_teardown(several_go_as_one, open_device, close_device),
        cmocka_unit_test_setup_teardown(bytes_go_to_where_others_were, open_device, close_device),
        cmocka_unit_test_setup_teardown(a_dry_device_gets_addresses_alone, open_device,
                                        close_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
