// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 300; cuda: too */
// Every operator of every backend against the plain loops of "ref", and ref's gradients against
// finite differences. A row of `cases` (ops_cases.h) is an operator at one size; an operator
// without one fails. Each is run in fp32 and, where it has activations or weights, in bf16: there
// ref must give what it gives in fp32 on the same numbers, rounded, and the others must come close.
//
// The backends are cpu's, or with TK_TEST_DEVICE=cuda in the environment cuda's. With
// TK_TEST_OPS=" add silu " these operators alone are looked at.
#include "tests/core/device/ops_run.h"

// Calls `check` on every case in every kind of numbers that it has, from kind `first` on; with
// those of several blocks if it looks at these.
static void each_world(void (*check)(world *w), int first, bool blocks)
{
    for (int i = 0; i < N_CASES; i++)
        for (int kind = first; kind < N_KINDS; kind++) {
            if (!has_kind(&cases[i], kind) || (cases[i].flags & BLOCKS && !blocks)) continue;
            if (!looked_at(cases[i].op)) continue;
            world w;
            world_open(&w, &cases[i], kinds[kind]);
            snprintf(w.name, sizeof w.name, "%s case %d, kind %d", tk_op_table[cases[i].op].name, i,
                     kind);
            check(&w);
            world_close(&w);
        }
}

// ---- the tests -------------------------------------------------------------------------------

static void test_ops__every_operator_has_a_case(void **state)
{
    (void)state;
    bool seen[TK_OP_COUNT] = {false};
    for (int i = 0; i < N_CASES; i++) seen[cases[i].op] = true;
    for (int op = 0; op < TK_OP_COUNT; op++)
        if (!tk_op_table[op].name || !seen[op])
            fail_msg("operator %d (%s) has no case", op, tk_op_table[op].name);
    for (int op = 0; op < TK_OP_COUNT; op++)
        if (!has(op)) fail_msg("device %s lacks %s", backends[0].ops->name, tk_op_table[op].name);
}

static void agrees_with_ref(world *w)
{
    static const struct {
        unsigned wanted, add;
    } ways[] = {{31, 0}, {31, 31}, {1, 0}, {2, 2}, {4, 0}};
    for (int way = 0; way < 5; way++) {
        if (way && !tk_op_table[w->call.op].grads) break;
        result wanted = run(&ref, w, ways[way].wanted, ways[way].add);
        for (int b = 0; b < N_BACKENDS; b++) {
            // Emulated orders of threads in turn; that all give the same bits is a test below.
            if (backends[b].ops != &tk_device_cpu && b != way % N_BACKENDS) continue;
            result got = run(&backends[b], w, ways[way].wanted, ways[way].add);
            compare(w, &got, &wanted, false);
            assert_true(got.flops == wanted.flops);
            result_free(&got);
        }
        result_free(&wanted);
    }
}

static void test_ops__backends_agree_with_ref(void **state)
{
    (void)state;
    each_world(agrees_with_ref, 0, false);
}

static void same_bits(const world *w, const char *what, const float *a, const float *b, int64_t n)
{
    if (a && memcmp(a, b, (size_t)n * sizeof *a) != 0) fail_msg("%s: %s", w->name, what);
}

static void same_results(const world *w, const char *what, const result *a, const result *b)
{
    for (int k = 0; k < TK_OP_OUT; k++)
        same_bits(w, what, a->out[k], b->out[k], tk_count(&w->call.out[k]));
    for (int k = 0; k < TK_OP_IN; k++)
        same_bits(w, what, a->din[k], b->din[k], tk_count(&w->call.din[k]));
}

// What is of bf16 to the bit. (Sums over rows, which are fp32, may be taken block by block.)
static void rounds_to(const world *w, const tk_tensor *x, const float *got, float *wide)
{
    if (!wide || x->dtype != TK_BF16) return;
    for (int64_t i = 0; i < tk_count(x); i++)
        wide[i] = tk_bf16_to_float(tk_bf16_from_float(wide[i]));
    same_bits(w, "not what fp32 gives, rounded once", got, wide, tk_count(x));
}

