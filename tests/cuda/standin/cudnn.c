// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/standin/cudnn.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *format, va_list args)
{
    fprintf(stderr, "stand-in for cuDNN: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
}

void dn_unmodelled(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    abort();
}

bool dn_refuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    return false;
}

// ---- the library -------------------------------------------------------------------------------

enum { ALIVE = 0x5dbac711 };

struct cudnnContext {
    uint64_t alive;
    cudaStream_t stream;
};

int64_t dn_version(void)
{
    const char *said = getenv("STANDIN_CUDNN_VERSION");
    return said ? atoll(said) : CUDNN_VERSION;
}

size_t cudnnGetVersion(void)
{
    return (size_t)dn_version();
}

const char *cudnnGetErrorString(cudnnStatus_t s)
{
    return s == CUDNN_STATUS_SUCCESS         ? "success"
           : s == CUDNN_STATUS_BAD_PARAM     ? "bad parameter"
           : s == CUDNN_STATUS_NOT_SUPPORTED ? "not supported"
                                             : "another status";
}

void cudnnGetLastErrorString(char *message, size_t size)
{
    snprintf(message, size, "see what the stand-in says");
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    *handle = calloc(1, sizeof **handle);
    if (!*handle) dn_unmodelled("out of memory");
    (*handle)->alive = ALIVE;
    return CUDNN_STATUS_SUCCESS;
}

