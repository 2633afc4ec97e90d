// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Captured streams of the stand-in: a graph does at each launch what its streams were asked for, in
// any order that their events allow, and what a real runtime refuses inside a capture is refused.
#include "core/device/cuda/cuda.h"
#include "core/device/event.h"
#include "core/device/ops/ops.h"
#include "tests/cuda/standin/standin.h"
#include "tests/support/test.h"

enum { N = 64, SEEDS = 30, LAUNCHES = 3 };

typedef struct captured {
    tk_device d;
    cudaStream_t a, b; // of the queues compute and comm
    tk_tensor x, y, z;
    tk_event fork, join;
} captured;

static void open_captured(captured *c)
{
    assert_ok(tk_device_open(&c->d, tk_device_find(TK_DEVICE_CUDA), 1, 1 << 20));
    c->a = tk_cuda_of(&c->d)->stream[TK_QUEUE_COMPUTE];
    c->b = tk_cuda_of(&c->d)->stream[TK_QUEUE_DATA];
    assert_ok(tk_device_new(&c->d, TK_F32, N, 1, &c->x));
    assert_ok(tk_device_new(&c->d, TK_F32, N, 1, &c->y));
    assert_ok(tk_device_new(&c->d, TK_F32, N, 1, &c->z));
    c->fork = c->join = (tk_event){0};
    assert_ok(tk_event_open(&c->fork, &c->d));
    assert_ok(tk_event_open(&c->join, &c->d));
}

static void close_captured(captured *c)
{
    tk_event_close(&c->fork);
    tk_event_close(&c->join);
    tk_device_close(&c->d);
}

static void add(captured *c, tk_queue q, const tk_tensor *x, const tk_tensor *y, const tk_tensor *z)
{
    const tk_call call = {.op = TK_OP_ADD, .in = {*x, *y}, .out = {*z}};
    tk_device_on(&c->d, q);
    assert_ok(tk_op_forward(&c->d, &call));
}

// x = x + x on one queue, then y = x + x on another, then z = y + x on the first. `waits`: those of
// one queue for the other that are there.
static void ask(captured *c, int waits)
{
    add(c, TK_QUEUE_COMPUTE, &c->x, &c->x, &c->x);
    assert_ok(tk_event_record(&c->fork, TK_QUEUE_COMPUTE));
    assert_ok(tk_event_wait(&c->fork, TK_QUEUE_DATA));
    add(c, TK_QUEUE_DATA, &c->x, &c->x, &c->y);
    assert_ok(tk_event_record(&c->join, TK_QUEUE_DATA));
    if (waits == 1) add(c, TK_QUEUE_COMPUTE, &c->y, &c->x, &c->z);
    assert_ok(tk_event_wait(&c->join, TK_QUEUE_COMPUTE));
    if (waits == 2) add(c, TK_QUEUE_COMPUTE, &c->y, &c->x, &c->z);
}

// Whether a graph of it, launched some times, gives what it should.
static bool replays(uint64_t seed, int waits)
{
    captured c;
    float host[N], got[N];
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    bool right = true;
    open_captured(&c);
    standin_seed(seed);
    for (int i = 0; i < N; i++) host[i] = (float)i;
    assert_ok(tk_device_upload(&c.d, c.x.data, host, sizeof host));
    assert_ok(tk_device_sync(&c.d));
    assert_int_equal(cudaStreamBeginCapture(c.a, cudaStreamCaptureModeGlobal), cudaSuccess);
    ask(&c, waits);
    assert_int_equal(cudaStreamEndCapture(c.a, &graph), cudaSuccess);
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    assert_ok(tk_device_get(&c.d, &c.x, got)); // capturing does nothing
    assert_memory_equal(got, host, sizeof host);
    for (int k = 0; k < LAUNCHES; k++) assert_int_equal(cudaGraphLaunch(exec, c.a), cudaSuccess);
    tk_device_on(&c.d, TK_QUEUE_COMPUTE);
    assert_ok(tk_device_get(&c.d, &c.z, got));
    for (int i = 0; i < N; i++) right = right && got[i] == 3 * (1 << LAUNCHES) * host[i];
    assert_int_equal(cudaGraphExecDestroy(exec), cudaSuccess);
    close_captured(&c);
    return right;
}

