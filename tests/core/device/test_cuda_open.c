// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 30; cuda: too */
// The device "cuda": where it cannot be had, words that say what would be right.
#include "core/device/event.h"
#include "tests/support/test.h"
#include "tests/support/tested.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
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

// ---- an emulated GPU with something wrong ------------------------------------------------------

typedef struct trouble {
    const char *variable, *value; // of the environment
    tk_status status;
    const char *says[3];
} trouble;

// Uses the device until something fails.
static tk_status use_device(tk_device *d)
{
    float host[64] = {0};
    tk_tensor x = {0}, large = {0};
    tk_event e = {0};
    TK_TRY(tk_device_open(d, tk_device_find(TK_DEVICE_CUDA), 1, 0));
    TK_TRY(tk_event_open(&e, d));
    TK_TRY(tk_device_put(d, host, TK_F32, 64, 1, &x));
    TK_TRY(tk_device_zero(d, x.data, 128));
    TK_TRY(tk_device_get(d, &x, host));
    TK_TRY(tk_event_record(&e, TK_QUEUE_COMPUTE));
    TK_TRY(tk_event_sync(&e));
    for (int i = 0; i < 20; i++) TK_TRY(tk_device_new(d, TK_F32, 1 << 20, 1, &large)); // 80 MiB
    tk_event_close(&e);
    tk_device_free(d, &x);
    return TK_OK;
}

// In a process of its own: the status, and the words it wrote to `said`.
static tk_status status_of(const trouble *t, char *said, size_t room)
{
    int pipes[2], how;
    assert_int_equal(pipe(pipes), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tk_device d;
        if (t->variable) setenv(t->variable, t->value, 1);
        const tk_status st = use_device(&d);
        const char *words = tk_status_message();
        if (write(pipes[1], words, strlen(words)) < 0) _exit(TK_STATUS_COUNT);
        tk_device_close(&d);
        _exit((int)st);
    }
    close(pipes[1]);
    FILE *f = fdopen(pipes[0], "r");
    said[fread(said, 1, room - 1, f)] = 0;
    fclose(f);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return (tk_status)WEXITSTATUS(how);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    static const trouble troubles[] = {
        {NULL, NULL, TK_OK, {""}},
        {"TK_CUDA_DRIVER", "0", TK_INPUT, {"has no NVIDIA driver"}},
        {"TK_CUDA_DRIVER", "12040", TK_INPUT, {"knows CUDA up to 12.4", "update the driver"}},
        {"CUDA_VISIBLE_DEVICES", "", TK_INPUT, {"CUDA_VISIBLE_DEVICES is empty", "unset it"}},
        {"CUDA_VISIBLE_DEVICES", "7", TK_INPUT, {"CUDA_VISIBLE_DEVICES=7 names no GPU"}},
        {"CUDA_VISIBLE_DEVICES", "0,0", TK_INPUT, {"CUDA_VISIBLE_DEVICES=0,0", "each once"}},
        {"TK_CUDA_GPUS", "2", TK_OK, {""}},
        {"TK_CUDA_GPUS", "0", TK_INPUT, {"the driver finds no GPU", "nvidia-smi"}},
        {"TK_CUDA_ARCH", "89", TK_INPUT, {"of compute capability 8.9", "make ARCHES=\"90a 89\""}},
        {"TK_CUDA_ARCH", "75", TK_INPUT, {"of compute capability 7.5", "need 8.0 or later"}},
        {"TK_CUDA_FAIL", "cudaGetDeviceCount:1:999", TK_INPUT, {"CUDA does not start"}},
        {"TK_CUDA_FAIL", "cudaStreamCreateWithFlags:2:2", TK_MEMORY, {"making a stream"}},
        {"TK_CUDA_FAIL", "cudaGetDriverEntryPointByVersion:3:801", TK_INTERNAL, {"cuMemCreate"}},
        {"TK_CUDA_FAIL", "cuMemAddressReserve:1:2", TK_MEMORY, {"cuMemAddressReserve"}},
        {"TK_CUDA_MEMORY",
         "64",
         TK_MEMORY,
         {"would grow to 64.0 MiB, it has 60.1", "3.9 of the GPU's 64.0 MiB are free"}},
        {"TK_CUDA_FAIL", "cuMemCreate:2:2", TK_OK, {""}}, // what is needed, not a large piece
        {"TK_CUDA_FAIL", "cuMemMap:1:999", TK_DEVICE, {"has failed", "mapping memory"}},
        {"TK_CUDA_FAIL", "cudaMemcpyAsync:1:1", TK_INTERNAL, {"upload: cudaErrorInvalidValue"}},
        {"TK_CUDA_FAIL",
         "work:1:700",
         TK_DEVICE,
         {"GPU 0 (emulated GPU)", "cudaErrorIllegalAddress", "last checkpoint"}},
        {"TK_CUDA_FAIL", "work:2:214", TK_DEVICE, {"cudaErrorECCUncorrectable"}},
    };
    if (!tested_is_emulated()) return;
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        const trouble *t = &troubles[i];
        char said[1024];
        const tk_status st = status_of(t, said, sizeof said);
        if (st != t->status)
            fail_msg("%s=%s: %s: %s", t->variable, t->value, tk_status_words(st), said);
        for (int k = 0; k < 3 && t->says[k]; k++)
            if (!strstr(said, t->says[k])) fail_msg("\"%s\" does not say \"%s\"", said, t->says[k]);
    }
}

// The n-th call of the runtime fails, whichever: told, and the device closes all the same.
static void any_call_may_fail(void **state)
{
    (void)state;
    tk_status st = TK_INTERNAL;
    int n = 1;
    if (!tested_is_emulated()) return;
    for (; st != TK_OK; n++) {
        char value[32], said[1024];
        snprintf(value, sizeof value, "any:%d:46", n);
        const trouble t = {"TK_CUDA_FAIL", value, TK_DEVICE, {NULL}};
        st = status_of(&t, said, sizeof said);
        if (st != TK_OK && st != TK_DEVICE && st != TK_INPUT)
            fail_msg("call %d: %s: %s", n, tk_status_words(st), said);
        if (st != TK_OK) assert_non_null(strstr(said, "cudaErrorDevicesUnavailable"));
        assert_true(n < 1000);
    }
    assert_true(n > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef TK_CUDA
        cmocka_unit_test(architectures_fit),
#endif
        cmocka_unit_test(it_opens_or_says_why_not),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(any_call_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
