// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 30; cuda: too */
// Moving bytes to, from and inside a device: what arrives, and what is refused before any device
// sees it.
#include "core/device/event.h"
#include "core/device/ops/ops.h"
#include "core/device/trace.h"
#include "tests/support/deferred.h"
#include "tests/support/test.h"
#include "tests/support/tested.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POOL = 1 << 16 };

// ref, the device tested (cpu or cuda), or dry in its place.
enum { REF, TESTED, DRY, KINDS };

static void open_kind(tk_device *d, int kind)
{
    if (kind == DRY)
        assert_ok(tk_device_open_dry(d, tested_device(), 1, POOL));
    else
        assert_ok(tk_device_open(d, kind == REF ? &tk_device_ref : tested_device(), 1, POOL));
}

static void devices_are_found_by_the_option(void **state)
{
    (void)state;
    assert_string_equal(tk_device_find(TK_DEVICE_REF)->name, "ref");
    assert_string_equal(tk_device_find(TK_DEVICE_CPU)->name, "cpu");
    assert_true(tk_device_find(TK_DEVICE_AUTO)->computes);
}

// Which device computes makes no other run, and a config from before there was a choice is whole.
static void the_device_makes_no_other_run(void **state)
{
    tk_config now, before;
    char *binding, *others, *ref[] = {"device=ref"}, *wrong[] = {"device=gpu"};
    (void)state;
    tk_config_init(&now);
    tk_config_init(&before);
    char *text = tk_config_dump(&now, TK_CMD_TRAIN, &now.arena), *line = strstr(text, "device: ");
    assert_non_null(line);
    memmove(line, strchr(line, '\n') + 1, strlen(strchr(line, '\n')));
    assert_ok(tk_config_parse(&before, 0, "stored", text, strlen(text), 0, NULL));
    tk_config_changes(&before, &now, TK_CMD_TRAIN, &now.arena, &binding, &others);
    assert_string_equal(binding, "");
    assert_string_equal(others, "");
    assert_ok(tk_config_parse(&now, TK_CMD_PLAN, "a.yaml", "", 0, 1, ref));
    assert_int_equal(now.parallel.device, TK_DEVICE_REF);
    tk_config_changes(&before, &now, TK_CMD_TRAIN, &now.arena, &binding, &others);
    assert_string_equal(binding, "");
    assert_string_equal(others, "\n  device: auto -> ref");
    tk_config_free(&before);
    assert_status(tk_config_parse(&now, TK_CMD_TRAIN, "a.yaml", "", 0, 1, wrong), TK_INPUT);
    assert_says("device: gpu is not one of auto, cpu, ref, cuda");
    tk_config_free(&now);
}

