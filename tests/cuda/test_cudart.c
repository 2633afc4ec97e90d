// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// The stand-in for the CUDA runtime finds what it is there for: each fault here is one that a real
// GPU would let pass now and then.
#include "core/device/event.h"
#include "core/device/ops/ops.h"
#include "tests/cuda/standin/standin.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POOL = 1 << 20, N = 64, SEEDS = 30 };

static void open_device(tk_device *d)
{
    assert_ok(tk_device_open(d, tk_device_find(TK_DEVICE_CUDA), 1, POOL));
}

// Runs `f` in a process of its own, which says so and ends if it comes back: what it wrote to
// stderr, up to a line.
static void words_of(void (*f)(tk_device *d), char *words, size_t room)
{
    int pipes[2], how;
    assert_int_equal(pipe(pipes), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tk_device d;
        dup2(pipes[1], STDERR_FILENO);
        if (tk_device_open(&d, tk_device_find(TK_DEVICE_CUDA), 1, POOL) == TK_OK) f(&d);
        fprintf(stderr, "nothing was found: %s\n", tk_status_message());
        _exit(0);
    }
    close(pipes[1]);
    FILE *said = fdopen(pipes[0], "r");
    words[fread(words, 1, room - 1, said)] = 0;
    fclose(said);
    assert_int_equal(waitpid(child, &how, 0), child);
}

static void assert_found(void (*f)(tk_device *d), const char *wanted)
{
    char words[512];
    words_of(f, words, sizeof words);
    if (!strstr(words, wanted)) fail_msg("\"%s\" does not say \"%s\"", words, wanted);
}

// ---- whoever touches what is not its own -------------------------------------------------------

static void host_reads_device(tk_device *d)
{
    tk_tensor x;
    const float host[N] = {1};
    assert_ok(tk_device_put(d, host, TK_F32, N, 1, &x));
    assert_ok(tk_device_sync(d));
    volatile const float *at = x.data;
    printf("%g", (double)at[3]);
}

static void host_writes_device(tk_device *d)
{
    tk_tensor x;
    assert_ok(tk_device_new(d, TK_F32, N, 1, &x));
    memset(x.data, 0, 4);
}

static void kernel_reads_far(tk_device *d)
{
    tk_tensor x;
    assert_ok(tk_device_new(d, TK_F32, N, 1, &x));
    tk_tensor far = x;
    far.data = d->pool.base + (1 << 20); // behind all that is mapped
    const tk_call add = {.op = TK_OP_ADD, .in = {far, far}, .out = {x}};
    (void)tk_op_forward(d, &add);
    (void)tk_device_sync(d);
}

// Copies may go beyond the wall, kernels not.
static void kernel_reads_behind_a_wall(tk_device *d)
{
    enum { PAGE = 4096 };
    tk_tensor all, x, to;
    static float host[2 * PAGE];
    assert_ok(tk_device_put(d, host, TK_F32, 2 * PAGE, 1, &all));
    assert_ok(tk_device_new(d, TK_F32, N, 1, &to));
    char *const wall = (char *)(((uintptr_t)all.data + 2 * PAGE) / PAGE * PAGE);
    standin_wall(wall, PAGE);
    assert_ok(tk_device_get(d, &all, host));
    x = to;
    x.data = wall - N * sizeof(float);
    const tk_call within = {.op = TK_OP_ADD, .in = {x, x}, .out = {to}};
    assert_ok(tk_op_forward(d, &within));
    assert_ok(tk_device_sync(d));
    fprintf(stderr, "so far so good; ");
    x.data = wall - (N - 4) * sizeof(float);
    const tk_call behind = {.op = TK_OP_ADD, .in = {x, x}, .out = {to}};
    (void)tk_op_forward(d, &behind);
    (void)tk_device_sync(d);
}

static void upload_changes(tk_device *d)
{
    tk_tensor x;
    float host[N] = {1};
    standin_seed(0);
    assert_ok(tk_device_put(d, host, TK_F32, N, 1, &x));
    host[3] = 2;
    (void)tk_device_sync(d);
}

static void pinned_goes_early(tk_device *d)
{
    void *host;
    tk_tensor x;
    standin_seed(0);
    assert_ok(tk_device_host_new(d, 256, &host));
    assert_ok(tk_device_put(d, host, TK_F32, N, 1, &x));
    tk_device_host_free(d, host);
}

