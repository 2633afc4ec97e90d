// SPDX-License-Identifier: Apache-2.0
// Device communicators without a transport, and the arguments that all of them refuse. Between real
// ranks: tests/parallel/test_device_comm.c.
#include "core/device/ledger.h"
#include "tests/support/test.h"

enum { POOL = 1 << 20 };

typedef struct rig {
    tk_comm host;
    tk_device device;
    tk_device_comm comm;
    tk_tensor x, y; // (3)
} rig;

static void open_rig(rig *r, const tk_device_ops *ops, int rank, int size)
{
    tk_comm_dry(&r->host, "tensor", rank, size);
    if (ops)
        assert_ok(tk_device_open(&r->device, ops, 1, POOL));
    else
        assert_ok(tk_device_open_dry(&r->device, &tk_device_cpu, 1, POOL));
    if (size == 1)
        tk_device_comm_self(&r->comm, &r->host, &r->device);
    else
        tk_device_comm_dry(&r->comm, &r->host, &r->device, TK_QUEUE_DATA);
    assert_ok(tk_device_new(&r->device, TK_F32, 1, 3, &r->x));
    assert_ok(tk_device_new(&r->device, TK_F32, 1, 3, &r->y));
}

static void close_rig(rig *r)
{
    tk_device_comm_close(&r->comm);
    assert_null(r->comm.ops);
    tk_device_close(&r->device);
}

static void refuse(tk_status st, const char *words)
{
    assert_status(st, TK_INTERNAL);
    assert_says(words);
    tk_status_clear();
}

static void test_self__copies(void **state)
{
    rig r;
    const int64_t counts[1] = {3}, two[1] = {2};
    float back[3] = {0};
    (void)state;
    open_rig(&r, &tk_device_cpu, 0, 1);
    assert_ok(tk_device_upload(&r.device, r.x.data, (float[]){1, 2, 3}, sizeof back));
    assert_ok(tk_all_reduce(&r.comm, r.x.data, 3, TK_F32, TK_SUM));
    assert_ok(tk_all_gather(&r.comm, r.x.data, r.y.data, counts, 1, TK_F32));
    assert_ok(tk_device_get(&r.device, &r.y, back));
    assert_memory_equal(back, ((float[]){1, 2, 3}), sizeof back);
    assert_ok(tk_device_upload(&r.device, r.y.data, (float[]){9, 8, 7}, sizeof back));
    assert_ok(tk_reduce_scatter(&r.comm, r.y.data, r.x.data, two, 1, TK_F32));
    assert_ok(tk_device_get(&r.device, &r.x, back));
    assert_memory_equal(back, ((float[]){9, 8, 3}), sizeof back);
    assert_ok(tk_all_gather(&r.comm, r.x.data, r.x.data, counts, 1, TK_F32)); // in place
    assert_ok(tk_broadcast(&r.comm, r.x.data, 3, TK_F32, 0));
    assert_ok(tk_device_upload(&r.device, r.x.data, (uint16_t[]){1, 2, 3, 4, 5, 6}, sizeof back));
    assert_ok(tk_all_gather(&r.comm, r.x.data, r.y.data, two, 1, TK_BF16));
    assert_ok(tk_device_get(&r.device, &r.y, back));
    assert_memory_equal(back, ((uint16_t[]){1, 2}), 2 * sizeof(uint16_t));
    assert_memory_equal(back + 1, ((float[]){8, 7}), 2 * sizeof(float));
    assert_int_equal(r.comm.bytes_sent, 0);
    close_rig(&r);
}