static void a_graph_does_what_its_streams_were_asked(void **state)
{
    (void)state;
    int wrong = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_true(replays(seed, 2));
        wrong += !replays(seed, 1);
    }
    assert_in_range(wrong, 3, SEEDS); // without a wait inside it, in some orders
}

// ---- what is refused ---------------------------------------------------------------------------

// After a call that gave `e` inside a capture, it is invalid.
static void assert_spoilt(captured *c, cudaError_t got, cudaError_t e)
{
    cudaGraph_t graph;
    assert_int_equal(got, e);
    assert_int_equal(cudaStreamEndCapture(c->a, &graph), cudaErrorStreamCaptureInvalidated);
    assert_null(graph);
}

static void the_host_does_not_wait_inside(void **state)
{
    (void)state;
    captured c;
    const cudaError_t unsupported = cudaErrorStreamCaptureUnsupported;
    const enum cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    open_captured(&c);
    const cudaEvent_t before = c.fork.impl, within = c.join.impl;
    void *x;
    assert_ok(tk_event_record(&c.fork, TK_QUEUE_COMPUTE));
    assert_ok(tk_device_sync(&c.d));
    assert_int_equal(cudaStreamBeginCapture(c.a, mode), cudaSuccess);
    assert_spoilt(&c, cudaStreamSynchronize(c.a), unsupported);
    assert_int_equal(cudaStreamBeginCapture(c.a, mode), cudaSuccess);
    assert_spoilt(&c, cudaDeviceSynchronize(), unsupported);
    assert_int_equal(cudaStreamBeginCapture(c.a, mode), cudaSuccess);
    assert_spoilt(&c, cudaEventQuery(before), unsupported); // a watchdog's
    assert_int_equal(cudaStreamBeginCapture(c.a, mode), cudaSuccess);
    assert_spoilt(&c, cudaHostAlloc(&x, 64, cudaHostAllocDefault), unsupported);
    assert_int_equal(cudaStreamBeginCapture(c.a, mode), cudaSuccess);
    assert_int_equal(cudaEventRecord(within, c.a), cudaSuccess);
    assert_spoilt(&c, cudaEventSynchronize(within), cudaErrorCapturedEvent);
    assert_int_equal(cudaStreamBeginCapture(c.a, mode), cudaSuccess);
    assert_spoilt(&c, cudaStreamWaitEvent(c.a, before, 0), cudaErrorStreamCaptureIsolation);
    close_captured(&c);
}

static void streams_that_joined_come_back(void **state)
{
    (void)state;
    captured c;
    cudaGraph_t graph;
    enum cudaStreamCaptureStatus status;
    open_captured(&c);
    assert_int_equal(cudaStreamBeginCapture(c.a, cudaStreamCaptureModeGlobal), cudaSuccess);
    assert_ok(tk_event_record(&c.fork, TK_QUEUE_COMPUTE));
    assert_ok(tk_event_wait(&c.fork, TK_QUEUE_DATA));
    assert_int_equal(cudaStreamIsCapturing(c.b, &status), cudaSuccess);
    assert_int_equal(status, cudaStreamCaptureStatusActive);
    add(&c, TK_QUEUE_DATA, &c.x, &c.x, &c.y);
    assert_int_equal(cudaStreamEndCapture(c.b, &graph), cudaErrorStreamCaptureUnmatched);
    assert_int_equal(cudaStreamEndCapture(c.a, &graph), cudaErrorStreamCaptureInvalidated);
    assert_int_equal(cudaStreamBeginCapture(c.a, cudaStreamCaptureModeGlobal), cudaSuccess);
    assert_ok(tk_event_record(&c.fork, TK_QUEUE_COMPUTE));
    assert_ok(tk_event_wait(&c.fork, TK_QUEUE_DATA));
    add(&c, TK_QUEUE_DATA, &c.x, &c.x, &c.y);
    assert_int_equal(cudaStreamEndCapture(c.a, &graph), cudaErrorStreamCaptureUnjoined);
    assert_int_equal(cudaStreamIsCapturing(c.b, &status), cudaSuccess);
    assert_int_equal(status, cudaStreamCaptureStatusNone);
    tk_device_on(&c.d, TK_QUEUE_COMPUTE);
    close_captured(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_does_what_its_streams_were_asked),
        cmocka_unit_test(the_host_does_not_wait_inside),
        cmocka_unit_test(streams_that_joined_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
