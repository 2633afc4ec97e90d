// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/blas.h"
#include "core/base/log.h"
#include "core/device/cuda/choices.h"
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

// ---- the library -----------------------------------------------------------------------------

// X(function): those that are used.
#define LIBRARY_CALLS(X)                    \
    X(cublasLtCreate)                       \
    X(cublasLtDestroy)                      \
    X(cublasLtGetVersion)                   \
    X(cublasLtGetStatusString)              \
    X(cublasLtMatmulDescCreate)             \
    X(cublasLtMatmulDescDestroy)            \
    X(cublasLtMatmulDescSetAttribute)       \
    X(cublasLtMatrixLayoutCreate)           \
    X(cublasLtMatrixLayoutDestroy)          \
    X(cublasLtMatmulPreferenceCreate)       \
    X(cublasLtMatmulPreferenceDestroy)      \
    X(cublasLtMatmulPreferenceSetAttribute) \
    X(cublasLtMatmulAlgoGetHeuristic)       \
    X(cublasLtMatmulAlgoCheck)              \
    X(cublasLtMatmul)

static struct {
#define LIBRARY_ROW(name) __typeof__(name) *name;
    LIBRARY_CALLS(LIBRARY_ROW)
#undef LIBRARY_ROW
} lt;
static char fault[512]; // why they are not there

// The interface is that of a major version, the name a version of it by which it is installed.
static const char *const NAMES[] = {"libcublasLt.so.13", "libcublasLt.so"};

static void load_calls(void)
{
    static const struct {
        const char *name;
        void *to;
    } call[] = {
#define LIBRARY_ROW(name) {#name, &lt.name},
        LIBRARY_CALLS(LIBRARY_ROW)
#undef LIBRARY_ROW
    };
    char first[256] = "";
    void *library = NULL;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES && !library; i++) {
        library = dlopen(NAMES[i], RTLD_NOW | RTLD_LOCAL);
        if (!library && !*first) snprintf(first, sizeof first, "%s", dlerror());
    }
    if (!library) snprintf(fault, sizeof fault, "%s", first);
    for (size_t i = 0; i < sizeof call / sizeof *call && !*fault; i++) {
        void *f = dlsym(library, call[i].name);
        if (!f) snprintf(fault, sizeof fault, "%s", dlerror());
        memcpy(call[i].to, &f, sizeof f);
    }
    const size_t major = *fault ? CUBLAS_VER_MAJOR : lt.cublasLtGetVersion() / 10000;
    if (major != CUBLAS_VER_MAJOR)
        snprintf(fault, sizeof fault, "the one found is of version %zu", major);
}

static tk_status load_library(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_calls);
    if (!*fault) return TK_OK;
    return TK_FAIL(
        TK_INPUT,
        "device=cuda needs cuBLASLt, version %d, for matrix products: %s. Install cuBLAS "
        "of CUDA %d, or name its folder in LD_LIBRARY_PATH",
        CUBLAS_VER_MAJOR, fault, CUBLAS_VER_MAJOR);
}

struct tk_cuda_blas {
    cublasLtHandle_t handle;
    cudaEvent_t from, to;   // of timings
    bool learning;          // shapes first met are timed
    tk_cuda_choices chosen; // for classes of shapes: read or timed
    tk_cuda_choices met;    // for shapes as they are
};

static tk_status check_library(const tk_device *d, cublasStatus_t s, const char *what)
{
    if (s == CUBLAS_STATUS_SUCCESS) return TK_OK;
    return tk_cuda_library_failed(d, "cuBLASLt", what, lt.cublasLtGetStatusString(s),
                                  s == CUBLAS_STATUS_ALLOC_FAILED);
}

static tk_status start_blas(tk_device *d, tk_cuda_blas *b)
{
    TK_TRY(check_library(d, lt.cublasLtCreate(&b->handle), "opening it"));
    cudaError_t e = cudaEventCreateWithFlags(&b->from, cudaEventDefault);
    if (!e) e = cudaEventCreateWithFlags(&b->to, cudaEventDefault);
    return tk_cuda_check(d, e, "making events");
}

