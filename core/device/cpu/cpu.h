// SPDX-License-Identifier: Apache-2.0
// The fast CPU backend: what its files share.
//
// Every result is the same bit for bit whatever the number of threads: work is cut into pieces by
// shape alone, a piece is done by one thread in a fixed order, and partial sums are added up in
// order. Loops are written so that gcc vectorizes them without -ffast-math.
#pragma once
#ifdef __AVX512F__
#pragma GCC target("prefer-vector-width=512") // gcc would take half of it
#endif
#include "core/device/ops/impl.h"
#include "core/numbers/half.h"
#include <math.h>
#include <string.h>

enum {
    TK_CPU_ROWS = 64,        // rows a thread takes at a time
    TK_CPU_COLUMNS = 64,     // columns of a block in sums over rows
    TK_CPU_ELEMENTS = 16384, // elements of a block in flat loops and sums
    TK_CPU_PARTS = 64,       // partial sums of a gradient that all rows add to
    TK_CPU_ALONE = 1 << 15   // elements below which threads cost more than they bring
};

// For loops whose body depends on a flag: inlined with the flag known, so that they vectorize.
#define TK_LOOP static inline __attribute__((always_inline)) void

static inline int tk_cpu_threads(const tk_device *d, int64_t elements)
{
    return elements < TK_CPU_ALONE ? 1 : d->threads;
}

static inline int64_t tk_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// exp(x) to an ulp or so; 0 below -87.3, 2e38 above 88.3. (A clamp from below instead of the select
// at the end would be less work, but gcc then makes a branch of it and the loops stay scalar.)
static inline float tk_expf(float x)
{
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
    float in = x < -87.33654f ? -87.33654f : x;
    in = in > 88.37626f ? 88.37626f : in;
    float shifted = in * 1.44269504f + magic;
    float n = shifted - magic;
    float r = in - n * 0.693359375f; // ln 2 in two parts
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    float power = tk_float_of((tk_float_bits(shifted) + 127) << 23); // 2^n: the low bits hold n
    return x < -87.33654f ? 0.0f : p * power;
}

static inline float tk_sigmoidf(float x)
{
    return 1.0f / (1.0f + tk_expf(-x));
}

// Element i of x, of type t; in loops t is known to the compiler.
static inline float tk_load(const void *x, tk_dtype t, int64_t i)
{
    return t == TK_F32 ? ((const float *)x)[i] : tk_bf16_to_float(((const uint16_t *)x)[i]);
}

static inline void tk_store(void *x, tk_dtype t, int64_t i, float value)
{
    if (t == TK_F32)
        ((float *)x)[i] = value;
    else
        ((uint16_t *)x)[i] = tk_bf16_from_float(value);
}

// to (cols, rows) = from (rows, cols)^T, row strides as given.
void tk_transpose(const float *from, int64_t ld_from, int64_t rows, int64_t cols, float *to,
                  int64_t ld_to);

typedef tk_status tk_cpu_op(tk_device *d, const tk_call *c);
typedef size_t tk_cpu_size(const tk_device *d, const tk_call *c, bool back);
// linear.c
tk_cpu_op tk_cpu_linear, tk_cpu_linear_back;
tk_cpu_size tk_cpu_linear_scratch;
bool tk_cpu_linear_bf16(const tk_call *c, bool back);
// attention.c
tk_cpu_op tk_cpu_attention, tk_cpu_attention_back;
tk_cpu_size tk_cpu_attention_scratch;
// norm.c
tk_cpu_op tk_cpu_rms_norm, tk_cpu_rms_norm_back, tk_cpu_modulate, tk_cpu_modulate_back;
tk_cpu_op tk_cpu_gate_add, tk_cpu_gate_add_back;
tk_cpu_size tk_cpu_norm_scratch, tk_cpu_modulate_scratch;
// step.c
tk_cpu_op tk_cpu_normal, tk_cpu_noise, tk_cpu_euler, tk_cpu_adamw, tk_cpu_ema;
tk_cpu_op tk_cpu_sum_squares, tk_cpu_cast, tk_cpu_cast_back;
tk_cpu_size tk_cpu_sum_squares_scratch;
