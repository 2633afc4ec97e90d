// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 300; cuda: too; kernels: attention_documents */
// Attention by cuDNN against the plain loops of "ref": the cases of ops_cases.h whose heads it
// knows, in bf16, with all the workspace that it wants, cut to single heads of single documents,
// and in any order; what is planned without a device takes the same memory. Devices without cuDNN
// refuse.
#include "tests/core/device/ops_run.h"

static const tk_device_ops *tested(void)
{
    const char *device = getenv("TK_TEST_DEVICE");
    return tk_device_find(device && !strcmp(device, "cuda") ? TK_DEVICE_CUDA : TK_DEVICE_CPU);
}

// Bytes that one head of one of the case's documents takes, and a little more.
static int64_t one_head(const world *w)
{
    enum { TILE = 128, REST = 4096 };
    const int64_t longest = w->call.i[1] > 1 ? w->call.i[1] : 1;
    const int64_t n = (longest + TILE - 1) / TILE * TILE;
    return n * n * 2 + REST;
}

// cuDNN rounds weights, gradients of scores, and those of inputs before they are added. Where terms
// cancel their roundings do not, so that an element may be far off: in the mean square none is.
typedef struct bound {
    double nmse, element, floor;
} bound;
static const bound sums = {1e-7, 1e-4, 1e-4}, output = {0x1p-14, 0x1p-6, 0x1p-5},
                   gradient = {1e-4, 0x1p-5, 0x1p-4};

static void expect_near(const world *w, const char *what, int which, const float *got,
                        const float *wanted, int64_t n, bound b)
{
    const double size = square(wanted, n), floor = b.floor * sqrt(size / (double)(n ? n : 1));
    double s = 0;
    for (int64_t i = 0; i < n; i++) {
        const double off = fabs((double)got[i] - wanted[i]);
        if (!(off <= b.element * fabs(wanted[i]) + floor))
            fail_msg("%s: %s %d: element %lld is %.9g, ref's %.9g", w->name, what, which,
                     (long long)i, got[i], wanted[i]);
        s += off * off;
    }
    if (!(s <= b.nmse * size))
        fail_msg("%s: %s %d differs from ref by NMSE %.3g", w->name, what, which, s / size);
}

static void expect_result(const world *w, const result *got, const result *wanted)
{
    const tk_call *c = &w->call;
    for (int i = 0; i < 2; i++)
        expect_near(w, "output", i, got->out[i], wanted->out[i], tk_count(&c->out[i]),
                    i ? sums : output);
    for (int i = 0; i < 3; i++)
        if (wanted->din[i])
            expect_near(w, "gradient", i, got->din[i], wanted->din[i], tk_count(&c->din[i]),
                        gradient);
    assert_true(got->flops == wanted->flops);
}

static void agrees_with_ref(world *w)
{
    enum { WAYS = 5 };
    static const way ways[WAYS] = {{31, 0}, {31, 31}, {1, 0}, {2, 2}, {4, 0}};
    const tk_device_ops *ops = tested();
    const backend by[] = {
        {.ops = ops, .seed = "1", .by = TK_ATTENTION_CUDNN, .workspace = 1 << 30},
        {.ops = ops,
         .seed = "2",
         .by = TK_ATTENTION_CUDNN,
         .workspace = one_head(w),
         .walled = ops == tk_device_find(TK_DEVICE_CUDA)},
        {.ops = ops, .seed = "3", .by = TK_ATTENTION_CUDNN, .workspace = 1, .any_order = true}};
    result wanted[WAYS];
    run_ways(&ref, w, WAYS, ways, wanted);
    for (int b = 0; b < 3; b++) {
        backend dry = by[b];
        dry.dry = true;
        result got[WAYS], planned[WAYS];
        run_ways(&by[b], w, WAYS, ways, got);
        run_ways(&dry, w, WAYS, ways, planned);
        for (int i = 0; i < WAYS; i++) {
            expect_result(w, &got[i], &wanted[i]);
            assert_int_equal(planned[i].peak, got[i].peak);
            result_free(&got[i]);
            result_free(&planned[i]);
        }
    }
    for (int i = 0; i < WAYS; i++) result_free(&wanted[i]);
}

