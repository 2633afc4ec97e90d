// SPDX-License-Identifier: Apache-2.0
// Every operator of every backend against the plain loops of "ref", and ref's gradients against
// finite differences. A row of `cases` is an operator at one size; an operator without a row fails.
#include "core/mem.h"
#include "core/ops.h"
#include "core/rng.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

enum { BIAS = 1, BF16 = 2, BARE = 4 }; // BARE: optional inputs absent
enum { DOCS = 5, SEED = 11 };

typedef struct test_case {
    tk_op op;
    int64_t n, c, m, x; // meanings in describe_*
    unsigned flags;
    int64_t docs[DOCS];
} test_case;

static const test_case cases[] = {
    // rows, inputs, outputs
    {TK_OP_LINEAR, 7, 5, 3, 0, 0, {0}},
    {TK_OP_LINEAR, 1, 17, 33, 0, BIAS, {0}},
    {TK_OP_LINEAR, 0, 17, 33, 0, BIAS, {0}},
    {TK_OP_LINEAR, 9, 0, 4, 0, BIAS, {0}},
    {TK_OP_LINEAR, 9, 4, 0, 0, BIAS, {0}},
    {TK_OP_LINEAR, 301, 96, 517, 0, BIAS, {0}},
    {TK_OP_LINEAR, 530, 64, 48, 0, 0, {0}},
    {TK_OP_LINEAR, 3, 48, 65, 0, BF16 | BIAS, {0}},
    {TK_OP_LINEAR, 270, 33, 65, 0, BF16, {0}},
    // rows, channels, -, group
    {TK_OP_RMS_NORM, 6, 12, 0, 12, 0, {0}},
    {TK_OP_RMS_NORM, 6, 12, 0, 4, 0, {0}},
    {TK_OP_RMS_NORM, 0, 12, 0, 4, 0, {0}},
    {TK_OP_RMS_NORM, 6, 0, 0, 4, 0, {0}},
    {TK_OP_RMS_NORM, 1, 1, 0, 1, 0, {0}},
    {TK_OP_RMS_NORM, 333, 192, 0, 48, 0, {0}},
    {TK_OP_RMS_NORM, 333, 131, 0, 131, BARE, {0}},
    // rows, channels, table rows
    {TK_OP_MODULATE, 8, 10, 3, 0, 0, {0}},
    {TK_OP_MODULATE, 8, 10, 3, 0, BARE, {0}},
    {TK_OP_MODULATE, 0, 10, 3, 0, 0, {0}},
    {TK_OP_MODULATE, 1, 65, 1, 0, 0, {0}},
    {TK_OP_MODULATE, 410, 200, 7, 0, 0, {0}},
    {TK_OP_GATE_ADD, 8, 10, 3, 0, 0, {0}},
    {TK_OP_GATE_ADD, 0, 10, 3, 0, 0, {0}},
    {TK_OP_GATE_ADD, 1, 65, 1, 0, 0, {0}},
    {TK_OP_GATE_ADD, 410, 200, 7, 0, 0, {0}},
    {TK_OP_ADD, 5, 7, 0, 0, 0, {0}},
    {TK_OP_ADD, 0, 7, 0, 0, 0, {0}},
    {TK_OP_ADD, 301, 211, 0, 0, 0, {0}},
    {TK_OP_SILU, 5, 7, 0, 0, 0, {0}},
    {TK_OP_SILU, 5, 0, 0, 0, 0, {0}},
    {TK_OP_SILU, 301, 211, 0, 0, 0, {0}},
    {TK_OP_SWIGLU, 5, 7, 0, 0, 0, {0}},
    {TK_OP_SWIGLU, 0, 7, 0, 0, 0, {0}},
    {TK_OP_SWIGLU, 201, 130, 0, 0, 0, {0}},
    // rows, heads * head_dim, frequencies, head_dim
    {TK_OP_ROPE, 5, 24, 4, 8, 0, {0}},
    {TK_OP_ROPE, 5, 24, 3, 12, 0, {0}},
    {TK_OP_ROPE, 5, 24, 0, 12, 0, {0}},
    {TK_OP_ROPE, 4, 0, 3, 12, 0, {0}},
    {TK_OP_ROPE, 0, 24, 3, 12, 0, {0}},
    {TK_OP_ROPE, 333, 150, 21, 50, 0, {0}},
    // -, heads * head_dim, -, head_dim; rows of each document
    {TK_OP_ATTENTION, 0, 8, 0, 8, 0, {5}},
    {TK_OP_ATTENTION, 0, 12, 0, 4, 0, {3, 0, 1, 6}},
    {TK_OP_ATTENTION, 0, 0, 0, 4, 0, {3, 4}},
    {TK_OP_ATTENTION, 0, 12, 0, 4, 0, {0}},
    {TK_OP_ATTENTION, 0, 99, 0, 33, 0, {65, 130, 17}},
    {TK_OP_ATTENTION, 0, 32, 0, 16, 0, {259, 520, 1}}, // several tiles
    // picks, channels, rows of the first source (the third has 3)
    {TK_OP_PICK, 9, 5, 4, 0, 0, {0}},
    {TK_OP_PICK, 0, 5, 4, 0, 0, {0}},
    {TK_OP_PICK, 500, 70, 40, 0, 0, {0}},
    {TK_OP_GATHER_ROWS, 6, 5, 0, 0, 0, {0}},
    {TK_OP_GATHER_ROWS, 0, 5, 0, 0, 0, {0}},
    {TK_OP_SCATTER_SUM, 6, 5, 0, 0, 0, {0}},
    {TK_OP_GATHER_COLS, 6, 5, 0, 0, 0, {0}},
    {TK_OP_GATHER_COLS, 6, 0, 0, 0, 0, {0}},
    {TK_OP_SQUARED_ERROR, 5, 7, 0, 0, 0, {0}},
    {TK_OP_SQUARED_ERROR, 0, 7, 0, 0, 0, {0}},
    {TK_OP_SQUARED_ERROR, 501, 75, 0, 0, 0, {0}},
    {TK_OP_NORMAL, 5, 7, 0, 0, 0, {0}},
    {TK_OP_NORMAL, 0, 7, 0, 0, 0, {0}},
    {TK_OP_NORMAL, 100, 131, 0, 0, 0, {0}},
    {TK_OP_NOISE, 5, 7, 0, 0, 0, {0}},
    {TK_OP_NOISE, 400, 131, 0, 0, 0, {0}},
    {TK_OP_SINUSOID, 5, 8, 0, 0, 0, {0}},
    {TK_OP_SINUSOID, 3, 0, 0, 0, 0, {0}},
    {TK_OP_ROPE_TABLE, 40, 7, 0, 0, 0, {0}},
    {TK_OP_EULER, 5, 7, 0, 0, 0, {0}},
    {TK_OP_EULER, 400, 131, 0, 0, BARE, {0}},
    {TK_OP_ADAMW, 1, 33, 0, 0, 0, {0}},
    {TK_OP_ADAMW, 1, 0, 0, 0, 0, {0}},
    {TK_OP_ADAMW, 1, 50001, 0, 0, BARE, {0}},
    {TK_OP_EMA, 1, 50001, 0, 0, 0, {0}},
    {TK_OP_SUM_SQUARES, 1, 7, 0, 0, 0, {0}},
    {TK_OP_SUM_SQUARES, 1, 50001, 0, 0, BARE, {0}},
    {TK_OP_SUM_SQUARES, 1, 0, 0, 0, BARE, {0}},
    {TK_OP_CLIP_SCALE, 1, 1, 0, 0, 0, {0}},
    {TK_OP_CAST, 5, 7, 0, 0, 0, {0}},
    {TK_OP_CAST, 300, 131, 0, 0, BF16, {0}},
};
enum { N_CASES = (int)(sizeof cases / sizeof *cases) };

