// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 60 */
// Matrix products of the device "cuda": which algorithm does them, and that it stays. The stand-in
// for cuBLASLt has algorithms that differ in bits; STANDIN_CUBLASLT_FAST says which one is fastest.
#include "core/base/mem.h"
#include "core/device/cuda/choices.h"
#include "core/device/ops/ops.h"
#include "core/numbers/half.h"
#include "tests/support/test.h"
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POOL_BYTES = 4 << 20, MOST = 128 * 128 };
enum { PLAIN = 2, NARROW = 4, WIDE = 5 }; // lt_kind of the stand-in

static void open_cuda(tk_device *d)
{
    assert_ok(tk_device_open(d, tk_device_find(TK_DEVICE_CUDA), 1, POOL_BYTES));
}

static void fill(float *x, int64_t n, unsigned seed)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-31f;
    }
}

// A tensor of numbers made from a seed, and what it holds in fp32.
static tk_tensor put(tk_device *d, tk_dtype t, int64_t rows, int64_t cols, unsigned seed, float *x)
{
    static uint16_t half[MOST];
    tk_tensor out;
    fill(x, rows * cols, seed);
    for (int64_t i = 0; i < rows * cols && t == TK_BF16; i++) {
        half[i] = tk_bf16_from_float(x[i]);
        x[i] = tk_bf16_to_float(half[i]);
    }
    assert_ok(tk_device_put(d, t == TK_BF16 ? (void *)half : x, t, rows, cols, &out));
    assert_ok(tk_device_sync(d));
    return out;
}

static void get(tk_device *d, const tk_tensor *t, float *x)
{
    static uint16_t half[MOST];
    assert_ok(tk_device_get(d, t, t->dtype == TK_BF16 ? (void *)half : x));
    for (int64_t i = 0; i < tk_count(t) && t->dtype == TK_BF16; i++)
        x[i] = tk_bf16_to_float(half[i]);
}

// y (n,m) of a product of fixed numbers, in fp32.
static void product(tk_device *d, int64_t n, int64_t m, int64_t k, float *y)
{
    static float x[MOST];
    tk_call c = {.op = TK_OP_LINEAR};
    c.in[0] = put(d, TK_F32, n, k, 1, x);
    c.in[1] = put(d, TK_F32, m, k, 2, x);
    assert_ok(tk_device_new(d, TK_F32, n, m, &c.out[0]));
    assert_ok(tk_op_forward(d, &c));
    get(d, &c.out[0], y);
    for (int i = 0; i < 2; i++) tk_device_free(d, &c.in[i]);
    tk_device_free(d, &c.out[0]);
}

// The same by a device that has learned nothing, or from `text`.
static void product_of(const char *text, int64_t n, int64_t m, int64_t k, float *y)
{
    tk_device d;
    int64_t own;
    open_cuda(&d);
    if (text) assert_ok(tk_device_choose(&d, 1, &text, &own));
    product(&d, n, m, k, y);
    tk_device_close(&d);
}

// What a device learns of products of these sizes, the stand-in being told `variable`.
static char *learn_by(const char *variable, const char *value, tk_arena *a, int64_t n, int64_t m,
                      int64_t k)
{
    static float y[MOST];
    char *text;
    tk_device d;
    open_cuda(&d);
    setenv(variable, value, 1);
    assert_true(tk_device_learns(&d));
    assert_ok(tk_device_learn(&d, true));
    product(&d, n, m, k, y);
    assert_ok(tk_device_learn(&d, false));
    unsetenv(variable);
    assert_ok(tk_device_learned(&d, a, &text));
    tk_device_close(&d);
    return text;
}

// Where no algorithm but one starts.
static char *learn(int only, tk_arena *a, int64_t n, int64_t m, int64_t k)
{
    const char number[] = {(char)('0' + only), 0};
    return learn_by("STANDIN_CUBLASLT_ONLY", number, a, n, m, k);
}

static bool same(const float *x, const float *y, int64_t n)
{
    return !memcmp(x, y, (size_t)n * sizeof *x);
}

enum { N = 40, M = 24, K = 100 };
static float first[N * M], once[N * M], again[N * M];

static void the_same_shape_gives_the_same_bits(void **state)
{
    (void)state;
    tk_device d;
    product_of(NULL, N, M, K, first);
    open_cuda(&d);
    for (int i = 0; i < 4; i++) {
        product(&d, N, M, K, again);
        assert_true(same(first, again, N * M));
    }
    tk_device_close(&d);
}

