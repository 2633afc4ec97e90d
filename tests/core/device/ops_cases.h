// SPDX-License-Identifier: Apache-2.0
// The cases of test_ops_conformance.c: operators at sizes that matter, and their inputs.
#pragma once
#include "core/base/mem.h"
#include "core/device/ops/ops.h"
#include "core/numbers/half.h"
#include "core/numbers/rng.h"
#include "tests/support/test.h"
#include <math.h>

// BARE: optional inputs absent. CROSS: as many rows of a document are asked as ask of the next.
// BLOCKS: so many rows that bf16 is run block by block; that alone is looked at. ALIGNED: what is
// read of a table lies at multiples of 16 bytes, as the model's does.
enum { BIAS = 1, BARE = 2, CROSS = 4, BLOCKS = 8, ALIGNED = 16 };
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
    {TK_OP_LINEAR, 301, 40, 517, 0, BIAS, {0}},
    {TK_OP_LINEAR, 530, 64, 48, 0, 0, {0}},
    {TK_OP_LINEAR, 70, 24, 1024, 0, 0, {0}}, // rows 4 KiB apart
    {TK_OP_LINEAR, 3, 48, 65, 0, BIAS, {0}},
    {TK_OP_LINEAR, 270, 33, 65, 0, 0, {0}},
    {TK_OP_LINEAR, 20, 264, 150, 0, BIAS, {0}}, // few rows, in two lots
    {TK_OP_LINEAR, 3001, 390, 3, 0, BIAS | BLOCKS, {0}},
    // rows, channels, -, group
    {TK_OP_RMS_NORM, 6, 12, 0, 12, 0, {0}},
    {TK_OP_RMS_NORM, 6, 12, 0, 4, 0, {0}},
    {TK_OP_RMS_NORM, 0, 12, 0, 4, 0, {0}},
    {TK_OP_RMS_NORM, 6, 0, 0, 4, 0, {0}},
    {TK_OP_RMS_NORM, 3, 1, 0, 1, 0, {0}},
    {TK_OP_RMS_NORM, 333, 192, 0, 48, 0, {0}},
    {TK_OP_RMS_NORM, 333, 131, 0, 131, BARE, {0}},
    {TK_OP_RMS_NORM, 3001, 390, 0, 39, BLOCKS, {0}},
    {TK_OP_RMS_NORM, 41, 256, 0, 128, 0, {0}},
    {TK_OP_RMS_NORM, 9, 1064, 0, 1064, 0, {0}},   // more than a warp's,
    {TK_OP_RMS_NORM, 2, 24600, 0, 24600, 0, {0}}, // and than shared memory's
    // rows, channels, table rows
    {TK_OP_MODULATE, 8, 10, 3, 0, 0, {0}},
    {TK_OP_MODULATE, 8, 10, 3, 0, BARE, {0}},
    {TK_OP_MODULATE, 0, 10, 3, 0, 0, {0}},
    {TK_OP_MODULATE, 1, 65, 1, 0, 0, {0}},
    {TK_OP_MODULATE, 410, 200, 7, 0, 0, {0}},
    {TK_OP_MODULATE, 3001, 390, 7, 0, BLOCKS, {0}},
    {TK_OP_MODULATE, 33, 64, 50, 0, ALIGNED, {0}}, // entries without rows
    {TK_OP_MODULATE, 33, 64, 5, 0, ALIGNED | BARE, {0}},
    {TK_OP_MODULATE, 19, 1064, 3, 0, ALIGNED, {0}},
    {TK_OP_MODULATE, 3, 12320, 2, 0, ALIGNED, {0}},
    {TK_OP_GATE_ADD, 8, 10, 3, 0, 0, {0}},
    {TK_OP_GATE_ADD, 0, 10, 3, 0, 0, {0}},
    {TK_OP_GATE_ADD, 1, 65, 1, 0, 0, {0}},
    {TK_OP_GATE_ADD, 410, 200, 7, 0, 0, {0}},
    {TK_OP_GATE_ADD, 3001, 390, 7, 0, BLOCKS, {0}},
    {TK_OP_GATE_ADD, 33, 64, 50, 0, ALIGNED, {0}},
    {TK_OP_GATE_ADD, 37, 2088, 3, 0, ALIGNED, {0}},
    {TK_OP_ADD, 5, 7, 0, 0, 0, {0}},
    {TK_OP_ADD, 0, 7, 0, 0, 0, {0}},
    {TK_OP_ADD, 301, 211, 0, 0, 0, {0}},
    {TK_OP_SILU, 5, 7, 0, 0, 0, {0}},
    {TK_OP_SILU, 5, 0, 0, 0, 0, {0}},
    {TK_OP_SILU, 301, 211, 0, 0, 0, {0}},
    {TK_OP_SWIGLU, 5, 7, 0, 0, 0, {0}},
    {TK_OP_SWIGLU, 0, 7, 0, 0, 0, {0}},
    {TK_OP_SWIGLU, 201, 130, 0, 0, 0, {0}},
    {TK_OP_SWIGLU, 3001, 130, 0, 0, BLOCKS, {0}},
    // rows, heads * head_dim, frequencies, head_dim
    {TK_OP_ROPE, 5, 24, 4, 8, 0, {0}},
    {TK_OP_ROPE, 5, 24, 3, 12, 0, {0}},
    {TK_OP_ROPE, 5, 24, 0, 12, 0, {0}},
    {TK_OP_ROPE, 4, 0, 3, 12, 0, {0}},
    {TK_OP_ROPE, 0, 24, 3, 12, 0, {0}},
    {TK_OP_ROPE, 333, 150, 21, 50, 0, {0}},
    {TK_OP_ROPE, 3001, 390, 3, 13, BLOCKS, {0}},
    {TK_OP_ROPE, 33, 256, 48, 128, 0, {0}},
    {TK_OP_ROPE, 19, 640, 63, 128, 0, {0}},
    {TK_OP_ROPE, 3, 2048, 500, 1024, 0, {0}},
    {TK_OP_NORM_ROPE, 5, 24, 4, 8, 0, {0}},
    {TK_OP_NORM_ROPE, 5, 24, 3, 12, BARE, {0}},
    {TK_OP_NORM_ROPE, 4, 0, 3, 12, 0, {0}},
    {TK_OP_NORM_ROPE, 0, 24, 3, 12, 0, {0}},
    {TK_OP_NORM_ROPE, 133, 150, 21, 50, 0, {0}},
    {TK_OP_NORM_ROPE, 33, 256, 48, 128, 0, {0}},
    {TK_OP_NORM_ROPE, 19, 640, 63, 128, 0, {0}},
    {TK_OP_NORM_ROPE, 3, 2048, 500, 1024, 0, {0}},
    // -, heads * head_dim, -, head_dim; rows of each document. What is quick and finds most comes
    // first.
    {TK_OP_ATTENTION, 0, 12, 0, 4, 0, {3, 0, 1, 6}},
    {TK_OP_ATTENTION, 0, 128, 0, 128, CROSS, {3, 0, 1, 6}},
    {TK_OP_ATTENTION, 0, 64, 0, 64, 0, {65, 0, 1}},
    {TK_OP_ATTENTION, 0, 96, 0, 96, CROSS, {70, 17, 0}},
    {TK_OP_ATTENTION, 0, 8, 0, 8, 0, {5}},
    {TK_OP_ATTENTION, 0, 0, 0, 4, 0, {3, 4}},
    {TK_OP_ATTENTION, 0, 12, 0, 4, 0, {0}},
    {TK_OP_ATTENTION, 0, 99, 0, 33, 0, {65, 130, 17}},
    {TK_OP_ATTENTION, 0, 32, 0, 16, 0, {259, 300, 1}}, // several tiles
    {TK_OP_ATTENTION, 0, 12, 0, 4, CROSS, {3, 0, 1, 6}},
    {TK_OP_ATTENTION, 0, 8, 0, 8, CROSS, {5}},
    {TK_OP_ATTENTION, 0, 99, 0, 33, CROSS, {65, 130, 17}},
    {TK_OP_ATTENTION, 0, 32, 0, 16, CROSS, {259, 300, 0, 520, 7}},
    {TK_OP_ATTENTION, 0, 0, 0, 16, 0, {3, 4}}, // of a size that cuDNN knows, but none
    // around the tiles of "cuda": heads of an odd size, of the largest, of those it has tensor
    // cores for
    {TK_OP_ATTENTION, 0, 10, 0, 5, CROSS, {1, 128, 63, 127, 64}},
    {TK_OP_ATTENTION, 0, 100, 0, 100, CROSS, {5, 67}},
    {TK_OP_ATTENTION, 0, 255, 0, 255, 0, {33, 1}},
    {TK_OP_ATTENTION, 0, 256, 0, 256, CROSS, {2, 65}},
    {TK_OP_ATTENTION, 0, 128, 0, 64, CROSS, {1, 128, 63, 127, 64}},
    {TK_OP_ATTENTION, 0, 128, 0, 128, 0, {130, 0, 99}},
    {TK_OP_ATTENTION, 0, 48, 0, 24, 0, {129, 64, 65, 63, 127}},
    {TK_OP_ATTENTION, 0, 80, 0, 80, 0, {65, 130}},
    // picks, channels, rows of the first source (the third has 3)
    {TK_OP_PICK, 9, 5, 4, 0, 0, {0}},
    {TK_OP_PICK, 0, 5, 4, 0, 0, {0}},
    {TK_OP_PICK, 500, 70, 40, 0, 0, {0}},
    {TK_OP_GATHER_ROWS, 6, 5, 0, 0, 0, {0}},
    {TK_OP_GATHER_ROWS, 0, 5, 0, 0, 0, {0}},
    {TK_OP_SCATTER_SUM, 6, 5, 0, 0, 0, {0}},
    {TK_OP_GATHER_COLS, 6, 5, 0, 0, 0, {0}},
    {TK_OP_GATHER_COLS, 6, 0, 0, 0, 0, {0}},
    // rows, inputs, outputs
    {TK_OP_GATHER_LINEAR, 6, 5, 4, 0, 0, {0}},
    {TK_OP_GATHER_LINEAR, 0, 5, 4, 0, 0, {0}},
    {TK_OP_LINEAR_SCATTER, 6, 5, 4, 0, 0, {0}},
    {TK_OP_LINEAR_SCATTER, 70, 24, 40, 0, 0, {0}},
    {TK_OP_SQUARED_ERROR, 5, 7, 0, 0, 0, {0}},
    {TK_OP_SQUARED_ERROR, 0, 7, 0, 0, 0, {0}},
    {TK_OP_SQUARED_ERROR, 501, 75, 0, 0, 0, {0}},
    {TK_OP_SQUARED_ERROR, 130, 64, 0, 0, 0, {0}}, // rows of whole packs
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
    {TK_OP_CAST, 300, 131, 0, 0, 0, {0}},
};
enum { N_CASES = (int)(sizeof cases / sizeof *cases) };