static const struct backend {
    const tk_device_ops *ops;
    int threads;
} backends[] = {{&tk_device_cpu, 1}, {&tk_device_cpu, 2}, {&tk_device_cpu, 3}};
enum { N_BACKENDS = (int)(sizeof backends / sizeof *backends), POOL_BYTES = 1 << 28 };

// A call's tensors on the host. `call` holds shapes and attributes, its addresses are these.
typedef struct world {
    tk_call call;
    tk_arena arena;
    int64_t counts[1];
} world;

// ---- what a case looks like --------------------------------------------------------------------

static void set(tk_call *c, int k, tk_dtype t, int64_t rows, int64_t cols)
{
    c->in[k] = tk_tensor_2d(NULL, t, rows, cols);
}

static void describe_rows(const test_case *k, tk_call *c)
{
    bool bare = k->flags & BARE;
    switch (k->op) {
    case TK_OP_LINEAR:
        set(c, 1, k->flags & BF16 ? TK_BF16 : TK_F32, k->m, k->c);
        if (k->flags & BIAS) c->in[2] = tk_tensor_1d(NULL, TK_F32, k->m);
        break;
    case TK_OP_RMS_NORM:
        if (!bare) c->in[1] = tk_tensor_1d(NULL, TK_F32, k->x);
        c->i[0] = k->x;
        c->f[0] = 1e-3;
        break;
    case TK_OP_MODULATE:
        if (!bare) c->in[1] = tk_tensor_1d(NULL, TK_F32, k->c);
        set(c, 2, TK_F32, k->m, 3 * k->c + 5);
        set(c, 3, TK_I32, k->n, 1);
        c->i[0] = 2 * k->c + 1;
        c->i[1] = 3;
        c->f[0] = 1e-3;
        break;
    case TK_OP_GATE_ADD:
        set(c, 1, TK_F32, k->n, k->c);
        set(c, 2, TK_F32, k->m, 2 * k->c + 3);
        set(c, 3, TK_I32, k->n, 1);
        c->i[0] = k->c + 1;
        break;
    case TK_OP_ADD:
        set(c, 1, TK_F32, k->n, k->c);
        break;
    case TK_OP_SWIGLU:
        set(c, 0, TK_F32, k->n, 2 * k->c);
        break;
    case TK_OP_ROPE:
        set(c, 1, TK_F32, k->n, k->m);
        set(c, 2, TK_F32, k->n, k->m);
        c->i[0] = k->x;
        break;
    case TK_OP_ATTENTION: {
        int64_t n = 0;
        for (int i = 0; i < DOCS; i++) {
            n += k->docs[i];
            c->i[1] = k->docs[i] > c->i[1] ? k->docs[i] : c->i[1];
            c->i[2] += k->docs[i] * k->docs[i];
        }
        for (int i = 0; i < 3; i++) set(c, i, TK_F32, n, k->c);
        c->in[3] = tk_tensor_1d(NULL, TK_I32, DOCS + 1);
        c->i[0] = k->x;
        c->i[3] = DOCS;
        c->f[0] = 0.7;
        break;
    }
    case TK_OP_PICK:
        set(c, 0, TK_F32, k->m, k->c);
        set(c, 2, TK_F32, 3, k->c);
        set(c, 3, TK_I32, k->n, 2);
        break;
    default:
        break;
    }
}

