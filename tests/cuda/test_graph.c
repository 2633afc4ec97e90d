// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Graphs of a device: recorded work is done at each launch, in any order that its events allow, in
// memory that is free between launches and found free again.
#include "core/device/graph.h"
#include "core/device/ops/ops.h"
#include "core/device/trace.h"
#include "tests/cuda/standin/standin.h"
#include "tests/support/test.h"
#include <stdlib.h>
#include <string.h>

enum { N = 64, SEEDS = 20, LAUNCHES = 4 };

static tk_device d;

static int open_gpu(void **state)
{
    (void)state;
    setenv("TALKIE_POISON", "1", 1); // memory given back is NaN
    assert_ok(tk_device_open(&d, tk_device_find(TK_DEVICE_CUDA), 1, 1 << 20));
    return 0;
}

static int close_gpu(void **state)
{
    (void)state;
    assert_int_equal(d.pool.in_use, 0);
    tk_device_close(&d);
    return 0;
}

static tk_tensor fresh(void)
{
    tk_tensor t;
    assert_ok(tk_device_new(&d, TK_F32, N, 1, &t));
    return t;
}

static void add(tk_queue q, const tk_tensor *x, const tk_tensor *y, const tk_tensor *z)
{
    const tk_call call = {.op = TK_OP_ADD, .in = {*x, *y}, .out = {*z}};
    const tk_queue was = tk_device_on(&d, q);
    assert_ok(tk_op_forward(&d, &call));
    tk_device_on(&d, was);
}

static void put(const tk_tensor *to, const float *host)
{
    assert_ok(tk_device_upload(&d, to->data, host, tk_bytes(to)));
}

// sum = sum + 4 x, by way of two queues and of memory that is given back at once, and is the next
// one's.
static void ask(const tk_tensor *x, const tk_tensor *sum, tk_event *there, tk_event *back)
{
    tk_tensor twice = fresh(), four;
    add(TK_QUEUE_COMPUTE, x, x, &twice);
    assert_ok(tk_event_record(there, TK_QUEUE_COMPUTE));
    assert_ok(tk_event_wait(there, TK_QUEUE_DATA));
    four = fresh();
    add(TK_QUEUE_DATA, &twice, &twice, &four);
    assert_ok(tk_event_record(back, TK_QUEUE_DATA));
    assert_ok(tk_event_wait(back, TK_QUEUE_COMPUTE));
    tk_device_free(&d, &twice);
    add(TK_QUEUE_COMPUTE, sum, &four, sum);
    tk_device_free(&d, &four);
}

typedef struct example {
    tk_graph graph;
    tk_tensor x, sum;
    tk_event there, back;
} example;

static void record_example(example *e)
{
    float zero[N] = {0};
    *e = (example){.sum = fresh()};
    assert_ok(tk_event_open(&e->there, &d));
    assert_ok(tk_event_open(&e->back, &d));
    put(&e->sum, zero);
    assert_ok(tk_device_sync(&d));
    const size_t before = d.pool.in_use;
    assert_ok(tk_graph_open(&e->graph, &d));
    e->x = fresh();
    assert_ok(tk_graph_record(&e->graph));
    ask(&e->x, &e->sum, &e->there, &e->back);
    assert_ok(tk_graph_end(&e->graph));
    tk_tensor x = e->x;
    tk_device_free(&d, &x);
    assert_int_equal(d.pool.in_use, before);
}

static void close_example(example *e)
{
    assert_ok(tk_device_sync(&d));
    tk_graph_close(&e->graph);
    tk_event_close(&e->there);
    tk_event_close(&e->back);
    tk_device_free(&d, &e->sum);
}

// Between launches others use the same memory, on other queues.
static void use_memory(tk_queue q, tk_event *e)
{
    const tk_queue was = tk_device_on(&d, q);
    tk_tensor x;
    assert_ok(tk_event_record(e, TK_QUEUE_COMPUTE));
    assert_ok(tk_event_wait(e, q));
    assert_ok(tk_device_new(&d, TK_F32, 8 * N, 1, &x));
    assert_ok(tk_device_zero(&d, x.data, tk_bytes(&x)));
    tk_device_free(&d, &x);
    tk_device_on(&d, was);
}

static void a_launch_does_what_was_recorded(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        example e;
        float host[LAUNCHES][N], got[N], want[N] = {0};
        record_example(&e);
        standin_seed(seed);
        for (int k = 0; k < LAUNCHES; k++) {
            for (int i = 0; i < N; i++) host[k][i] = (float)((k + 2) * i);
            use_memory((tk_queue)(k % TK_QUEUES), &e.there);
            assert_ok(tk_graph_hold(&e.graph));
            put(&e.x, host[k]);
            assert_ok(tk_graph_launch(&e.graph));
            for (int i = 0; i < N; i++) want[i] += 4 * host[k][i];
        }
        assert_ok(tk_device_get(&d, &e.sum, got));
        assert_memory_equal(got, want, sizeof got);
        close_example(&e);
    }
}