static void copy_outside(tk_device *d)
{
    float host[N] = {0};
    (void)cudaMemcpyAsync(host, host, sizeof host, cudaMemcpyHostToDevice, NULL);
    (void)d;
}

static void default_stream(tk_device *d)
{
    (void)cudaMemsetAsync(d->pool.base, 0, 64, NULL);
}

static void what_is_not_its_own_is_not_touched(void **state)
{
    (void)state;
    assert_found(host_reads_device, "host code touches device memory (byte 12)");
    assert_found(host_writes_device, "host code touches device memory");
    assert_found(kernel_reads_far, "add touches 0x");
    assert_found(kernel_reads_behind_a_wall, "so far so good; stand-in: add touches 0x");
    assert_found(upload_changes, "host memory of an upload of 256 bytes has changed");
    assert_found(pinned_goes_early, "is freed before the device is done with it");
    assert_found(copy_outside, "are not memory of the device");
    assert_found(default_stream, "is no stream");
}

// ---- order -------------------------------------------------------------------------------------

enum { WHOLE, NO_WAIT, NO_HOST_WAIT, FREED_EARLY };

// x uploaded on one queue, doubled on another, downloaded on a third: as the fault has it. Whether
// what arrives is right.
static bool goes_round(tk_device *d, uint64_t seed, int fault)
{
    void *pinned;
    tk_tensor x, y, z;
    tk_event up = {0}, ready = {0};
    bool right = true;
    standin_seed(seed);
    assert_ok(tk_device_host_new(d, 2 * N * sizeof(float), &pinned));
    float *const host = pinned;
    for (int i = 0; i < N; i++) host[i] = (float)i;
    assert_ok(tk_event_open(&up, d));
    assert_ok(tk_event_open(&ready, d));
    tk_device_on(d, TK_QUEUE_COPY);
    assert_ok(tk_device_put(d, host, TK_F32, N, 1, &x));
    assert_ok(tk_event_record(&up, TK_QUEUE_COPY));
    if (fault == FREED_EARLY) {
        const tk_tensor gone = x;
        tk_device_free(d, &x); // its memory is z's from now on
        x = gone;
        assert_ok(tk_device_new(d, TK_F32, N, 1, &z));
        assert_ptr_equal(z.data, x.data);
        assert_ok(tk_device_zero(d, z.data, tk_bytes(&z)));
    }
    tk_device_on(d, TK_QUEUE_COMPUTE);
    if (fault != NO_WAIT) assert_ok(tk_event_wait(&up, TK_QUEUE_COMPUTE));
    assert_ok(tk_device_new(d, TK_F32, N, 1, &y));
    const tk_call add = {.op = TK_OP_ADD, .in = {x, x}, .out = {y}};
    assert_ok(tk_op_forward(d, &add));
    assert_ok(tk_device_download(d, host + N, y.data, tk_bytes(&y)));
    assert_ok(tk_event_record(&ready, TK_QUEUE_COMPUTE));
    if (fault != NO_HOST_WAIT) assert_ok(tk_event_sync(&ready));
    for (int i = 0; i < N; i++) right = right && host[N + i] == 2 * host[i];
    assert_ok(tk_device_sync(d));
    tk_event_close(&up);
    tk_event_close(&ready);
    tk_device_host_free(d, host);
    tk_device_free(d, &y);
    tk_device_free(d, fault == FREED_EARLY ? &z : &x);
    return right;
}

static void waits_that_lack_show(void **state)
{
    (void)state;
    tk_device d;
    open_device(&d);
    int seen[FREED_EARLY + 1] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (int fault = WHOLE; fault <= FREED_EARLY; fault++)
            seen[fault] += !goes_round(&d, seed, fault);
    assert_int_equal(seen[WHOLE], 0);
    assert_in_range(seen[NO_WAIT], 3, SEEDS - 3); // in some orders, not in all
    assert_in_range(seen[NO_HOST_WAIT], 3, SEEDS);
    assert_in_range(seen[FREED_EARLY], 3, SEEDS);
    tk_device_close(&d);
}

