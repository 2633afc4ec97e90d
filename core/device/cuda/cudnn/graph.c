// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/cudnn/graph.h"

typedef cudnnBackendDescriptor_t descriptor;

enum { OPERATIONS = 32 };
typedef struct graph {
    tk_cudnn_parts *p;
    const tk_cudnn_shape *s;
    int64_t between; // the next number of a virtual tensor
    descriptor operation[OPERATIONS];
    int n;
    descriptor ask, asked, ask_at, asked_at, lse_at; // lengths and offsets
} graph;

// ---- tensors -----------------------------------------------------------------------------------

typedef struct tensor {
    int64_t number;
    cudnnDataType_t type;
    int64_t size[4], stride[4];
    descriptor offsets; // of documents; NULL: they lie a stride apart
    bool between;       // in no memory
    bool on_host;       // its value is in host memory
} tensor;

static int64_t element_bytes(cudnnDataType_t t)
{
    return t == CUDNN_DATA_BFLOAT16  ? 2
           : t == CUDNN_DATA_INT64   ? 8
           : t == CUDNN_DATA_BOOLEAN ? 1
                                     : 4;
}

static descriptor make(graph *g, const tensor *t)
{
    enum { ROW = 16 }; // bytes: rows of channels begin at multiples
    const descriptor x = tk_cudnn_new(g->p, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const bool row = t->type == CUDNN_DATA_BFLOAT16 || t->number == TK_CUDNN_DQ_SUMS;
    const int64_t align = row ? ROW : element_bytes(t->type);
    const bool yes = true;
    tk_cudnn_set(g->p, x, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &t->number);
    tk_cudnn_set(g->p, x, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &t->type);
    tk_cudnn_set(g->p, x, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, t->size);
    tk_cudnn_set(g->p, x, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, t->stride);
    tk_cudnn_set(g->p, x, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align);
    if (t->between)
        tk_cudnn_set(g->p, x, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes);
    if (t->on_host)
        tk_cudnn_set(g->p, x, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes);
    tk_cudnn_join(g->p, x, CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC, t->offsets);
    tk_cudnn_finish(g->p, x);
    return x;
}

// n numbers in a row.
static descriptor list(graph *g, tk_cudnn_tensor number, cudnnDataType_t type, int64_t n)
{
    return make(g, &(tensor){number, type, {n, 1, 1, 1}, {1, 1, 1, 1}, NULL, false, false});
}

static descriptor number_on_host(graph *g, tk_cudnn_tensor number)
{
    return make(g,
                &(tensor){number, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, NULL, false, true});
}

// Rows of documents as they lie, `width` channels of each head. `turned`: channels by rows.
static descriptor rows(graph *g, int64_t number, cudnnDataType_t type, bool asked, bool turned)
{
    const tk_cudnn_shape *s = g->s;
    const int64_t n = asked ? s->asked : s->ask, width = s->all_heads * s->channels;
    tensor t = {number,
                type,
                {s->documents, s->heads, n, s->channels},
                {n * width, s->channels, width, 1},
                asked ? g->asked_at : g->ask_at,
                number >= TK_CUDNN_VIRTUAL,
                false};
    if (turned) {
        t.size[2] = s->channels, t.size[3] = n;
        t.stride[2] = 1, t.stride[3] = width;
    }
    return make(g, &t);
}

// A number of each head of a row, in memory.
static descriptor numbers_of_heads(graph *g, tk_cudnn_tensor number)
{
    const tk_cudnn_shape *s = g->s;
    return make(g, &(tensor){number,
                             CUDNN_DATA_FLOAT,
                             {s->documents, s->heads, s->ask, 1},
                             {s->ask * s->all_heads, 1, s->all_heads, 1},
                             g->lse_at,
                             false,
                             false});
}

// (documents, heads, ask, cols) in no memory.
static descriptor between(graph *g, cudnnDataType_t type, int64_t cols)
{
    const tk_cudnn_shape *s = g->s;
    return make(g, &(tensor){g->between++,
                             type,
                             {s->documents, s->heads, s->ask, cols},
                             {s->heads * s->ask * cols, s->ask * cols, cols, 1},
                             NULL,
                             true,
                             false});
}

static descriptor scores(graph *g, cudnnDataType_t type)
{
    return between(g, type, g->s->asked);
}

// ---- operations --------------------------------------------------------------------------------

static void add_operation(graph *g, descriptor x)
{
    tk_cudnn_finish(g->p, x);
    tk_assert(g->n < OPERATIONS);
    g->operation[g->n++] = x;
}

// y = x (mode) b, computed in `type`; b NULL: of x alone. `axis` of indices, `mask` of a choice.
static descriptor each(graph *g, cudnnPointwiseMode_t mode, cudnnDataType_t type, descriptor x,
                       descriptor b, descriptor mask, int64_t axis, descriptor y)
{
    tk_cudnn_parts *p = g->p;
    const descriptor what = tk_cudnn_new(p, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    tk_cudnn_set(p, what, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    tk_cudnn_set(p, what, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    if (mode == CUDNN_POINTWISE_GEN_INDEX)
        tk_cudnn_set(p, what, CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, 1, &axis);
    tk_cudnn_finish(p, what);
    const descriptor o = tk_cudnn_new(p, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, what);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, mask);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    add_operation(g, o);
    return y;
}

static descriptor in_fp32(graph *g, cudnnPointwiseMode_t mode, descriptor x, descriptor b,
                          descriptor y)
{
    return each(g, mode, CUDNN_DATA_FLOAT, x, b, NULL, 0, y);
}

// c = a @ b. m, n, k: how many rows and columns of these there are, by document; NULL: all.
static descriptor product(graph *g, descriptor a, descriptor b, descriptor m, descriptor n,
                          descriptor k, descriptor c)
{
    tk_cudnn_parts *p = g->p;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const descriptor what = tk_cudnn_new(p, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    tk_cudnn_set(p, what, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    tk_cudnn_finish(p, what);
    const descriptor o = tk_cudnn_new(p, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_MATMUL_DESC, what);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, m);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, n);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC, k);
    add_operation(g, o);
    return c;
}

// y = sums of x over what y has one of.
static descriptor reduced(graph *g, descriptor x, descriptor y)
{
    tk_cudnn_parts *p = g->p;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnReduceTensorOp_t add = CUDNN_REDUCE_TENSOR_ADD;
    const descriptor what = tk_cudnn_new(p, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    tk_cudnn_set(p, what, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1,
                 &add);
    tk_cudnn_set(p, what, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    tk_cudnn_finish(p, what);
    const descriptor o = tk_cudnn_new(p, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_REDUCTION_DESC, what);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
    add_operation(g, o);
    return y;
}

// y = x seen with other strides.
static descriptor seen_as(graph *g, descriptor x, descriptor y)
{
    const descriptor o = tk_cudnn_new(g->p, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    tk_cudnn_join(g->p, o, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x);
    tk_cudnn_join(g->p, o, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y);
    add_operation(g, o);
    return y;
}

// Scores turned, rounded to bf16.
static descriptor turn(graph *g, descriptor x)
{
    const tk_cudnn_shape *s = g->s;
    const int64_t each_head = s->ask * s->asked;
    return seen_as(g, x,
                   make(g, &(tensor){g->between++,
                                     CUDNN_DATA_BFLOAT16,
                                     {s->documents, s->heads, s->asked, s->ask},
                                     {s->heads * each_head, each_head, 1, s->asked},
                                     NULL,
                                     true,
                                     false}));
}

// ---- attention ---------------------------------------------------------------------------------

static void set_lengths(graph *g)
{
    const int64_t n = g->s->documents;
    g->ask = list(g, TK_CUDNN_ASK, CUDNN_DATA_INT32, n);
    g->asked = list(g, TK_CUDNN_ASKED, CUDNN_DATA_INT32, n);
    g->ask_at = list(g, TK_CUDNN_ASK_AT, CUDNN_DATA_INT64, n + 1);
    g->asked_at = list(g, TK_CUDNN_ASKED_AT, CUDNN_DATA_INT64, n + 1);
    g->lse_at = list(g, TK_CUDNN_LSE_AT, CUDNN_DATA_INT64, n + 1);
}

static void add_forward(graph *g)
{
    tk_cudnn_parts *p = g->p;
    const cudnnDataType_t half = CUDNN_DATA_BFLOAT16;
    const descriptor o = tk_cudnn_new(p, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC,
                  rows(g, TK_CUDNN_Q, half, false, false));
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC,
                  rows(g, TK_CUDNN_K, half, true, false));
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC,
                  rows(g, TK_CUDNN_V, half, true, false));
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC,
                  rows(g, TK_CUDNN_O, half, false, false));
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, numbers_of_heads(g, TK_CUDNN_LSE));
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, number_on_host(g, TK_CUDNN_SCALE));
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_QDESC, g->ask);
    tk_cudnn_join(p, o, CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_KVDESC, g->asked);
    add_operation(g, o);
}

