// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 300; cuda: too */
// Every operator of every backend against the plain loops of "ref" (which test_ops_ref.c looks at).
// A row of `cases` (ops_cases.h) is an operator at one size; an operator without one fails. Each is
// run in fp32 and, where it has activations or weights, in bf16: there ref must give what it gives
// in fp32 on the same numbers, rounded, and the others must come close.
//
// The backends are cpu's, or with TK_TEST_DEVICE=cuda in the environment cuda's. With
// TK_TEST_OPS=" add silu " these operators alone are looked at, and of these with TK_TEST_CASE=12
// this case alone; with TK_TEST_LEAST=64 and TK_TEST_MOST=900 cases of
// so many elements.
#include "tests/core/device/ops_compare.h"

// Of the device tested: an operator that it does not have yet is left out.
static bool has(tk_op op)
{
    const tk_kernel *k = &backends[0].ops->kernels[op];
    return tk_op_is_collective(op) || tk_op_is_of_rows(op) || tk_op_has_parts(op) ||
           (k->fore && (k->back || !tk_op_table[op].grads));
}

static bool looked_at(tk_op op)
{
    char name[64];
    const char *ops = getenv("TK_TEST_OPS");
    snprintf(name, sizeof name, " %s ", tk_op_table[op].name);
    return has(op) && (!ops || strstr(ops, name));
}

// Whether kind `i` of a case is another than those before it.
static bool has_kind(const test_case *k, int i)
{
    const char *types = tk_op_table[k->op].types;
    const bool rows = strpbrk(types, "ae"), weights = strchr(types, 'w');
    if (k->flags & BLOCKS) return i == 1;
    return i == 0 || (i == 1 && (rows || weights)) || (rows && weights);
}

// The backwards that a case is run with: all gradients set, all added to, one kind and the other;
// then some of them alone.
static const way ways[] = {{31, 0}, {31, 31}, {31, 2}, {1, 0}, {2, 2}, {4, 0}};
enum { SET, ADDED, MIXED, WAYS = (int)(sizeof ways / sizeof *ways) };

// A case, and what it gives on ref and on the backends. Every check below looks at it.
typedef struct seen {
    world *w;
    unsigned of_ref; // ways, a bit each
    unsigned of[N_BACKENDS];
    result ref[WAYS], by[N_BACKENDS][WAYS];
} seen;

// Ways of the case on backend b. Emulated orders of threads do them in turn, and one way all.
static unsigned ways_of(const world *w, int b)
{
    unsigned all = (1u << WAYS) - 1;
    if (w->of->flags & BLOCKS) all = 1 << SET | 1 << ADDED | 1 << MIXED;
    if (!tk_op_table[w->call.op].grads) all = 1 << MIXED;
    for (int i = 0; i < WAYS && backends[b].ops != &tk_device_cpu; i++)
        if (i != MIXED && i % N_BACKENDS != b) all &= ~(1u << i);
    return all;
}

static void run_some(const backend *b, const world *w, unsigned which, result r[WAYS])
{
    way some[WAYS];
    result got[WAYS];
    int n = 0;
    for (int i = 0; i < WAYS; i++)
        if (which >> i & 1) some[n++] = ways[i];
    run_ways(b, w, n, some, got);
    for (int i = WAYS - 1; i >= 0; i--)
        if (which >> i & 1) r[i] = got[--n];
}

static void free_some(unsigned which, result r[WAYS])
{
    for (int i = 0; i < WAYS; i++)
        if (which >> i & 1) result_free(&r[i]);
}

static void see(seen *s, world *w)
{
    *s = (seen){.w = w};
    for (int b = 0; b < N_BACKENDS; b++) {
        s->of[b] = ways_of(w, b);
        s->of_ref |= s->of[b];
        run_some(&backends[b], w, s->of[b], s->by[b]);
    }
    run_some(&ref, w, s->of_ref, s->ref);
}

static void forget(seen *s)
{
    free_some(s->of_ref, s->ref);
    for (int b = 0; b < N_BACKENDS; b++) free_some(s->of[b], s->by[b]);
}

// ---- what is looked at -------------------------------------------------------------------------