static void seed_0_does_nothing_before_the_host_waits(void **state)
{
    (void)state;
    tk_device d;
    tk_tensor x;
    void *host;
    open_device(&d);
    standin_seed(0);
    assert_ok(tk_device_host_new(&d, 4 * N, &host));
    assert_ok(tk_device_put(&d, host, TK_F32, N, 1, &x));
    cudaStream_t s;
    cudaEvent_t e;
    assert_int_equal(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cudaEventCreateWithFlags(&e, cudaEventDefault), cudaSuccess);
    assert_int_equal(cudaMemsetAsync(x.data, 0, 64, s), cudaSuccess);
    assert_int_equal(cudaEventRecord(e, s), cudaSuccess);
    assert_int_equal(cudaEventQuery(e), cudaErrorNotReady);
    const int64_t before = standin_count().host_waits;
    assert_int_equal(cudaEventSynchronize(e), cudaSuccess);
    assert_int_equal(standin_count().host_waits - before, 1);
    assert_int_equal(cudaEventQuery(e), cudaSuccess);
    assert_int_equal(standin_count().host_waits - before, 1);
    assert_int_equal(cudaEventDestroy(e), cudaSuccess);
    assert_int_equal(cudaStreamDestroy(s), cudaSuccess);
    assert_ok(tk_device_sync(&d));
    tk_device_host_free(&d, host);
    tk_device_close(&d);
}

// Memory is no number before it is written.
static void memory_is_poisoned(void **state)
{
    (void)state;
    tk_device d;
    tk_tensor x;
    float got[N];
    open_device(&d);
    assert_ok(tk_device_new(&d, TK_F32, N, 1, &x));
    assert_ok(tk_device_get(&d, &x, got));
    for (int i = 0; i < N; i++) assert_true(got[i] != got[i]);
    tk_device_close(&d);
}

// With TALKIE_POISON what has been given back is no number either.
static void memory_given_back_is_poisoned_on_request(void **state)
{
    (void)state;
    for (int on = 0; on < 2; on++) {
        tk_device d;
        tk_tensor x, y;
        float host[N] = {0}, got[N];
        if (on) setenv("TALKIE_POISON", "1", 1);
        open_device(&d);
        assert_ok(tk_device_put(&d, host, TK_F32, N, 1, &x));
        tk_device_free(&d, &x);
        assert_ok(tk_device_new(&d, TK_F32, N, 1, &y));
        assert_ok(tk_device_get(&d, &y, got));
        for (int i = 0; i < N; i++) assert_int_equal(got[i] != got[i], on);
        tk_device_close(&d);
    }
    unsetenv("TALKIE_POISON");
}

// ---- work of other libraries -------------------------------------------------------------------

typedef struct patient {
    int64_t *asked; // how often
    int64_t needs;  // before it is done
} patient;

static standin_turn be_patient(void *what)
{
    patient *p = what;
    return ++*p->asked >= p->needs ? STANDIN_DONE : STANDIN_NOT_YET;
}

static void work_that_is_not_ready_lets_others_go_on(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        cudaStream_t a, b;
        cudaEvent_t e;
        int64_t asked = 0;
        const patient p = {&asked, 100};
        standin_seed(seed);
        assert_int_equal(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking), cudaSuccess);
        assert_int_equal(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking), cudaSuccess);
        assert_int_equal(cudaEventCreateWithFlags(&e, cudaEventDefault), cudaSuccess);
        assert_int_equal(standin_enqueue(a, "patient", be_patient, &p, sizeof p), cudaSuccess);
        assert_int_equal(cudaEventRecord(e, b), cudaSuccess);
        assert_int_equal(cudaEventSynchronize(e), cudaSuccess);
        assert_true(asked < 100);
        assert_int_equal(cudaStreamSynchronize(a), cudaSuccess);
        assert_int_equal(asked, 100);
        assert_int_equal(cudaEventDestroy(e), cudaSuccess);
        assert_int_equal(cudaStreamDestroy(a), cudaSuccess);
        assert_int_equal(cudaStreamDestroy(b), cudaSuccess);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_its_own_is_not_touched),
        cmocka_unit_test(waits_that_lack_show),
        cmocka_unit_test(seed_0_does_nothing_before_the_host_waits),
        cmocka_unit_test(memory_is_poisoned),
        cmocka_unit_test(memory_given_back_is_poisoned_on_request),
        cmocka_unit_test(work_that_is_not_ready_lets_others_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
