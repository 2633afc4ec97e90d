// SPDX-License-Identifier: Apache-2.0
// Running a case of ops_cases.h on a backend, and how far its results may be from ref's.
#pragma once
#include "core/device/ops_impl.h"
#include "tests/core/device/ops_cases.h"
#include <stdio.h>

// Two ways of running a backend give the same bits: threads of cpu, seeds of the order in which
// threads of an emulated GPU run (tests/cuda/dialect.h).
typedef struct backend {
    const tk_device_ops *ops;
    int threads;
    const char *seed;
    bool dry; // in its place
    // Elements that tensors are moved from where the pool begins them, each of a call by `apart`
    // more than the one before.
    int moved, apart;
} backend;
enum { N_BACKENDS = 3 };
static backend backends[N_BACKENDS] = {{.ops = &tk_device_cpu, .threads = 1, .seed = "1"},
                                       {.ops = &tk_device_cpu, .threads = 2, .seed = "2"},
                                       {.ops = &tk_device_cpu, .threads = 3, .seed = "3"}};

// Of the device tested: an operator that it does not have yet is left out.
static bool has(tk_op op)
{
    const tk_kernel *k = &backends[0].ops->kernels[op];
    return tk_op_is_collective(op) || tk_op_has_parts(op) ||
           (k->fore && (k->back || !tk_op_table[op].grads));
}

static bool looked_at(tk_op op)
{
    char name[64];
    const char *ops = getenv("TK_TEST_OPS");
    snprintf(name, sizeof name, " %s ", tk_op_table[op].name);
    return has(op) && (!ops || strstr(ops, name));
}

// How far a result may be from ref's. `nmse`: sum of squared differences over that of ref's
// elements. `element`: of an element's size, and `floor` of the root mean square of all, which is
// what sums in another order may differ by. In bf16 numbers lie at most 2^-7 of their size apart: a
// step.
typedef struct bound {
    double nmse, element, floor;
} bound;
static const bound in_fp32 = {1e-7, INFINITY, 0};
static const bound half_a_step = {0x1.2p-16, 0x1p-8, 1e-3}; // from ref's in fp32 on these numbers
static const bound a_step = {0x1p-14, 0x1p-7, 1e-3};        // sums on both sides of a rounding
// Tensor cores take the probabilities of attention rounded: each p is off by up to 2^-8 of itself,
// by 0.4 * 2^-8 in the root mean square, and independently of the others. As v has both signs, so
// is o = sum of p v by 0.4 * 2^-8 of its root mean square, whatever its own size; five times that
// is 2^-7.
static const bound by_rounded_weights = {0x1p-14, 0x1p-7, 0x1p-7};
// Made from what is a step apart: an output, or what lies between the parts of a fused operator.
static const bound through_output = {1e-4, 0x1p-7, 0x1p-6};

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

// Every tensor lies between two fences of NaN (in bf16 and fp32; as an index out of all bounds):
// who reads beyond it has NaN, and who writes there is found.
enum { FENCE = 256, FENCES = 16 }; // bytes; tensors of a run
typedef struct fences {
    int n;
    struct {
        char *begin;
        size_t before, bytes; // the tensor's begin after `begin`, and its bytes
    } of[FENCES];
} fences;

static void put(tk_device *d, const tk_tensor *host, int moved, tk_tensor *to, fences *f)
{
    *to = (tk_tensor){0};
    if (!host->data) return;
    const size_t size = tk_dtype_size(host->dtype), bytes = tk_bytes(host);
    const size_t before = FENCE + (size_t)moved * size, all = before + bytes + FENCE;
    uint16_t *x = tk_alloc(all);
    assert_non_null(x);
    for (size_t i = 0; i < all / sizeof *x; i++) x[i] = 0x7fff;
    memcpy((char *)x + before, host->data, bytes);
    tk_tensor fenced;
    assert_ok(tk_device_put(d, x, TK_BF16, 1, (int64_t)(all / sizeof *x), &fenced));
    assert_ok(tk_device_sync(d));
    tk_free(x);
    assert_true(f->n < FENCES);
    f->of[f->n].begin = fenced.data;
    f->of[f->n].before = before;
    f->of[f->n++].bytes = bytes;
    *to = *host;
    to->data = (char *)fenced.data + before;
}

