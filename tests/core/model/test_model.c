// SPDX-License-Identifier: Apache-2.0
// The tape and the model on one rank: gradients against finite differences, recomputation, memory,
// failing allocations, and all of it in bf16. (Against the reference implementation:
// tests/train/parity/test_parity.sh.)
/*TEST nsize: 1; timeout: 60 */
#include "tests/core/model/rig.h"

static float *get_grads(rig *r)
{
    float *g = tk_arena_alloc(&r->arena, tk_bytes(&r->model.grads));
    assert_int_equal(tk_device_get(&r->device, &r->model.grads, g), TK_OK);
    return g;
}

// The first half leaves the weights of linear operators alone, and norms have their gradients.
static void check_first_half(rig *r)
{
    const float *g = get_grads(r);
    for (int i = 0; i < r->model.n_weights; i++) {
        const tk_weight *w = &r->model.weight[i];
        const char *name = r->model.table.spec[w->spec].name;
        const bool norm = strstr(name, "norm") && !strstr(name, "norm_out.linear");
        double sum = 0;
        for (int64_t j = 0; j < w->share.rows * w->share.cols; j++)
            sum += fabs((double)g[w->offset + j]);
        if (!strstr(name, "text_embed") && (sum > 0) != norm) fail_msg("%s: %g", name, sum);
    }
}