static void test_dry__touches_nothing_and_counts(void **state)
{
    rig r;
    tk_request q;
    const int64_t counts[3] = {1, 1, 1};
    (void)state;
    open_rig(&r, NULL, 1, 3); // whose memory is not there
    assert_ok(tk_all_reduce(&r.comm, r.x.data, 3, TK_F32, TK_SUM));
    assert_int_equal(r.comm.bytes_sent, 24);
    assert_ok(tk_all_gather(&r.comm, r.x.data, r.y.data, counts, 1, TK_BF16));
    assert_int_equal(r.comm.bytes_sent, 28);
    assert_ok(tk_reduce_scatter(&r.comm, r.x.data, r.y.data, counts, 1, TK_F32));
    assert_int_equal(r.comm.bytes_sent, 36);
    assert_ok(tk_broadcast(&r.comm, r.x.data, 3, TK_F32, 0));
    assert_int_equal(r.comm.bytes_sent, 36);
    assert_ok(tk_group_begin(&r.comm));
    assert_ok(tk_isend(&r.comm, r.x.data, 3, TK_F32, 2, &q));
    assert_ok(tk_irecv(&r.comm, r.y.data, 3, TK_F32, 0, &q));
    assert_ok(tk_group_end(&r.comm));
    assert_ok(tk_wait(&r.comm, &q));
    assert_int_equal(r.comm.bytes_sent, 48);
    close_rig(&r);
}

// A dry run in the place of a GPU takes the memory of what other ranks send for a sum, for as long.
static void test_dry__holds_the_parts_of_a_sum(void **state)
{
    rig r;
    const int64_t counts[3] = {1, 0, 2};
    (void)state;
    open_rig(&r, NULL, 1, 3);
    assert_ok(tk_reduce_scatter(&r.comm, r.x.data, r.y.data, counts, 1, TK_F32));
    assert_int_equal(r.device.pool.peak, r.device.pool.in_use); // the processor's is not the pool's
    close_rig(&r);
    if (!tk_device_find(TK_DEVICE_CUDA)) return;
    open_rig(&r, NULL, 1, 3);
    r.device.stands_for = tk_device_find(TK_DEVICE_CUDA);
    const size_t before = r.device.pool.in_use;
    assert_ok(tk_reduce_scatter(&r.comm, r.x.data, r.y.data, counts, 1, TK_F32));
    assert_int_equal(r.device.pool.in_use, before);
    assert_int_equal(r.device.pool.peak, before + 2 * 16 * sizeof(float));
    assert_ok(tk_all_reduce(&r.comm, r.x.data, 3, TK_F32, TK_SUM)); // small: all at once
    assert_int_equal(r.device.pool.peak, before + 2 * 16 * sizeof(float));
    close_rig(&r);
}

static void test_ranks__that_are_not_there(void **state)
{
    rig r;
    tk_request q = {.id = 7};
    (void)state;
    open_rig(&r, &tk_device_cpu, 1, 3);
    refuse(tk_broadcast(&r.comm, r.x.data, 3, TK_F32, 3),
           "broadcast from rank 3: the tensor communicator has 3");
    refuse(tk_broadcast(&r.comm, r.x.data, 3, TK_F32, -1), "broadcast from rank -1");
    refuse(tk_isend(&r.comm, r.x.data, 3, TK_F32, 3, &q),
           "send to rank 3: the tensor communicator has 3");
    assert_int_equal(q.id, 0); // nothing to wait for
    refuse(tk_irecv(&r.comm, r.x.data, 3, TK_F32, -1, &q), "receive from rank -1");
    refuse(tk_isend(&r.comm, r.x.data, 3, TK_F32, 1, &q),
           "send to rank 1 of the tensor communicator, which is this rank");
    refuse(tk_irecv(&r.comm, r.x.data, 3, TK_F32, 1, &q), "which is this rank");
    close_rig(&r);
    open_rig(&r, &tk_device_cpu, 0, 1); // nobody to send to
    refuse(tk_isend(&r.comm, r.x.data, 3, TK_F32, 0, &q), "which is this rank");
    refuse(tk_irecv(&r.comm, r.x.data, 3, TK_F32, 1, &q), "the tensor communicator has 1");
    close_rig(&r);
}

