// SPDX-License-Identifier: Apache-2.0
// The operator table: everything a device computes, forward and backward.
//
// A call names its input and output tensors and attributes. The plain loops of ref/ are the
// specification; every other backend must agree with them
// (tests/core/device/test_ops_conformance.c).
//
// Backward contract. A backward call carries the forward's in[] and out[], dout[] (gradients of
// the outputs) and din[]: the gradient of in[k] is wanted where din[k].data != NULL, and is added
// to what is there if c->add[k], else written over it. A tensor not in the op's `needs` mask may be
// absent in backward calls. Tensors never overlap, except where stated.
//
// Types. Activations are f32 or bf16, all of a call alike; weights f32 or bf16; all else is f32 or
// i32: `types` below says which tensor is what. Gradients of activations are of their type, all
// others f32. An operator in bf16 is the same in f32 on widened inputs, sums and all, each element
// of a result rounded once; a gradient that is added to is widened, added to, then rounded. (Of the
// collectives, gather_rows and gather_cols round a gradient's sum over ranks before they add it.
// Those of products and rows round as their parts do.)
//
// Shapes are (rows, cols) of 2-d views; N rows, C channels. All sums run in the tensor's order.
//
// Fused operators are what their parts, run one after the other, give; and on a device that has no
// kernel for one, that is what is run (core/device/ops/parts.c).
#pragma once
#include "core/device/comm/comm.h"
#include "core/device/device.h"

enum { TK_OP_IN = 5, TK_OP_OUT = 4, TK_OP_ATTR = 6 };

typedef enum tk_op {
    // y (N,M) = x (N,C) @ w (M,C)^T + b (M), b optional.
    TK_OP_LINEAR,
    // y (N,C): x (N,C) is seen as rows of `i[0]` channels (i[0] divides C; per head or whole row):
    // y = x / sqrt(mean(x^2) + f[0]) * w (i[0]). w absent: ones.
    TK_OP_RMS_NORM,
    // AdaLN. in: x (N,C), w (C), table (T, M), index (N) i32. y = rms(x)*w * (1 + scale) + shift,
    // shift = table[index[n]][i[0] .. i[0]+C), scale = table[index[n]][i[1] ..); f[0] = eps.
    // w absent: ones. The gradient of the table is that of the whole table.
    TK_OP_MODULATE,
    // in: x (N,C), y (N,C), table (T,M), index (N) i32. out = x + gate * y, gate at columns i[0]..
    TK_OP_GATE_ADD,
    TK_OP_ADD,  // out = a + b; out may be a or b
    TK_OP_SILU, // out = x * sigmoid(x)
    // out (N,F) = value * silu(gate), x (N,2F) = [value | gate] (the order of the public weights)
    TK_OP_SWIGLU,
    // Rotary embedding, rotate-half over the first 2*R channels of each head, the others copied:
    // y[j] = x[j]*cos[j] - x[j+R]*sin[j], y[j+R] = x[j+R]*cos[j] + x[j]*sin[j].
    // in: x (N, heads*i[0]), cos (N,R), sin (N,R). i[0] = head_dim.
    TK_OP_ROPE,
    // ROPE of RMS_NORM over heads of i[0] channels, what lies between them rounded as theirs is.
    // in: x (N, heads*i[0]), w (i[0]), cos (N,R), sin (N,R). f[0] = eps.
    TK_OP_NORM_ROPE,
    // Attention within documents. in: q (N, heads*i[0]), k and v (M, heads*i[0]), and two offsets
    // (docs+1) i32: the rows of document d that ask, [in[3][d], in[3][d+1]) of q, and those that
    // are
    // asked, [in[4][d], in[4][d+1]) of k and v; the same tensor twice where all rows do both.
    // out: o (N, heads*i[0]), lse (N, heads) (log-sum-exp of the scaled scores, for backward); both
    // 0 where nothing is asked. f[0] = scale of the scores. i[1], i[2] = rows of the document in
    // which most ask, most are asked; i[3] = sum over documents of rows that ask times rows that
    // are
    // asked, i[4] = documents (FLOP count, grid sizes), i[5] = those of them in which some ask and
    // some are asked. The documents cover all rows: offsets begin with 0 and end with N and M.
    TK_OP_ATTENTION,
    // out (N,C): row n = in[src][row] with index (N,2) i32 = (src, row); in[0..2] sources with C
    // columns, absent ones allowed, in[3] = index. Backward scatters (adds up rows picked twice).
    // Embedding lookup, packing modalities into the stream and picking rows out of it are all this.
    TK_OP_PICK,
    // Collectives, with their adjoints. `comm` and, per rank of it, counts of rows (or columns).
    TK_OP_GATHER_ROWS, // x (counts[rank],C) -> (sum counts, C); backward: reduce-scatter
    TK_OP_SCATTER_SUM, // x (sum counts, C) partial on each rank -> (counts[rank],C) summed;
                       // backward: gather
    TK_OP_GATHER_COLS, // x (N, counts[rank]) -> (N, sum counts); backward: reduce-scatter of
                       // columns
    // Products of rows that lie on several ranks, and of which the sum does
    // (core/device/comm/rows.c).
    // i[0]:
    // 0, their parts, one after the other; else the pieces that each rank's rows are sent in, and
    // i[1]: 1, beside the products of other pieces. `counts` are of rows.
    // GATHER_ROWS, then LINEAR. in: x (counts[rank],C), w0 (M0,C), w1, w2 (may be absent). out:
    // products of all rows with each w, (N,M0) ..., where it is there; last x of all ranks (N,C),
    // which has no gradient and is there for backward.
    TK_OP_GATHER_LINEAR,
    // LINEAR, then SCATTER_SUM. in: x (N,C), w (M,C). out: (counts[rank],M). A backward call may
    // have
    // dout[1] (N,M), which gets the gradient of all rows' products, if w's is to be made later.
    TK_OP_LINEAR_SCATTER,
    // loss (1) = sum over rows of weight[n] * sum over channels of (pred - target)^2.
    // in: pred (N,C), target (N,C), weight (N). Gradient for pred only.
    TK_OP_SQUARED_ERROR,

    // Without gradient from here on. Where no input tells the shape of an output, the caller's
    // does.
    // out (N,C) = standard normals: element (n,c) takes index first[n]*C + c of stream (seed,
    // purpose, step[n]). in: rows (N,2) i32 = (step, first). i[0] = seed, i[1] = purpose.
    TK_OP_NORMAL,
    // Rectified flow. in: x0 (N,C), noise (N,C), t (N). out: xt = t*x0 + (1-t)*noise, v = x0 -
    // noise
    TK_OP_NOISE,
    // Timestep features, cosine first. in: t (K). out (K, i[0]) = [cos(t*f_j) | sin(t*f_j)],
    // f_j = 10000^(-j/(i[0]/2)), all in fp32. i[0] is even.
    TK_OP_SINUSOID,
    // in: position (N,3) f32. out: cos (N, 3F), sin (N, 3F), columns [t | h | w] of F = i[0] each:
    // angle = position * inv_freq[j], inv_freq[j] = 1 / f[0]^(j/F), every step rounded to fp32.
    TK_OP_ROPE_TABLE,
    // Sampler step, in place. in: u (N,C), c (N,C) or absent (then v = u), dsigma (N) (>= 0).
    // out[0] = x (N,C) := x + dsigma * v, v = u + f[0]*(c - u).
    TK_OP_EULER,
    // AdamW, in place. in: grad (N), decay (N) f32 mask 0/1 (absent: ones), scale (1) (absent: 1),
    // rates (3) = {lr / (1 - beta1^step), 1 / (1 - beta2^step), lr * weight_decay}, step from 1.
    // out: p, m, v (N). f = {beta1, beta2, eps, factor of the decay}. In this order:
    //   g = grad * scale; m += (1-beta1)*(g-m); v += (1-beta2)*(g*g-v);
    //   p -= rates[2]*f[3]*decay*p; p -= rates[0] * m / (sqrt(v * rates[1]) + eps)
    // Where scale is 0 nothing changes: CLIP_SCALE so skips a step whose gradients are not finite.
    // What is another number each step lies in memory, so that a recorded step can be run again.
    TK_OP_ADAMW,
    TK_OP_EMA,         // in: p (N), rate (1). out: e (N) := e + rate * (p - e), in place
    TK_OP_SUM_SQUARES, // in: x (N), weight (N) optional. out (1) += sum weight * x^2 (in double,
                       // rounded once)
    TK_OP_CLIP_SCALE,  // in: sum of squares (1). out (1) = min(1, f[0]/sqrt(s)), or 0 if s is not
                       // finite
    TK_OP_CAST,        // f32 -> bf16 or bf16 -> f32, with gradient; in and out have the same shape
    TK_OP_COUNT
} tk_op;