// Whether a launch gives what it should in as many orders, where the n-th wait of a queue is none.
static bool right_without_wait(int64_t n, int64_t *waits)
{
    bool right = true;
    for (uint64_t seed = 0; seed < 3 * SEEDS && right; seed++) {
        example e;
        float host[N], got[N];
        for (int i = 0; i < N; i++) host[i] = (float)i;
        record_example(&e);
        standin_seed(seed);
        use_memory(TK_QUEUE_COPY, &e.there);
        const int64_t before = standin_count().waits;
        standin_leave_out_wait(n);
        assert_ok(tk_graph_hold(&e.graph));
        standin_leave_out_wait(0);
        *waits = standin_count().waits - before;
        put(&e.x, host);
        assert_ok(tk_graph_launch(&e.graph));
        assert_ok(tk_device_get(&d, &e.sum, got));
        for (int i = 0; i < N; i++) right &= got[i] == 4 * host[i];
        close_example(&e);
    }
    return right;
}

// A graph waits for what others did with its memory: that of the copies' queue, which did, shows.
static void a_launch_waits_for_all_queues(void **state)
{
    (void)state;
    int64_t waits;
    int wrong = 0;
    assert_true(right_without_wait(0, &waits));
    assert_int_equal(waits, TK_QUEUES - 1);
    for (int64_t n = 1; n < TK_QUEUES; n++) wrong += !right_without_wait(n, &waits);
    assert_int_equal(wrong, 1);
}

static void memory_that_another_has_is_refused(void **state)
{
    (void)state;
    example e;
    float host[N] = {1};
    record_example(&e);
    for (int k = 0; k < 3; k++) {
        const size_t before = d.pool.in_use;
        tk_tensor taken = fresh();
        assert_int_equal(tk_graph_hold(&e.graph), TK_INTERNAL);
        assert_says("somebody else has taken them");
        assert_int_equal(d.pool.in_use, before + tk_bytes(&taken));
        tk_device_free(&d, &taken);
        assert_ok(tk_graph_hold(&e.graph));
        put(&e.x, host);
        assert_ok(tk_graph_launch(&e.graph));
        assert_int_equal(tk_graph_launch(&e.graph), TK_INTERNAL); // not held
        assert_ok(tk_device_sync(&d));
    }
    close_example(&e);
}

static void the_host_has_no_part_in_it(void **state)
{
    (void)state;
    tk_graph g = {0};
    tk_event e = {0};
    tk_tensor x = fresh();
    float host[N] = {0};
    assert_ok(tk_event_open(&e, &d));
    assert_ok(tk_event_record(&e, TK_QUEUE_COMPUTE));
    assert_ok(tk_graph_open(&g, &d));
    assert_int_equal(tk_graph_end(&g), TK_INTERNAL);
    assert_ok(tk_graph_record(&g));
    assert_int_equal(tk_device_upload(&d, x.data, host, sizeof host), TK_INTERNAL);
    assert_says("an upload inside a graph");
    assert_int_equal(tk_device_download(&d, host, x.data, sizeof host), TK_INTERNAL);
    assert_int_equal(tk_device_sync(&d), TK_INTERNAL);
    assert_int_equal(tk_event_sync(&e), TK_INTERNAL);
    tk_graph_close(&g); // in the midst of it
    assert_ok(tk_device_sync(&d));
    tk_event_close(&e);
    tk_device_free(&d, &x);
}

// Wherever a call of the device fails, recording ends and all is as before.
static void a_recording_that_fails_leaves_nothing(void **state)
{
    (void)state;
    const size_t before = d.pool.in_use;
    tk_status st = TK_MEMORY;
    for (int64_t at = 1; st != TK_OK; at++) {
        tk_graph g = {0};
        tk_tensor x = fresh();
        tk_trace_fail_at(at);
        st = tk_graph_open(&g, &d);
        if (st == TK_OK) st = tk_graph_record(&g);
        if (st == TK_OK) st = tk_device_zero(&d, x.data, tk_bytes(&x));
        if (st == TK_OK) st = tk_graph_end(&g);
        if (st == TK_OK) st = tk_graph_hold(&g);
        if (st == TK_OK) st = tk_graph_launch(&g);
        tk_trace_fail_at(0);
        if (g.state == TK_GRAPH_READY) assert_ok(tk_device_sync(&d));
        tk_graph_close(&g);
        tk_device_free(&d, &x);
        assert_null(d.recording);
        assert_int_equal(d.pool.in_use, before);
        assert_in_range(at, 1, 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_launch_does_what_was_recorded),
        cmocka_unit_test(a_launch_waits_for_all_queues),
        cmocka_unit_test(memory_that_another_has_is_refused),
        cmocka_unit_test(the_host_has_no_part_in_it),
        cmocka_unit_test(a_recording_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_gpu, close_gpu);
}