static void test_buffers__outside_the_pool(void **state)
{
    rig r;
    tk_request q;
    float host[9] = {0};
    const int64_t counts[3] = {1, 1, 1}, none[3] = {0}, bad[3] = {1, -1, 1};
    (void)state;
    open_rig(&r, &tk_device_cpu, 1, 3);
    char *end = r.device.pool.base + r.device.pool.bytes;
    refuse(tk_all_reduce(&r.comm, host, 3, TK_F32, TK_SUM),
           "all_reduce over the tensor communicator: 3 elements at ");
    refuse(tk_all_reduce(&r.comm, NULL, 3, TK_F32, TK_SUM), "do not lie in the pool of device cpu");
    refuse(tk_all_reduce(&r.comm, end - 8, 3, TK_F32, TK_SUM), "do not lie in the pool");
    refuse(tk_all_reduce(&r.comm, r.x.data, -1, TK_F32, TK_SUM), "-1 elements");
    assert_ok(tk_all_reduce(&r.comm, end - 8, 2, TK_F32, TK_SUM));
    assert_ok(tk_all_reduce(&r.comm, host, 0, TK_F32, TK_SUM)); // nothing lies anywhere
    refuse(tk_all_gather(&r.comm, host, r.y.data, counts, 1, TK_F32), "all_gather from");
    refuse(tk_all_gather(&r.comm, r.x.data, host, counts, 1, TK_F32), "all_gather to");
    refuse(tk_all_gather(&r.comm, r.x.data, end - 8, counts, 1, TK_F32), "3 elements");
    refuse(tk_all_gather(&r.comm, r.x.data, r.y.data, bad, 1, TK_F32), "a negative count");
    refuse(tk_reduce_scatter(&r.comm, host, r.y.data, counts, 1, TK_F32), "reduce_scatter from");
    refuse(tk_reduce_scatter(&r.comm, r.x.data, host, counts, 1, TK_F32), "reduce_scatter to");
    refuse(tk_reduce_scatter(&r.comm, r.x.data, r.y.data, counts, -1, TK_F32), "a negative count");
    assert_ok(tk_all_gather(&r.comm, NULL, host, none, 1, TK_F32));
    refuse(tk_broadcast(&r.comm, host, 3, TK_F32, 0), "broadcast over the tensor communicator");
    refuse(tk_isend(&r.comm, host, 3, TK_F32, 0, &q), "send over the tensor communicator");
    refuse(tk_irecv(&r.comm, host, 3, TK_F32, 0, &q), "receive over the tensor communicator");
    assert_ok(tk_irecv(&r.comm, host, 0, TK_F32, 0, &q));
    close_rig(&r);
}

static void test_groups__hold_messages_only(void **state)
{
    rig r;
    tk_request q;
    const int64_t counts[3] = {1, 1, 1};
    (void)state;
    open_rig(&r, &tk_device_cpu, 1, 3);
    refuse(tk_group_end(&r.comm), "the end of a group that has not begun");
    assert_ok(tk_group_begin(&r.comm));
    refuse(tk_group_begin(&r.comm), "a group inside a group of the tensor communicator");
    refuse(tk_all_reduce(&r.comm, r.x.data, 3, TK_F32, TK_SUM), "all_reduce inside a group");
    refuse(tk_all_gather(&r.comm, r.x.data, r.y.data, counts, 1, TK_F32),
           "all_gather inside a group");
    refuse(tk_reduce_scatter(&r.comm, r.x.data, r.y.data, counts, 1, TK_F32),
           "reduce_scatter inside a group");
    refuse(tk_broadcast(&r.comm, r.x.data, 3, TK_F32, 0), "broadcast inside a group");
    assert_ok(tk_isend(&r.comm, r.x.data, 3, TK_F32, 0, &q));
    refuse(tk_wait(&r.comm, &q), "a wait inside a group");
    assert_ok(tk_group_end(&r.comm));
    assert_ok(tk_wait(&r.comm, &q));
    refuse(tk_group_end(&r.comm), "has not begun");
    close_rig(&r);
}