// By longer than a busy machine takes for nothing.
static void the_fastest_is_learned(void **state)
{
    (void)state;
    tk_arena a;
    tk_arena_init(&a, 0);
    assert_string_equal(learn_by("STANDIN_CUBLASLT_FAST", "4:25", &a, 8, 8, 8),
                        learn(NARROW, &a, 8, 8, 8));
    tk_arena_free(&a);
}

static void what_is_learned_stays(void **state)
{
    (void)state;
    tk_arena a;
    tk_arena_init(&a, 0);
    product_of(NULL, N, M, K, first);
    const char *narrow = learn(NARROW, &a, N, M, K), *wide = learn(WIDE, &a, N, M, K);
    product_of(narrow, N, M, K, once);
    product_of(wide, N, M, K, again);
    assert_false(same(first, once, N * M));
    assert_false(same(first, again, N * M));
    assert_false(same(once, again, N * M));
    product_of(learn(PLAIN, &a, N, M, K), N, M, K, again);
    assert_true(same(first, again, N * M));
    // what was learned is not timed again, and the first text counts
    const char *both[] = {narrow, wide};
    int64_t own;
    tk_device d;
    open_cuda(&d);
    assert_ok(tk_device_choose(&d, 2, both, &own));
    assert_int_equal(own, 1);
    setenv("STANDIN_CUBLASLT_FAST", "5:25", 1);
    assert_ok(tk_device_learn(&d, true));
    product(&d, N, M, K, again);
    assert_ok(tk_device_learn(&d, false));
    unsetenv("STANDIN_CUBLASLT_FAST");
    product(&d, N, M, K, again);
    assert_true(same(once, again, N * M));
    tk_device_close(&d);
    tk_arena_free(&a);
}

// Rows come in any number; those of about as many are done alike, others by the heuristic's first.
static void shapes_have_classes(void **state)
{
    (void)state;
    tk_arena a;
    tk_arena_init(&a, 0);
    const char *narrow = learn(NARROW, &a, N, M, K), *near = learn(NARROW, &a, N + 3, M, K);
    for (int64_t n = N + 3; n < N + 5; n++) {
        static float alike[(N + 4) * M], own[(N + 4) * M];
        product_of(narrow, n, M, K, alike);
        product_of(n == N + 3 ? near : NULL, n, M, K, own);
        assert_true(same(alike, own, n * M));
    }
    tk_arena_free(&a);
}

static void damaged_texts_are_not_used(void **state)
{
    (void)state;
    tk_arena a;
    tk_arena_init(&a, 0);
    char *text = learn(NARROW, &a, N, M, K);
    product_of(NULL, N, M, K, first);
    tk_device d;
    open_cuda(&d);
    for (size_t at = 0; at < strlen(text); at += 7) {
        int64_t own;
        char *bad = tk_arena_strdup(&a, text);
        const char *given = bad;
        bad[at] = bad[at] == '1' ? '2' : '1';
        assert_status(tk_device_choose(&d, 1, &given, &own), TK_INPUT);
        assert_says("damaged");
    }
    product(&d, N, M, K, again);
    assert_true(same(first, again, N * M));
    tk_device_close(&d);
    tk_arena_free(&a);
}

// The text of a choice, as one of this GPU and version of the library.
static const char *text_of(const tk_cuda_choice *c, const char *gpu, uint64_t version, tk_arena *a)
{
    tk_cuda_choices t = {.version = version};
    char *text;
    snprintf(t.gpu, sizeof t.gpu, "%s", gpu);
    assert_ok(tk_cuda_choices_add(&t, c));
    assert_ok(tk_cuda_choices_write(&t, a, &text));
    tk_cuda_choices_free(&t);
    return text;
}

// Texts of other GPUs and versions are kept, and not used.
// The one that there is, beside who does attention.
static tk_cuda_choice the_product_of(const tk_cuda_choices *t)
{
    tk_cuda_choice product = {.none = true};
    assert_int_equal(t->n, 2);
    for (int64_t i = 0; i < t->n; i++)
        if (t->list[i].shape.kind != tk_cuda_attention_choice.kind) product = t->list[i];
    assert_false(product.none);
    return product;
}