// Gradients set (add 0) and added to (31).
static void is_fp32_rounded(world *w)
{
    // see the tests of casts and of parts
    if (w->call.op == TK_OP_CAST || tk_op_has_parts(w->call.op)) return;
    const world twin = twin_of(w);
    for (unsigned add = 0; add < 32; add += 31) {
        result wide = run(&ref, &twin, 31, add), got = run(&ref, w, 31, add);
        result cpu = run(&backends[1], w, 31, add);
        compare(w, &cpu, &wide, true);
        compare(w, &got, &wide, true);
        for (int k = 0; k < TK_OP_OUT; k++) rounds_to(w, &w->call.out[k], got.out[k], wide.out[k]);
        for (int k = 0; k < TK_OP_IN; k++) rounds_to(w, &w->call.din[k], got.din[k], wide.din[k]);
        result_free(&wide);
        result_free(&got);
        result_free(&cpu);
    }
}

static void test_ops__bf16_is_fp32_on_the_same_numbers_rounded_once(void **state)
{
    (void)state;
    each_world(is_fp32_rounded, 1, true);
}

// A world like w, of its operator's part `op`, on inputs `in` of w's call (-1: none).
static world part_of(const world *w, tk_op op, const int in[TK_OP_IN])
{
    world part = *w;
    part.call.op = op;
    for (int k = 0; k < TK_OP_IN; k++) {
        part.call.in[k] = in[k] < 0 ? (tk_tensor){0} : w->call.in[in[k]];
        part.call.din[k] = in[k] < 0 ? (tk_tensor){0} : w->call.din[in[k]];
    }
    return part;
}

// x's numbers, which `wide` holds in fp32, as x is.
static void narrow(world *w, tk_tensor *x, const float *wide)
{
    x->data = tk_arena_alloc(&w->arena, tk_bytes(x) + 64);
    assert_non_null(x->data);
    for (int64_t i = 0; i < tk_count(x); i++)
        if (x->dtype == TK_F32)
            ((float *)x->data)[i] = wide[i];
        else
            ((uint16_t *)x->data)[i] = tk_bf16_from_float(wide[i]);
}

// NORM_ROPE by RMS_NORM and ROPE: forward, then ROPE's gradient of what lies between goes back.
static void is_its_parts(world *w)
{
    if (w->call.op != TK_OP_NORM_ROPE) return;
    const backend *const by[] = {&ref, &backends[0]};
    for (int b = 0; b < 2; b++) {
        world norm = part_of(w, TK_OP_RMS_NORM, (const int[]){0, 1, -1, -1, -1});
        world turn = part_of(w, TK_OP_ROPE, (const int[]){0, 2, 3, -1, -1});
        result whole = run(by[b], w, 31, 2), one = run(by[b], &norm, 0, 0);
        narrow(w, &turn.call.in[0], one.out[0]);
        result two = run(by[b], &turn, 1, 0);
        narrow(w, &norm.call.dout[0], two.din[0]);
        result back = run(by[b], &norm, 31, 2);
        memcpy(back.out[0], two.out[0], (size_t)tk_count(&w->call.out[0]) * sizeof(float));
        if (by[b]->ops->kernels[TK_OP_NORM_ROPE].fore)
            compare(w, &whole, &back, false);
        else
            same_results(w, "not what its parts give", &whole, &back);
        result_free(&whole);
        result_free(&one);
        result_free(&two);
        result_free(&back);
    }
}

static void test_ops__fused_operators_are_their_parts(void **state)
{
    (void)state;
    each_world(is_its_parts, 0, false);
}

static void is_the_same_by_more_threads(world *w)
{
    result one = run(&backends[0], w, 31, 2);
    for (int b = 1; b < N_BACKENDS; b++) {
        result more = run(&backends[b], w, 31, 2);
        same_results(w, "depends on the number of threads", &one, &more);
        result_free(&more);
    }
    result_free(&one);
}

static void test_ops__results_do_not_depend_on_threads(void **state)
{
    (void)state;
    each_world(is_the_same_by_more_threads, 0, true);
}