static void describe_step(const test_case *k, tk_call *c)
{
    bool bare = k->flags & BARE;
    switch (k->op) {
    case TK_OP_SQUARED_ERROR:
    case TK_OP_NOISE:
        set(c, 1, TK_F32, k->n, k->c);
        c->in[2] = tk_tensor_1d(NULL, TK_F32, k->n);
        break;
    case TK_OP_EULER:
        if (!bare) set(c, 1, TK_F32, k->n, k->c);
        c->in[2] = tk_tensor_1d(NULL, TK_F32, k->n);
        c->f[0] = 2.5;
        break;
    case TK_OP_NORMAL:
        set(c, 0, TK_I32, k->n, 2);
        c->out[0] = tk_tensor_2d(NULL, TK_F32, k->n, k->c);
        c->i[0] = 123456789;
        c->i[1] = TK_RNG_NOISE;
        break;
    case TK_OP_SINUSOID:
        c->in[0] = tk_tensor_1d(NULL, TK_F32, k->n);
        c->i[0] = k->c;
        break;
    case TK_OP_ROPE_TABLE:
        set(c, 0, TK_F32, k->n, 3);
        c->i[0] = k->c;
        c->f[0] = 10000;
        break;
    case TK_OP_ADAMW:
        if (!bare) c->in[1] = tk_tensor_1d(NULL, TK_F32, k->c);
        if (!bare) c->in[2] = tk_tensor_1d(NULL, TK_F32, 1);
        memcpy(c->f, (double[]){1e-2, 0.9, 0.95, 1e-8, 0.1, 3}, sizeof c->f);
        break;
    case TK_OP_EMA:
        c->f[0] = 0.99;
        break;
    case TK_OP_SUM_SQUARES:
        if (!bare) c->in[1] = tk_tensor_1d(NULL, TK_F32, k->c);
        break;
    case TK_OP_CLIP_SCALE:
        c->f[0] = 0.5;
        break;
    case TK_OP_CAST:
        set(c, 0, k->flags & BF16 ? TK_BF16 : TK_F32, k->n, k->c);
        break;
    default:
        break;
    }
}