static void choices_of_others_are_not_used(void **state)
{
    (void)state;
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_cuda_choices t = {.gpu = "any"};
    const char *narrow = learn(NARROW, &a, N, M, K);
    assert_ok(tk_cuda_choices_read(&t, narrow));
    assert_int_equal(tk_cuda_choices_own(&t), 0);
    const tk_cuda_choice c = the_product_of(&t);
    product_of(NULL, N, M, K, first);
    product_of(narrow, N, M, K, once);
    product_of(text_of(&c, c.gpu, c.version, &a), N, M, K, again);
    assert_true(same(once, again, N * M));
    product_of(text_of(&c, "another GPU", c.version, &a), N, M, K, again);
    assert_true(same(first, again, N * M));
    product_of(text_of(&c, c.gpu, c.version + 1, &a), N, M, K, again);
    assert_true(same(first, again, N * M));
    tk_cuda_choices_free(&t);
    tk_arena_free(&a);
}

static void close_to(const float *got, const float *wanted, int64_t n, float step)
{
    for (int64_t i = 0; i < n; i++) assert_near(got[i], wanted[i], step * (1 + fabsf(wanted[i])));
}

// Gradients, added to what is there: on "ref" and on "cuda".
static void back(const tk_device_ops *ops, tk_dtype t, int64_t n, int64_t m, int64_t k, float *dx,
                 float *dw, float *db)
{
    static float x[MOST];
    tk_device d;
    tk_call c = {.op = TK_OP_LINEAR, .add = {true, true, true}};
    assert_ok(tk_device_open(&d, ops, 1, POOL_BYTES));
    c.in[0] = put(&d, t, n, k, 1, x);
    c.in[1] = put(&d, t, m, k, 2, x);
    c.dout[0] = put(&d, t, n, m, 3, x);
    c.din[0] = put(&d, t, n, k, 4, x);
    c.din[1] = put(&d, TK_F32, m, k, 5, x);
    c.din[2] = put(&d, TK_F32, m, 1, 6, x);
    c.din[2].ndim = 1;
    c.din[2].dim[0] = m;
    assert_ok(tk_op_backward(&d, &c));
    get(&d, &c.din[0], dx);
    get(&d, &c.din[1], dw);
    get(&d, &c.din[2], db);
    tk_device_close(&d);
}

static void gradients_are_added(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{40, 24, 100}, {33, 7, 5}, {1, 17, 3}, {0, 6, 5}, {5, 0, 6}};
    static float dx[MOST], dw[MOST], db[MOST], dx_ref[MOST], dw_ref[MOST], db_ref[MOST];
    for (int half = 0; half < 2; half++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const int64_t n = sizes[i][0], m = sizes[i][1], k = sizes[i][2];
            const tk_dtype t = half ? TK_BF16 : TK_F32;
            back(&tk_device_ref, t, n, m, k, dx_ref, dw_ref, db_ref);
            back(tk_device_find(TK_DEVICE_CUDA), t, n, m, k, dx, dw, db);
            close_to(dx, dx_ref, n * k, half ? 0x1p-7f : 1e-5f);
            close_to(dw, dw_ref, m * k, 1e-5f);
            close_to(db, db_ref, m, 1e-5f);
        }
}

// Views begin anywhere: an algorithm is asked for that takes the address as it is, or the plain
// kernel does it.
static void any_address_serves(void **state)
{
    (void)state;
    static float y[2][N * M], x[MOST];
    const tk_device_ops *const ops[] = {&tk_device_ref, tk_device_find(TK_DEVICE_CUDA)};
    for (int way = 0; way < 12; way++) { // type, operand and shift
        const tk_dtype t = way % 2 ? TK_BF16 : TK_F32;
        const int shifted = way / 2 % 2, shift = 1 << way / 4;
        for (int i = 0; i < 2; i++) {
            tk_device d;
            tk_call c = {.op = TK_OP_LINEAR};
            assert_ok(tk_device_open(&d, ops[i], 1, POOL_BYTES));
            c.in[0] = put(&d, t, N + 1, K, 1, x);
            c.in[1] = put(&d, t, M + 1, K, 2, x);
            c.in[0].dim[0] = N;
            c.in[1].dim[0] = M;
            c.in[shifted].data = (char *)c.in[shifted].data + (size_t)shift * tk_dtype_size(t);
            assert_ok(tk_device_new(&d, t, N, M, &c.out[0]));
            assert_ok(tk_op_forward(&d, &c));
            get(&d, &c.out[0], y[i]);
            tk_device_close(&d);
        }
        close_to(y[1], y[0], N * M, t == TK_BF16 ? 0x1p-7f : 1e-5f);
    }
}