static void check_fences(const world *w, tk_device *d, const fences *f)
{
    if (!tk_device_computes(d)) return;
    for (int i = 0; i < f->n; i++) {
        uint16_t fence[2][FENCE];
        const size_t bytes = f->of[i].bytes;
        assert_ok(tk_device_download(d, fence[0], f->of[i].begin + f->of[i].before - FENCE, FENCE));
        assert_ok(tk_device_download(d, fence[1], f->of[i].begin + f->of[i].before + bytes, FENCE));
        assert_ok(tk_device_sync(d));
        for (int k = 0; k < FENCE; k++)
            if (fence[k / (FENCE / 2)][k % (FENCE / 2)] != 0x7fff)
                fail_msg("%s: something is written beyond tensor %d of the call", w->name, i);
    }
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

// What a backward reads of an output is what bf16 holds of it.
static void round_output(tk_device *d, const tk_tensor *out)
{
    float *x = get(d, out);
    for (int64_t i = 0; i < tk_count(out); i++) x[i] = tk_bf16_to_float(tk_bf16_from_float(x[i]));
    assert_ok(tk_device_upload(d, out->data, x, tk_bytes(out)));
    assert_ok(tk_device_sync(d));
    tk_free(x);
}

// Forward, and where the operator has gradients backward for the inputs in `wanted`, those in `add`
// being added to. Inputs the backward does not need are taken away from it.
static result run(const backend *b, const world *w, unsigned wanted, unsigned add)
{
    tk_device d;
    result r = {0};
    const size_t pool = b->ops == tk_device_find(TK_DEVICE_CUDA) ? 0 : 1 << 28; // 0: as it grows
    setenv("TK_CUDA_SEED", b->seed, 1);
    if (b->dry)
        assert_ok(tk_device_open_dry(&d, b->ops, b->threads, pool));
    else
        assert_ok(tk_device_open(&d, b->ops, b->threads, pool));
    const tk_op_info *info = &tk_op_table[w->call.op];
    tk_call c = w->call;
    tk_device_comm comm;
    tk_device_comm_self(&comm, tk_comm_self(), &d);
    if (c.comm) c.comm = &comm;
    int moved = b->moved;
    fences f = {0};
    for (int k = 0; k < TK_OP_IN; k++, moved += b->apart)
        put(&d, &w->call.in[k], moved, &c.in[k], &f);
    for (int k = 0; k < TK_OP_OUT; k++, moved += b->apart)
        put(&d, &w->call.out[k], moved, &c.out[k], &f);
    for (int k = 0; k < TK_OP_IN; k++, moved += b->apart)
        put(&d, &w->call.din[k], moved, &c.din[k], &f);
    put(&d, &w->call.dout[0], moved, &c.dout[0], &f);
    assert_ok(tk_op_forward(&d, &c));
    for (int k = 0; k < info->n_out; k++) r.out[k] = get(&d, &c.out[k]);
    if (w->rounds) round_output(&d, &c.out[0]);
    tk_tensor din[TK_OP_IN];
    memcpy(din, c.din, sizeof din);
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
    check_fences(w, &d, &f);
    r.flops = d.flops;
    r.peak = d.pool.peak;
    tk_device_close(&d);
    return r;
}

static const backend ref = {.ops = &tk_device_ref, .threads = 1, .seed = "1"};

static double square(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i] * x[i];
    return s;
}

static void close_enough(const world *w, const char *what, int which, const float *got,
                         const float *wanted, int64_t n, bound b)
{
    double s = 0, size = square(wanted, n), floor = b.floor * sqrt(size / (double)(n ? n : 1));
    for (int64_t i = 0; i < n; i++) {
        const double off = fabs((double)got[i] - wanted[i]);
        if (!(off <= b.element * fabs(wanted[i]) + floor) && isfinite(b.element))
            fail_msg("%s: %s %d: element %lld is %.9g, ref's %.9g", w->name, what, which,
                     (long long)i, got[i], wanted[i]);
        s += off * off;
    }
    double nmse = size > 0 ? s / size : s;
    if (!(nmse <= b.nmse))
        fail_msg("%s: %s %d differs from ref by NMSE %.3g", w->name, what, which, nmse);
}

static bound output_bound(const tk_call *c, int k, bound half)
{
    if (c->out[k].dtype != TK_BF16) return in_fp32;
    const bool rounds = c->op == TK_OP_ATTENTION && backends[0].ops != &tk_device_cpu;
    return rounds ? by_rounded_weights : half;
}

// `twin`: `wanted` is in fp32 on the same numbers.
static void compare(const world *w, const result *got, const result *wanted, bool twin)
{
    const tk_call *c = &w->call;
    const bound half = tk_op_has_parts(c->op) ? through_output : twin ? half_a_step : a_step;
    const bool reads = tk_op_table[c->op].needs_out && w->type.activation == TK_BF16;
    for (int i = 0; i < TK_OP_OUT; i++)
        if (wanted->out[i])
            close_enough(w, "output", i, got->out[i], wanted->out[i], tk_count(&c->out[i]),
                         output_bound(c, i, half));
    for (int i = 0; i < TK_OP_IN; i++)
        if (wanted->din[i])
            close_enough(w, "gradient", i, got->din[i], wanted->din[i], tk_count(&c->din[i]),
                         reads                        ? through_output
                         : c->din[i].dtype == TK_BF16 ? half
                                                      : in_fp32);
}