static void agrees_with_ref(seen *s)
{
    for (int b = 0; b < N_BACKENDS; b++)
        for (int i = 0; i < WAYS; i++) {
            if (!(s->of[b] >> i & 1)) continue;
            compare(s->w, &s->by[b][i], &s->ref[i], false);
            assert_true(s->by[b][i].flops == s->ref[i].flops);
        }
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

static void is_fp32_rounded(seen *s)
{
    world *w = s->w;
    if (w->type.activation == TK_F32 && w->type.weight == TK_F32) return;
    // see the tests of casts, of parts, and of rows on several ranks
    if (w->call.op == TK_OP_CAST || tk_op_has_parts(w->call.op) || tk_op_is_of_rows(w->call.op))
        return;
    const world twin = twin_of(w);
    const unsigned which = s->of_ref & (1 << SET | 1 << ADDED | 1 << MIXED);
    result wide[WAYS];
    run_some(&ref, &twin, which, wide);
    for (int i = 0; i < WAYS; i++) {
        if (!(which >> i & 1)) continue;
        for (int b = 0; b < N_BACKENDS; b++)
            if (s->of[b] >> i & 1) compare(w, &s->by[b][i], &wide[i], true);
        compare(w, &s->ref[i], &wide[i], true);
        for (int k = 0; k < TK_OP_OUT; k++)
            rounds_to(w, &w->call.out[k], s->ref[i].out[k], wide[i].out[k]);
        for (int k = 0; k < TK_OP_IN; k++)
            rounds_to(w, &w->call.din[k], s->ref[i].din[k], wide[i].din[k]);
    }
    free_some(which, wide);
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
static void is_its_parts(seen *s)
{
    world *w = s->w;
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

static void is_the_same_by_more_threads(seen *s)
{
    for (int b = 1; b < N_BACKENDS; b++)
        for (int i = 0; i < WAYS; i++)
            if (s->of[0] & s->of[b] & 1u << i)
                same_results(s->w, "depends on the number of threads", &s->by[0][i], &s->by[b][i]);
}

// Sums are taken in an order that shapes decide, wherever tensors lie: all of them as far from 64
// bytes, or each as far as it likes. (A library may take another way for products.)
static void is_the_same_at_any_address(seen *s)
{
    const tk_op op = s->w->call.op;
    if (op == TK_OP_LINEAR || s->w->of->flags & BLOCKS) return;
    // These go along rows by 16 bytes, by tensor cores or by the library's products for such
    // addresses, where they allow it, and round in another order elsewhere.
    const bool by_packs = backends[0].ops != &tk_device_cpu &&
                          (op == TK_OP_RMS_NORM || op == TK_OP_MODULATE || op == TK_OP_GATE_ADD ||
                           op == TK_OP_NORM_ROPE || op == TK_OP_ATTENTION || tk_op_is_of_rows(op));
    const result *even = &s->by[0][MIXED];
    for (int apart = 0; apart < 2; apart++) {
        backend moved = backends[0];
        moved.moved = 1;
        moved.apart = apart;
        result odd = run(&moved, s->w, ways[MIXED].wanted, ways[MIXED].add);
        if (by_packs)
            compare(s->w, &odd, even, false);
        else
            same_results(s->w, "depends on where tensors lie", even, &odd);
        result_free(&odd);
    }
}

// Gradients that are added are what was there plus those that are set.
static void adds_to_gradients(seen *s)
{
    world *w = s->w;
    if (!(s->of_ref >> ADDED & 1)) return;
    const result *put_there = &s->ref[SET], *added = &s->ref[ADDED];
    for (int k = 0; k < TK_OP_IN; k++) {
        tk_tensor before = w->call.din[k];
        const double step = before.dtype == TK_BF16 ? 0x1p-7 : 1e-4; // each is rounded
        widen(w, &before);
        for (int64_t j = 0; put_there->din[k] && j < tk_count(&before); j++) {
            const double was = ((const float *)before.data)[j], by = put_there->din[k][j];
            assert_near(added->din[k][j], was + by, step * (1 + fabs(was) + fabs(by)));
        }
    }
}

static void dry_counts(seen *s, const backend *b, unsigned which, const result *real)
{
    backend dry = *b;
    result r[WAYS];
    dry.dry = true;
    run_some(&dry, s->w, which, r);
    for (int i = 0; i < WAYS; i++) {
        if (!(which >> i & 1)) continue;
        if (r[i].peak != real[i].peak)
            fail_msg("%s: %zu bytes, dry %zu", s->w->name, real[i].peak, r[i].peak);
        assert_true(r[i].flops == real[i].flops);
        for (int64_t j = 0; j < tk_count(&s->w->call.out[0]); j++) assert_true(r[i].out[0][j] == 0);
    }
    free_some(which, r);
}

// What a plan counts on the dry device is what the backend takes that it stands for.
static void dry_counts_as_the_real(seen *s)
{
    dry_counts(s, &backends[0], s->of[0], s->by[0]);
    dry_counts(s, &backends[2], s->of[2], s->by[2]);
    dry_counts(s, &ref, s->of_ref, s->ref);
}

// ---- the tests ---------------------------------------------------------------------------------

static void look_at(const test_case *k, int kind)
{
    world w;
    seen s;
    world_open(&w, k, kinds[kind]);
    snprintf(w.name, sizeof w.name, "%s case %d, kind %d", tk_op_table[k->op].name,
             (int)(k - cases), kind);
    see(&s, &w);
    agrees_with_ref(&s);
    is_fp32_rounded(&s);
    is_its_parts(&s);
    is_the_same_by_more_threads(&s);
    is_the_same_at_any_address(&s);
    adds_to_gradients(&s);
    dry_counts_as_the_real(&s);
    forget(&s);
    world_close(&w);
}

// Of operator **state.
// Elements of a row of all rows, or of all documents.
static bool has_size(const test_case *k)
{
    const char *most = getenv("TK_TEST_MOST"), *least = getenv("TK_TEST_LEAST");
    const int64_t across = k->c > k->m ? k->c : k->m;
    int64_t rows = k->n;
    for (int i = 0; i < DOCS; i++) rows += k->docs[i];
    const int64_t size = rows * (across ? across : 1);
    return (!most || (size <= atoll(most) && !(k->flags & BLOCKS))) &&
           (!least || size >= atoll(least));
}

static void test_operator(void **state)
{
    const tk_op op = *(const tk_op *)*state;
    differences = 0;
    const char *one = getenv("TK_TEST_CASE");
    for (int i = one ? atoi(one) : 0; i < (one ? atoi(one) + 1 : N_CASES); i++)
        for (int kind = 0; kind < N_KINDS; kind++)
            if (cases[i].op == op && has_kind(&cases[i], kind) && has_size(&cases[i]))
                look_at(&cases[i], kind);
    if (differences) fail_msg("%d results differ from ref's, told above", differences);
}

static void test_ops__every_operator_has_a_case(void **state)
{
    (void)state;
    bool has_case[TK_OP_COUNT] = {false};
    for (int i = 0; i < N_CASES; i++) has_case[cases[i].op] = true;
    for (int op = 0; op < TK_OP_COUNT; op++)
        if (!tk_op_table[op].name || !has_case[op])
            fail_msg("operator %d (%s) has no case", op, tk_op_table[op].name);
    for (int op = 0; op < TK_OP_COUNT; op++)
        if (!has(op)) fail_msg("device %s lacks %s", backends[0].ops->name, tk_op_table[op].name);
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

static int test_each_operator(void)
{
    static tk_op op[TK_OP_COUNT];
    struct CMUnitTest tests[TK_OP_COUNT];
    size_t n = 0;
    for (int i = 0; i < TK_OP_COUNT; i++) {
        if (!tk_op_table[i].name || !looked_at((tk_op)i)) continue;
        op[i] = (tk_op)i;
        tests[n++] =
            (struct CMUnitTest){tk_op_table[i].name, test_operator, NULL, close_devices, &op[i]};
    }
    return _cmocka_run_group_tests("operators", tests, n, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(test_ops__every_operator_has_a_case),
        cmocka_unit_test(test_ops__casts_round_to_even),
        cmocka_unit_test(test_ops__skips_a_step_of_scale_zero),
    };
    const char *device = getenv("TK_TEST_DEVICE");
    const bool cuda = device && strcmp(device, "cuda") == 0;
    for (int b = 0; cuda && b < N_BACKENDS; b++) backends[b].ops = tk_device_find(TK_DEVICE_CUDA);
    backends[1].walled = cuda;
    return cmocka_run_group_tests(others, NULL, NULL) + test_each_operator();
}
