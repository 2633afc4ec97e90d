// SPDX-License-Identifier: Apache-2.0
// What "ref" says of operators: that its gradients are those of what it computes, by finite
// differences; FLOPs; columns gathered from uneven ranks; calls that are refused.
#include "tests/core/device/ops_run.h"

// sum(output * cotangent) of a forward run
static double objective(const world *w)
{
    result r = run(&ref, w, 0, 0);
    double s = 0;
    for (int64_t i = 0; i < tk_count(&w->call.out[0]); i++)
        s += (double)r.out[0][i] * ((const float *)w->call.dout[0].data)[i];
    result_free(&r);
    return s;
}

// The derivative of input `k` along a random direction, by central differences.
static double slope(world *w, int k, const float *along, double step)
{
    float *x = w->call.in[k].data;
    int64_t n = tk_count(&w->call.in[k]);
    double up, down;
    float *at = tk_alloc((size_t)n * sizeof *at + 64);
    assert_non_null(at);
    memcpy(at, x, (size_t)n * sizeof *at);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(at[i] + step * along[i]);
    up = objective(w);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(at[i] - step * along[i]);
    down = objective(w);
    memcpy(x, at, (size_t)n * sizeof *at);
    tk_free(at);
    return (up - down) / (2 * step);
}

static void check_slopes(world *w, const test_case *k)
{
    result r = run(&ref, w, 31, 0);
    for (int i = 0; i < TK_OP_IN; i++) {
        int64_t n = tk_count(&w->call.din[i]);
        if (!r.din[i] || n == 0) continue;
        tk_tensor along = w->call.din[i];
        fill(w, k, &along, 40 + (uint64_t)i);
        double said = 0, seen = slope(w, i, along.data, 4e-3);
        for (int64_t j = 0; j < n; j++) said += (double)r.din[i][j] * ((float *)along.data)[j];
        double size = sqrt(square(r.din[i], n));
        if (!(fabs(said - seen) <= 3e-3 * size + 3e-5)) // fp32 rounding over the step
            fail_msg("%s case %d: derivative of input %d is %.6g by differences, %.6g by backward",
                     tk_op_table[k->op].name, (int)(k - cases), i, seen, said);
    }
    result_free(&r);
}

static void test_ops__ref_gradients_are_slopes(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        if (cases[i].op == TK_OP_CAST) continue; // a staircase
        if (!tk_op_table[cases[i].op].grads || cases[i].n > 100 || cases[i].docs[0] > 100) continue;
        world w;
        world_open(&w, &cases[i], kinds[0]);
        check_slopes(&w, &cases[i]);
        world_close(&w);
    }
}

static void test_ops__flops(void **state)
{
    (void)state;
    world w;
    world_open(&w, &(test_case){TK_OP_LINEAR, 7, 5, 3, 0, BIAS, {0}}, kinds[0]);
    result r = run(&ref, &w, 7, 0);
    assert_true(r.flops == 3 * 2 * 7 * 5 * 3);
    result_free(&r);
    r = run(&ref, &w, 6, 0);
    assert_true(r.flops == 2 * 2 * 7 * 5 * 3);
    result_free(&r);
    world_close(&w);
    world_open(&w, &(test_case){TK_OP_ATTENTION, 0, 12, 0, 4, 0, {3, 2}}, kinds[0]);
    r = run(&ref, &w, 7, 0);
    assert_true(r.flops == 3 * 4 * (9 + 4) * 12);
    result_free(&r);
    world_close(&w);
}

// ---- collectives with more than one rank -----------------------------------------------------

// Rank 1 of 3: rank r holds the numbers 100 * r + i; a reduction of what all hold is 3 times mine.
static tk_status fake_all_gather(tk_device_comm *c, const void *in, void *out,
                                 const int64_t *counts, int64_t width, tk_dtype t)
{
    (void)t;
    float *to = out;
    for (int r = 0; r < c->size; r++)
        for (int64_t i = 0; i < counts[r] * width; i++)
            *to++ = r == c->rank ? ((const float *)in)[i] : (float)(100 * r + i);
    return TK_OK;
}

static tk_status fake_reduce_scatter(tk_device_comm *c, const void *in, void *out,
                                     const int64_t *counts, int64_t width, tk_dtype t)
{
    (void)t;
    const float *from = in;
    for (int r = 0; r < c->rank; r++) from += counts[r] * width;
    for (int64_t i = 0; i < counts[c->rank] * width; i++) ((float *)out)[i] = 3 * from[i];
    return TK_OK;
}