// Index k of the i-th element: runs of equal table entries, picks with repeats, offsets.
static int32_t index_at(const test_case *k, const tk_call *c, tk_key key, int64_t i)
{
    switch (k->op) {
    case TK_OP_ATTENTION: {
        int64_t n = 0;
        for (int d = 0; d < i; d++) n += k->docs[d];
        return (int32_t)n;
    }
    case TK_OP_PICK: {
        bool third = tk_rng_below(key, (uint64_t)i / 2, 3) == 0;
        if (i % 2 == 0) return third ? 2 : 0;
        return (int32_t)tk_rng_below(key, 1000 + (uint64_t)i, third ? 3 : k->m);
    }
    case TK_OP_NORMAL:
        return (int32_t)tk_rng_below(key, (uint64_t)i, 1000);
    default:
        return (int32_t)tk_rng_below(key, (uint64_t)i / 5, tk_rows(&c->in[2]));
    }
}

static void *fill(world *w, const test_case *k, tk_tensor *t, uint64_t step)
{
    tk_key key = tk_rng_key(SEED, TK_RNG_TEST, step);
    int64_t n = tk_count(t);
    t->data = tk_arena_alloc(&w->arena, tk_bytes(t) + 64);
    assert_non_null(t->data);
    for (int64_t i = 0; i < n; i++) {
        float x = (float)tk_rng_normal(key, (uint64_t)i);
        bool positive = k->op == TK_OP_ADAMW || k->op == TK_OP_CLIP_SCALE;
        if (positive && step != 0) x = fabsf(x); // second moments, scales, sums of squares
        if (k->op == TK_OP_CLIP_SCALE) x = fabsf(x);
        if (t->dtype == TK_F32) ((float *)t->data)[i] = x;
        if (t->dtype == TK_BF16) ((uint16_t *)t->data)[i] = tk_bf16_from_float(x);
        if (t->dtype == TK_I32) ((int32_t *)t->data)[i] = index_at(k, &w->call, key, i);
    }
    return t->data;
}

static void world_open(world *w, const test_case *k)
{
    *w = (world){.call = {.op = k->op, .in = {tk_tensor_2d(NULL, TK_F32, k->n, k->c)}}};
    tk_call *c = &w->call;
    tk_arena_init(&w->arena, 1 << 20);
    const tk_op_info *info = &tk_op_table[k->op];
    if (k->op >= TK_OP_GATHER_ROWS && k->op <= TK_OP_GATHER_COLS) {
        w->counts[0] = k->op == TK_OP_GATHER_COLS ? k->c : k->n;
        c->comm = tk_comm_self();
        c->counts = w->counts;
    }
    describe_rows(k, c);
    describe_step(k, c);
    for (int i = 0; i < info->n_in; i++)
        if (c->in[i].ndim) fill(w, k, &c->in[i], (uint64_t)i);
    tk_tensor out[TK_OP_OUT] = {{0}};
    assert_ok(info->shape(c, out));
    for (int i = 0; i < info->n_out; i++) {
        c->out[i] = out[i];
        fill(w, k, &c->out[i], 10 + (uint64_t)i);
    }
    for (int i = 0; i < info->n_in; i++)
        if (info->grads >> i & 1 && c->in[i].ndim && c->in[i].dtype == TK_F32) {
            c->din[i] = c->in[i];
            fill(w, k, &c->din[i], 20 + (uint64_t)i);
        }
    c->dout[0] = out[0];
    fill(w, k, &c->dout[0], 30);
}

