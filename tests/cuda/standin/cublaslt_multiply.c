// SPDX-License-Identifier: Apache-2.0
// Of the stand-in for cuBLASLt: a product. Algorithms differ in the order of their sums, and so in
// bits.
#include "core/numbers/half.h"
#include "tests/cuda/standin/cublaslt.h"
#include "tests/cuda/standin/standin.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct job {
    lt_problem p;
    lt_kind kind;
    float alpha, beta;
    const void *a, *b, *c;
    void *d;
    float *workspace;
    int64_t longer; // nanoseconds
} job;

static float element(const void *x, cudaDataType_t t, int64_t i)
{
    return t == CUDA_R_32F ? ((const float *)x)[i] : tk_bf16_to_float(((const uint16_t *)x)[i]);
}

static void set_element(void *x, cudaDataType_t t, int64_t i, float value)
{
    if (t == CUDA_R_32F)
        ((float *)x)[i] = value;
    else
        ((uint16_t *)x)[i] = tk_bf16_from_float(value);
}

// (lines, k) row-major in fp32, of a matrix whose element (line, i) lies at line * by + i * step.
static float *gathered(const void *x, cudaDataType_t t, int64_t lines, int64_t k, int64_t by,
                       int64_t step)
{
    float *to = malloc((size_t)(lines * k) * sizeof *to);
    if (!to) lt_unmodelled("out of memory");
    for (int64_t line = 0; line < lines; line++)
        for (int64_t i = 0; i < k; i++) to[line * k + i] = element(x, t, line * by + i * step);
    return to;
}

// In `lanes` sums, which are added up in order.
static inline __attribute__((always_inline)) float dot_in(const float *a, const float *b, int64_t n,
                                                          int lanes)
{
    float sum[32] = {0}, all = 0;
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes)
        for (int l = 0; l < lanes; l++) sum[l] += a[i + l] * b[i + l];
    for (int l = 0; i < n; i++, l++) sum[l] += a[i] * b[i];
    for (int l = 0; l < lanes; l++) all += sum[l];
    return all;
}

static float dot(lt_kind kind, const float *a, const float *b, int64_t n)
{
    if (kind == LT_NARROW) return dot_in(a, b, n, 8);
    return kind == LT_WIDE ? dot_in(a, b, n, 32) : dot_in(a, b, n, 16);
}

// Partial sums pass through the workspace; in place, they are added up in whatever order.
static float dot_in_parts(const job *j, const float *a, const float *b, int64_t at)
{
    enum { PARTS = 4 };
    static int64_t moment;
    const lt_problem *p = &j->p;
    const int64_t each = (p->k + PARTS - 1) / PARTS;
    const int64_t first = j->kind == LT_INPLACE ? moment++ : 0;
    float all = 0;
    for (int i = 0; i < PARTS; i++) {
        const int64_t begin = i * each < p->k ? i * each : p->k;
        const int64_t n = begin + each < p->k ? each : p->k - begin;
        const float part = dot(j->kind, a + begin, b + begin, n);
        float *to = &j->workspace[at * PARTS + i];
        *to = part;
        if (j->kind == LT_ROUNDED && p->to == CUDA_R_16BF)
            *to = tk_bf16_to_float(tk_bf16_from_float(part));
    }
    for (int i = 0; i < PARTS; i++) all += j->workspace[at * PARTS + (first + i) % PARTS];
    return all;
}

static void multiply(const job *j)
{
    const lt_problem *p = &j->p;
    const bool parts = j->kind == LT_INPLACE || j->kind == LT_ROUNDED || j->kind == LT_SPLIT;
    float *a =
        gathered(j->a, p->type, p->m, p->k, p->turn_a ? p->ld_a : 1, p->turn_a ? 1 : p->ld_a);
    float *b =
        gathered(j->b, p->type, p->n, p->k, p->turn_b ? 1 : p->ld_b, p->turn_b ? p->ld_b : 1);
    for (int64_t col = 0; col < p->n; col++)
        for (int64_t row = 0; row < p->m; row++) {
            const float *x = a + row * p->k, *y = b + col * p->k;
            float sum = parts ? dot_in_parts(j, x, y, col * p->m + row) : dot(j->kind, x, y, p->k);
            sum *= j->alpha;
            if ((j->beta != 0 || p->bias) && p->to == CUDA_R_16BF)
                sum = tk_bf16_to_float(tk_bf16_from_float(sum)); // before anything is added
            if (j->beta != 0) sum += j->beta * element(j->c, p->to, col * p->ld_c + row);
            if (p->bias) sum += element(p->bias, p->to, row);
            set_element(j->d, p->to, col * p->ld_d + row, sum);
        }
    free(a);
    free(b);
}