static void check_handle(const struct cudnnContext *handle)
{
    if (!handle || handle->alive != ALIVE) dn_unmodelled("a handle is none");
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    check_handle(handle);
    handle->alive = 0;
    free(handle);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    check_handle(handle);
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

// ---- what is modelled of descriptors -----------------------------------------------------------

// Of each kind its attributes: their type, and how many values they have. 'may' be missing, 'must'
// not.
enum need { MAY, MUST };
static const struct row {
    cudnnBackendDescriptorType_t of;
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    enum need need;
    int64_t least, most;
} ROWS[] = {
#define ROW(of, name, type, need, least, most) \
    {CUDNN_BACKEND_##of##_DESCRIPTOR, CUDNN_ATTR_##name, CUDNN_TYPE_##type, need, least, most},
#define PART(of, name, need) ROW(of, name, BACKEND_DESCRIPTOR, need, 1, 1)
    ROW(TENSOR, TENSOR_UNIQUE_ID, INT64, MUST, 1,
        1) ROW(TENSOR, TENSOR_DATA_TYPE, DATA_TYPE, MUST, 1,
               1) ROW(TENSOR, TENSOR_DIMENSIONS, INT64, MUST, 4,
                      4) ROW(TENSOR, TENSOR_STRIDES, INT64, MUST, 4,
                             4) ROW(TENSOR, TENSOR_BYTE_ALIGNMENT, INT64, MUST, 1,
                                    1) ROW(TENSOR, TENSOR_IS_VIRTUAL, BOOLEAN, MAY, 1,
                                           1) ROW(TENSOR, TENSOR_IS_BY_VALUE, BOOLEAN, MAY, 1, 1)
        PART(TENSOR, TENSOR_RAGGED_OFFSET_DESC,
             MAY) ROW(POINTWISE, POINTWISE_MODE, POINTWISE_MODE, MUST, 1,
                      1) ROW(POINTWISE, POINTWISE_MATH_PREC, DATA_TYPE, MUST, 1, 1)
            ROW(POINTWISE, POINTWISE_AXIS, INT64, MAY, 1,
                1) PART(OPERATION_POINTWISE, OPERATION_POINTWISE_PW_DESCRIPTOR,
                        MUST) PART(OPERATION_POINTWISE, OPERATION_POINTWISE_XDESC,
                                   MUST) PART(OPERATION_POINTWISE, OPERATION_POINTWISE_BDESC, MAY)
                PART(OPERATION_POINTWISE, OPERATION_POINTWISE_TDESC, MAY) PART(
                    OPERATION_POINTWISE,
                    OPERATION_POINTWISE_YDESC,
                    MUST) ROW(MATMUL, MATMUL_COMP_TYPE, DATA_TYPE, MUST, 1,
                              1) PART(OPERATION_MATMUL, OPERATION_MATMUL_DESC,
                                      MUST) PART(OPERATION_MATMUL, OPERATION_MATMUL_ADESC, MUST)
                    PART(OPERATION_MATMUL, OPERATION_MATMUL_BDESC, MUST) PART(
                        OPERATION_MATMUL, OPERATION_MATMUL_CDESC,
                        MUST) PART(OPERATION_MATMUL, OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, MAY)
                        PART(OPERATION_MATMUL, OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, MAY) PART(
                            OPERATION_MATMUL, OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC,
                            MAY) ROW(REDUCTION, REDUCTION_OPERATOR, REDUCTION_OPERATOR_TYPE, MUST,
                                     1,
                                     1) ROW(REDUCTION, REDUCTION_COMP_TYPE, DATA_TYPE, MUST, 1, 1)
                            PART(OPERATION_REDUCTION, OPERATION_REDUCTION_DESC, MUST) PART(
                                OPERATION_REDUCTION,
                                OPERATION_REDUCTION_XDESC,
                                MUST) PART(OPERATION_REDUCTION, OPERATION_REDUCTION_YDESC,
                                           MUST) PART(OPERATION_RESHAPE, OPERATION_RESHAPE_XDESC,
                                                      MUST) PART(OPERATION_RESHAPE,
                                                                 OPERATION_RESHAPE_YDESC, MUST)
                                PART(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_QDESC,
                                     MUST) PART(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_KDESC, MUST)
                                    PART(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_VDESC, MUST) PART(
                                        OPERATION_SDPA_FWD,
                                        OPERATION_SDPA_FWD_ODESC,
                                        MUST) PART(OPERATION_SDPA_FWD, OPERATION_SDPA_FWD_STATSDESC,
                                                   MUST) PART(OPERATION_SDPA_FWD,
                                                              OPERATION_SDPA_FWD_SCALEDESC, MUST)
                                        PART(
                                            OPERATION_SDPA_FWD,
                                            OPERATION_SDPA_FWD_SEQ_LEN_QDESC,
                                            MUST) PART(OPERATION_SDPA_FWD,
                                                       OPERATION_SDPA_FWD_SEQ_LEN_KVDESC,
                                                       MUST) ROW(OPERATIONGRAPH, OPERATIONGRAPH_OPS,
                                                                 BACKEND_DESCRIPTOR, MUST, 1, 64)
                                            ROW(OPERATIONGRAPH, OPERATIONGRAPH_HANDLE, HANDLE, MUST,
                                                1, 1) PART(ENGINEHEUR, ENGINEHEUR_OPERATION_GRAPH,
                                                           MUST) ROW(ENGINEHEUR, ENGINEHEUR_MODE,
                                                                     HEUR_MODE, MUST, 1, 1)
                                                PART(EXECUTION_PLAN, EXECUTION_PLAN_ENGINE_CONFIG,
                                                     MUST) ROW(EXECUTION_PLAN,
                                                               EXECUTION_PLAN_HANDLE, HANDLE, MUST,
                                                               1, 1) ROW(VARIANT_PACK,
                                                                         VARIANT_PACK_UNIQUE_IDS,
                                                                         INT64, MUST, 1, 64)
                                                    ROW(VARIANT_PACK, VARIANT_PACK_DATA_POINTERS,
                                                        VOID_PTR, MUST, 1, 64)
                                                        ROW(VARIANT_PACK, VARIANT_PACK_WORKSPACE,
                                                            VOID_PTR, MUST, 1, 1)
#undef PART
#undef ROW
};
enum { N_ROWS = sizeof ROWS / sizeof *ROWS };

static size_t size_of(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    case CUDNN_TYPE_INT64:
        return sizeof(int64_t);
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return sizeof(void *);
    default:
        return sizeof(int); // enums
    }
}

static dn_thing *thing_of(cudnnBackendDescriptor_t x)
{
    dn_thing *t = x;
    if (!t || t->alive != ALIVE) dn_unmodelled("a descriptor is none");
    return t;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *out)
{
    bool known = type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
    for (int i = 0; i < N_ROWS; i++) known = known || ROWS[i].of == type;
    if (!known) dn_unmodelled("descriptor %d is not modelled", (int)type);
    dn_thing *x = calloc(1, sizeof *x);
    if (!x) dn_unmodelled("out of memory");
    *x = (dn_thing){.alive = ALIVE, .type = type};
    *out = x;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t of)
{
    dn_thing *x = thing_of(of);
    for (int i = 0; i < x->n; i++) free(x->attribute[i].values);
    x->alive = 0;
    free(x);
    return CUDNN_STATUS_SUCCESS;
}

static void keep(dn_thing *x, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                 int64_t n, const void *values)
{
    const size_t bytes = (size_t)n * size_of(type);
    if (dn_find(x, name)) dn_unmodelled("attribute %d is set twice", (int)name);
    if (x->n == DN_ATTRIBUTES) dn_unmodelled("too many attributes");
    dn_attribute *a = &x->attribute[x->n++];
    *a = (dn_attribute){name, type, n, malloc(bytes)};
    if (!a->values) dn_unmodelled("out of memory");
    memcpy(a->values, values, bytes);
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t of,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t n,
                                       const void *values)
{
    dn_thing *x = thing_of(of);
    const struct row *row = NULL;
    for (int i = 0; i < N_ROWS; i++)
        if (ROWS[i].of == x->type && ROWS[i].name == name) row = &ROWS[i];
    if (!row)
        dn_unmodelled("attribute %d of descriptor %d is not modelled", (int)name, (int)x->type);
    if (x->finished || !values || type != row->type || n < row->least || n > row->most) {
        dn_refuse("attribute %d of descriptor %d is set to %lld values of type %d%s", (int)name,
                  (int)x->type, (long long)n, (int)type, x->finished ? ", finished before" : "");
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        for (int64_t i = 0; i < n; i++)
            if (!thing_of(((cudnnBackendDescriptor_t const *)values)[i])->finished) {
                dn_refuse("attribute %d is a descriptor that is not finished", (int)name);
                return CUDNN_STATUS_BAD_PARAM;
            }
    keep(x, name, type, n, values);
    return CUDNN_STATUS_SUCCESS;
}

const dn_attribute *dn_find(const dn_thing *x, cudnnBackendAttributeName_t name)
{
    for (int i = 0; i < x->n; i++)
        if (x->attribute[i].name == name) return &x->attribute[i];
    return NULL;
}

int64_t dn_number(const dn_thing *x, cudnnBackendAttributeName_t name)
{
    const dn_attribute *a = dn_find(x, name);
    if (!a) return 0;
    if (a->type == CUDNN_TYPE_BOOLEAN) return *(const bool *)a->values;
    return a->type == CUDNN_TYPE_INT64 ? *(const int64_t *)a->values : *(const int *)a->values;
}

const dn_thing *dn_part(const dn_thing *x, cudnnBackendAttributeName_t name)
{
    const dn_attribute *a = dn_find(x, name);
    return a ? *(dn_thing *const *)a->values : NULL;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t of)
{
    dn_thing *x = thing_of(of);
    for (int i = 0; i < N_ROWS; i++)
        if (ROWS[i].of == x->type && ROWS[i].need == MUST && !dn_find(x, ROWS[i].name)) {
            dn_refuse("descriptor %d lacks attribute %d", (int)x->type, (int)ROWS[i].name);
            return CUDNN_STATUS_BAD_PARAM;
        }
    if (x->type == CUDNN_BACKEND_TENSOR_DESCRIPTOR) {
        const int64_t align = dn_number(x, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
        const int64_t type = dn_number(x, CUDNN_ATTR_TENSOR_DATA_TYPE);
        const int64_t size = type == CUDNN_DATA_INT64      ? 8
                             : type == CUDNN_DATA_BFLOAT16 ? 2
                             : type == CUDNN_DATA_BOOLEAN  ? 1
                                                           : 4;
        if (align <= 0 || align % size) return CUDNN_STATUS_BAD_PARAM;
    }
    x->finished = true;
    return CUDNN_STATUS_SUCCESS;
}

// ---- plans -------------------------------------------------------------------------------------

// A graph that is known has one engine.
static void find_engines(const dn_thing *heuristic, int64_t *n, cudnnBackendDescriptor_t *list)
{
    dn_attention a;
    const dn_thing *graph = dn_part(heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    *n = dn_know(graph, &a);
    if (!*n) return;
    dn_thing *to = thing_of(list[0]);
    if (to->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)
        dn_unmodelled("an engine is to be no engine");
    keep(to, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
    to->finished = true;
}

static void know_plan(const dn_thing *plan, dn_attention *a)
{
    const dn_thing *engine = dn_part(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    if (!dn_know(dn_part(engine, CUDNN_ATTR_ENGINECFG_ENGINE), a)) dn_unmodelled("a plan is none");
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const of,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room, int64_t *n,
                                       void *values)
{
    const dn_thing *x = thing_of(of);
    dn_attention a;
    if (!x->finished || room < 1) return CUDNN_STATUS_BAD_PARAM;
    if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        find_engines(x, n, values);
    else if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE && type == CUDNN_TYPE_INT64) {
        know_plan(x, &a);
        *(int64_t *)values = dn_workspace(&a);
        *n = 1;
    } else
        dn_unmodelled("asking for attribute %d is not modelled", (int)name);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack)
{
    dn_attention a;
    check_handle(handle);
    if (!thing_of(plan)->finished || !thing_of(pack)->finished) return CUDNN_STATUS_BAD_PARAM;
    know_plan(thing_of(plan), &a);
    return dn_run(&a, thing_of(pack), handle->stream);
}