static void bytes_arrive_as_they_were_sent(void **state)
{
    (void)state;
    for (int k = REF; k <= TESTED; k++) {
        tk_device d;
        tk_tensor a = {0}, b = {0};
        const float sent[4] = {1, 2, 3, 4};
        float got[4] = {0};
        open_kind(&d, k);
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
    for (int k = REF; k < KINDS; k++) {
        tk_device d;
        tk_tensor a = {0};
        char host[64] = {0};
        open_kind(&d, k);
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
    for (int k = REF; k <= TESTED; k++) {
        tk_device d;
        tk_tensor a = {0}, b = {0};
        float sent[12], got[20] = {0};
        for (int i = 0; i < 12; i++) sent[i] = (float)(i + 1);
        open_kind(&d, k);
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
    for (int k = REF; k < KINDS; k++) {
        tk_device d;
        tk_tensor a = {0};
        open_kind(&d, k);
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

// ---- queues and events -------------------------------------------------------------------------

static void events_are_done_and_timed(void **state)
{
    (void)state;
    for (int k = REF; k < KINDS; k++) {
        tk_device d;
        tk_event a = {0}, b = {0};
        double seconds;
        bool done = false;
        open_kind(&d, k);
        assert_status(tk_event_record(&a, TK_QUEUE_COPY), TK_INTERNAL);
        assert_says("the event is not open");
        assert_ok(tk_event_open(&a, &d));
        assert_ok(tk_event_open(&b, &d));
        assert_ok(tk_event_done(&a, &done)); // never recorded
        assert_true(done);
        assert_ok(tk_event_wait(&a, TK_QUEUE_DATA));
        assert_ok(tk_event_sync(&a));
        assert_ok(tk_event_record(&a, TK_QUEUE_COMPUTE));
        assert_status(tk_event_seconds(&a, &b, &seconds), TK_INTERNAL);
        assert_ok(tk_event_wait(&a, TK_QUEUE_COPY));
        assert_ok(tk_event_record(&b, TK_QUEUE_COPY));
        assert_ok(tk_event_wait(&b, TK_QUEUE_COMPUTE));
        assert_ok(tk_event_sync(&b));
        assert_ok(tk_event_seconds(&a, &b, &seconds));
        assert_true(seconds >= 0 && seconds < 10);
        tk_event_close(&a);
        tk_event_close(&a);
        tk_event_close(&b);
        tk_device_close(&d);
    }
}

static void a_queue_is_chosen_and_left(void **state)
{
    (void)state;
    tk_device d;
    void *host;
    size_t available = 0, total = 0;
    open_kind(&d, TESTED);
    assert_int_equal(tk_device_on(&d, TK_QUEUE_COPY), TK_QUEUE_COMPUTE);
    assert_int_equal(tk_device_on(&d, TK_QUEUE_COMPUTE), TK_QUEUE_COPY);
    assert_ok(tk_device_host_new(&d, 100, &host));
    assert_true((uintptr_t)host % 64 == 0);
    tk_device_host_free(&d, host);
    tk_device_host_free(&d, NULL);
    if (!tested_is_cuda()) {
        tk_alloc_fail_at(1, false);
        assert_status(tk_device_host_new(&d, 100, &host), TK_MEMORY);
        assert_null(host);
    }
    assert_ok(tk_device_memory(&d, &available, &total));
    assert_true(available > 0 && available <= total);
    tk_device_close(&d);
}

// Every kind once, on every device: as many calls and bytes are told.
static void what_is_asked_is_counted(void **state)
{
    (void)state;
    for (int k = REF; k < KINDS; k++) {
        tk_device d;
        tk_tensor a, b;
        tk_event e = {0};
        float host[16] = {0};
        open_kind(&d, k);
        const int64_t before = tk_trace_count();
        assert_ok(tk_device_put(&d, host, TK_F32, 16, 1, &a));
        assert_ok(tk_device_new(&d, TK_F32, 16, 1, &b));
        assert_ok(tk_device_copy(&d, b.data, a.data, 64));
        assert_ok(tk_device_copy_2d(&d, b.data, 16, a.data, 16, 3, 8));
        assert_ok(tk_device_zero(&d, b.data, 32));
        const tk_call add = {.op = TK_OP_ADD, .in = {a, a}, .out = {b}};
        assert_ok(tk_op_forward(&d, &add));
        assert_ok(tk_event_open(&e, &d));
        assert_ok(tk_event_record(&e, TK_QUEUE_COMPUTE));
        assert_ok(tk_event_wait(&e, TK_QUEUE_COPY));
        assert_ok(tk_event_sync(&e));
        assert_ok(tk_device_get(&d, &b, host));
        const int64_t calls[TK_TRACE_KINDS] = {2, 1, 1, 2, 1, 1, 0, 0, 1, 1, 1, 1};
        const int64_t bytes[TK_TRACE_KINDS] = {128, 64, 64, 88, 32};
        assert_memory_equal(d.trace.calls, calls, sizeof calls);
        assert_memory_equal(d.trace.bytes, bytes, sizeof bytes);
        assert_int_equal(tk_trace_count() - before, 12);
        tk_trace_fail_at(2);
        assert_ok(tk_device_zero(&d, b.data, 32));
        assert_status(tk_device_upload(&d, b.data, host, 64), TK_INTERNAL);
        assert_says("upload of 64 bytes fails, as a test wants it to");
        assert_ok(tk_device_upload(&d, b.data, host, 64)); // once
        tk_trace_fail_at(1);
        assert_status(tk_device_new(&d, TK_F32, 16, 1, &a), TK_MEMORY);
        tk_event_close(&e);
        tk_device_close(&d);
    }
}

enum { ROUNDS = 12, ROWS = 40, SEEDS = 20 };

// Rounds of: made on the host, uploaded, taken twice and three times, downloaded, each on a queue
// of its own, two buffers of host memory going round. All device memory is from the pool, given
// back where it was used last.
typedef struct flow {
    tk_device *d;
    float *in[2], *out[ROUNDS];
    tk_event up[2], used[2], down[2];
} flow;

static tk_status upload_round(flow *f, int i, tk_tensor *x)
{
    const int b = i % 2;
    tk_device_on(f->d, TK_QUEUE_COPY);
    TK_TRY(tk_event_sync(&f->up[b])); // the host's buffer has been read
    for (int k = 0; k < ROWS; k++) f->in[b][k] = (float)(i * ROWS + k);
    TK_TRY(tk_event_wait(&f->used[b], TK_QUEUE_COPY)); // memory of two rounds ago is free
    TK_TRY(tk_device_new(f->d, TK_F32, ROWS, 1, x));
    TK_TRY(tk_device_upload(f->d, x->data, f->in[b], tk_bytes(x)));
    return tk_event_record(&f->up[b], TK_QUEUE_COPY);
}

static tk_status run_round(flow *f, int i)
{
    const int b = i % 2;
    tk_tensor x, y;
    TK_TRY(upload_round(f, i, &x));
    tk_device_on(f->d, TK_QUEUE_COMPUTE);
    TK_TRY(tk_event_wait(&f->up[b], TK_QUEUE_COMPUTE));
    TK_TRY(tk_event_wait(&f->down[b], TK_QUEUE_COMPUTE));
    TK_TRY(tk_device_new(f->d, TK_F32, ROWS, 2, &y));
    const tk_tensor twice = tk_tensor_2d(y.data, TK_F32, ROWS, 1);
    const tk_tensor thrice = tk_tensor_2d((float *)y.data + ROWS, TK_F32, ROWS, 1);
    const tk_call add = {.op = TK_OP_ADD, .in = {x, x}, .out = {twice}};
    const tk_call once_more = {.op = TK_OP_ADD, .in = {twice, x}, .out = {thrice}};
    TK_TRY(tk_op_forward(f->d, &add));
    TK_TRY(tk_op_forward(f->d, &once_more));
    tk_device_free(f->d, &x);
    TK_TRY(tk_event_record(&f->used[b], TK_QUEUE_COMPUTE));
    tk_device_on(f->d, TK_QUEUE_DATA);
    TK_TRY(tk_event_wait(&f->used[b], TK_QUEUE_DATA));
    TK_TRY(tk_device_download(f->d, f->out[i], y.data, tk_bytes(&y)));
    tk_device_free(f->d, &y);
    return tk_event_record(&f->down[b], TK_QUEUE_DATA);
}

// Whether the numbers are right; how the pool was used.
static bool run_flow(tk_device *d, size_t *peak)
{
    flow f = {.d = d};
    tk_status st = TK_OK;
    void *in, *out;
    assert_ok(tk_device_host_new(d, 2 * ROWS * sizeof(float), &in));
    assert_ok(tk_device_host_new(d, 2 * ROUNDS * ROWS * sizeof(float), &out));
    for (int i = 0; i < ROUNDS; i++) f.out[i] = (float *)out + i * 2 * ROWS;
    for (int b = 0; b < 2; b++) {
        f.in[b] = (float *)in + b * ROWS;
        assert_ok(tk_event_open(&f.up[b], d));
        assert_ok(tk_event_open(&f.used[b], d));
        assert_ok(tk_event_open(&f.down[b], d));
    }
    for (int i = 0; i < ROUNDS && st == TK_OK; i++) st = run_round(&f, i);
    if (st == TK_OK) st = tk_event_sync(&f.down[(ROUNDS - 1) % 2]); // and all before it
    bool right = st == TK_OK;
    for (int i = 0; i < ROUNDS; i++)
        for (int k = 0; k < 2 * ROWS; k++)
            right = right && f.out[i][k] == (float)((2 + k / ROWS) * (i * ROWS + k % ROWS));
    (void)tk_device_sync(d);
    tk_device_host_free(d, in);
    tk_device_host_free(d, out);
    for (int b = 0; b < 2; b++) {
        tk_event_close(&f.up[b]);
        tk_event_close(&f.used[b]);
        tk_event_close(&f.down[b]);
    }
    *peak = d->pool.peak;
    return right;
}

// A device that runs behind: that of tests/support/deferred.h, or an emulated GPU. The n-th wait
// left out, 0 for none. Whether all is as it should be; how many waits there were.
static bool flows(uint64_t seed, int64_t n, size_t *peak, int64_t *waits)
{
    tk_device d;
    const bool gpu = tested_is_emulated();
    assert_ok(tk_device_open(&d, gpu ? tested_device() : &tk_device_cpu, 1, POOL));
    const int64_t before = gpu ? standin_count().waits : 0;
    if (gpu) {
        standin_seed(seed);
        standin_leave_out_wait(n);
    } else {
        deferred_start(&d, NULL, seed);
        deferred_leave_out(n);
    }
    const bool right = run_flow(&d, peak) && (gpu || deferred_faults() == 0);
    *waits = gpu ? standin_count().waits - before : deferred_waits();
    tk_device_close(&d);
    return right;
}

static void queues_give_the_same_in_any_order_that_events_allow(void **state)
{
    (void)state;
    size_t peak[KINDS], late;
    int64_t waits;
    for (int k = REF; k < KINDS; k++) {
        tk_device d;
        open_kind(&d, k);
        assert_int_equal(run_flow(&d, &peak[k]), k != DRY);
        tk_device_close(&d);
        assert_int_equal(peak[k], peak[0]);
    }
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_true(flows(seed, 0, &late, &waits));
        assert_int_equal(late, peak[0]); // whatever is late: the plan's number
    }
    assert_true(peak[0] < 2 * ROUNDS * ROWS * sizeof(float)); // memory is used again
}

// Whether flows(seed, n) tells that the wait is missing, or ends its process, as an emulated GPU
// does with faults.
static bool is_seen(uint64_t seed, int64_t n)
{
    int64_t waits;
    size_t peak;
    if (!tested_is_emulated()) return !flows(seed, n, &peak, &waits);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(2);
        _exit(!flows(seed, n, &peak, &waits));
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    return !WIFEXITED(how) || WEXITSTATUS(how) != 0;
}

static void every_wait_is_needed(void **state)
{
    (void)state;
    int64_t waits;
    size_t peak;
    assert_true(flows(0, 0, &peak, &waits));
    // The host's, which an emulated GPU does not leave out, come first in each round; none for what
    // was never recorded.
    const int64_t of_host = tested_is_emulated() ? ROUNDS - 2 + 1 : 0;
    assert_int_equal(waits, 5 * ROUNDS - 3 * 2 + 1 - of_host);
    for (int64_t n = 1; n <= waits; n++) {
        bool seen = false;
        for (uint64_t seed = 0; seed < 10 * SEEDS && !seen; seed++) seen = is_seen(seed, n);
        if (!seen) fail_msg("nobody misses wait %d", (int)n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_found_by_the_option),
        cmocka_unit_test(the_device_makes_no_other_run),
        cmocka_unit_test(bytes_arrive_as_they_were_sent),
        cmocka_unit_test(what_lies_outside_is_refused),
        cmocka_unit_test(rows_of_two_strides_are_copied),
        cmocka_unit_test(copies_that_overlap_or_leave_the_pool_are_refused),
        cmocka_unit_test(events_are_done_and_timed),
        cmocka_unit_test(a_queue_is_chosen_and_left),
        cmocka_unit_test(what_is_asked_is_counted),
        cmocka_unit_test(queues_give_the_same_in_any_order_that_events_allow),
        cmocka_unit_test(every_wait_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