tk_status tk_cuda_blas_open(tk_device *d)
{
    tk_cuda *c = tk_cuda_of(d);
    if (c->blas) return TK_OK;
    TK_TRY(load_library());
    tk_cuda_blas *b;
    TK_NEW(b, 1);
    b->chosen.version = lt.cublasLtGetVersion();
    snprintf(b->chosen.gpu, sizeof b->chosen.gpu, "%s", c->name);
    c->blas = b;
    const tk_status st = start_blas(d, b);
    if (st != TK_OK) tk_cuda_blas_close(c);
    TK_TRY(st);
    return TK_OK;
}

size_t tk_cuda_blas_version(const tk_device *d)
{
    const tk_cuda_blas *b = tk_cuda_of(d)->blas;
    return b ? b->chosen.version : 0;
}

void tk_cuda_blas_close(tk_cuda *c)
{
    tk_cuda_blas *b = c->blas;
    if (!b) return;
    if (b->from) (void)cudaEventDestroy(b->from);
    if (b->to) (void)cudaEventDestroy(b->to);
    if (b->handle) (void)lt.cublasLtDestroy(b->handle);
    tk_cuda_choices_free(&b->chosen);
    tk_cuda_choices_free(&b->met);
    tk_free(b);
    c->blas = NULL;
}

// ---- a product in the library's words ----------------------------------------------------------
//
// The library's matrices are column-major: what is row-major here is its transpose there, and
// d^T = b^T a^T. So its A is our b, its B our a.

typedef struct lt_product {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d;
} lt_product;

