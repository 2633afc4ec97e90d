// SPDX-License-Identifier: Apache-2.0
// Of the stand-in for cuDNN: the two graphs that it knows. Backward is a list of operations in
// order, on tensors of roles: the first operation that names a role says which tensor it is.
#include "tests/cuda/standin/cudnn.h"
#include <stdlib.h>
#include <string.h>

typedef enum kind { EACH, PRODUCT, SUM, SEEN } kind;

// y = x (mode) b, with a mask; a product c = x b by m, n, k rows and columns.
typedef struct step {
    kind kind;
    cudnnPointwiseMode_t mode;
    dn_role x, b, y;
    dn_role more[3]; // EACH: mask; PRODUCT: m, n, k
    int64_t axis;
    bool last; // one of two last ones
} step;

#define MUL CUDNN_POINTWISE_MUL
static const step BACKWARD[] = {
    {EACH, MUL, DN_DO, DN_O, DN_PRODUCTS, {0}, 0, 0},
    {SUM, 0, DN_PRODUCTS, 0, DN_ROW_SUMS, {0}, 0, 0},
    {EACH, MUL, DN_ROW_SUMS, DN_ONE, DN_SUMS, {0}, 0, 0},
    {PRODUCT, 0, DN_Q, DN_K, DN_SCORES, {DN_ASK, DN_ASKED, 0}, 0, 0},
    {EACH, MUL, DN_SCORES, DN_SCALE, DN_SCALED, {0}, 0, 0},
    {EACH, CUDNN_POINTWISE_GEN_INDEX, DN_SCALED, 0, DN_ROW, {0}, 2, 0},
    {EACH, CUDNN_POINTWISE_GEN_INDEX, DN_SCALED, 0, DN_COL, {0}, 3, 0},
    {EACH, CUDNN_POINTWISE_CMP_LT, DN_ROW, DN_ASK, DN_ASKS, {0}, 0, 0},
    {EACH, CUDNN_POINTWISE_CMP_LT, DN_COL, DN_ASKED, DN_IS_ASKED, {0}, 0, 0},
    {EACH, CUDNN_POINTWISE_LOGICAL_AND, DN_ASKS, DN_IS_ASKED, DN_BOTH, {0}, 0, 0},
    {EACH, CUDNN_POINTWISE_BINARY_SELECT, DN_SCALED, DN_NEVER, DN_MASKED, {DN_BOTH}, 0, 0},
    {EACH, CUDNN_POINTWISE_SUB, DN_MASKED, DN_LSE, DN_LESS, {0}, 0, 0},
    {EACH, CUDNN_POINTWISE_EXP, DN_LESS, 0, DN_WEIGHTS, {0}, 0, 0},
    {SEEN, 0, DN_WEIGHTS, 0, DN_WEIGHTS_TURNED, {0}, 0, 0},
    {PRODUCT, 0, DN_WEIGHTS_TURNED, DN_DO, DN_DV, {DN_ASKED, 0, DN_ASK}, 0, 0},
    {PRODUCT, 0, DN_DO, DN_V, DN_UP, {DN_ASK, DN_ASKED, 0}, 0, 0},
    {EACH, CUDNN_POINTWISE_SUB, DN_UP, DN_SUMS, DN_UP_LESS, {0}, 0, 0},
    {EACH, MUL, DN_UP_LESS, DN_WEIGHTS, DN_UP_WEIGHTED, {0}, 0, 0},
    {EACH, MUL, DN_UP_WEIGHTED, DN_SCALE, DN_GRADIENT, {0}, 0, 0},
    {SEEN, 0, DN_GRADIENT, 0, DN_GRADIENT_TURNED, {0}, 0, 0},
    {PRODUCT, 0, DN_GRADIENT_TURNED, DN_Q, DN_DK, {DN_ASKED, 0, DN_ASK}, 0, 0},
    {SEEN, 0, DN_K, 0, DN_K_ROWS, {0}, 0, 0},
};
enum { N_STEPS = sizeof BACKWARD / sizeof *BACKWARD };
// And then one of these.
static const step LAST = {PRODUCT, 0, DN_GRADIENT, DN_K_ROWS, DN_DQ, {DN_ASK, 0, DN_ASKED}, 0, 0};
static const step LAST_ANY[] = {
    {PRODUCT, 0, DN_GRADIENT, DN_K_ROWS, DN_DQ_SUMS, {DN_ASK, 0, DN_ASKED}, 0, 0},
    {EACH, CUDNN_POINTWISE_IDENTITY, DN_DQ_SUMS, 0, DN_DQ, {0}, 0, 0}};