static void world_close(world *w)
{
    tk_arena_free(&w->arena);
}

// ---- running a case on a device --------------------------------------------------------------

typedef struct result {
    float *out[TK_OP_OUT], *din[TK_OP_IN]; // bf16 outputs are widened
    double flops;
    size_t peak;
} result;

static void result_free(result *r)
{
    for (int k = 0; k < TK_OP_OUT; k++) tk_free(r->out[k]);
    for (int k = 0; k < TK_OP_IN; k++) tk_free(r->din[k]);
}

static void put(tk_device *d, const tk_tensor *host, tk_tensor *to)
{
    *to = (tk_tensor){0};
    if (!host->data) return;
    assert_ok(tk_device_put(d, host->data, host->dtype, tk_rows(host), tk_cols(host), to));
    to->ndim = host->ndim;
    memcpy(to->dim, host->dim, sizeof to->dim);
}

static float *get(tk_device *d, const tk_tensor *t)
{
    int64_t n = tk_count(t);
    float *x = tk_alloc((size_t)n * sizeof *x + 64);
    assert_non_null(x);
    if (t->dtype == TK_F32) {
        assert_ok(tk_device_get(d, t, x));
        return x;
    }
    uint16_t *half = tk_alloc((size_t)n * sizeof *half + 64);
    assert_ok(tk_device_get(d, t, half));
    for (int64_t i = 0; i < n; i++) x[i] = tk_bf16_to_float(half[i]);
    tk_free(half);
    return x;
}

// Forward, and where the operator has gradients backward for the inputs in `wanted`, those in `add`
// being added to. Inputs the backward does not need are taken away from it.
static result run(const struct backend *b, const world *w, unsigned wanted, unsigned add)
{
    tk_device d;
    result r = {0};
    assert_ok(tk_device_open(&d, b->ops, b->threads, POOL_BYTES));
    const tk_op_info *info = &tk_op_table[w->call.op];
    tk_call c = w->call;
    for (int k = 0; k < TK_OP_IN; k++) put(&d, &w->call.in[k], &c.in[k]);
    for (int k = 0; k < TK_OP_OUT; k++) put(&d, &w->call.out[k], &c.out[k]);
    for (int k = 0; k < TK_OP_IN; k++) put(&d, &w->call.din[k], &c.din[k]);
    put(&d, &w->call.dout[0], &c.dout[0]);
    tk_tensor din[TK_OP_IN];
    memcpy(din, c.din, sizeof din);
    assert_ok(tk_op_forward(&d, &c));
    for (int k = 0; k < info->n_out; k++) r.out[k] = get(&d, &c.out[k]);
    for (int k = 0; k < TK_OP_IN; k++) {
        if (!(info->needs_in >> k & 1)) c.in[k].data = NULL;
        if (!(wanted >> k & 1)) c.din[k].data = NULL;
        c.add[k] = add >> k & 1;
    }
    for (int k = 0; k < TK_OP_OUT; k++)
        if (!(info->needs_out >> k & 1)) c.out[k].data = NULL;
    if (info->grads & wanted) assert_ok(tk_op_backward(&d, &c));
    for (int k = 0; k < TK_OP_IN; k++)
        if (din[k].ndim && wanted >> k & 1) r.din[k] = get(&d, &din[k]);
    r.flops = d.flops;
    r.peak = d.pool.peak;
    tk_device_close(&d);
    return r;
}

static const struct backend ref = {&tk_device_ref, 1};

static double square(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i] * x[i];
    return s;
}

// Sum of squared differences over that of the reference.
static void close_enough(const test_case *k, const char *what, int which, const float *got,
                         const float *wanted, int64_t n)
{
    double s = 0, size = square(wanted, n);
    for (int64_t i = 0; i < n; i++)
        s += ((double)got[i] - wanted[i]) * ((double)got[i] - wanted[i]);
    double nmse = size > 0 ? s / size : s;
    if (!(nmse <= 1e-7))
        fail_msg("%s case %d: %s %d differs from ref by NMSE %.3g", tk_op_table[k->op].name,
                 (int)(k - cases), what, which, nmse);
}