static cudaDataType_t type_of(tk_dtype t)
{
    return t == TK_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasStatus_t set_desc(lt_product *x, cublasLtMatmulDescAttributes_t what,
                               const void *value, size_t bytes)
{
    return lt.cublasLtMatmulDescSetAttribute(x->desc, what, value, bytes);
}

// The layout of our (rows, cols).
static cublasStatus_t lay_operand(cublasLtMatrixLayout_t *out, const tk_matrix *m, int64_t rows,
                                  int64_t cols)
{
    const int64_t lines = m->transposed ? cols : rows, width = m->transposed ? rows : cols;
    return lt.cublasLtMatrixLayoutCreate(out, type_of(m->type), (uint64_t)width, (uint64_t)lines,
                                         m->ld);
}

static void close_product(lt_product *x)
{
    if (x->desc) (void)lt.cublasLtMatmulDescDestroy(x->desc);
    if (x->a) (void)lt.cublasLtMatrixLayoutDestroy(x->a);
    if (x->b) (void)lt.cublasLtMatrixLayoutDestroy(x->b);
    if (x->d) (void)lt.cublasLtMatrixLayoutDestroy(x->d);
}

static cublasStatus_t set_product(lt_product *x, const tk_cuda_product *p)
{
    const int32_t turn_a = p->b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int32_t turn_b = p->a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const uint32_t epilogue = p->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    const int32_t bias = (int32_t)type_of(p->bias_type);
    cublasStatus_t s = lt.cublasLtMatmulDescCreate(&x->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (!s) s = set_desc(x, CUBLASLT_MATMUL_DESC_TRANSA, &turn_a, sizeof turn_a);
    if (!s) s = set_desc(x, CUBLASLT_MATMUL_DESC_TRANSB, &turn_b, sizeof turn_b);
    if (!s) s = set_desc(x, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (!s && p->bias) s = set_desc(x, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias, sizeof p->bias);
    if (!s && p->bias) s = set_desc(x, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias, sizeof bias);
    if (!s) s = lay_operand(&x->a, &p->b, p->depth, p->cols);
    if (!s) s = lay_operand(&x->b, &p->a, p->rows, p->depth);
    if (!s) s = lay_operand(&x->d, &p->d, p->rows, p->cols);
    return s;
}

static cublasStatus_t launch(tk_device *d, const lt_product *x, const tk_cuda_product *p,
                             const cublasLtMatmulAlgo_t *algo)
{
    const float one = 1, beta = p->add;
    return lt.cublasLtMatmul(tk_cuda_of(d)->blas->handle, x->desc, &one, p->b.data, x->a, p->a.data,
                             x->b, &beta, p->d.data, x->d, p->d.data, x->d, algo, d->scratch,
                             tk_cuda_product_scratch(p->rows, p->cols), tk_cuda_stream(d));
}

static const char *name_of(const tk_cuda_product *p, char *words, size_t room)
{
    snprintf(words, room, "a product of %lld x %lld by %lld x %lld in %s", (long long)p->rows,
             (long long)p->depth, (long long)p->depth, (long long)p->cols,
             p->a.type == TK_BF16 ? "bf16" : "fp32");
    return words;
}

// Room for partial sums in fp32, as many as help a product whose result is small; on Hopper no more
// than 32 MiB ever do.
size_t tk_cuda_product_scratch(int64_t rows, int64_t cols)
{
    enum { SPLITS = 8, LEAST = 1 << 20, MOST = 32 << 20 };
    const double wanted = (double)rows * (double)cols * SPLITS * sizeof(float);
    if (!rows || !cols) return 0;
    return wanted < LEAST ? LEAST : wanted < MOST ? (size_t)wanted / 256 * 256 : MOST;
}

// ---- choosing -----------------------------------------------------------------------------------

// Partial sums are added up in fp32 and in order; not where they lie, in whatever order or type.
enum { REDUCTIONS = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, CANDIDATES = 5 };

static cublasStatus_t prefer(cublasLtMatmulPreference_t f, const tk_cuda_product *p,
                             const tk_cuda_shape *s)
{
    const uint64_t bytes = tk_cuda_product_scratch(p->rows, p->cols);
    const uint32_t reductions = REDUCTIONS, of_a = 1u << (s->align & 255),
                   of_b = 1u << (s->align >> 8 & 255), of_d = 1u << (s->align >> 16 & 255);
    const struct {
        cublasLtMatmulPreferenceAttributes_t what;
        const void *value;
        size_t bytes;
    } row[] = {{CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes},
               {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions},
               {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &of_b, sizeof of_b},
               {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &of_a, sizeof of_a},
               {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &of_d, sizeof of_d},
               {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &of_d, sizeof of_d}};
    cublasStatus_t st = CUBLAS_STATUS_SUCCESS;
    for (size_t i = 0; i < sizeof row / sizeof *row && !st; i++)
        st = lt.cublasLtMatmulPreferenceSetAttribute(f, row[i].what, row[i].value, row[i].bytes);
    return st;
}

// What the heuristic names, best first; *n is 0 where there is nothing for these sizes, types and
// addresses.
static tk_status candidates(tk_device *d, const lt_product *x, const tk_cuda_product *p,
                            const tk_cuda_shape *s, cublasLtMatmulHeuristicResult_t *list, int most,
                            int *n)
{
    cublasLtMatmulPreference_t f;
    int found = 0;
    TK_TRY(check_library(d, lt.cublasLtMatmulPreferenceCreate(&f), "a preference"));
    cublasStatus_t st = prefer(f, p, s);
    if (!st)
        st = lt.cublasLtMatmulAlgoGetHeuristic(tk_cuda_of(d)->blas->handle, x->desc, x->a, x->b,
                                               x->d, x->d, f, most, list, &found);
    (void)lt.cublasLtMatmulPreferenceDestroy(f);
    *n = 0;
    if (st == CUBLAS_STATUS_NOT_SUPPORTED) return TK_OK;
    TK_TRY(check_library(d, st, "choosing an algorithm"));
    for (int i = 0; i < found; i++)
        if (list[i].state == CUBLAS_STATUS_SUCCESS) list[(*n)++] = list[i];
    return TK_OK;
}

// Milliseconds of some launches, the least of a few times; the host waits. An algorithm that does
// not start takes for ever.
static tk_status time_launches(tk_device *d, const lt_product *x, const tk_cuda_product *p,
                               const cublasLtMatmulAlgo_t *algo, float *least)
{
    enum { ROUNDS = 3, TIMES = 4 };
    const tk_cuda_blas *b = tk_cuda_of(d)->blas;
    const cudaStream_t stream = tk_cuda_stream(d);
    cublasStatus_t st = launch(d, x, p, algo); // code is loaded, the GPU awake
    *least = INFINITY;
    for (int round = 0; round < ROUNDS && !st; round++) {
        float ms = 0;
        cudaError_t e = cudaEventRecord(b->from, stream);
        for (int i = 0; i < TIMES && !st; i++) st = launch(d, x, p, algo);
        if (!e) e = cudaEventRecord(b->to, stream);
        if (!e) e = cudaEventSynchronize(b->to);
        if (!e) e = cudaEventElapsedTime(&ms, b->from, b->to);
        TK_TRY(tk_cuda_check(d, e, "timing a matrix product"));
        if (ms < *least) *least = ms;
    }
    if (st) *least = INFINITY;
    return TK_OK;
}

// A later one must be faster by more than timings differ.
static tk_status fastest(tk_device *d, const lt_product *x, const tk_cuda_product *p,
                         const cublasLtMatmulHeuristicResult_t *list, int n, int *best)
{
    float least = INFINITY;
    *best = 0;
    for (int i = 0; i < n; i++) {
        float ms = 0;
        TK_TRY(time_launches(d, x, p, &list[i].algo, &ms));
        if (ms < least * 0.98f) least = ms, *best = i;
    }
    return TK_OK;
}

// Whether an algorithm chosen for the class of a shape does it too.
static bool does(tk_device *d, const lt_product *x, const tk_cuda_product *p,
                 const tk_cuda_choice *c)
{
    cublasLtMatmulHeuristicResult_t r = {.state = CUBLAS_STATUS_NOT_SUPPORTED};
    if (c->none) return true;
    if (lt.cublasLtMatmulAlgoCheck(tk_cuda_of(d)->blas->handle, x->desc, x->a, x->b, x->d, x->d,
                                   &c->algo, &r))
        return false;
    return r.workspaceSize <= tk_cuda_product_scratch(p->rows, p->cols);
}

// The heuristic's first, or while learning the fastest of its first few.
static tk_status pick(tk_device *d, const lt_product *x, const tk_cuda_product *p,
                      tk_cuda_choice *c)
{
    const bool learning = tk_cuda_of(d)->blas->learning;
    cublasLtMatmulHeuristicResult_t list[CANDIDATES];
    char words[128];
    int n = 0, best = 0;
    TK_TRY(candidates(d, x, p, &c->shape, list, learning ? CANDIDATES : 1, &n));
    if (learning && n > 1) TK_TRY(fastest(d, x, p, list, n, &best));
    c->none = n == 0;
    if (n) c->algo = list[best].algo;
    if (!n)
        tk_log_verbose("cuBLASLt has nothing for %s; the plain kernel does it",
                       name_of(p, words, sizeof words));
    return TK_OK;
}

static tk_status choose(tk_device *d, const lt_product *x, const tk_cuda_product *p,
                        const tk_cuda_choice **out)
{
    tk_cuda_blas *b = tk_cuda_of(d)->blas;
    const tk_cuda_shape shape = tk_cuda_shape_of(p), like = tk_cuda_shape_class(&shape);
    if ((*out = tk_cuda_choices_find(&b->met, &shape))) return TK_OK;
    const tk_cuda_choice *known = tk_cuda_choices_find(&b->chosen, &like);
    tk_cuda_choice c = {.shape = shape};
    if (known && does(d, x, p, known)) {
        c = *known;
        c.shape = shape;
    } else
        TK_TRY(pick(d, x, p, &c));
    TK_TRY(tk_cuda_choices_add(&b->met, &c));
    *out = tk_cuda_choices_find(&b->met, &shape);
    if (known || !b->learning) return TK_OK;
    c.shape = like;
    return tk_cuda_choices_add(&b->chosen, &c);
}

// ---- multiplying --------------------------------------------------------------------------------

// Sizes that the library's numbers hold.
static bool takes(const tk_cuda_product *p)
{
    return p->depth > 0 && p->rows <= INT32_MAX && p->cols <= INT32_MAX && p->depth <= INT32_MAX;
}

static tk_status multiply(tk_device *d, const lt_product *x, const tk_cuda_product *p)
{
    const tk_cuda_choice *c;
    TK_TRY(choose(d, x, p, &c));
    if (c->none) return tk_cuda_multiply_plain(d, p);
    char words[128];
    return check_library(d, launch(d, x, p, &c->algo), name_of(p, words, sizeof words));
}

tk_status tk_cuda_multiply(tk_device *d, const tk_cuda_product *p)
{
    lt_product x = {0};
    if (!p->rows || !p->cols) return TK_OK;
    if (!takes(p)) return tk_cuda_multiply_plain(d, p);
    TK_TRY(tk_cuda_blas_open(d));
    tk_status st = check_library(d, set_product(&x, p), "describing a product");
    if (st == TK_OK) st = multiply(d, &x, p);
    close_product(&x);
    TK_TRY(st);
    return TK_OK;
}

// ---- what is kept of choices -------------------------------------------------------------------

static tk_status note_attention(tk_device *d)
{
    const int64_t version = d->attention.version;
    tk_cuda_choice c = {.shape = tk_cuda_attention_choice, .none = version == 0};
    c.algo.data[0] = (uint64_t)version;
    return tk_cuda_choices_add(&tk_cuda_of(d)->blas->chosen, &c);
}

// A run goes on with what did its attention; one that has nothing of it knew our own kernels alone.
static void recall_attention(tk_device *d)
{
    const tk_cuda_choices *chosen = &tk_cuda_of(d)->blas->chosen;
    const tk_cuda_choice *c = tk_cuda_choices_find(chosen, &tk_cuda_attention_choice);
    const int64_t was = c && !c->none ? (int64_t)c->algo.data[0] : 0, is = d->attention.version;
    if (!tk_cuda_choices_own(chosen) || was == is) return;
    if (!was && d->attention.by == TK_ATTENTION_AUTO) {
        d->attention.by = TK_ATTENTION_OWN;
        d->attention.version = 0;
        tk_log("attention: our own kernels, as in this run so far");
    } else
        tk_log_warn_once(
            "attention was by cuDNN %lld in this run so far and is by %lld now (0: our own "
            "kernels): other bits",
            (long long)was, (long long)is);
}

static tk_status learn(tk_device *d, bool on)
{
    TK_TRY(tk_cuda_blas_open(d));
    tk_cuda_blas *b = tk_cuda_of(d)->blas;
    b->learning = on;
    tk_cuda_choices_free(&b->met);
    return on ? note_attention(d) : TK_OK;
}

static tk_status write_choices(tk_device *d, tk_arena *a, char **text)
{
    TK_TRY(tk_cuda_blas_open(d));
    return tk_cuda_choices_write(&tk_cuda_of(d)->blas->chosen, a, text);
}

static tk_status read_choices(tk_device *d, int n, const char *const text[], int64_t *own)
{
    TK_TRY(tk_cuda_blas_open(d));
    tk_cuda_blas *b = tk_cuda_of(d)->blas;
    tk_cuda_choices_free(&b->met);
    tk_cuda_choices_free(&b->chosen);
    for (int i = 0; i < n; i++) TK_TRY(tk_cuda_choices_read(&b->chosen, text[i]));
    *own = tk_cuda_choices_own(&b->chosen);
    recall_attention(d);
    return TK_OK;
}

const tk_device_choice_ops tk_cuda_choice_ops = {learn, write_choices, read_choices};