static void test_ops__gathers_columns_of_uneven_ranks(void **state)
{
    (void)state;
    static const tk_device_comm_ops ops = {.all_gather = fake_all_gather,
                                           .reduce_scatter = fake_reduce_scatter};
    static const int64_t counts[3] = {3, 2, 0};
    tk_device d;
    tk_device_comm comm = {.ops = &ops, .rank = 1, .size = 3, .name = "fake", .device = &d};
    assert_ok(tk_device_open(&d, &tk_device_cpu, 1, 1 << 20));
    float x[4] = {1, 2, 3, 4}, whole[10], dwhole[10], dx[4] = {10, 20, 30, 40};
    for (int i = 0; i < 10; i++) dwhole[i] = (float)i;
    tk_call c = {.op = TK_OP_GATHER_COLS, .comm = &comm, .counts = counts};
    assert_ok(tk_device_put(&d, x, TK_F32, 2, 2, &c.in[0]));
    assert_ok(tk_device_new(&d, TK_F32, 2, 5, &c.out[0]));
    assert_ok(tk_device_put(&d, dwhole, TK_F32, 2, 5, &c.dout[0]));
    assert_ok(tk_device_put(&d, dx, TK_F32, 2, 2, &c.din[0]));
    assert_ok(tk_op_forward(&d, &c));
    assert_ok(tk_device_get(&d, &c.out[0], whole));
    const float gathered[10] = {0, 1, 2, 1, 2, 3, 4, 5, 3, 4};
    assert_memory_equal(whole, gathered, sizeof gathered);
    c.add[0] = true;
    assert_ok(tk_op_backward(&d, &c));
    assert_ok(tk_device_get(&d, &c.din[0], dx));
    const float scattered[4] = {10 + 3 * 3, 20 + 3 * 4, 30 + 3 * 8, 40 + 3 * 9};
    assert_memory_equal(dx, scattered, sizeof scattered);
    tk_device_close(&d);
}

static void test_ops__wrong_shapes_are_named(void **state)
{
    (void)state;
    tk_device d;
    assert_ok(tk_device_open_dry(&d, &tk_device_cpu, 1, 1 << 20));
    tk_call c = {.op = TK_OP_LINEAR};
    assert_ok(tk_device_new(&d, TK_F32, 4, 6, &c.in[0]));
    assert_ok(tk_device_new(&d, TK_F32, 3, 6, &c.out[0]));
    assert_status(tk_op_forward(&d, &c), TK_INTERNAL);
    assert_says("operator linear: input 1 is absent");
    assert_ok(tk_device_new(&d, TK_F32, 3, 5, &c.in[1]));
    assert_status(tk_op_forward(&d, &c), TK_INTERNAL);
    assert_says("operator linear: input 1 is (3, 5)");
    c.in[1] = tk_tensor_2d(c.in[1].data, TK_F32, 3, 6);
    assert_status(tk_op_forward(&d, &c), TK_INTERNAL);
    assert_says("operator linear: output 0 is (3, 6)");
    tk_device_close(&d);
}

static void test_ops__wrong_types_are_named(void **state)
{
    (void)state;
    tk_device d;
    assert_ok(tk_device_open_dry(&d, &tk_device_cpu, 1, 1 << 20));
    tk_call c = {.op = TK_OP_ADD};
    assert_ok(tk_device_new(&d, TK_BF16, 4, 6, &c.in[0]));
    assert_ok(tk_device_new(&d, TK_F32, 4, 6, &c.in[1]));
    assert_ok(tk_device_new(&d, TK_F32, 4, 6, &c.out[0]));
    assert_status(tk_op_forward(&d, &c), TK_INTERNAL);
    assert_says("operator add: input 1 is (4, 6) f32, should be (4, 6) bf16");
    c.in[1].dtype = TK_BF16;
    assert_status(tk_op_forward(&d, &c), TK_INTERNAL);
    assert_says("operator add: output 0 is (4, 6) f32, should be (4, 6) bf16");
    c = (tk_call){.op = TK_OP_RMS_NORM, .i = {6}, .in = {c.in[0]}, .dout = {c.in[1]}};
    assert_ok(tk_device_new(&d, TK_BF16, 1, 6, &c.in[1]));
    assert_ok(tk_device_new(&d, TK_BF16, 1, 6, &c.din[1]));
    assert_status(tk_op_backward(&d, &c), TK_INTERNAL);
    assert_says("operator rms_norm: gradient of input 1 is (1, 6) bf16, should be (1, 6) f32");
    tk_device_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_ops__ref_gradients_are_slopes, close_devices),
        cmocka_unit_test_teardown(test_ops__flops, close_devices),
        cmocka_unit_test(test_ops__gathers_columns_of_uneven_ranks),
        cmocka_unit_test(test_ops__wrong_shapes_are_named),
        cmocka_unit_test(test_ops__wrong_types_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
