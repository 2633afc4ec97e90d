// SPDX-License-Identifier: Apache-2.0
// The linear operator, as matrix products.
#include "core/device/cuda/blas.h"
#include "core/device/cuda/table.h"

// A mixture of types, which cuBLASLt does not take, is widened by the dispatcher, but for so few
// rows that reading the weights is all the work: few_rows.cu reads them as they are.
enum { FEW_ROWS = 32 };

static const tk_tensor *weight_shape(const tk_call *c)
{
    return c->in[1].ndim ? &c->in[1] : &c->din[1];
}

static bool is_mixed(const tk_call *c, bool back)
{
    const tk_dtype t = back ? c->dout[0].dtype : c->out[0].dtype;
    if (back) return tk_wants(c, 0) && c->in[1].dtype != t;
    return c->in[1].dtype != t || (c->in[2].data && c->in[2].dtype != t);
}

bool tk_cuda_linear_bf16(const tk_call *c, bool back)
{
    return !is_mixed(c, back) || tk_rows(back ? &c->dout[0] : &c->out[0]) <= FEW_ROWS;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

// One product's after the other's: the queue runs them in order.
size_t tk_cuda_linear_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    const tk_tensor *w = weight_shape(c), *y = back ? &c->dout[0] : &c->out[0];
    const int64_t n = tk_rows(y), m = tk_cols(y), k = tk_cols(w);
    size_t bytes = 0;
    const bool mixed = is_mixed(c, back);
    if (!back) return mixed ? 0 : tk_cuda_product_scratch(n, m);
    if (tk_wants(c, 0))
        bytes = mixed ? tk_cuda_few_rows_scratch(n, k, m) : tk_cuda_product_scratch(n, k);
    if (tk_wants(c, 1)) bytes = larger(bytes, tk_cuda_product_scratch(m, k));
    if (tk_wants(c, 2)) bytes = larger(bytes, tk_cuda_column_scratch(n, m));
    return bytes;
}

static tk_matrix matrix_of(const tk_tensor *t, bool transposed)
{
    return (tk_matrix){t->data, t->dtype, tk_cols(t), transposed};
}

static tk_status multiply_rows(tk_device *d, const tk_cuda_product *p, bool mixed)
{
    return mixed ? tk_cuda_multiply_few_rows(d, p) : tk_cuda_multiply(d, p);
}

// y (N,M) = x (N,C) @ w (M,C)^T + b
tk_status tk_cuda_linear(tk_device *d, const tk_call *c)
{
    const tk_cuda_product p = {.rows = tk_rows(&c->out[0]),
                               .cols = tk_cols(&c->out[0]),
                               .depth = tk_cols(&c->in[1]),
                               .a = matrix_of(&c->in[0], false),
                               .b = matrix_of(&c->in[1], true),
                               .d = matrix_of(&c->out[0], false),
                               .bias = c->in[2].data,
                               .bias_type = c->in[2].dtype};
    return multiply_rows(d, &p, is_mixed(c, false));
}

// dx (N,C) = dy (N,M) @ w (M,C), dw (M,C) = dy^T @ x (N,C), db (M) = sums of the columns of dy
tk_status tk_cuda_linear_back(tk_device *d, const tk_call *c)
{
    const tk_tensor *dy = &c->dout[0];
    const int64_t n = tk_rows(dy), m = tk_cols(dy), k = tk_cols(weight_shape(c));
    const tk_cuda_product dx = {.rows = n,
                                .cols = k,
                                .depth = m,
                                .a = matrix_of(dy, false),
                                .b = matrix_of(&c->in[1], false),
                                .d = matrix_of(&c->din[0], false),
                                .add = c->add[0]};
    const tk_cuda_product dw = {.rows = m,
                                .cols = k,
                                .depth = n,
                                .a = matrix_of(dy, true),
                                .b = matrix_of(&c->in[0], false),
                                .d = matrix_of(&c->din[1], false),
                                .add = c->add[1]};
    if (tk_wants(c, 0)) TK_TRY(multiply_rows(d, &dx, is_mixed(c, true)));
    if (tk_wants(c, 1)) TK_TRY(tk_cuda_multiply(d, &dw));
    if (tk_wants(c, 2)) TK_TRY(tk_cuda_column_sums(d, dy, tk_f32(&c->din[2]), c->add[2]));
    return TK_OK;
}
