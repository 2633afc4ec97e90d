// SPDX-License-Identifier: Apache-2.0
// The tape: runs operators forward, remembers them, and runs them backward.
//
//     tk_tape t;
//     tk_tape_init(&t, device, TK_TAPE_RECORD);
//     tk_value *x = tk_leaf(&t, input, NULL);                 // no gradient wanted
//     tk_value *w = tk_leaf(&t, weight, &weight_grad);        // gradient added into weight_grad
//     tk_value *y = tk_silu(&t, tk_linear(&t, x, w, NULL));
//     TK_TRY(t.status);                                       // one check after many operators
//     TK_TRY(tk_tape_backward(&t, y, dy));
//     tk_tape_reset(&t);
//
// Operators return NULL once the tape has failed and accept NULL then, so model code reads like
// the mathematics and checks t.status once. Values live until their last use: with recording,
// what a backward needs stays until that backward has run; everything else goes at the end of
// its segment.
//
// Types. What an operator gives is of the type of what it got (core/device/ops/ops.h), and
// gradients are of the type of their value, but for those of weights: these are added up in fp32,
// whatever the weights are.
//
// Segments. tk_segment runs a function of the model (a block, say) as a scope: when it
// returns, all memory of the values made inside goes back to the pool, but for its result and, when
// recording, what backward needs. With `recompute`, nothing inside is kept: backward runs the
// function again on the kept inputs and then backward through it.
//
// Marks. tk_tape_mark marks a place between segments. Who watches the tape is told when forward
// comes to a mark, and when backward has come past it: the gradients of what was recorded after it
// have been asked for then, in both halves where it has two.
#pragma once
#include "core/device/ops/ops.h"

typedef struct tk_value {
    tk_tensor t;         // the data
    tk_tensor grad;      // dL/dt, allocated during backward; leaves: the caller's buffer
    struct tk_value *of; // a view's data belongs to this value
    bool wants_grad;     // some leaf below wants one
    bool grad_ready;     // grad holds something (add to it)
    bool owned;          // t.data came from the pool by this tape
    bool owns_grad;      // so did grad.data
    bool kept;           // the caller reads the data after its segment
    bool needed;         // a recorded backward reads the data
    bool sent_grad;      // the gradient goes to other ranks
    bool data_held;      // gradients of weights are yet to be made from the data,
    bool grad_held;      // ... from the gradient
} tk_value;

typedef enum tk_tape_mode {
    TK_TAPE_RUN,
    TK_TAPE_RECORD
} tk_tape_mode; // forward only | with backward

typedef struct tk_watch {
    void *ctx;
    tk_status (*reached)(void *ctx, int mark); // either may be NULL
    tk_status (*passed)(void *ctx, int mark);
} tk_watch;

typedef struct tk_tape {
    tk_device *device;
    tk_tape_mode mode;
    tk_status status;     // sticky: first failure of any operator
    tk_arena arena;       // nodes and values
    struct tk_node *last; // newest node; nodes form a list back in time
    struct tk_node *late; // nodes whose weights are yet to get their gradients, newest first
    bool splits;          // such nodes are made instead of those gradients
    double replayed;      // FLOPs of functions that backward ran again
    bool sends;           // what the next operator gives goes to other ranks
    tk_watch watch;       // set by who watches; a reset leaves it
    tk_value **values;    // all values of the tape in order of making
    int n_values, cap_values;
} tk_tape;

void tk_tape_init(tk_tape *t, tk_device *d, tk_tape_mode mode);
void tk_tape_reset(tk_tape *t); // frees all values it owns; ready for the next microbatch
void tk_tape_free(tk_tape *t);

// A leaf. grad: NULL = no gradient; a tensor with data = gradient is added into it (parameters);
// a tensor with data NULL = the tape allocates it, of the leaf's type; read it from value->grad
// after backward.
tk_value *tk_leaf(tk_tape *t, tk_tensor data, const tk_tensor *grad);
// Keep the value's data until tk_tape_reset (results the caller reads after segments end).
tk_value *tk_keep(tk_tape *t, tk_value *v);

// The caller reads no more of v: frees its data now unless a backward needs it.
void tk_tape_done(tk_tape *t, tk_value *v);

