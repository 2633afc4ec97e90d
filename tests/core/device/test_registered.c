// SPDX-License-Identifier: Apache-2.0
// Registered memory of a device: a second pool for what is sent, with the order of queues that the
// first has, and no way around it.
#include "core/device/comm/comm.h"
#include "tests/support/test.h"
#include <stdlib.h>

enum { POOL = 1 << 20, REGISTERED = 64 << 10 };

typedef struct rig {
    tk_device device;
    void *memory;
} rig;

static void open_rig(rig *r)
{
    r->memory = aligned_alloc(64, REGISTERED);
    assert_non_null(r->memory);
    assert_ok(tk_device_open(&r->device, &tk_device_cpu, 1, POOL));
}

static void close_rig(rig *r)
{
    tk_device_close(&r->device);
    free(r->memory);
}

static bool is_registered(rig *r, const tk_tensor *t)
{
    return tk_device_pool_of(&r->device, t->data) == &r->device.registered;
}

static void new_bytes(rig *r, int64_t bytes, tk_tensor *t)
{
    assert_ok(tk_device_new_sent(&r->device, TK_FOR_ACTIVATIONS, TK_F32, bytes / 4, 1, t));
}

static void test_register__what_is_sent_lies_apart(void **state)
{
    rig r;
    tk_tensor sent, kept, message, back;
    const float numbers[4] = {1, 2, 3, 4};
    float got[4] = {0};
    (void)state;
    open_rig(&r);
    new_bytes(&r, sizeof numbers, &sent);
    assert_false(is_registered(&r, &sent));
    tk_device_free(&r.device, &sent);
    assert_ok(tk_device_register(&r.device, r.memory, REGISTERED));
    new_bytes(&r, sizeof numbers, &sent);
    assert_ok(tk_device_new_for(&r.device, TK_FOR_MESSAGES, TK_F32, 4, 1, &message));
    assert_ok(tk_device_new(&r.device, TK_F32, 4, 1, &kept));
    assert_ptr_equal(sent.data, r.memory);
    assert_true(is_registered(&r, &message));
    assert_false(is_registered(&r, &kept));
    assert_int_equal(r.device.registered.held[TK_FOR_MESSAGES], 64);
    assert_ok(tk_device_upload(&r.device, sent.data, numbers, sizeof numbers));
    assert_ok(tk_device_copy(&r.device, kept.data, sent.data, sizeof numbers));
    assert_ok(tk_device_copy(&r.device, message.data, kept.data, sizeof numbers));
    assert_ok(tk_device_get(&r.device, &message, got));
    assert_memory_equal(got, numbers, sizeof got);
    tk_device_free(&r.device, &sent);
    tk_device_free(&r.device, &message);
    assert_int_equal(r.device.registered.in_use, 0);
    tk_device_unregister(&r.device);
    new_bytes(&r, sizeof numbers, &back);
    assert_false(is_registered(&r, &back));
    close_rig(&r);
}

static void test_register__full_is_said_and_nothing_else_is_taken(void **state)
{
    rig r;
    tk_tensor all, more;
    (void)state;
    open_rig(&r);
    assert_ok(tk_device_register(&r.device, r.memory, REGISTERED));
    assert_status(tk_device_register(&r.device, r.memory, REGISTERED), TK_INTERNAL);
    assert_status(tk_device_new_sent(&r.device, TK_FOR_GRADIENTS, TK_F32, REGISTERED / 4, 1, &all),
                  TK_MEMORY); // the last unit is nobody's
    new_bytes(&r, REGISTERED - 64, &all);
    const size_t peak = r.device.registered.peak;
    assert_status(tk_device_new_sent(&r.device, TK_FOR_GRADIENTS, TK_F32, 16, 1, &more), TK_MEMORY);
    assert_says("for gradients do not fit");
    assert_says("parallel.register_buffers=false");
    tk_status_clear();
    assert_int_equal(r.device.registered.peak, peak);
    assert_int_equal(r.device.pool.peak, 0);
    close_rig(&r);
}