// ---- operations --------------------------------------------------------------------------------

static bool is_role(dn_attention *a, dn_role role, const dn_thing *tensor)
{
    if (!role || !tensor) return !role && !tensor;
    if (!a->tensor[role]) {
        for (int i = 0; i < DN_ROLES; i++)
            if (a->tensor[i] == tensor) return false; // it is another already
        a->tensor[role] = tensor;
    }
    return a->tensor[role] == tensor;
}

static bool is_each(dn_attention *a, const step *s, const dn_thing *o)
{
    const dn_thing *what = dn_part(o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const int64_t type = dn_number(what, CUDNN_ATTR_POINTWISE_MATH_PREC);
    const int64_t wanted =
        s->mode == CUDNN_POINTWISE_GEN_INDEX ? (int64_t)CUDNN_DATA_INT32
        : s->mode == CUDNN_POINTWISE_CMP_LT || s->mode == CUDNN_POINTWISE_LOGICAL_AND
            ? (int64_t)CUDNN_DATA_BOOLEAN
            : (int64_t)CUDNN_DATA_FLOAT;
    return dn_number(what, CUDNN_ATTR_POINTWISE_MODE) == (int64_t)s->mode && type == wanted &&
           dn_number(what, CUDNN_ATTR_POINTWISE_AXIS) == s->axis &&
           is_role(a, s->x, dn_part(o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC)) &&
           is_role(a, s->b, dn_part(o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC)) &&
           is_role(a, s->more[0], dn_part(o, CUDNN_ATTR_OPERATION_POINTWISE_TDESC)) &&
           is_role(a, s->y, dn_part(o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
}

static bool is_product(dn_attention *a, const step *s, const dn_thing *o)
{
    const dn_thing *what = dn_part(o, CUDNN_ATTR_OPERATION_MATMUL_DESC);
    return dn_number(what, CUDNN_ATTR_MATMUL_COMP_TYPE) == CUDNN_DATA_FLOAT &&
           is_role(a, s->x, dn_part(o, CUDNN_ATTR_OPERATION_MATMUL_ADESC)) &&
           is_role(a, s->b, dn_part(o, CUDNN_ATTR_OPERATION_MATMUL_BDESC)) &&
           is_role(a, s->y, dn_part(o, CUDNN_ATTR_OPERATION_MATMUL_CDESC)) &&
           is_role(a, s->more[0], dn_part(o, CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC)) &&
           is_role(a, s->more[1], dn_part(o, CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC)) &&
           is_role(a, s->more[2], dn_part(o, CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC));
}

static bool is_sum(dn_attention *a, const step *s, const dn_thing *o)
{
    const dn_thing *what = dn_part(o, CUDNN_ATTR_OPERATION_REDUCTION_DESC);
    return dn_number(what, CUDNN_ATTR_REDUCTION_OPERATOR) == CUDNN_REDUCE_TENSOR_ADD &&
           dn_number(what, CUDNN_ATTR_REDUCTION_COMP_TYPE) == CUDNN_DATA_FLOAT &&
           is_role(a, s->x, dn_part(o, CUDNN_ATTR_OPERATION_REDUCTION_XDESC)) &&
           is_role(a, s->y, dn_part(o, CUDNN_ATTR_OPERATION_REDUCTION_YDESC));
}

static bool is_step(dn_attention *a, const step *s, const dn_thing *o)
{
    switch (o->type) {
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return s->kind == EACH && is_each(a, s, o);
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        return s->kind == PRODUCT && is_product(a, s, o);
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
        return s->kind == SUM && is_sum(a, s, o);
    case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
        return s->kind == SEEN &&
               is_role(a, s->x, dn_part(o, CUDNN_ATTR_OPERATION_RESHAPE_XDESC)) &&
               is_role(a, s->y, dn_part(o, CUDNN_ATTR_OPERATION_RESHAPE_YDESC));
    default:
        return false;
    }
}

static bool is_backward(dn_attention *a, const dn_thing *const *o, int64_t n)
{
    if (n != N_STEPS + 1 && n != N_STEPS + 2)
        return dn_refuse("%lld operations are no backward", (long long)n);
    a->back = true;
    a->any_order = n == N_STEPS + 2;
    for (int64_t i = 0; i < n; i++) {
        const step *s = i < N_STEPS ? &BACKWARD[i] : a->any_order ? &LAST_ANY[i - N_STEPS] : &LAST;
        if (!is_step(a, s, o[i]))
            return dn_refuse("operation %lld is not known there", (long long)i);
    }
    return true;
}

static bool is_forward(dn_attention *a, const dn_thing *o)
{
    static const struct {
        dn_role role;
        cudnnBackendAttributeName_t name;
    } parts[] = {{DN_Q, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC},
                 {DN_K, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC},
                 {DN_V, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC},
                 {DN_O, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC},
                 {DN_LSE, CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC},
                 {DN_SCALE, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC},
                 {DN_ASK, CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_QDESC},
                 {DN_ASKED, CUDNN_ATTR_OPERATION_SDPA_FWD_SEQ_LEN_KVDESC}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!is_role(a, parts[i].role, dn_part(o, parts[i].name)))
            return dn_refuse("tensor %zu of forward is another one", i);
    return true;
}

// ---- tensors -----------------------------------------------------------------------------------

static const int64_t *four(const dn_thing *t, cudnnBackendAttributeName_t name)
{
    return dn_find(t, name)->values;
}

// Its type, sizes and strides are these; -1: any.
static bool lies(const dn_attention *a, dn_role role, cudnnDataType_t type, const int64_t size[4],
                 const int64_t stride[4])
{
    const dn_thing *t = a->tensor[role];
    const int64_t *has = four(t, CUDNN_ATTR_TENSOR_DIMENSIONS);
    const int64_t *apart = four(t, CUDNN_ATTR_TENSOR_STRIDES);
    const bool between = dn_number(t, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
    const bool by_value = dn_number(t, CUDNN_ATTR_TENSOR_IS_BY_VALUE);
    bool right = dn_number(t, CUDNN_ATTR_TENSOR_DATA_TYPE) == (int64_t)type;
    for (int i = 0; i < 4; i++)
        right = right && has[i] == size[i] && (stride[i] < 0 || apart[i] == stride[i]);
    right = right && between == (role > DN_ASKED);
    right = right && by_value == (role == DN_SCALE || role == DN_ONE || role == DN_NEVER);
    return right ||
           dn_refuse("tensor of role %d: type %lld, %lld x %lld x %lld x %lld, strides %lld "
                     "%lld %lld %lld",
                     (int)role, (long long)dn_number(t, CUDNN_ATTR_TENSOR_DATA_TYPE),
                     (long long)has[0], (long long)has[1], (long long)has[2], (long long)has[3],
                     (long long)apart[0], (long long)apart[1], (long long)apart[2],
                     (long long)apart[3]);
}

// A list of documents + 1 offsets.
static bool is_ragged(const dn_attention *a, dn_role role, dn_role like)
{
    const dn_thing *at = dn_part(a->tensor[role], CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC);
    if (!at) return dn_refuse("tensor of role %d has no offsets of documents", (int)role);
    const int64_t *size = four(at, CUDNN_ATTR_TENSOR_DIMENSIONS);
    const bool right = dn_number(at, CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_INT64 &&
                       size[0] == a->documents + 1 && size[1] * size[2] * size[3] == 1;
    const dn_thing *other = dn_part(a->tensor[like], CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC);
    return (right && at == other) || dn_refuse("offsets of role %d are others", (int)role);
}

// Rows of heads: (documents, heads, rows, channels), or channels by rows.
static bool rows_lie(const dn_attention *a, dn_role role, cudnnDataType_t type, bool asked,
                     bool turned)
{
    const int64_t n = asked ? a->asked : a->ask, c = a->channels;
    const int64_t width = four(a->tensor[DN_Q], CUDNN_ATTR_TENSOR_STRIDES)[2];
    const int64_t size[] = {a->documents, a->heads, turned ? c : n, turned ? n : c};
    const int64_t stride[] = {n * width, c, turned ? 1 : width, turned ? width : 1};
    return lies(a, role, type, size, stride) && is_ragged(a, role, asked ? DN_K : DN_Q);
}

static bool heads_lie(const dn_attention *a, dn_role role)
{
    const int64_t width = four(a->tensor[DN_Q], CUDNN_ATTR_TENSOR_STRIDES)[2];
    const int64_t all = width / a->channels;
    return lies(a, role, CUDNN_DATA_FLOAT, (int64_t[]){a->documents, a->heads, a->ask, 1},
                (int64_t[]){a->ask * all, 1, all, 1}) &&
           is_ragged(a, role, DN_LSE);
}

static bool scores_lie(const dn_attention *a, dn_role role, cudnnDataType_t type, int64_t cols)
{
    const int64_t size[] = {a->documents, a->heads, a->ask, cols};
    return lies(a, role, type, size, (int64_t[]){a->heads * a->ask * cols, a->ask * cols, cols, 1});
}

static bool turned_lies(const dn_attention *a, dn_role role)
{
    const int64_t head = a->ask * a->asked;
    return lies(a, role, CUDNN_DATA_BFLOAT16, (int64_t[]){a->documents, a->heads, a->asked, a->ask},
                (int64_t[]){a->heads * head, head, 1, a->asked});
}

static bool list_lies(const dn_attention *a, dn_role role, cudnnDataType_t type, int64_t n)
{
    return lies(a, role, type, (int64_t[]){n, 1, 1, 1}, (int64_t[]){1, 1, 1, 1});
}

static bool between_lies(const dn_attention *a)
{
    bool right = scores_lie(a, DN_PRODUCTS, CUDNN_DATA_FLOAT, a->channels) &&
                 scores_lie(a, DN_ROW_SUMS, CUDNN_DATA_FLOAT, 1);
    for (int role = DN_SCORES; role <= DN_GRADIENT && right; role++) {
        const cudnnDataType_t type = role == DN_ROW || role == DN_COL     ? CUDNN_DATA_INT32
                                     : role >= DN_ASKS && role <= DN_BOTH ? CUDNN_DATA_BOOLEAN
                                                                          : CUDNN_DATA_FLOAT;
        right = role == DN_WEIGHTS_TURNED ? turned_lies(a, (dn_role)role)
                                          : scores_lie(a, (dn_role)role, type, a->asked);
    }
    return right && turned_lies(a, DN_GRADIENT_TURNED) &&
           rows_lie(a, DN_K_ROWS, CUDNN_DATA_BFLOAT16, true, false);
}

static bool tensors_lie(const dn_attention *a)
{
    const cudnnDataType_t half = CUDNN_DATA_BFLOAT16;
    bool right = rows_lie(a, DN_Q, half, false, false) && rows_lie(a, DN_K, half, true, a->back) &&
                 rows_lie(a, DN_V, half, true, a->back) && rows_lie(a, DN_O, half, false, false) &&
                 heads_lie(a, DN_LSE) && list_lies(a, DN_SCALE, CUDNN_DATA_FLOAT, 1) &&
                 list_lies(a, DN_ASK, CUDNN_DATA_INT32, a->documents) &&
                 list_lies(a, DN_ASKED, CUDNN_DATA_INT32, a->documents);
    if (!right || !a->back) return right;
    right = rows_lie(a, DN_DO, half, false, false) && rows_lie(a, DN_DQ, half, false, false) &&
            rows_lie(a, DN_DK, half, true, false) && rows_lie(a, DN_DV, half, true, false) &&
            heads_lie(a, DN_SUMS) && list_lies(a, DN_ONE, CUDNN_DATA_FLOAT, 1) &&
            list_lies(a, DN_NEVER, CUDNN_DATA_FLOAT, 1) && between_lies(a);
    return right && (!a->any_order || rows_lie(a, DN_DQ_SUMS, CUDNN_DATA_FLOAT, false, false));
}

static bool is_size_known(const dn_attention *a)
{
    const char *most = getenv("STANDIN_CUDNN_CHANNELS");
    if (a->channels % 8 || a->channels > (most ? atoll(most) : 256)) return false;
    return a->ask > 1 || a->asked > 1;
}

bool dn_know(const dn_thing *graph, dn_attention *a)
{
    const dn_attribute *ops = dn_find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    const dn_thing *const *o = ops->values;
    *a = (dn_attention){.back = false};
    const bool forward = ops->n == 1 && o[0]->type == CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR;
    if (!(forward ? is_forward(a, o[0]) : is_backward(a, o, ops->n))) return false;
    const int64_t *q = four(a->tensor[DN_Q], CUDNN_ATTR_TENSOR_DIMENSIONS);
    const int64_t *k = four(a->tensor[DN_K], CUDNN_ATTR_TENSOR_DIMENSIONS);
    a->documents = q[0], a->heads = q[1], a->ask = q[2], a->channels = q[3];
    a->asked = a->back ? k[3] : k[2];
    return tensors_lie(a) && is_size_known(a);
}
