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