// ---- the stand-in
// --------------------------------------------------------------------------------

static struct {
    __typeof__(cublasLtCreate) *create;
    __typeof__(cublasLtDestroy) *destroy;
    __typeof__(cublasLtMatmulDescCreate) *new_desc;
    __typeof__(cublasLtMatmulDescDestroy) *end_desc;
    __typeof__(cublasLtMatrixLayoutCreate) *new_layout;
    __typeof__(cublasLtMatrixLayoutDestroy) *end_layout;
    __typeof__(cublasLtMatmulPreferenceCreate) *new_preference;
    __typeof__(cublasLtMatmulPreferenceDestroy) *end_preference;
    __typeof__(cublasLtMatmulPreferenceSetAttribute) *prefer;
    __typeof__(cublasLtMatmulAlgoGetHeuristic) *heuristic;
    __typeof__(cublasLtMatmul) *multiply;
} lt;

static void find(const char *name, void *to)
{
    void *library = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
    void *f = library ? dlsym(library, name) : NULL;
    if (!f) fail_msg("%s", dlerror());
    memcpy(to, &f, sizeof f);
}

static void find_all(void)
{
    find("cublasLtCreate", &lt.create);
    find("cublasLtDestroy", &lt.destroy);
    find("cublasLtMatmulDescCreate", &lt.new_desc);
    find("cublasLtMatmulDescDestroy", &lt.end_desc);
    find("cublasLtMatrixLayoutCreate", &lt.new_layout);
    find("cublasLtMatrixLayoutDestroy", &lt.end_layout);
    find("cublasLtMatmulPreferenceCreate", &lt.new_preference);
    find("cublasLtMatmulPreferenceDestroy", &lt.end_preference);
    find("cublasLtMatmulPreferenceSetAttribute", &lt.prefer);
    find("cublasLtMatmulAlgoGetHeuristic", &lt.heuristic);
    find("cublasLtMatmul", &lt.multiply);
}

enum { SIDE = 16, ROOM = 1 << 20 };

// d (16,16) = a (16,16) @ b (16,16), with one thing as it must not be; by the heuristic's nth.
typedef struct mistake {
    const char *what;
    cudaDataType_t b_type;
    uint64_t b_rows;
    int64_t ld, shift; // of a; of its address, in bytes
    int nth;
    size_t workspace;
    cublasStatus_t heuristic, multiply;
} mistake;

static void try_mistake(tk_device *d, const mistake *m)
{
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, c;
    cublasLtMatmulPreference_t f;
    cublasLtMatmulHeuristicResult_t r[8];
    tk_tensor x[4];
    const float one = 1, none = 0;
    const uint64_t most = ROOM;
    int n = 0;
    for (int i = 0; i < 4; i++) assert_ok(tk_device_new(d, TK_F32, SIDE, 4 * SIDE, &x[i]));
    for (int i = 0; i < 4; i++) assert_ok(tk_device_zero(d, x[i].data, tk_bytes(&x[i])));
    assert_int_equal(lt.create(&handle), 0);
    assert_int_equal(lt.new_desc(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), 0);
    assert_int_equal(lt.new_layout(&a, CUDA_R_32F, SIDE, SIDE, m->ld), 0);
    assert_int_equal(lt.new_layout(&b, m->b_type, m->b_rows, SIDE, SIDE + 8), 0);
    assert_int_equal(lt.new_layout(&c, CUDA_R_32F, SIDE, SIDE, SIDE), 0);
    assert_int_equal(lt.new_preference(&f), 0);
    assert_int_equal(lt.prefer(f, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most), 0);
    assert_int_equal(lt.heuristic(handle, desc, a, b, c, c, f, 8, r, &n), m->heuristic);
    if (!m->heuristic) {
        assert_in_range(m->nth, 0, n - 1);
        const cublasStatus_t s = lt.multiply(
            handle, desc, &one, (char *)x[0].data + m->shift, a, x[1].data, b, &none, x[2].data, c,
            x[2].data, c, &r[m->nth].algo, x[3].data, m->workspace, tk_cuda_stream(d));
        if (s != m->multiply) fail_msg("%s: status %d, not %d", m->what, (int)s, (int)m->multiply);
    }
    assert_ok(tk_device_sync(d));
    lt.end_preference(f);
    lt.end_layout(a), lt.end_layout(b), lt.end_layout(c);
    lt.end_desc(desc);
    lt.destroy(handle);
    for (int i = 0; i < 4; i++) tk_device_free(d, &x[i]);
}

