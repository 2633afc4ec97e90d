// SPDX-License-Identifier: Apache-2.0
// Fast CPU backend: the linear operator.
#include "core/device/cpu/cpu.h"
#include "core/device/ops/gemm.h"

// Linear: y (N,M) = x (N,C) @ w (M,C)^T + b.

// bf16 by the processor's own products where it has them; else on the dispatcher's fp32 copies.
// Both add up in fp32 and round once, but in another order: not the same bits, as between any
// processors.
bool tk_cpu_linear_bf16(const tk_call *c, bool back)
{
    const tk_tensor *w = c->in[1].ndim ? &c->in[1] : &c->din[1];
    const tk_tensor *y = back ? &c->dout[0] : &c->out[0];
    const bool bias = c->in[2].data && c->in[2].dtype == TK_BF16 && !back;
    const bool all = y->dtype == TK_BF16 && c->in[1].dtype == TK_BF16 && !bias;
    return all && tk_count(y) > 0 && tk_count(w) > 0 && tk_matmul_has(TK_BF16);
}

// x (rows, cols) as an operand.
static tk_matrix operand_of(const tk_tensor *x, bool transposed)
{
    return (tk_matrix){x->data, x->dtype, tk_cols(x), transposed};
}

tk_status tk_cpu_linear(tk_device *d, const tk_call *c)
{
    int64_t n = tk_rows(&c->out[0]), m = tk_cols(&c->out[0]), k = tk_cols(&c->in[0]);
    if (c->out[0].dtype == TK_BF16)
        return tk_matmul(d->threads, n, m, k, operand_of(&c->in[0], false),
                         operand_of(&c->in[1], true), tk_f32(&c->in[2]), false,
                         operand_of(&c->out[0], false));
    const float *x = tk_f32(&c->in[0]), *b = tk_f32(&c->in[2]);
    float *y = tk_f32(&c->out[0]);
    if (b) { // the product is added to rows that begin as the bias
        int threads = tk_cpu_threads(d, n * m);
#pragma omp parallel for num_threads(threads)
        for (int64_t i = 0; i < n; i++) memcpy(y + i * m, b, (size_t)m * sizeof *y);
    }
    return tk_gemm(d->threads, 'N', 'T', n, m, k, x, k, tk_f32(&c->in[1]), k, b != NULL, y, m);
}

// to (m) (+)= sums of the columns of x (n,m), each in row order.
TK_LOOP column_sums_of(const tk_device *d, const void *x, tk_dtype t, int64_t n, int64_t m,
                       float *to, bool add)
{
    int threads = tk_cpu_threads(d, n * m);
#pragma omp parallel for num_threads(threads)
    for (int64_t col = 0; col < m; col += TK_CPU_COLUMNS) {
        float sum[TK_CPU_COLUMNS] = {0};
        int64_t width = tk_least(TK_CPU_COLUMNS, m - col);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < width; j++) sum[j] += tk_load(x, t, i * m + col + j);
        for (int64_t j = 0; j < width; j++) to[col + j] = (add ? to[col + j] : 0) + sum[j];
    }
}

static void column_sums(const tk_device *d, const tk_tensor *x, int64_t n, int64_t m, float *to,
                        bool add)
{
    if (x->dtype == TK_BF16)
        column_sums_of(d, x->data, TK_BF16, n, m, to, add);
    else
        column_sums_of(d, x->data, TK_F32, n, m, to, add);
}

// dw (m,k) (+)= dy (n,m)^T @ x (n,k)
static tk_status weight_gradient(tk_device *d, const tk_call *c, int64_t n, int64_t m, int64_t k)
{
    const float *dy = tk_f32(&c->dout[0]), *x = tk_f32(&c->in[0]);
    if (c->dout[0].dtype == TK_BF16)
        return tk_matmul(d->threads, m, k, n, operand_of(&c->dout[0], true),
                         operand_of(&c->in[0], false), NULL, c->add[1],
                         operand_of(&c->din[1], false));
    return tk_gemm(d->threads, 'T', 'N', m, k, n, dy, m, x, k, c->add[1], tk_f32(&c->din[1]), k);
}

tk_status tk_cpu_linear_back(tk_device *d, const tk_call *c)
{
    const tk_tensor *w = c->in[1].ndim ? &c->in[1] : &c->din[1];
    int64_t n = tk_rows(&c->dout[0]), m = tk_cols(&c->dout[0]), k = tk_cols(w);
    const float *dy = tk_f32(&c->dout[0]);
    if (tk_wants(c, 0) && c->dout[0].dtype == TK_BF16)
        TK_TRY(tk_matmul(d->threads, n, k, m, operand_of(&c->dout[0], false),
                         operand_of(&c->in[1], false), NULL, c->add[0],
                         operand_of(&c->din[0], false)));
    else if (tk_wants(c, 0))
        TK_TRY(tk_gemm(d->threads, 'N', 'N', n, k, m, dy, m, tk_f32(&c->in[1]), k, c->add[0],
                       tk_f32(&c->din[0]), k));
    if (tk_wants(c, 1)) TK_TRY(weight_gradient(d, c, n, m, k));
    if (tk_wants(c, 2)) column_sums(d, &c->dout[0], n, m, tk_f32(&c->din[2]), c->add[2]);
    return TK_OK;
}