// Scores of rows that are there; those of others are minus infinity.
static descriptor masked(graph *g, descriptor x)
{
    const cudnnDataType_t index = CUDNN_DATA_INT32, truth = CUDNN_DATA_BOOLEAN;
    const descriptor row =
        each(g, CUDNN_POINTWISE_GEN_INDEX, index, x, NULL, NULL, 2, scores(g, index));
    const descriptor col =
        each(g, CUDNN_POINTWISE_GEN_INDEX, index, x, NULL, NULL, 3, scores(g, index));
    const descriptor asks =
        each(g, CUDNN_POINTWISE_CMP_LT, truth, row, g->ask, NULL, 0, scores(g, truth));
    const descriptor is_asked =
        each(g, CUDNN_POINTWISE_CMP_LT, truth, col, g->asked, NULL, 0, scores(g, truth));
    const descriptor both =
        each(g, CUDNN_POINTWISE_LOGICAL_AND, truth, asks, is_asked, NULL, 0, scores(g, truth));
    return each(g, CUDNN_POINTWISE_BINARY_SELECT, CUDNN_DATA_FLOAT, x,
                number_on_host(g, TK_CUDNN_NEVER), both, 0, scores(g, CUDNN_DATA_FLOAT));
}

static void add_backward(graph *g)
{
    const cudnnDataType_t half = CUDNN_DATA_BFLOAT16, whole = CUDNN_DATA_FLOAT;
    const descriptor q = rows(g, TK_CUDNN_Q, half, false, false),
                     up = rows(g, TK_CUDNN_DO, half, false, false);
    const descriptor k = rows(g, TK_CUDNN_K, half, true, true),
                     v = rows(g, TK_CUDNN_V, half, true, true);
    const descriptor o = rows(g, TK_CUDNN_O, half, false, false),
                     scale = number_on_host(g, TK_CUDNN_SCALE);
    // sums of do * o
    descriptor x = in_fp32(g, CUDNN_POINTWISE_MUL, up, o, between(g, whole, g->s->channels));
    x = reduced(g, x, between(g, whole, 1));
    const descriptor sums = in_fp32(g, CUDNN_POINTWISE_MUL, x, number_on_host(g, TK_CUDNN_ONE),
                                    numbers_of_heads(g, TK_CUDNN_SUMS));
    // p = exp(scale * q k^T - lse), dv = p^T do
    x = product(g, q, k, g->ask, g->asked, NULL, scores(g, whole));
    x = masked(g, in_fp32(g, CUDNN_POINTWISE_MUL, x, scale, scores(g, whole)));
    x = in_fp32(g, CUDNN_POINTWISE_SUB, x, numbers_of_heads(g, TK_CUDNN_LSE), scores(g, whole));
    const descriptor weights = in_fp32(g, CUDNN_POINTWISE_EXP, x, NULL, scores(g, whole));
    product(g, turn(g, weights), up, g->asked, NULL, g->ask,
            rows(g, TK_CUDNN_DV, half, true, false));
    // ds = (do v^T - sums) * p * scale, dk = ds^T q, dq = ds k
    x = product(g, up, v, g->ask, g->asked, NULL, scores(g, whole));
    x = in_fp32(g, CUDNN_POINTWISE_SUB, x, sums, scores(g, whole));
    x = in_fp32(g, CUDNN_POINTWISE_MUL, x, weights, scores(g, whole));
    x = in_fp32(g, CUDNN_POINTWISE_MUL, x, scale, scores(g, whole));
    product(g, turn(g, x), q, g->asked, NULL, g->ask, rows(g, TK_CUDNN_DK, half, true, false));
    const descriptor as_rows = seen_as(g, k, rows(g, g->between++, half, true, false));
    const descriptor dq = rows(g, TK_CUDNN_DQ, half, false, false);
    if (g->s->way == TK_CUDNN_BACK) {
        product(g, x, as_rows, g->ask, NULL, g->asked, dq);
        return;
    }
    x = product(g, x, as_rows, g->ask, NULL, g->asked,
                rows(g, TK_CUDNN_DQ_SUMS, whole, false, false));
    in_fp32(g, CUDNN_POINTWISE_IDENTITY, x, NULL, dq);
}

cudnnBackendDescriptor_t tk_cudnn_graph(tk_cudnn_parts *p, cudnnHandle_t handle,
                                        const tk_cudnn_shape *s)
{
    graph g = {.p = p, .s = s, .between = TK_CUDNN_VIRTUAL};
    set_lengths(&g);
    if (s->way == TK_CUDNN_FORE)
        add_forward(&g);
    else
        add_backward(&g);
    const descriptor x = tk_cudnn_new(p, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    tk_cudnn_set(p, x, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g.n,
                 g.operation);
    if (handle) tk_cudnn_set(p, x, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    tk_cudnn_finish(p, x);
    return x;
}