static bool has_cudnn(void)
{
    tk_device d;
    assert_ok(tk_device_open(&d, tested(), 1, 1 << 20));
    const bool has = tk_device_attend(&d, TK_ATTENTION_CUDNN, 1 << 20) == TK_OK;
    if (!has) print_message("%s\n", tk_status_message());
    tk_device_close(&d);
    return has;
}

static void every_case_agrees_with_ref(void **state)
{
    (void)state;
    int n = 0;
    if (!has_cudnn()) skip();
    for (int i = 0; i < N_CASES; i++) {
        world w;
        if (cases[i].op != TK_OP_ATTENTION) continue;
        world_open(&w, &cases[i], kinds[1]);
        snprintf(w.name, sizeof w.name, "attention case %d by cuDNN", i);
        if (w.call.i[0] % 16 == 0) agrees_with_ref(&w), n++;
        world_close(&w);
    }
    assert_true(n >= 6);
}

// Before 9.18 the workspace must be zero, which the stand-in looks at.
static void an_old_one_finds_its_workspace_zero(void **state)
{
    (void)state;
    world w;
    int i = 0;
    if (!has_cudnn()) skip();
    setenv("STANDIN_CUDNN_VERSION", "91700", 1);
    while (cases[i].op != TK_OP_ATTENTION || cases[i].x != 16) i++;
    world_open(&w, &cases[i], kinds[1]);
    snprintf(w.name, sizeof w.name, "attention case %d by an old cuDNN", i);
    agrees_with_ref(&w);
    world_close(&w);
    unsetenv("STANDIN_CUDNN_VERSION");
}

static void is_left_to_our_own(world *w)
{
    char words[64];
    const backend own = {
        .ops = tested(), .seed = "1", .by = TK_ATTENTION_AUTO, .workspace = 1 << 30};
    result a = run(&own, w, 31, 0), b = run(&ref, w, 31, 0);
    expect_result(w, &a, &b);
    result_free(&a);
    result_free(&b);
    tk_device *d = device_of(&own);
    assert_ok(tk_device_attend(d, TK_ATTENTION_CUDNN, 1 << 20));
    assert_int_equal(tk_device_run(d, &w->call, false), TK_INPUT);
    snprintf(words, sizeof words, "these have %lld (model.head_dim)", (long long)w->call.i[0]);
    assert_says(words);
}

// What it does not take is refused where it is asked for, and else done by our own kernels: it
// would compute heads of 8 and 24 channels and give wrong gradients.
static void what_it_does_not_take(void **state)
{
    enum { SIZES = 3 };
    static const int64_t channels[SIZES] = {5, 8, 24};
    int n[SIZES] = {0};
    (void)state;
    if (!has_cudnn()) skip();
    for (int i = 0; i < N_CASES; i++) {
        world w;
        if (cases[i].op != TK_OP_ATTENTION) continue;
        world_open(&w, &cases[i], kinds[1]);
        snprintf(w.name, sizeof w.name, "attention case %d", i);
        for (int k = 0; k < SIZES; k++)
            if (w.call.i[0] == channels[k] && n[k]++ == 0) is_left_to_our_own(&w);
        world_close(&w);
    }
    for (int k = 0; k < SIZES; k++) assert_true(n[k] > 0);
}

static void devices_without_it(void **state)
{
    (void)state;
    tk_device d;
    assert_ok(tk_device_open(&d, &tk_device_cpu, 1, 1 << 20));
    assert_int_equal(d.attention.by, TK_ATTENTION_OWN);
    assert_int_equal(tk_device_attend(&d, TK_ATTENTION_CUDNN, 1 << 20), TK_INPUT);
    assert_says("device cpu does its own attention; cuDNN is for device=cuda");
    assert_ok(tk_device_attend(&d, TK_ATTENTION_AUTO, 1 << 20));
    assert_int_equal(d.attention.by, TK_ATTENTION_OWN);
    tk_device_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_case_agrees_with_ref, close_devices),
        cmocka_unit_test_teardown(an_old_one_finds_its_workspace_zero, close_devices),
        cmocka_unit_test_teardown(what_it_does_not_take, close_devices),
        cmocka_unit_test(devices_without_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
