// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 60; kernels: order */
// Kernels of the device "cuda" that walk flat arrays, where the conformance suite is too small for
// them: sorts of several passes and chunks, sums of more than a pack a thread; and normals, which
// are the host's to the bit.
#include "core/base/mem.h"
#include "core/device/cuda/kernels/order.h"
#include "core/device/ops/ops.h"
#include "core/numbers/rng.h"
#include "tests/support/test.h"
#include <math.h>
#include <string.h>

static void open_cuda(tk_device *d)
{
    assert_ok(tk_device_open(d, tk_device_find(TK_DEVICE_CUDA), 1, 1 << 26));
}

static float *new_floats(int64_t n)
{
    float *x = tk_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    return x;
}

// ---- normals -----------------------------------------------------------------------------------

enum { KEYS = 6 };
static const int32_t key_of[KEYS][2] = {{0, 0}, {5, 1}, {-1, 77}, {7, INT32_MAX}, {1, -5}, {1, 2}};

static void same_normals(tk_device *d, int64_t seed, int64_t cols)
{
    float *got = new_floats(KEYS * cols), *wanted = new_floats(cols);
    tk_call c = {.op = TK_OP_NORMAL, .i = {seed, TK_RNG_NOISE}};
    assert_ok(tk_device_put(d, key_of, TK_I32, KEYS, 2, &c.in[0]));
    assert_ok(tk_device_new(d, TK_F32, KEYS, cols, &c.out[0]));
    assert_ok(tk_op_forward(d, &c));
    assert_ok(tk_device_get(d, &c.out[0], got));
    for (int k = 0; k < KEYS; k++) {
        const uint64_t first = (uint64_t)(uint32_t)key_of[k][1] * (uint64_t)cols;
        const tk_key key = tk_rng_key((uint64_t)seed, TK_RNG_NOISE, (uint32_t)key_of[k][0]);
        tk_rng_fill_normal(key, first, wanted, cols, 1);
        assert_memory_equal(got + k * cols, wanted, (size_t)cols * sizeof(float));
    }
    tk_device_free(d, &c.in[0]);
    tk_device_free(d, &c.out[0]);
    tk_free(got);
    tk_free(wanted);
}

static void test_flat__normals_are_the_hosts(void **state)
{
    (void)state;
    static const int64_t cols[] = {1, 3, 4, 7, 8, 131, 192, 1027};
    tk_device d;
    open_cuda(&d);
    for (int i = 0; i < 8; i++) {
        same_normals(&d, 7, cols[i]);
        same_normals(&d, -0x123456789abcdefLL, cols[i]);
    }
    tk_device_close(&d);
}

// ---- picks -------------------------------------------------------------------------------------

typedef struct picks {
    int64_t n, cols, rows[3];
    int32_t *index;
    float *up;
} picks;

// Rows picked many times and not at all, in no order.
static void make_picks(picks *p)
{
    const tk_key key = tk_rng_key(3, TK_RNG_TEST, (uint64_t)p->n);
    p->index = tk_alloc((size_t)(2 * p->n) * sizeof *p->index);
    p->up = new_floats(p->n * p->cols);
    assert_non_null(p->index);
    tk_rng_fill_normal(key, 0, p->up, p->n * p->cols, 1);
    for (int64_t i = 0; i < p->n; i++) {
        int32_t source = (int32_t)tk_rng_below(key, (uint64_t)i, 3);
        while (!p->rows[source]) source = (source + 1) % 3;
        const int64_t part = p->rows[source] > 9 && i % 3 ? p->rows[source] / 3 : p->rows[source];
        p->index[2 * i] = source;
        p->index[2 * i + 1] = (int32_t)tk_rng_below(key, (uint64_t)(p->n + i), part);
    }
}

// The gradient of source k, added to ones where `add`: picks of a row in their order, in fp32.
static void add_up(const picks *p, int k, bool add, float *to)
{
    memset(to, 0, (size_t)(p->rows[k] * p->cols) * sizeof *to);
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; p->index[2 * i] == k && j < p->cols; j++)
            to[p->index[2 * i + 1] * p->cols + j] += p->up[i * p->cols + j];
    for (int64_t i = 0; i < p->rows[k] * p->cols; i++) to[i] += add;
}