typedef tk_value *(*tk_segment_fn)(tk_tape *t, const void *ctx, tk_value *const in[], int n_in);
enum { TK_SEGMENT_IN = 4 };
// ctx must outlive the tape's backward. in[]: every value the function uses that is not a
// parameter leaf or constant made inside it.
tk_value *tk_segment(tk_tape *t, tk_segment_fn fn, const void *ctx, tk_value *const in[], int n_in,
                     bool recompute);

void tk_tape_mark(tk_tape *t, int mark);

// Where `sends`, what the next operator gives goes to other ranks, as the input of a gather or out
// of the tape: it lies where that must (tk_device_new_sent). Returns t.
tk_tape *tk_to_send(tk_tape *t, bool sends);

// Backward from `root` with gradient dy (same shape and type; data NULL = one, for an fp32 number).
// May be called for several roots by passing n of them: all seeds are set before the walk.
tk_status tk_tape_backward(tk_tape *t, int n, tk_value *const root[], const tk_tensor dy[]);
// The same in two halves: first all gradients but those of the weights of linear operators, which
// are most of the work that nobody waits for; then these. The first half adds them up in no other
// order, so both ways give the same bits. What the second half reads stays until tk_tape_reset.
tk_status tk_tape_backward_inputs(tk_tape *t, int n, tk_value *const root[], const tk_tensor dy[]);
tk_status tk_tape_backward_weights(tk_tape *t);

// The operators, as in core/device/ops/ops.h.
tk_value *tk_linear(tk_tape *t, tk_value *x, tk_value *w, tk_value *b);
tk_value *tk_rms_norm(tk_tape *t, tk_value *x, tk_value *w, double eps);
tk_value *tk_modulate(tk_tape *t, tk_value *x, tk_value *w, tk_value *table, tk_value *index,
                      int64_t shift_col, int64_t scale_col, double eps);
tk_value *tk_gate_add(tk_tape *t, tk_value *x, tk_value *y, tk_value *table, tk_value *index,
                      int64_t gate_col);
tk_value *tk_add(tk_tape *t, tk_value *a, tk_value *b);
tk_value *tk_silu(tk_tape *t, tk_value *x);
tk_value *tk_swiglu(tk_tape *t, tk_value *x);
tk_value *tk_norm_rope(tk_tape *t, tk_value *x, tk_value *w, double eps, tk_value *cos,
                       tk_value *sin); // heads of as many channels as w has
typedef struct tk_documents { // the rows of each document that ask, and those that are asked
    tk_value *ask, *asked;    // (docs+1) i32 offsets on the device
    int64_t count, longest_ask, longest_asked;
    int64_t products; // sum over documents of rows that ask times rows that are asked
    int64_t filled;   // documents in which some ask and some are asked
} tk_documents;
tk_value *tk_attention(tk_tape *t, tk_value *q, tk_value *k, tk_value *v, const tk_documents *docs,
                       int64_t head_dim, double scale);
tk_value *tk_pick(tk_tape *t, tk_value *a, tk_value *b, tk_value *c, tk_value *index);
tk_value *tk_gather_rows(tk_tape *t, tk_value *x, tk_device_comm *comm, const int64_t *counts);
tk_value *tk_gather_cols(tk_tape *t, tk_value *x, tk_device_comm *comm, const int64_t *counts);
// y[k] = products of the rows of all ranks, of which x are this one's, with w[k]; 1 to 3 of them.
enum { TK_GATHER_WEIGHTS = 3 };
void tk_gather_linear(tk_tape *t, tk_value *x, tk_device_comm *comm, const int64_t *counts,
                      tk_value *const w[], int n, tk_value *y[]);
// This rank's rows of the sum over ranks of x @ w^T.
tk_value *tk_linear_scatter(tk_tape *t, tk_value *x, tk_value *w, tk_device_comm *comm,
                            const int64_t *counts);
tk_value *tk_squared_error(tk_tape *t, tk_value *pred, tk_value *target, tk_value *weight);
tk_value *tk_cast(tk_tape *t, tk_value *x, tk_dtype type); // x itself if it is of that type
tk_value *tk_reshape(tk_tape *t, tk_value *x, int64_t rows,
                     int64_t cols); // a view of the same data

// Operators without gradient, for what feeds a model: see core/device/ops/ops.h.
tk_value *tk_sinusoid(tk_tape *t, tk_value *x, int64_t features);
