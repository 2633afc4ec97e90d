// SPDX-License-Identifier: Apache-2.0
// What a backend's results are compared with, and how far off they may be.
#pragma once
#include "tests/core/device/ops_run.h"

enum { N_BACKENDS = 3 };
static backend backends[N_BACKENDS] = {{.ops = &tk_device_cpu, .threads = 1, .seed = "1"},
                                       {.ops = &tk_device_cpu, .threads = 2, .seed = "2"},
                                       {.ops = &tk_device_cpu, .threads = 3, .seed = "3"}};

// How far a result may be from ref's. `nmse`: sum of squared differences over that of ref's
// elements. `element`: of an element's size, and `floor` of the root mean square of all, which is
// what sums in another order may differ by. In bf16 numbers lie at most 2^-7 of their size apart: a
// step.
//
// `added_to`: what a product was added to, of the same size or a row, that is rounded before, so
// that half a step of it, which may be larger than the sum, is allowed beside; NULL: there is none.
typedef struct bound {
    double nmse, element, floor;
    const tk_tensor *added_to; // in bf16
} bound;
static const bound in_fp32 = {1e-7, INFINITY, 0, NULL};
static const bound half_a_step = {0x1.2p-16, 0x1p-8, 1e-3,
                                  NULL};                   // from ref's in fp32 on these numbers
static const bound a_step = {0x1p-14, 0x1p-7, 1e-3, NULL}; // sums on both sides of a rounding
// Tensor cores take the probabilities of attention rounded: each p is off by up to 2^-8 of itself,
// by 0.4 * 2^-8 in the root mean square, and independently of the others. As v has both signs, so
// is o = sum of p v by 0.4 * 2^-8 of its root mean square, whatever its own size; five times that
// is 2^-7.
static const bound by_rounded_weights = {0x1p-14, 0x1p-7, 0x1p-7, NULL};
// Made from what is a step apart: an output, or what lies between the parts of a fused operator.
static const bound through_output = {1e-4, 0x1p-7, 0x1p-6, NULL};

static void widen(world *w, tk_tensor *x)
{
    const uint16_t *half = x->data;
    if (!half || x->dtype != TK_BF16) return;
    float *wide = tk_arena_alloc(&w->arena, 2 * tk_bytes(x) + 64);
    assert_non_null(wide);
    for (int64_t i = 0; i < tk_count(x); i++) wide[i] = tk_bf16_to_float(half[i]);
    x->data = wide;
    x->dtype = TK_F32;
}

// The same numbers as w's in fp32. Lives in w's arena. (Not for CAST, which changes the type.)
static world twin_of(world *w)
{
    world twin = *w;
    twin.type = kinds[0];
    twin.rounds = w->type.activation == TK_BF16;
    for (int i = 0; i < TK_OP_IN; i++) widen(w, &twin.call.in[i]), widen(w, &twin.call.din[i]);
    for (int i = 0; i < TK_OP_OUT; i++) widen(w, &twin.call.out[i]);
    widen(w, &twin.call.dout[0]);
    return twin;
}

static int differences; // tensors found so far that are not close enough

static double of_product(const bound *b, float sum, int64_t i)
{
    if (!b->added_to) return 0;
    const uint16_t *x = b->added_to->data;
    return half_a_step.element * fabs((double)sum - tk_bf16_to_float(x[i % tk_count(b->added_to)]));
}

// All that differ are told: who has a device for a short while learns of each.
static void close_enough(const world *w, way by, const char *what, int which, const float *got,
                         const float *wanted, int64_t n, bound b)
{
    double s = 0, size = square(wanted, n), floor = b.floor * sqrt(size / (double)(n ? n : 1));
    int64_t off_by_more = 0, first = 0;
    for (int64_t i = 0; i < n; i++) {
        const double off = fabs((double)got[i] - wanted[i]);
        const double most = b.element * fabs(wanted[i]) + floor + of_product(&b, wanted[i], i);
        if (!(off <= most) && isfinite(b.element) && !off_by_more++) first = i;
        s += off * off;
    }
    const double nmse = size > 0 ? s / size : s;
    if (!off_by_more && nmse <= b.nmse) return;
    differences++;
    print_error("%s, gradients %#x wanted, %#x added to: %s %d differs from ref by NMSE %.3g",
                w->name, by.wanted, by.add, what, which, nmse);
    if (off_by_more)
        print_error("; %lld of %lld elements by too much, first %lld: %.9g, ref's %.9g",
                    (long long)off_by_more, (long long)n, (long long)first, got[first],
                    wanted[first]);
    print_error("\n");
}

// Where cuBLASLt adds a product to what is there in bf16, or a bias to a product, it may round the
// product to bf16 first and then the sum, as who adds one such tensor to another does.
static bound output_bound(const tk_call *c, int k, bound half)
{
    const tk_tensor *bias = &c->in[2];
    if (c->out[k].dtype != TK_BF16) return in_fp32;
    if (backends[0].ops == &tk_device_cpu) return half;
    if (c->op == TK_OP_ATTENTION) return by_rounded_weights;
    if (c->op == TK_OP_LINEAR && bias->data && bias->dtype == TK_BF16) half.added_to = bias;
    return half;
}

static bool multiplies(tk_op op)
{
    return op == TK_OP_LINEAR || op == TK_OP_GATHER_LINEAR || op == TK_OP_LINEAR_SCATTER;
}

static bound gradient_bound(const world *w, way by, int k, bound half)
{
    const tk_tensor *d = &w->call.din[k];
    if (tk_op_table[w->call.op].needs_out && w->type.activation == TK_BF16) return through_output;
    if (d->dtype != TK_BF16) return in_fp32;
    if (backends[0].ops == &tk_device_cpu) return half;
    if (multiplies(w->call.op) && by.add >> k & 1) half.added_to = d;
    return half;
}

// `twin`: `wanted` is in fp32 on the same numbers.
static void compare(const world *w, const result *got, const result *wanted, bool twin)
{
    const tk_call *c = &w->call;
    const bound half = tk_op_has_parts(c->op) ? through_output : twin ? half_a_step : a_step;
    for (int i = 0; i < TK_OP_OUT; i++)
        if (wanted->out[i])
            close_enough(w, got->by, "output", i, got->out[i], wanted->out[i], tk_count(&c->out[i]),
                         output_bound(c, i, half));
    for (int i = 0; i < TK_OP_IN; i++)
        if (wanted->din[i])
            close_enough(w, got->by, "gradient", i, got->din[i], wanted->din[i],
                         tk_count(&c->din[i]), gradient_bound(w, got->by, i, half));
}