static void check_gradient(const picks *p, int k, bool add, const float *got)
{
    const int64_t n = p->rows[k] * p->cols;
    float *wanted = new_floats(n);
    add_up(p, k, add, wanted);
    if (p->n < 4 * p->rows[k]) // else warps share the picks of a row
        assert_memory_equal(got, wanted, (size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) assert_near(got[i], wanted[i], 1e-3);
    tk_free(wanted);
}

static void run_picks(picks p, unsigned wanted, unsigned add)
{
    tk_device d;
    tk_call c = {.op = TK_OP_PICK};
    make_picks(&p);
    open_cuda(&d);
    assert_ok(tk_device_put(&d, p.index, TK_I32, p.n, 2, &c.in[3]));
    assert_ok(tk_device_put(&d, p.up, TK_F32, p.n, p.cols, &c.dout[0]));
    for (int k = 0; k < 3; k++) {
        float *ones = new_floats(p.rows[k] * p.cols);
        for (int64_t i = 0; i < p.rows[k] * p.cols; i++) ones[i] = 1;
        c.add[k] = add >> k & 1;
        if (wanted >> k & 1)
            assert_ok(tk_device_put(&d, ones, TK_F32, p.rows[k], p.cols, &c.din[k]));
        assert_ok(tk_device_sync(&d));
        tk_free(ones);
    }
    assert_ok(tk_op_backward(&d, &c));
    for (int k = 0; k < 3; k++) {
        if (!c.din[k].data) continue;
        float *got = new_floats(p.rows[k] * p.cols);
        assert_ok(tk_device_get(&d, &c.din[k], got));
        check_gradient(&p, k, c.add[k], got);
        tk_free(got);
    }
    tk_device_close(&d);
    tk_free(p.index);
    tk_free(p.up);
}

static void test_flat__picks_add_up_in_their_order(void **state)
{
    (void)state;
    run_picks((picks){.n = 2500, .cols = 5, .rows = {900, 0, 700}}, 7, 0);
    run_picks((picks){.n = 2500, .cols = 8, .rows = {900, 6, 1}}, 7, 7);
    run_picks((picks){.n = 1024, .cols = 8, .rows = {40, 255, 700}}, 6, 2);
    run_picks((picks){.n = 1025, .cols = 1, .rows = {70000, 3, 5}}, 1, 0);
    run_picks((picks){.n = 0, .cols = 8, .rows = {9, 3, 5}}, 7, 4);
}

// Things of one key in their order, where each key's begin, and nothing beyond the scratch.
static void sorts(int64_t n, int64_t keys)
{
    enum { BEYOND = 1024 };
    const size_t bytes = tk_cuda_sort_bytes(n, keys);
    const int64_t room = (int64_t)(bytes / sizeof(int32_t)) + BEYOND;
    int32_t *key = tk_alloc((size_t)n * sizeof *key), *all = tk_alloc((size_t)room * sizeof *all);
    tk_device d;
    tk_tensor keys_there, scratch;
    tk_cuda_order order;
    assert_true(key && all);
    for (int64_t i = 0; i < n; i++)
        key[i] = (int32_t)tk_rng_below(tk_rng_key(5, TK_RNG_TEST, 0), (uint64_t)i, keys);
    key[n - 1] = (int32_t)(keys - 1); // the highest digit, beside lanes without a thing
    memset(all, 0x55, (size_t)room * sizeof *all);
    open_cuda(&d);
    assert_ok(tk_device_put(&d, key, TK_I32, n, 1, &keys_there));
    assert_ok(tk_device_put(&d, all, TK_I32, room, 1, &scratch));
    assert_ok(tk_cuda_sort(&d, keys_there.data, n, keys, scratch.data, &order));
    assert_ok(tk_device_get(&d, &scratch, all));
    const int32_t *place = all + (order.place - (const int32_t *)scratch.data);
    const int32_t *begin = all + (order.begin - (const int32_t *)scratch.data);
    for (int64_t k = 0, at = 0; k <= keys; k++) {
        assert_int_equal(begin[k], at);
        for (int64_t i = 0; i < n && k < keys; i++)
            if (key[i] == k) assert_int_equal(place[at++], i);
    }
    for (int64_t i = room - BEYOND; i < room; i++) assert_int_equal(all[i], 0x55555555);
    tk_device_close(&d);
    tk_free(key);
    tk_free(all);
}

static void test_flat__sorts_by_key(void **state)
{
    (void)state;
    sorts(3000, 700);
    sorts(1030, 256);
    sorts(5, 3);
}

// ---- sums --------------------------------------------------------------------------------------

static void test_flat__long_sums_are_rounded_once(void **state)
{
    (void)state;
    enum { N = 1100003 };
    tk_device d;
    float *x = new_floats(N), sum = 3;
    double wanted = sum;
    tk_call c = {.op = TK_OP_SUM_SQUARES};
    open_cuda(&d);
    tk_rng_fill_normal(tk_rng_key(3, TK_RNG_TEST, 0), 0, x, N, 1);
    for (int i = 0; i < N; i++) wanted += (double)x[i] * x[i];
    assert_ok(tk_device_put(&d, x, TK_F32, 1, N, &c.in[0]));
    assert_ok(tk_device_put(&d, &sum, TK_F32, 1, 1, &c.out[0]));
    assert_ok(tk_op_forward(&d, &c));
    assert_ok(tk_device_get(&d, &c.out[0], &sum));
    assert_true(sum == (float)wanted);
    tk_device_close(&d);
    tk_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat__normals_are_the_hosts),
        cmocka_unit_test(test_flat__picks_add_up_in_their_order),
        cmocka_unit_test(test_flat__sorts_by_key),
        cmocka_unit_test(test_flat__long_sums_are_rounded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