// Whatever queue a communicator works on, the device is left on its own.
static void test_calls__leave_the_device_where_it_was(void **state)
{
    rig r;
    tk_request q;
    (void)state;
    open_rig(&r, &tk_device_cpu, 1, 3);
    for (int was = 0; was < TK_QUEUES; was++) {
        tk_device_on(&r.device, (tk_queue)was);
        assert_ok(tk_all_reduce(&r.comm, r.x.data, 3, TK_F32, TK_SUM));
        assert_int_equal(r.device.queue, was);
        assert_ok(tk_isend(&r.comm, r.x.data, 3, TK_F32, 0, &q));
        assert_int_equal(r.device.queue, was);
        assert_false(r.comm.grouped);
        assert_ok(tk_group_begin(&r.comm));
        assert_ok(tk_irecv(&r.comm, r.y.data, 3, TK_F32, 2, &q));
        assert_ok(tk_group_end(&r.comm));
        assert_int_equal(r.device.queue, was);
        assert_ok(tk_wait(&r.comm, &q));
        assert_int_equal(r.device.queue, was);
    }
    close_rig(&r);
}

// ---- planned times -----------------------------------------------------------------------------

// A product, and a message, take a second.
static double second(void *ctx, const tk_work *w)
{
    (void)ctx;
    return w->kind == TK_WORK_SEND || w->kind == TK_WORK_OPERATOR;
}

// Seconds of a product with rows gathered, or summed, by the second of three ranks.
static double seconds_of_rows(tk_op op, int64_t pieces, bool beside)
{
    static const int64_t counts[] = {4, 4, 4};
    rig r;
    tk_ledger l = {.price = second};
    open_rig(&r, NULL, 1, 3);
    r.device.ledger = &l;
    r.comm.row_pieces = pieces;
    tk_call c = {.op = op, .i = {pieces, beside}, .comm = &r.comm, .counts = counts};
    const bool gathers = op == TK_OP_GATHER_LINEAR;
    assert_ok(tk_device_new(&r.device, TK_F32, gathers ? 4 : 12, 5, &c.in[0]));
    assert_ok(tk_device_new(&r.device, TK_F32, 3, 5, &c.in[1]));
    assert_ok(tk_device_new(&r.device, TK_F32, gathers ? 12 : 4, 3, &c.out[0]));
    if (gathers) assert_ok(tk_device_new(&r.device, TK_F32, 12, 5, &c.out[3]));
    assert_ok(tk_op_forward(&r.device, &c));
    assert_int_equal(r.comm.bytes_sent, gathers ? 2 * 4 * 5 * 4 : 2 * 4 * 3 * 4);
    close_rig(&r);
    return l.clock[TK_QUEUE_COMPUTE];
}

// Three products and two exchanges: one after the other, or hidden as far as there are products
// that do not need them.
static void test_dry__rows_beside_products(void **state)
{
    static const tk_op ops[] = {TK_OP_GATHER_LINEAR, TK_OP_LINEAR_SCATTER};
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(seconds_of_rows(ops[i], 0, true) == 1); // a collective is no message
        assert_true(seconds_of_rows(ops[i], 1, false) == 5);
        assert_true(seconds_of_rows(ops[i], 1, true) == 3);
        assert_true(seconds_of_rows(ops[i], 2, false) == 9);
        assert_true(seconds_of_rows(ops[i], 2, true) == 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self__copies),
        cmocka_unit_test(test_dry__touches_nothing_and_counts),
        cmocka_unit_test(test_dry__holds_the_parts_of_a_sum),
        cmocka_unit_test(test_ranks__that_are_not_there),
        cmocka_unit_test(test_buffers__outside_the_pool),
        cmocka_unit_test(test_groups__hold_messages_only),
        cmocka_unit_test(test_calls__leave_the_device_where_it_was),
        cmocka_unit_test(test_dry__rows_beside_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
