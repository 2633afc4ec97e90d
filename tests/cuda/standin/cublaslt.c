// SPDX-License-Identifier: Apache-2.0
#include "tests/cuda/standin/cublaslt.h"
#include "tests/cuda/standin/standin.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *format, va_list args)
{
    fprintf(stderr, "stand-in for cuBLASLt: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
}

bool lt_refuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    return false;
}

void lt_unmodelled(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    abort();
}

size_t lt_size(cudaDataType_t t)
{
    if (t == CUDA_R_32F) return 4;
    if (t == CUDA_R_16BF) return 2;
    lt_unmodelled("type %d is not modelled", (int)t);
}

// ---- the library -------------------------------------------------------------------------------

size_t cublasLtGetVersion(void)
{
    const char *said = getenv("STANDIN_CUBLASLT_VERSION");
    return said ? (size_t)atoll(said) : CUBLAS_VERSION;
}

const char *cublasLtGetStatusString(cublasStatus_t s)
{
    switch (s) {
    case CUBLAS_STATUS_SUCCESS:
        return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "not initialized";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "invalid value";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "not supported";
    default:
        return "another status";
    }
}

// ---- handles and descriptions ------------------------------------------------------------------

static void *new_thing(size_t bytes)
{
    uint64_t *x = calloc(1, bytes);
    if (!x) lt_unmodelled("out of memory");
    *x = LT_ALIVE;
    return x;
}

static cublasStatus_t end_thing(void *thing, const char *what)
{
    uint64_t *x = thing;
    if (!x || *x != LT_ALIVE) lt_unmodelled("%s that is none is destroyed", what);
    *x = 0;
    free(x);
    return CUBLAS_STATUS_SUCCESS;
}

static bool is_alive(const void *thing, const char *what)
{
    const uint64_t *x = thing;
    return (x && *x == LT_ALIVE) || lt_refuse("%s is none", what);
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    const char *said = getenv("STANDIN_CUBLASLT_MEMORY");
    const size_t bytes = said ? (size_t)atoll(said) << 20 : 0;
    void *memory = bytes ? standin_memory_new(bytes) : NULL;
    if (bytes && !memory) return CUBLAS_STATUS_ALLOC_FAILED;
    *handle = new_thing(sizeof **handle);
    (*handle)->memory = memory;
    (*handle)->bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    if (is_alive(handle, "a handle") && handle->memory)
        standin_memory_free(handle->memory, handle->bytes);
    return end_thing(handle, "a handle");
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F)
        lt_unmodelled("compute type %d with scale type %d is not modelled", (int)compute,
                      (int)scale);
    lt_desc *x = new_thing(sizeof *x);
    x->turn_a = x->turn_b = CUBLAS_OP_N;
    x->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    x->bias_type = -1;
    *out = (cublasLtMatmulDesc_t)(void *)x;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t x)
{
    return end_thing(x, "a description");
}