// Sums are taken in an order that shapes decide, wherever tensors lie: all of them as far from 64
// bytes, or each as far as it likes. (A library may take another way for products.)
static void is_the_same_at_any_address(world *w)
{
    const tk_op op = w->call.op;
    if (op == TK_OP_LINEAR) return;
    // These go along rows by 16 bytes, or by tensor cores, where addresses allow, and round in
    // another order elsewhere.
    const bool by_packs = backends[0].ops != &tk_device_cpu &&
                          (op == TK_OP_RMS_NORM || op == TK_OP_MODULATE || op == TK_OP_GATE_ADD ||
                           op == TK_OP_NORM_ROPE || op == TK_OP_ATTENTION);
    result even = run(&backends[0], w, 31, 2);
    for (int apart = 0; apart < 2; apart++) {
        backend moved = backends[0];
        moved.moved = 1;
        moved.apart = apart;
        result odd = run(&moved, w, 31, 2);
        if (by_packs)
            compare(w, &odd, &even, false);
        else
            same_results(w, "depends on where tensors lie", &even, &odd);
        result_free(&odd);
    }
    result_free(&even);
}

static void test_ops__results_do_not_depend_on_addresses(void **state)
{
    (void)state;
    each_world(is_the_same_at_any_address, 0, false);
}

// Gradients that are added are what was there plus those that are set.
static void adds_to_gradients(world *w)
{
    result put_there = run(&ref, w, 31, 0), added = run(&ref, w, 31, 31);
    for (int k = 0; k < TK_OP_IN; k++) {
        tk_tensor before = w->call.din[k];
        const double step = before.dtype == TK_BF16 ? 0x1p-7 : 1e-4; // each is rounded
        widen(w, &before);
        for (int64_t j = 0; put_there.din[k] && j < tk_count(&before); j++) {
            const double was = ((const float *)before.data)[j], by = put_there.din[k][j];
            assert_near(added.din[k][j], was + by, step * (1 + fabs(was) + fabs(by)));
        }
    }
    result_free(&put_there);
    result_free(&added);
}

static void test_ops__ref_adds_to_gradients(void **state)
{
    (void)state;
    each_world(adds_to_gradients, 0, false);
}

static const float cast_from[] = {0.0f, -0.0f, 1.0f, -3.14159274f, 1.00390625f, 1.01171875f, 3e38f};

static void cast(const tk_device_ops *ops, tk_dtype to, void *in, void *out, void *up, void *grad)
{
    enum { N = (int)(sizeof cast_from / sizeof *cast_from) };
    const tk_dtype from = to == TK_F32 ? TK_BF16 : TK_F32;
    tk_device d;
    tk_call c = {.op = TK_OP_CAST, .add = {true}};
    assert_ok(tk_device_open(&d, ops, 1, 1 << 20));
    assert_ok(tk_device_put(&d, in, from, 1, N, &c.in[0]));
    assert_ok(tk_device_new(&d, to, 1, N, &c.out[0]));
    assert_ok(tk_device_put(&d, up, to, 1, N, &c.dout[0]));
    assert_ok(tk_device_put(&d, grad, from, 1, N, &c.din[0]));
    assert_ok(tk_op_forward(&d, &c));
    assert_ok(tk_op_backward(&d, &c));
    assert_ok(tk_device_get(&d, &c.out[0], out));
    assert_ok(tk_device_get(&d, &c.din[0], grad));
    tk_device_close(&d);
}

// To even where halfway; the gradient is cast the other way and added.
static void test_ops__casts_round_to_even(void **state)
{
    (void)state;
    static const float rounded[] = {0.0f, -0.0f, 1.0f, -3.140625f, 1.0f, 1.015625f, 3.00405527e38f};
    for (int b = 0; b < 2 && looked_at(TK_OP_CAST); b++) {
        const tk_device_ops *ops = b ? backends[0].ops : &tk_device_ref;
        float x[7], grad[7], back[7];
        uint16_t half[7], up[7];
        for (int i = 0; i < 7; i++)
            x[i] = cast_from[i], up[i] = tk_bf16_from_float(0.5f), grad[i] = 3;
        cast(ops, TK_BF16, x, half, up, grad);
        for (int i = 0; i < 7; i++) assert_true(tk_bf16_to_float(half[i]) == rounded[i]);
        assert_int_equal(half[1], 0x8000); // minus nothing
        for (int i = 0; i < 7; i++) assert_true(grad[i] == 3.5f);
        for (int i = 0; i < 7; i++) up[i] = tk_bf16_from_float(3), grad[i] = 1.00390625f - 1;
        cast(ops, TK_F32, half, back, grad, up);
        for (int i = 0; i < 7; i++) assert_true(back[i] == tk_bf16_to_float(half[i]));
        for (int i = 0; i < 7; i++) assert_true(tk_bf16_to_float(up[i]) == 3); // 3.0039 rounds down
    }
}

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