static void compare(const test_case *k, const world *w, const result *got, const result *wanted)
{
    for (int i = 0; i < TK_OP_OUT; i++)
        if (wanted->out[i])
            close_enough(k, "output", i, got->out[i], wanted->out[i], tk_count(&w->call.out[i]));
    for (int i = 0; i < TK_OP_IN; i++)
        if (wanted->din[i])
            close_enough(k, "gradient", i, got->din[i], wanted->din[i], tk_count(&w->call.din[i]));
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
}

static void test_ops__backends_agree_with_ref(void **state)
{
    (void)state;
    static const struct {
        unsigned wanted, add;
    } ways[] = {{31, 0}, {31, 31}, {1, 0}, {2, 2}, {4, 0}};
    for (int i = 0; i < N_CASES; i++) {
        world w;
        world_open(&w, &cases[i]);
        for (int way = 0; way < 5; way++) {
            if (way && !tk_op_table[cases[i].op].grads) break;
            result wanted = run(&ref, &w, ways[way].wanted, ways[way].add);
            for (int b = 0; b < N_BACKENDS; b++) {
                result got = run(&backends[b], &w, ways[way].wanted, ways[way].add);
                compare(&cases[i], &w, &got, &wanted);
                assert_true(got.flops == wanted.flops);
                result_free(&got);
            }
            result_free(&wanted);
        }
        world_close(&w);
    }
}

static void same_bits(const test_case *k, const float *a, const float *b, int64_t n)
{
    if (a && memcmp(a, b, (size_t)n * sizeof *a) != 0)
        fail_msg("%s case %d depends on the number of threads", tk_op_table[k->op].name,
                 (int)(k - cases));
}

static void test_ops__cpu_does_not_depend_on_threads(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        world w;
        world_open(&w, &cases[i]);
        result one = run(&backends[0], &w, 31, 2);
        for (int b = 1; b < N_BACKENDS; b++) {
            result more = run(&backends[b], &w, 31, 2);
            for (int k = 0; k < TK_OP_OUT; k++)
                same_bits(&cases[i], one.out[k], more.out[k], tk_count(&w.call.out[k]));
            for (int k = 0; k < TK_OP_IN; k++)
                same_bits(&cases[i], one.din[k], more.din[k], tk_count(&w.call.din[k]));
            result_free(&more);
        }
        result_free(&one);
        world_close(&w);
    }
}

// Gradients that are added are what was there plus those that are set.
static void test_ops__ref_adds_to_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        world w;
        world_open(&w, &cases[i]);
        result put_there = run(&ref, &w, 31, 0), added = run(&ref, &w, 31, 31);
        for (int k = 0; k < TK_OP_IN; k++) {
            const float *before = w.call.din[k].data;
            for (int64_t j = 0; put_there.din[k] && j < tk_count(&w.call.din[k]); j++)
                assert_near(added.din[k][j], (double)before[j] + put_there.din[k][j],
                            1e-4 * (1 + fabs(added.din[k][j])));
        }
        result_free(&put_there);
        result_free(&added);
        world_close(&w);
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
        if (!tk_op_table[cases[i].op].grads || cases[i].n > 100 || cases[i].docs[0] > 100) continue;
        world w;
        world_open(&w, &cases[i]);
        check_slopes(&w, &cases[i]);
        world_close(&w);
    }
}

// What a plan counts on the dry device is what the cpu backend takes.
static void test_ops__dry_counts_as_cpu(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        world w;
        world_open(&w, &cases[i]);
        for (int threads = 1; threads < 4; threads += 2) {
            result real = run(&(struct backend){&tk_device_cpu, threads}, &w, 31, 1);
            result dry = run(&(struct backend){&tk_device_dry, threads}, &w, 31, 1);
            assert_int_equal(dry.peak, real.peak);
            assert_true(dry.flops == real.flops);
            for (int64_t j = 0; j < tk_count(&w.call.out[0]); j++) assert_true(dry.out[0][j] == 0);
            result_free(&real);
            result_free(&dry);
        }
        world_close(&w);
    }
}