// The types a case is run in. Where an operator has no activations or no weights, those are one.
typedef struct numbers {
    tk_dtype activation, weight;
} numbers;

static const numbers kinds[] = {
    {TK_F32, TK_F32}, {TK_BF16, TK_BF16}, {TK_BF16, TK_F32}, {TK_F32, TK_BF16}};
enum { N_KINDS = (int)(sizeof kinds / sizeof *kinds) };

// A call's tensors on the host. `call` holds shapes and attributes, its addresses are these.
typedef struct world {
    const test_case *of;
    char name[64]; // for messages
    numbers type;
    tk_call call;
    bool rounds; // fp32, but what it holds are numbers of bf16
    tk_arena arena;
    tk_device_comm comm;
    int64_t counts[1];
} world;

// ---- what a case looks like --------------------------------------------------------------------

static int64_t asked_rows(const test_case *k, int document) // of attention
{
    return k->docs[k->flags & CROSS ? (document + 1) % DOCS : document];
}

static void set(tk_call *c, int k, tk_dtype t, int64_t rows, int64_t cols)
{
    c->in[k] = tk_tensor_2d(NULL, t, rows, cols);
}

static void describe_rows(const test_case *k, tk_call *c)
{
    const bool bare = k->flags & BARE, aligned = k->flags & ALIGNED;
    switch (k->op) {
    case TK_OP_LINEAR:
        set(c, 1, TK_F32, k->m, k->c);
        if (k->flags & BIAS) c->in[2] = tk_tensor_1d(NULL, TK_F32, k->m);
        break;
    case TK_OP_GATHER_LINEAR:
        for (int i = 0; i < 3; i++) set(c, 1 + i, TK_F32, k->m + i, k->c);
        break;
    case TK_OP_LINEAR_SCATTER:
        set(c, 1, TK_F32, k->m, k->c);
        break;
    case TK_OP_RMS_NORM:
        if (!bare) c->in[1] = tk_tensor_1d(NULL, TK_F32, k->x);
        c->i[0] = k->x;
        c->f[0] = 1e-3;
        break;
    case TK_OP_MODULATE:
        if (!bare) c->in[1] = tk_tensor_1d(NULL, TK_F32, k->c);
        set(c, 2, TK_F32, k->m, 3 * k->c + (aligned ? 0 : 5));
        set(c, 3, TK_I32, k->n, 1);
        c->i[0] = 2 * k->c + !aligned;
        c->i[1] = aligned ? 0 : 3;
        c->f[0] = 1e-3;
        break;
    case TK_OP_GATE_ADD:
        set(c, 1, TK_F32, k->n, k->c);
        set(c, 2, TK_F32, k->m, 2 * k->c + (aligned ? 0 : 3));
        set(c, 3, TK_I32, k->n, 1);
        c->i[0] = k->c + !aligned;
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
    case TK_OP_NORM_ROPE:
        if (!bare) c->in[1] = tk_tensor_1d(NULL, TK_F32, k->x);
        set(c, 2, TK_F32, k->n, k->m);
        set(c, 3, TK_F32, k->n, k->m);
        c->i[0] = k->x;
        c->f[0] = 1e-3;
        break;
    case TK_OP_ATTENTION: {
        int64_t n = 0;
        for (int i = 0; i < DOCS; i++) {
            n += k->docs[i];
            c->i[1] = k->docs[i] > c->i[1] ? k->docs[i] : c->i[1];
            c->i[3] += k->docs[i] * asked_rows(k, i);
            c->i[5] += k->docs[i] && asked_rows(k, i);
        }
        c->i[2] = c->i[1]; // the same numbers in another order
        for (int i = 0; i < 3; i++) set(c, i, TK_F32, n, k->c);
        for (int i = 3; i < 5; i++) c->in[i] = tk_tensor_1d(NULL, TK_I32, DOCS + 1);
        c->i[0] = k->x;
        c->i[4] = DOCS;
        c->f[0] = k->x < 64 ? 0.7 : 1 / sqrt((double)k->x); // larger: p is 0 or 1
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
        c->in[3] = tk_tensor_1d(NULL, TK_F32, 3);
        memcpy(c->f, (double[]){0.9, 0.95, 1e-8, 0.5}, 4 * sizeof *c->f);
        break;
    case TK_OP_EMA:
        c->in[1] = tk_tensor_1d(NULL, TK_F32, 1);
        break;
    case TK_OP_SUM_SQUARES:
        if (!bare) c->in[1] = tk_tensor_1d(NULL, TK_F32, k->c);
        break;
    case TK_OP_CLIP_SCALE:
        c->f[0] = 0.5;
        break;
    default:
        break;
    }
}

// Element i of an index tensor: runs of equal table entries, picks with repeats, offsets.
static int32_t index_at(const test_case *k, const tk_call *c, int input, tk_key key, int64_t i)
{
    switch (k->op) {
    case TK_OP_ATTENTION: {
        int64_t n = 0;
        for (int d = 0; d < i; d++) n += input == 3 ? k->docs[d] : asked_rows(k, d);
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
        if (t->dtype == TK_I32) ((int32_t *)t->data)[i] = index_at(k, &w->call, (int)step, key, i);
    }
    return t->data;
}

static void give_types(world *w)
{
    const tk_op_info *info = &tk_op_table[w->call.op];
    for (int i = 0; i < info->n_in; i++) {
        if (strchr("ae", info->types[i])) w->call.in[i].dtype = w->type.activation;
        if (info->types[i] == 'w') w->call.in[i].dtype = w->type.weight;
    }
}

static void give_gradients(world *w)
{
    const tk_op_info *info = &tk_op_table[w->call.op];
    tk_call *c = &w->call;
    for (int i = 0; i < info->n_in; i++) {
        if (!(info->grads >> i & 1) || !c->in[i].ndim) continue;
        c->din[i] = c->in[i];
        if (info->types[i] != 'a') c->din[i].dtype = TK_F32;
        if (info->types[i] == 'e' && i) c->din[i].dtype = w->type.activation; // 0: of embeddings
        fill(w, w->of, &c->din[i], 20 + (uint64_t)i);
    }
    c->dout[0] = c->out[0];
    fill(w, w->of, &c->dout[0], 30);
}

static void world_open(world *w, const test_case *k, numbers type)
{
    *w = (world){.of = k, .type = type};
    tk_call *c = &w->call;
    c->op = k->op;
    c->in[0] = tk_tensor_2d(NULL, TK_F32, k->n, k->c);
    tk_arena_init(&w->arena, 1 << 20);
    const tk_op_info *info = &tk_op_table[k->op];
    if (k->op >= TK_OP_GATHER_ROWS && k->op <= TK_OP_LINEAR_SCATTER) {
        w->counts[0] = k->op == TK_OP_GATHER_COLS ? k->c : k->n;
        tk_device_comm_self(&w->comm, tk_comm_self(), NULL); // for the shapes
        c->comm = &w->comm;
        c->counts = w->counts;
    }
    describe_rows(k, c);
    describe_step(k, c);
    give_types(w);
    for (int i = 0; i < info->n_in; i++)
        if (c->in[i].ndim) fill(w, k, &c->in[i], (uint64_t)i);
    tk_tensor out[TK_OP_OUT] = {{0}};
    assert_ok(tk_op_shape(c, out));
    for (int i = 0; i < info->n_out; i++) {
        c->out[i] = out[i];
        fill(w, k, &c->out[i], 10 + (uint64_t)i);
    }
    give_gradients(w);
}

static void world_close(world *w)
{
    tk_arena_free(&w->arena);
}