// loss = (|video|^2 + |audio|^2) / 2, whose gradient is the velocities themselves.
static tk_status run_loss(rig *r, bool grads, bool recompute, double *loss)
{
    tk_batch b = {0};
    tk_tape t;
    tk_forward out;
    tk_status st = TK_OK;
    const tk_host_rows in = {.video = r->video, .audio = r->audio, .tokens = r->tokens};
    tk_tape_init(&t, &r->device, grads ? TK_TAPE_RECORD : TK_TAPE_RUN);
    TK_TRY_TO(st, done, tk_batch_open(&b, &r->model, &r->stream, &in, &r->host));
    TK_TRY_TO(st, done, tk_model_forward(&r->model, &t, &b, NULL, recompute, &out));
    tk_value *const head[2] = {out.video, out.audio};
    *loss = 0;
    for (int k = 0; k < 2; k++) {
        float *host;
        assert_int_equal(head[k]->t.dtype, TK_F32);
        host = tk_arena_alloc(&r->arena, tk_bytes(&head[k]->t));
        TK_TRY_TO(st, done, host ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory"));
        TK_TRY_TO(st, done, tk_device_get(&r->device, &head[k]->t, host));
        for (int64_t i = 0; i < tk_count(&head[k]->t); i++)
            *loss += 0.5 * (double)host[i] * host[i];
    }
    if (grads) {
        const tk_tensor dy[2] = {head[0]->t, head[1]->t};
        TK_TRY_TO(st, done, tk_model_zero_grads(&r->model));
        TK_TRY_TO(st, done,
                  (r->halves ? tk_tape_backward_inputs : tk_tape_backward)(&t, 2, head, dy));
    }
    if (grads && r->halves) {
        check_first_half(r);
        TK_TRY_TO(st, done, tk_tape_backward_weights(&t));
    }
done:
    tk_tape_free(&t);
    tk_batch_close(&b);
    return st;
}

// Every weight on its own: the derivative along a random direction of that weight alone.
static void check_gradients(bool own, bool numbered)
{
    rig r;
    double loss, up, down;
    const kind of = {.ops = &tk_device_ref, .threads = 1, .own = own, .numbered = numbered};
    open_kind(&r, of);
    assert_int_equal(run_loss(&r, true, false, &loss), TK_OK);
    const float *g = get_grads(&r);
    const float *d = noise(&r, r.model.n_local, 7);
    for (int i = 0; i < r.model.n_weights; i++) {
        const tk_weight *w = &r.model.weight[i];
        const int64_t n = w->share.rows * w->share.cols;
        float *moved = tk_arena_alloc(&r.arena, (size_t)n * sizeof *moved);
        double slope = 0, length = 0;
        for (int64_t j = 0; j < n; j++) {
            slope += (double)g[w->offset + j] * d[w->offset + j];
            length += (double)d[w->offset + j] * d[w->offset + j];
        }
        const double eps = 4e-3 / sqrt(length);
        for (int sign = -1; sign <= 1; sign += 2) {
            for (int64_t j = 0; j < n; j++)
                moved[j] = r.weights[w->offset + j] + (float)(sign * eps) * d[w->offset + j];
            assert_int_equal(tk_model_set(&r.model, i, moved), TK_OK);
            assert_int_equal(run_loss(&r, false, false, sign < 0 ? &down : &up), TK_OK);
        }
        assert_int_equal(tk_model_set(&r.model, i, r.weights + w->offset), TK_OK);
        const double measured = (up - down) / (2 * eps),
                     scale = fabs(slope) + 1e-3 * loss * sqrt(length);
        if (fabs(measured - slope) > 2e-2 * scale)
            fail_msg("%s: slope %g, measured %g", r.model.table.spec[w->spec].name, slope,
                     measured);
    }
    close_rig(&r);
}

static void test_gradients__finite_differences(void **state)
{
    (void)state;
    check_gradients(false, false);
    check_gradients(true, false);
    check_gradients(false, true);
}

static void test_recompute__same_gradients_less_memory(void **state)
{
    rig r;
    double loss[2];
    (void)state;
    for (int k = 0; k < 8; k++) {
        const tk_device_ops *ops = k & 1 ? &tk_device_cpu : &tk_device_ref;
        open_kind(
            &r,
            (kind){.ops = ops, .compute = k & 2 ? TK_BF16 : TK_F32, .threads = 1, .own = k & 4});
        const size_t base = r.device.pool.in_use;
        assert_int_equal(run_loss(&r, true, true, &loss[0]), TK_OK);
        assert_int_equal(r.device.pool.in_use, base); // everything given back
        const size_t low = r.device.pool.peak;
        const float *a = get_grads(&r);
        assert_int_equal(run_loss(&r, true, false, &loss[1]), TK_OK);
        const float *b = get_grads(&r);
        assert_true(r.device.pool.peak > low);
        assert_memory_equal(&loss[0], &loss[1], sizeof loss[0]);
        assert_memory_equal(a, b, tk_bytes(&r.model.grads));
        close_rig(&r);
    }
}

static void test_halves__same_gradients(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++) {
        rig r;
        double loss[2];
        const bool recompute = k & 1;
        const tk_device_ops *ops = k & 2 ? &tk_device_cpu : &tk_device_ref;
        open_kind(&r, (kind){.ops = ops, .compute = k & 4 ? TK_BF16 : TK_F32, .threads = 1});
        const size_t base = r.device.pool.in_use;
        assert_ok(run_loss(&r, true, recompute, &loss[0]));
        const float *a = get_grads(&r);
        const double flops = r.device.flops;
        r.halves = true;
        assert_ok(run_loss(&r, true, recompute, &loss[1]));
        assert_int_equal(r.device.pool.in_use, base);
        assert_memory_equal(a, get_grads(&r), tk_bytes(&r.model.grads));
        assert_near(r.device.flops, 2 * flops, 0);
        close_rig(&r);
    }
}

// A dry run asks the pool for exactly what a real run of the device it stands for asks for.
static void test_dry__same_peak(void **state)
{
    (void)state;
    for (int k = 0; k < 8; k++) {
        double loss, flops[2];
        size_t peak[2];
        for (int dry = 0; dry < 2; dry++) {
            rig r;
            open_kind(&r, (kind){.ops = k & 1 ? &tk_device_ref : &tk_device_cpu,
                                 .dry = dry,
                                 .compute = k & 2 ? TK_BF16 : TK_F32,
                                 .threads = 2,
                                 .own = k & 4});
            assert_int_equal(run_loss(&r, true, false, &loss), TK_OK);
            peak[dry] = r.device.pool.peak;
            flops[dry] = r.device.flops;
            close_rig(&r);
        }
        assert_int_equal(peak[0], peak[1]);
        assert_true(flops[0] > 0 && flops[0] == flops[1]);
    }
}

