// SPDX-License-Identifier: Apache-2.0
// Of the stand-in for cuBLASLt: which algorithms there are for a product.
#include "tests/cuda/standin/cublaslt.h"
#include <string.h>

enum { MAGIC = 0x7ab1e, PARTS = 4 };

static const struct {
    uint32_t reduction; // cublasLtReductionScheme_t; NONE needs no workspace
    uint32_t align;     // bytes
} about[LT_KINDS] = {
    [LT_INPLACE] = {CUBLASLT_REDUCTION_SCHEME_INPLACE, 4},
    [LT_ROUNDED] = {CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE, 4},
    [LT_PLAIN] = {CUBLASLT_REDUCTION_SCHEME_NONE, 16},
    [LT_SPLIT] = {CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 8},
    [LT_NARROW] = {CUBLASLT_REDUCTION_SCHEME_NONE, 4},
    [LT_WIDE] = {CUBLASLT_REDUCTION_SCHEME_NONE, 4},
};

uint32_t lt_alignment(lt_kind kind, cudaDataType_t t)
{
    const uint32_t least = (uint32_t)lt_size(t);
    return about[kind].align > least ? about[kind].align : least;
}

static size_t workspace_of(lt_kind kind, const lt_problem *p)
{
    if (about[kind].reduction == CUBLASLT_REDUCTION_SCHEME_NONE) return 0;
    return (size_t)(p->m * p->n) * PARTS * sizeof(float);
}

// What an algorithm was made for: it does no others.
static uint64_t signature(const lt_problem *p)
{
    return (uint64_t)p->type << 32 | (uint64_t)p->to << 16 | (uint64_t)p->turn_a << 2 |
           (uint64_t)p->turn_b << 1 | (uint64_t)(p->bias != NULL);
}

static bool columns_fit(lt_kind kind, const lt_problem *p)
{
    const uint64_t ab = lt_alignment(kind, p->type), cd = lt_alignment(kind, p->to);
    const uint64_t of_ab = lt_size(p->type), of_cd = lt_size(p->to);
    return (uint64_t)p->ld_a * of_ab % ab == 0 && (uint64_t)p->ld_b * of_ab % ab == 0 &&
           (uint64_t)p->ld_c * of_cd % cd == 0 && (uint64_t)p->ld_d * of_cd % cd == 0;
}

// Whether memory that is a multiple of `align` serves, for a, b, c, d.
static bool addresses_fit(lt_kind kind, const lt_problem *p, const uint32_t align[4])
{
    for (int i = 0; i < 4; i++) {
        const uint32_t needs = lt_alignment(kind, i < 2 ? p->type : p->to);
        if (!align[i] || align[i] & (align[i] - 1)) lt_unmodelled("alignment of %u", align[i]);
        if (align[i] < needs) return false;
    }
    return !p->bias || (uintptr_t)p->bias % lt_alignment(kind, p->to) == 0;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t result[], int *found)
{
    const lt_preference *f = (const lt_preference *)(const void *)preference;
    lt_problem p;
    const cublasStatus_t s = lt_problem_of(handle, desc, a, b, c, d, &p);
    if (s != CUBLAS_STATUS_SUCCESS) return s;
    if (most <= 0 || !f || f->alive != LT_ALIVE) return CUBLAS_STATUS_INVALID_VALUE;
    *found = 0;
    for (int kind = 0; kind < LT_KINDS && *found < most; kind++) {
        const uint32_t reduction = about[kind].reduction;
        if (reduction != CUBLASLT_REDUCTION_SCHEME_NONE && !(f->reductions & reduction)) continue;
        if (!columns_fit(kind, &p) || !addresses_fit(kind, &p, f->align)) continue;
        if (workspace_of(kind, &p) > f->workspace) continue;
        cublasLtMatmulHeuristicResult_t *r = &result[(*found)++];
        *r = (cublasLtMatmulHeuristicResult_t){.workspaceSize = workspace_of(kind, &p),
                                               .state = CUBLAS_STATUS_SUCCESS};
        r->algo.data[0] = MAGIC;
        r->algo.data[1] = (uint64_t)kind;
        r->algo.data[2] = signature(&p);
        r->algo.data[3] = cublasLtGetVersion();
    }
    return *found ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t lt_kind_of(const cublasLtMatmulAlgo_t *algo, const lt_problem *p, lt_kind *kind,
                          size_t *workspace)
{
    if (!algo) lt_unmodelled("a product without an algorithm is not modelled");
    if (algo->data[0] != MAGIC || algo->data[1] >= LT_KINDS ||
        algo->data[3] != cublasLtGetVersion()) {
        lt_refuse("an algorithm that is none of this version's");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    *kind = (lt_kind)algo->data[1];
    *workspace = workspace_of(*kind, p);
    if (algo->data[2] == signature(p) && columns_fit(*kind, p)) return CUBLAS_STATUS_SUCCESS;
    lt_refuse("algorithm %d does not do this product", (int)*kind);
    return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *algo,
                                       cublasLtMatmulHeuristicResult_t *result)
{
    lt_problem p;
    lt_kind kind;
    cublasStatus_t s = lt_problem_of(handle, desc, a, b, c, d, &p);
    if (s == CUBLAS_STATUS_SUCCESS) s = lt_kind_of(algo, &p, &kind, &result->workspaceSize);
    result->state = s;
    return s;
}