// A block freed on one queue is another's once that has waited: also where the events that it
// waited for are older than the registration.
static void test_register__keeps_the_order_of_queues(void **state)
{
    rig r;
    tk_event e;
    tk_tensor a, b;
    (void)state;
    open_rig(&r);
    tk_device *d = &r.device;
    assert_ok(tk_event_open(&e, d));
    for (int i = 0; i < 3; i++) assert_ok(tk_event_record(&e, TK_QUEUE_COMPUTE));
    assert_ok(tk_device_register(d, r.memory, REGISTERED));
    assert_ok(tk_event_wait(&e, TK_QUEUE_DATA)); // of before
    new_bytes(&r, REGISTERED - 64, &a);
    tk_device_free(d, &a);
    tk_device_on(d, TK_QUEUE_DATA);
    assert_status(tk_device_new_sent(d, TK_FOR_ACTIVATIONS, TK_F32, 1, 1, &b), TK_MEMORY);
    tk_status_clear();
    assert_ok(tk_event_record(&e, TK_QUEUE_COMPUTE));
    assert_ok(tk_event_wait(&e, TK_QUEUE_DATA));
    new_bytes(&r, REGISTERED - 64, &b);
    tk_device_free(d, &b);
    tk_device_on(d, TK_QUEUE_COMPUTE);
    assert_status(tk_device_new_sent(d, TK_FOR_ACTIVATIONS, TK_F32, 1, 1, &a), TK_MEMORY);
    tk_status_clear();
    assert_ok(tk_device_sync(d));
    new_bytes(&r, REGISTERED - 64, &a);
    tk_event_close(&e);
    close_rig(&r);
}

static void refuse(tk_status st)
{
    assert_status(st, TK_INTERNAL);
    assert_says("do not lie in the memory that is registered");
    tk_status_clear();
}

static void test_comm__takes_registered_memory_alone(void **state)
{
    rig r;
    tk_comm host;
    tk_device_comm c;
    tk_request q;
    tk_tensor in, out, kept;
    const int64_t counts[2] = {2, 2};
    (void)state;
    open_rig(&r);
    tk_comm_dry(&host, "tensor", 0, 2);
    tk_device_comm_dry(&c, &host, &r.device, TK_QUEUE_DATA);
    assert_ok(tk_device_new(&r.device, TK_F32, 4, 1, &kept));
    assert_ok(tk_all_reduce(&c, kept.data, 4, TK_F32, TK_SUM)); // nothing is registered
    assert_ok(tk_device_register(&r.device, r.memory, REGISTERED));
    new_bytes(&r, 16, &in);
    new_bytes(&r, 16, &out);
    refuse(tk_all_reduce(&c, kept.data, 4, TK_F32, TK_SUM));
    refuse(tk_broadcast(&c, kept.data, 4, TK_F32, 1));
    refuse(tk_all_gather(&c, kept.data, out.data, counts, 1, TK_F32));
    refuse(tk_all_gather(&c, in.data, kept.data, counts, 1, TK_F32));
    refuse(tk_reduce_scatter(&c, kept.data, out.data, counts, 1, TK_F32));
    refuse(tk_isend(&c, kept.data, 4, TK_F32, 1, &q));
    refuse(tk_irecv(&c, kept.data, 4, TK_F32, 1, &q));
    assert_ok(tk_all_gather(&c, in.data, out.data, counts, 1, TK_F32));
    assert_ok(tk_reduce_scatter(&c, in.data, kept.data, counts, 1, TK_F32)); // the device's own
    assert_ok(tk_isend(&c, in.data, 4, TK_F32, 1, &q));
    assert_ok(tk_wait(&c, &q));
    tk_device_comm_close(&c);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register__what_is_sent_lies_apart),
        cmocka_unit_test(test_register__full_is_said_and_nothing_else_is_taken),
        cmocka_unit_test(test_register__keeps_the_order_of_queues),
        cmocka_unit_test(test_comm__takes_registered_memory_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