static bool is_wrong_here(void)
{
    const char *wrong = getenv("STANDIN_CUBLASLT_WRONG"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    return wrong && atoi(wrong) == (rank ? atoi(rank) : 0);
}

static standin_turn run_product(void *what)
{
    const job *j = what;
    const lt_problem *p = &j->p;
    const struct timespec longer = {.tv_nsec = j->longer};
    if (j->longer) nanosleep(&longer, NULL);
    multiply(j);
    if (is_wrong_here()) set_element(j->d, p->to, (p->n - 1) * p->ld_d + p->m - 1, 1e6F);
    return STANDIN_DONE;
}

// ---- what is asked for -------------------------------------------------------------------------

static size_t extent(int64_t lines, int64_t width, int64_t ld, cudaDataType_t t)
{
    return (size_t)((lines - 1) * ld + width) * lt_size(t);
}

static bool memory_is_right(const job *j, size_t needs, size_t has)
{
    const lt_problem *p = &j->p;
    const void *const x[] = {j->a, j->b, j->beta != 0 ? j->c : NULL, j->d, p->bias};
    const size_t bytes[] = {
        p->turn_a ? extent(p->m, p->k, p->ld_a, p->type) : extent(p->k, p->m, p->ld_a, p->type),
        p->turn_b ? extent(p->k, p->n, p->ld_b, p->type) : extent(p->n, p->k, p->ld_b, p->type),
        extent(p->n, p->m, p->ld_c, p->to), extent(p->n, p->m, p->ld_d, p->to),
        (size_t)p->m * lt_size(p->to)};
    for (int i = 0; i < 5; i++) {
        const uint32_t align = lt_alignment(j->kind, i < 2 ? p->type : p->to);
        const uintptr_t at = (uintptr_t)x[i], d = (uintptr_t)j->d;
        if (!at && (i == 2 || i == 4)) continue;
        if (!at || at % align)
            return lt_refuse("algorithm %d needs addresses that are multiples of %u: operand %d",
                             (int)j->kind, align, i);
        if (i != 2 && i != 3 && at < d + bytes[3] && d < at + bytes[i])
            return lt_refuse("operand %d lies where the result does", i);
        standin_needs_device("cublasLtMatmul", x[i], bytes[i]);
    }
    if ((uintptr_t)j->workspace % LT_WORKSPACE_ALIGN)
        return lt_refuse("a workspace at %p, no multiple of %d", (void *)j->workspace,
                         LT_WORKSPACE_ALIGN);
    if (!needs) return true;
    if (has < needs || !j->workspace)
        return lt_refuse("algorithm %d needs a workspace of %zu bytes, has %zu at %p", (int)j->kind,
                         needs, has, (void *)j->workspace);
    standin_needs_device("cublasLtMatmul", j->workspace, needs);
    return true;
}

// Nanoseconds.
static int64_t longer_by(lt_kind kind)
{
    const char *fast = getenv("STANDIN_CUBLASLT_FAST");
    const char *by = fast ? strchr(fast, ':') : NULL;
    if (!fast || atoi(fast) == (int)kind) return 0;
    return (by ? atoi(by + 1) : 1) * (int64_t)1000000;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t of_a, const void *b,
                              cublasLtMatrixLayout_t of_b, const void *beta, const void *c,
                              cublasLtMatrixLayout_t of_c, void *d, cublasLtMatrixLayout_t of_d,
                              const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream)
{
    const char *only = getenv("STANDIN_CUBLASLT_ONLY");
    size_t needs = 0;
    job j = {.a = a, .b = b, .c = c, .d = d, .workspace = workspace};
    cublasStatus_t s = lt_problem_of(handle, desc, of_a, of_b, of_c, of_d, &j.p);
    if (s == CUBLAS_STATUS_SUCCESS) s = lt_kind_of(algo, &j.p, &j.kind, &needs);
    if (s != CUBLAS_STATUS_SUCCESS) return s;
    if (!alpha || !beta) return CUBLAS_STATUS_INVALID_VALUE;
    j.alpha = *(const float *)alpha;
    j.beta = *(const float *)beta;
    j.longer = longer_by(j.kind);
    if (c == d && (j.p.ld_c != j.p.ld_d)) return CUBLAS_STATUS_INVALID_VALUE;
    if (only && atoi(only) != (int)j.kind) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!memory_is_right(&j, needs, workspace_bytes)) return CUBLAS_STATUS_INVALID_VALUE;
    const cudaError_t e = standin_enqueue(stream, "cublasLtMatmul", run_product, &j, sizeof j);
    if (e == cudaErrorMemoryAllocation) return CUBLAS_STATUS_ALLOC_FAILED;
    return e == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