static void the_stand_in_refuses_what_the_library_forbids(void **state)
{
    (void)state;
#define BAD CUBLAS_STATUS_INVALID_VALUE
#define UNKNOWN CUBLAS_STATUS_NOT_SUPPORTED
    static const mistake list[] = {
        {"nothing", CUDA_R_32F, SIDE, SIDE, 0, PLAIN, 0, 0, 0},
        {"sizes that do not fit", CUDA_R_32F, SIDE - 1, SIDE, 0, 0, 0, BAD, 0},
        {"columns that overlap", CUDA_R_32F, SIDE, SIDE - 1, 0, 0, 0, BAD, 0},
        {"two types", CUDA_R_16BF, SIDE, SIDE, 0, 0, 0, UNKNOWN, 0},
        {"an address for others", CUDA_R_32F, SIDE, SIDE, 4, PLAIN, 0, 0, BAD},
        {"the same for one that takes it", CUDA_R_32F, SIDE, SIDE, 4, NARROW, 0, 0, 0},
        {"little workspace", CUDA_R_32F, SIDE, SIDE, 0, PLAIN + 1, 64, 0, BAD},
        {"enough of it", CUDA_R_32F, SIDE, SIDE, 0, PLAIN + 1, 4 * SIDE * SIDE * 4, 0, 0},
    };
#undef BAD
#undef UNKNOWN
    tk_device d;
    find_all();
    open_cuda(&d);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) try_mistake(&d, &list[i]);
    tk_device_close(&d);
}

// How a product ends where the environment has `variable`: in a process of its own, since the
// library is loaded once, and a device that has failed fails for good.
static void expect_end(const char *variable, const char *value, tk_status st, const char *words)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tk_device d;
        tk_call c = {.op = TK_OP_LINEAR};
        static float x[64];
        setenv(variable, value, 1);
        if (tk_device_open(&d, tk_device_find(TK_DEVICE_CUDA), 1, POOL_BYTES)) _exit(1);
        c.in[0] = put(&d, TK_F32, 8, 8, 1, x);
        c.in[1] = put(&d, TK_F32, 8, 8, 2, x);
        if (tk_device_new(&d, TK_F32, 8, 8, &c.out[0])) _exit(1);
        if (tk_op_forward(&d, &c) != st) _exit(2);
        _exit(strstr(tk_status_message(), words) ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_library_too_old_is_refused(void **state)
{
    (void)state;
    expect_end("STANDIN_CUBLASLT_VERSION", "120803", TK_INPUT, "version 12");
}

// The library says of all of them that it could not go on: a bug is what is neither a GPU that has
// failed nor memory.
static void a_gpu_that_fails_in_a_product_is_no_bug(void **state)
{
    (void)state;
    expect_end("TK_CUDA_FAIL", "cublasLtMatmul:1:700", TK_DEVICE,
               "GPU 0 (emulated GPU) has failed, as a product of 8 x 8 by 8 x 8 in fp32 tells");
    expect_end("TK_CUDA_FAIL", "cublasLtMatmul:1:2", TK_MEMORY,
               "GPU 0 (emulated GPU): cuBLASLt: a product of 8 x 8 by 8 x 8 in fp32: ");
    expect_end("TK_CUDA_FAIL", "cublasLtMatmul:1:1", TK_INTERNAL,
               "GPU 0 (emulated GPU): cuBLASLt: a product of 8 x 8 by 8 x 8 in fp32: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_library_too_old_is_refused), // first: nothing is loaded yet
        cmocka_unit_test(a_gpu_that_fails_in_a_product_is_no_bug),
        cmocka_unit_test(the_same_shape_gives_the_same_bits),
        cmocka_unit_test(the_fastest_is_learned),
        cmocka_unit_test(what_is_learned_stays),
        cmocka_unit_test(shapes_have_classes),
        cmocka_unit_test(damaged_texts_are_not_used),
        cmocka_unit_test(choices_of_others_are_not_used),
        cmocka_unit_test(gradients_are_added),
        cmocka_unit_test(any_address_serves),
        cmocka_unit_test(the_stand_in_refuses_what_the_library_forbids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