// ---- bf16 --------------------------------------------------------------------------------------

// Loss, and the gradients into `g` (n_local), of a rig of that kind.
static double run_kind(kind k, float *g, int64_t n)
{
    rig r;
    double loss;
    open_kind(&r, k);
    assert_int_equal(r.model.n_local, n);
    assert_ok(run_loss(&r, true, false, &loss));
    assert_ok(tk_device_get(&r.device, &r.model.grads, g));
    close_rig(&r);
    return loss;
}

static int64_t weights_of(kind k)
{
    rig r;
    k.dry = true;
    open_kind(&r, k);
    const int64_t n = r.model.n_local;
    close_rig(&r);
    return n;
}

static double distance(const float *a, const float *b, int64_t n)
{
    double off = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        off += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    return sqrt(off / size);
}

// On the same weights.
static void test_bf16__near_fp32(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        kind as = {.ops = k ? &tk_device_cpu : &tk_device_ref,
                   .threads = 1,
                   .large = k == 2,
                   .rounds = true};
        const int64_t n = weights_of(as);
        float *wide = tk_alloc((size_t)n * sizeof *wide),
              *half = tk_alloc((size_t)n * sizeof *half);
        const double loss = run_kind(as, wide, n);
        as.compute = TK_BF16;
        const double rounded = run_kind(as, half, n);
        assert_near(rounded, loss, 2e-2 * loss);
        assert_true(rounded != loss);
        assert_near(distance(half, wide, n), 0, 2e-2);
        tk_free(wide);
        tk_free(half);
    }
}

static void test_bf16__same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    kind as = {.ops = &tk_device_cpu, .compute = TK_BF16, .threads = 1, .large = true};
    const int64_t n = weights_of(as);
    float *one = tk_alloc((size_t)n * sizeof *one), *many = tk_alloc((size_t)n * sizeof *many);
    const double loss = run_kind(as, one, n);
    for (as.threads = 3; as.threads <= 16; as.threads += 13) {
        assert_true(run_kind(as, many, n) == loss);
        assert_memory_equal(many, one, (size_t)n * sizeof *one);
    }
    tk_free(one);
    tk_free(many);
}

// Activations take half the memory: the pool beyond weights and gradients, without recomputation.
static void test_bf16__less_memory(void **state)
{
    (void)state;
    size_t peak[2];
    for (int half = 0; half < 2; half++) {
        rig r;
        double loss;
        open_kind(&r, (kind){.ops = &tk_device_cpu,
                             .dry = true,
                             .compute = half ? TK_BF16 : TK_F32,
                             .threads = 2,
                             .large = true});
        const size_t base = r.device.pool.in_use;
        assert_ok(run_loss(&r, true, false, &loss));
        peak[half] = r.device.pool.peak - base;
        close_rig(&r);
    }
    assert_in_range(100 * peak[1] / peak[0], 40, 70);
}

static void test_memory__every_allocation_may_fail(void **state)
{
    rig r;
    double loss;
    (void)state;
    open_rig(&r, &tk_device_ref);
    const size_t base = r.device.pool.in_use;
    int64_t nth = 0;
    tk_status s;
    do {
        tk_alloc_fail_at(++nth, false);
        s = run_loss(&r, true, true, &loss);
        tk_alloc_fail_at(0, false);
        assert_true(s == TK_OK || s == TK_MEMORY);
        assert_int_equal(r.device.pool.in_use, base);
    } while (s != TK_OK && nth < 500);
    assert_int_equal(s, TK_OK);
    assert_true(nth > 3);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients__finite_differences),
        cmocka_unit_test(test_recompute__same_gradients_less_memory),
        cmocka_unit_test(test_halves__same_gradients),
        cmocka_unit_test(test_dry__same_peak),
        cmocka_unit_test(test_bf16__near_fp32),
        cmocka_unit_test(test_bf16__same_bits_on_any_number_of_threads),
        cmocka_unit_test(test_bf16__less_memory),
        cmocka_unit_test(test_memory__every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