typedef struct tk_call {
    tk_op op;
    tk_tensor in[TK_OP_IN], out[TK_OP_OUT];
    tk_tensor din[TK_OP_IN], dout[TK_OP_OUT]; // backward only
    bool add[TK_OP_IN];                       // din[k] is accumulated into
    int64_t i[TK_OP_ATTR];
    double f[TK_OP_ATTR];
    tk_device_comm *comm;  // collectives
    const int64_t *counts; // per rank of comm; must outlive the tape
} tk_call;

typedef struct tk_op_info {
    const char *name;
    // A letter for each input, '>', one for each output. a: activation; e: activation, or a weight
    // taken as one (a table of embeddings); w: weight, f32 or bf16; f: f32; i: i32; c: of the type
    // that the activations are not.
    const char *types;
    int n_in, n_out;
    unsigned optional;            // bit k: in[k] may be absent
    unsigned grads;               // bit k: in[k] has a gradient
    unsigned needs_in, needs_out; // bits of tensors the backward reads
    // Where row n of the outputs is made of row n of some inputs, and of others as a whole
    // (weights, tables): bits of the former. 0: not row by row.
    unsigned rows;
    // Shapes of out[] from in[] and attributes; tk_op_shape calls it. One of no dimensions: there
    // is no such output in this call.
    tk_status (*shape)(const tk_call *c, tk_tensor out[TK_OP_OUT]);
    double (*flops)(const tk_call *c); // multiply-adds of GEMM and attention counted as 2; NULL = 0
    unsigned filled;                   // bits of outputs that other ranks fill
    unsigned sent_grads;               // bits of outputs whose gradients backward sends to them
} tk_op_info;

extern const tk_op_info tk_op_table[TK_OP_COUNT];

// Shapes and types of out[] from in[] and attributes; TK_INTERNAL with both shapes when wrong.
tk_status tk_op_shape(const tk_call *c, tk_tensor out[TK_OP_OUT]);

// A tensor is absent when it has no data, unless it has no elements either.
static inline bool tk_present(const tk_tensor *t)
{
    return t->data || (t->ndim && tk_count(t) == 0);
}

// Checks shapes and runs on the device (counting FLOPs). Outputs must be allocated by the caller.
tk_status tk_op_forward(tk_device *d, const tk_call *c);
tk_status tk_op_backward(tk_device *d, const tk_call *c);