// to = the value, of the attribute's size exactly.
static cublasStatus_t take(void *to, size_t size, const void *value, size_t bytes)
{
    if (!value || bytes != size) {
        lt_refuse("an attribute of %zu bytes is set by %zu", size, bytes);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(to, value, size);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t what,
                                              const void *value, size_t bytes)
{
    lt_desc *x = (lt_desc *)(void *)desc;
    if (!is_alive(x, "a description")) return CUBLAS_STATUS_INVALID_VALUE;
    switch (what) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return take(&x->turn_a, sizeof x->turn_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return take(&x->turn_b, sizeof x->turn_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return take(&x->epilogue, sizeof x->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return take(&x->bias, sizeof x->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
        return take(&x->bias_type, sizeof x->bias_type, value, bytes);
    default:
        lt_unmodelled("attribute %d of a description is not modelled", (int)what);
    }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld)
{
    lt_layout *x = new_thing(sizeof *x);
    x->type = type;
    x->rows = rows;
    x->cols = cols;
    x->ld = ld;
    *out = (cublasLtMatrixLayout_t)(void *)x;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t x)
{
    return end_thing(x, "a layout");
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    lt_preference *x = new_thing(sizeof *x);
    x->reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
    for (int i = 0; i < 4; i++) x->align[i] = 256;
    *out = (cublasLtMatmulPreference_t)(void *)x;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t x)
{
    return end_thing(x, "a preference");
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t what,
                                                    const void *value, size_t bytes)
{
    lt_preference *x = (lt_preference *)(void *)preference;
    if (!is_alive(x, "a preference")) return CUBLAS_STATUS_INVALID_VALUE;
    switch (what) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return take(&x->workspace, sizeof x->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return take(&x->reductions, sizeof x->reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return take(&x->align[0], sizeof x->align[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return take(&x->align[1], sizeof x->align[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return take(&x->align[2], sizeof x->align[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return take(&x->align[3], sizeof x->align[3], value, bytes);
    default:
        lt_unmodelled("attribute %d of a preference is not modelled", (int)what);
    }
}

// ---- a problem ---------------------------------------------------------------------------------

static bool layout_is_right(const lt_layout *x, const char *which)
{
    if (!is_alive(x, "a layout")) return false;
    (void)lt_size(x->type);
    if (!x->rows || !x->cols || x->rows > INT32_MAX || x->cols > INT32_MAX)
        return lt_refuse("%s has %llu rows and %llu columns", which, (unsigned long long)x->rows,
                         (unsigned long long)x->cols);
    if (x->ld < (int64_t)x->rows)
        return lt_refuse("%s: columns of %llu lie %lld apart", which, (unsigned long long)x->rows,
                         (long long)x->ld);
    return true;
}

static bool extents_fit(const lt_layout *a, const lt_layout *b, const lt_layout *c,
                        const lt_layout *d, lt_problem *p)
{
    const uint64_t m = p->turn_a ? a->cols : a->rows, k = p->turn_a ? a->rows : a->cols;
    const uint64_t n = p->turn_b ? b->rows : b->cols, inner = p->turn_b ? b->cols : b->rows;
    p->m = (int64_t)m, p->n = (int64_t)n, p->k = (int64_t)k;
    if (k != inner || c->rows != m || c->cols != n || d->rows != m || d->cols != n)
        return lt_refuse("op(A) %llu x %llu, op(B) %llu x %llu, C %llu x %llu, D %llu x %llu do "
                         "not fit",
                         (unsigned long long)m, (unsigned long long)k, (unsigned long long)inner,
                         (unsigned long long)n, (unsigned long long)c->rows,
                         (unsigned long long)c->cols, (unsigned long long)d->rows,
                         (unsigned long long)d->cols);
    return true;
}

static bool turn_is_right(int32_t turn)
{
    if (turn != CUBLAS_OP_N && turn != CUBLAS_OP_T)
        lt_unmodelled("transposing by %d is not modelled", (int)turn);
    return true;
}

// The types that the library's documentation lists for sums in fp32, of those modelled.
static bool types_fit(const lt_layout *a, const lt_layout *b, const lt_layout *c,
                      const lt_layout *d, const lt_desc *desc)
{
    const bool to = d->type == a->type || d->type == CUDA_R_32F;
    const bool biased = desc->epilogue == CUBLASLT_EPILOGUE_BIAS;
    if (a->type != b->type || c->type != d->type || !to)
        return lt_refuse("types %d, %d to %d, %d are not supported", (int)a->type, (int)b->type,
                         (int)c->type, (int)d->type);
    if (biased && desc->bias_type != -1 && desc->bias_type != (int32_t)d->type)
        return lt_refuse("a bias of type %d for a result of type %d is not supported",
                         (int)desc->bias_type, (int)d->type);
    return true;
}

cublasStatus_t lt_problem_of(cublasLtHandle_t handle, const void *desc, const void *a,
                             const void *b, const void *c, const void *d, lt_problem *out)
{
    const lt_desc *x = desc;
    const lt_layout *of_a = a, *of_b = b, *of_c = c, *of_d = d;
    if (!is_alive(handle, "a handle")) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!is_alive(x, "a description") || !layout_is_right(a, "A") || !layout_is_right(b, "B") ||
        !layout_is_right(c, "C") || !layout_is_right(d, "D"))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (x->epilogue != CUBLASLT_EPILOGUE_DEFAULT && x->epilogue != CUBLASLT_EPILOGUE_BIAS)
        lt_unmodelled("epilogue %u is not modelled", x->epilogue);
    *out = (lt_problem){.turn_a = turn_is_right(x->turn_a) && x->turn_a == CUBLAS_OP_T,
                        .turn_b = turn_is_right(x->turn_b) && x->turn_b == CUBLAS_OP_T,
                        .type = of_a->type,
                        .to = of_d->type,
                        .ld_a = of_a->ld,
                        .ld_b = of_b->ld,
                        .ld_c = of_c->ld,
                        .ld_d = of_d->ld,
                        .bias = x->epilogue == CUBLASLT_EPILOGUE_BIAS ? x->bias : NULL};
    if (x->epilogue == CUBLASLT_EPILOGUE_BIAS && !x->bias) {
        lt_refuse("an epilogue with a bias has none");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!extents_fit(a, b, c, d, out)) return CUBLAS_STATUS_INVALID_VALUE;
    return types_fit(a, b, c, d, x) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}