// What a plan counts on the dry device is what the backend takes that it stands for.
static void counts_as_the_real(world *w)
{
    const backend like[] = {backends[0], backends[2], ref};
    for (int b = 0; b < 3; b++) {
        result real = run(&like[b], w, 31, 1);
        result dry = run(
            &(backend){.ops = like[b].ops, .threads = like[b].threads, .seed = "1", .dry = true}, w,
            31, 1);
        if (dry.peak != real.peak) fail_msg("%s: %zu bytes, dry %zu", w->name, real.peak, dry.peak);
        assert_true(dry.flops == real.flops);
        for (int64_t j = 0; j < tk_count(&w->call.out[0]); j++) assert_true(dry.out[0][j] == 0);
        result_free(&real);
        result_free(&dry);
    }
}

static void test_ops__dry_counts_as_the_real(void **state)
{
    (void)state;
    each_world(counts_as_the_real, 0, true);
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

static void test_ops__skips_a_step_of_scale_zero(void **state)
{
    (void)state;
    for (int b = 0; b < 4 && looked_at(TK_OP_CLIP_SCALE) && looked_at(TK_OP_ADAMW); b++) {
        tk_device d;
        assert_ok(tk_device_open(&d, b % 2 ? backends[0].ops : &tk_device_ref, 1, 1 << 20));
        float g[2] = {NAN, 1}, p[2] = {1, 2}, rates[3] = {10, 10, 0.1f}, zero = 0, back[2];
        const float sum = b < 2 ? INFINITY : NAN;
        tk_call clip = {.op = TK_OP_CLIP_SCALE, .f = {1}};
        tk_call c = {.op = TK_OP_ADAMW, .f = {0.9, 0.9, 1e-8, 1}};
        assert_ok(tk_device_put(&d, &sum, TK_F32, 1, 1, &clip.in[0]));
        assert_ok(tk_device_put(&d, &zero, TK_F32, 1, 1, &clip.out[0]));
        assert_ok(tk_op_forward(&d, &clip));
        assert_ok(tk_device_put(&d, g, TK_F32, 1, 2, &c.in[0]));
        for (int k = 0; k < 3; k++) assert_ok(tk_device_put(&d, p, TK_F32, 1, 2, &c.out[k]));
        assert_ok(tk_device_put(&d, rates, TK_F32, 1, 3, &c.in[3]));
        c.in[2] = clip.out[0];
        assert_ok(tk_op_forward(&d, &c));
        for (int k = 0; k < 3; k++) {
            assert_ok(tk_device_get(&d, &c.out[k], back));
            assert_memory_equal(back, p, sizeof p);
        }
        tk_device_close(&d);
    }
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
    const struct CMUnitTest of_backends[] = {
        cmocka_unit_test(test_ops__every_operator_has_a_case),
        cmocka_unit_test(test_ops__backends_agree_with_ref),
        cmocka_unit_test(test_ops__bf16_is_fp32_on_the_same_numbers_rounded_once),
        cmocka_unit_test(test_ops__fused_operators_are_their_parts),
        cmocka_unit_test(test_ops__casts_round_to_even),
        cmocka_unit_test(test_ops__results_do_not_depend_on_threads),
        cmocka_unit_test(test_ops__results_do_not_depend_on_addresses),
        cmocka_unit_test(test_ops__dry_counts_as_the_real),
        cmocka_unit_test(test_ops__skips_a_step_of_scale_zero),
    };
    const struct CMUnitTest of_ref[] = {
        cmocka_unit_test(test_ops__ref_adds_to_gradients),
        cmocka_unit_test(test_ops__ref_gradients_are_slopes),
        cmocka_unit_test(test_ops__flops),
        cmocka_unit_test(test_ops__gathers_columns_of_uneven_ranks),
        cmocka_unit_test(test_ops__wrong_shapes_are_named),
        cmocka_unit_test(test_ops__wrong_types_are_named),
    };
    const char *device = getenv("TK_TEST_DEVICE");
    const bool cuda = device && strcmp(device, "cuda") == 0;
    for (int b = 0; cuda && b < N_BACKENDS; b++) backends[b].ops = tk_device_find(TK_DEVICE_CUDA);
    const int failed = cmocka_run_group_tests(of_backends, NULL, NULL);
    return cuda ? failed : failed + cmocka_run_group_tests(of_ref, NULL, NULL);
}