static void test_ops__flops(void **state)
{
    (void)state;
    world w;
    world_open(&w, &(test_case){TK_OP_LINEAR, 7, 5, 3, 0, BIAS, {0}});
    result r = run(&ref, &w, 7, 0);
    assert_true(r.flops == 3 * 2 * 7 * 5 * 3);
    result_free(&r);
    r = run(&ref, &w, 6, 0);
    assert_true(r.flops == 2 * 2 * 7 * 5 * 3);
    result_free(&r);
    world_close(&w);
    world_open(&w, &(test_case){TK_OP_ATTENTION, 0, 12, 0, 4, 0, {3, 2}});
    r = run(&ref, &w, 7, 0);
    assert_true(r.flops == 3 * 4 * (9 + 4) * 12);
    result_free(&r);
    world_close(&w);
}

// ---- collectives with more than one rank -----------------------------------------------------

// Rank 1 of 3: rank r holds the numbers 100 * r + i; a reduction of what all hold is 3 times mine.
static tk_status fake_all_gather(tk_comm *c, const void *in, void *out, const int64_t *counts,
                                 tk_dtype t)
{
    (void)t;
    float *to = out;
    for (int r = 0; r < c->size; r++)
        for (int64_t i = 0; i < counts[r]; i++)
            *to++ = r == c->rank ? ((const float *)in)[i] : (float)(100 * r + i);
    return TK_OK;
}

static tk_status fake_reduce_scatter(tk_comm *c, const void *in, void *out, const int64_t *counts,
                                     tk_dtype t)
{
    (void)t;
    const float *from = in;
    for (int r = 0; r < c->rank; r++) from += counts[r];
    for (int64_t i = 0; i < counts[c->rank]; i++) ((float *)out)[i] = 3 * from[i];
    return TK_OK;
}

static void test_ops__gathers_columns_of_uneven_ranks(void **state)
{
    (void)state;
    static const tk_comm_ops ops = {.all_gather = fake_all_gather,
                                    .reduce_scatter = fake_reduce_scatter};
    static const int64_t counts[3] = {3, 2, 0};
    tk_comm comm = {.ops = &ops, .rank = 1, .size = 3, .name = "fake"};
    tk_device d;
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
    for (int b = 0; b < 2; b++) {
        tk_device d;
        assert_ok(tk_device_open(&d, b ? &tk_device_cpu : &tk_device_ref, 1, 1 << 20));
        float g[2] = {NAN, 1}, p[2] = {1, 2}, zero = 0, sum = INFINITY, back[2];
        tk_call clip = {.op = TK_OP_CLIP_SCALE, .f = {1}};
        tk_call c = {.op = TK_OP_ADAMW, .f = {1, 0.9, 0.9, 1e-8, 0.1, 1}};
        assert_ok(tk_device_put(&d, &sum, TK_F32, 1, 1, &clip.in[0]));
        assert_ok(tk_device_put(&d, &zero, TK_F32, 1, 1, &clip.out[0]));
        assert_ok(tk_op_forward(&d, &clip));
        assert_ok(tk_device_put(&d, g, TK_F32, 1, 2, &c.in[0]));
        for (int k = 0; k < 3; k++) assert_ok(tk_device_put(&d, p, TK_F32, 1, 2, &c.out[k]));
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
    assert_ok(tk_device_open(&d, &tk_device_dry, 1, 1 << 20));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops__every_operator_has_a_case),
        cmocka_unit_test(test_ops__backends_agree_with_ref),
        cmocka_unit_test(test_ops__cpu_does_not_depend_on_threads),
        cmocka_unit_test(test_ops__ref_adds_to_gradients),
        cmocka_unit_test(test_ops__ref_gradients_are_slopes),
        cmocka_unit_test(test_ops__dry_counts_as_cpu),
        cmocka_unit_test(test_ops__flops),
        cmocka_unit_test(test_ops__gathers_columns_of_uneven_ranks),
        cmocka_unit_test(test_ops__skips_a_step_of_scale_zero),
        cmocka_unit_test(test_ops__wrong_shapes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
