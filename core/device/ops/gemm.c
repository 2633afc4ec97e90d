// SPDX-License-Identifier: Apache-2.0
#include "core/device/ops/gemm.h"
#include "core/base/log.h"
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

// Tiles are few and large, because every tile packs its operands anew.
enum {
    TILE_LEAST = 96,
    SMALL_PRODUCT = 1 << 17, // elements of C below which two tiles are enough
    ALONE = 1 << 18          // multiplications below which threads cost more than they bring
};

typedef struct tiles {
    int64_t rows, columns; // how many
} tiles;

// By shape alone: 4 tiles or more (2 of a small C), the longer side halved first.
static tiles tiles_of(int64_t m, int64_t n)
{
    tiles t = {tk_blocks(m, TK_GEMM_TILE), tk_blocks(n, TK_GEMM_TILE)};
    int64_t wanted = m * n < SMALL_PRODUCT ? 2 : 4;
    while (t.rows * t.columns < wanted) {
        int64_t height = m / t.rows, width = n / t.columns;
        if ((height > width ? height : width) < 2 * TILE_LEAST) break;
        if (height > width)
            t.rows *= 2;
        else
            t.columns *= 2;
    }
    return t;
}

tk_status tk_gemm_one(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
                      const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                      float *c, int64_t ldc)
{
    if (m == 0 || n == 0) return TK_OK;
    if (k == 0) {
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
        return TK_OK;
    }
    // Outside a parallel region, or in one of a single thread, the library would start its own.
    int threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (threads > 1) omp_set_num_threads(1);
    dnnl_status_t st = dnnl_sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (threads > 1) omp_set_num_threads(threads);
    if (st == dnnl_success) return TK_OK;
    return TK_FAIL(st == dnnl_out_of_memory ? TK_MEMORY : TK_INTERNAL,
                   "dnnl_sgemm %c%c of (%lld, %lld, %lld), row strides %lld, %lld and %lld: %s", ta,
                   tb, (long long)m, (long long)n, (long long)k, (long long)lda, (long long)ldb,
                   (long long)ldc, st == dnnl_out_of_memory ? "out of memory" : "refused");
}

tk_status tk_gemm(int threads, char ta, char tb, int64_t m, int64_t n, int64_t k, const float *a,
                  int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    if (m == 0 || n == 0) return TK_OK;
    const tiles t = tiles_of(m, n);
    tk_team team = {TK_OK, ""};
    if (threads == 0) threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (m * n * k < ALONE) threads = 1;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t j = 0; j < t.columns; j++) {
            int64_t row = tk_split_begin(m, t.rows, i), height = tk_split_count(m, t.rows, i);
            int64_t col = tk_split_begin(n, t.columns, j), width = tk_split_count(n, t.columns, j);
            tk_team_report(&team, tk_gemm_one(ta, tb, height, width, k, 1,
                                              a + (ta == 'N' ? row * lda : row), lda,
                                              b + (tb == 'N' ? col : col * ldb), ldb, beta,
                                              c + row * ldc + col, ldc));
        }
    tk_alive();
    return tk_team_result(&team);
}

int64_t tk_gemm_steady_room(int64_t m, int64_t lda, int64_t ldc)
{
    return m % TK_GEMM_ROWS ? TK_GEMM_ROWS * (lda + ldc) : 0;
}

// to (TK_GEMM_ROWS, ld) = from (rows, ld), of each row the first n, zeros else; NULL: zeros alone.
static void fill_up(float *to, const float *from, int64_t rows, int64_t n, int64_t ld)
{
    memset(to, 0, (size_t)(TK_GEMM_ROWS * ld) * sizeof *to);
    for (int64_t i = 0; i < rows && from; i++)
        memcpy(to + i * ld, from + i * ld, (size_t)n * sizeof *to);
}

tk_status tk_gemm_steady(int threads, char tb, int64_t m, int64_t n, int64_t k, const float *a,
                         int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                         int64_t ldc, float *room)
{
    const int64_t whole = m / TK_GEMM_ROWS, rest = m % TK_GEMM_ROWS, begin = whole * TK_GEMM_ROWS;
    const tiles t = {whole + (rest > 0), tk_blocks(n, TK_GEMM_TILE / 2)};
    float *last_a = room, *last_c = room + TK_GEMM_ROWS * lda;
    tk_team team = {TK_OK, ""};
    if (m == 0 || n == 0) return TK_OK;
    if (rest) fill_up(last_a, a + begin * lda, rest, k, lda);
    if (rest) fill_up(last_c, beta == 0 ? NULL : c + begin * ldc, rest, n, ldc);
    if (threads == 0) threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (m * n * k < ALONE) threads = 1;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t j = 0; j < t.columns; j++) {
            const int64_t row = i * TK_GEMM_ROWS;
            const int64_t col = tk_split_begin(n, t.columns, j);
            const int64_t width = tk_split_count(n, t.columns, j);
            tk_team_report(&team, tk_gemm_one('N', tb, TK_GEMM_ROWS, width, k, 1,
                                              i == whole ? last_a : a + row * lda, lda,
                                              b + (tb == 'N' ? col : col * ldb), ldb, beta,
                                              (i == whole ? last_c : c + row * ldc) + col, ldc));
        }
    for (int64_t i = 0; i < rest; i++)
        memcpy(c + (begin + i) * ldc, last_c + i * ldc, (size_t)n * sizeof *c);
    tk_alive();
    return tk_team_result(&team);
}

// ---- matmul primitives -------------------------------------------------------------------------

#if DNNL_VERSION_MAJOR < 3

static dnnl_engine_t engine(void) // made once, by the thread that asks for products
{
    static dnnl_engine_t e;
    if (!e && dnnl_engine_create(&e, dnnl_cpu, 0) != dnnl_success) e = NULL;
    return e;
}

typedef struct product { // one tile
    int64_t m, n, k;
    tk_matrix a, b, c;
    const float *bias;
    bool add;
} product;

enum { A, B, C, BIAS, ARGUMENTS };
typedef dnnl_memory_desc_t shapes[ARGUMENTS];

static dnnl_status_t describe_matrix(dnnl_memory_desc_t *d, int64_t rows, int64_t cols,
                                     const tk_matrix *x)
{
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t strides = {x->transposed ? 1 : x->ld, x->transposed ? x->ld : 1};
    return dnnl_memory_desc_init_by_strides(d, 2, dims, x->type == TK_BF16 ? dnnl_bf16 : dnnl_f32,
                                            strides);
}

static dnnl_status_t describe_product(const product *p, shapes s)
{
    const tk_matrix bias = {.type = TK_F32, .ld = p->n};
    dnnl_status_t st = describe_matrix(&s[A], p->m, p->k, &p->a);
    if (st == dnnl_success) st = describe_matrix(&s[B], p->k, p->n, &p->b);
    if (st == dnnl_success) st = describe_matrix(&s[C], p->m, p->n, &p->c);
    return st == dnnl_success && p->bias ? describe_matrix(&s[BIAS], 1, p->n, &bias) : st;
}

static dnnl_status_t new_primitive(const product *p, const shapes s, dnnl_primitive_t *out)
{
    dnnl_matmul_desc_t wanted;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t after = NULL;
    dnnl_primitive_desc_t found = NULL;
    dnnl_status_t st =
        dnnl_matmul_desc_init(&wanted, &s[A], &s[B], p->bias ? &s[BIAS] : NULL, &s[C]);
    if (st == dnnl_success) st = dnnl_primitive_attr_create(&attr);
    if (st == dnnl_success) st = dnnl_post_ops_create(&after);
    if (st == dnnl_success && p->add) st = dnnl_post_ops_append_sum(after, 1);
    if (st == dnnl_success) st = dnnl_primitive_attr_set_post_ops(attr, after);
    if (st == dnnl_success) st = dnnl_primitive_desc_create(&found, &wanted, attr, engine(), NULL);
    if (st == dnnl_success) st = dnnl_primitive_create(out, found);
    dnnl_primitive_desc_destroy(found);
    dnnl_post_ops_destroy(after);
    dnnl_primitive_attr_destroy(attr);
    return st;
}

static dnnl_status_t execute(const product *p, const shapes s, dnnl_primitive_t primitive)
{
    static const int names[] = {
        [A] = DNNL_ARG_SRC, [B] = DNNL_ARG_WEIGHTS, [C] = DNNL_ARG_DST, [BIAS] = DNNL_ARG_BIAS};
    void *const at[] = {
        [A] = p->a.data, [B] = p->b.data, [C] = p->c.data, [BIAS] = (void *)p->bias};
    const int n = p->bias ? ARGUMENTS : BIAS;
    dnnl_exec_arg_t args[ARGUMENTS] = {{0}};
    dnnl_stream_t stream = NULL;
    dnnl_status_t st = dnnl_stream_create(&stream, engine(), dnnl_stream_default_flags);
    for (int i = 0; i < n && st == dnnl_success; i++) {
        args[i].arg = names[i];
        st = dnnl_memory_create(&args[i].memory, &s[i], engine(), at[i]);
    }
    if (st == dnnl_success) st = dnnl_primitive_execute(primitive, stream, n, args);
    if (st == dnnl_success) st = dnnl_stream_wait(stream);
    for (int i = 0; i < n; i++) dnnl_memory_destroy(args[i].memory);
    dnnl_stream_destroy(stream);
    return st;
}

static tk_status matmul_one(const product *p)
{
    shapes s;
    dnnl_primitive_t primitive = NULL;
    const int threads = omp_in_parallel() ? 1 : omp_get_max_threads(); // as in tk_gemm_one
    if (threads > 1) omp_set_num_threads(1);
    dnnl_status_t st = describe_product(p, s);
    if (st == dnnl_success) st = new_primitive(p, s, &primitive);
    if (st == dnnl_success) st = execute(p, s, primitive);
    dnnl_primitive_destroy(primitive);
    if (threads > 1) omp_set_num_threads(threads);
    if (st == dnnl_success) return TK_OK;
    return TK_FAIL(st == dnnl_out_of_memory ? TK_MEMORY : TK_INTERNAL,
                   "oneDNN's matmul of (%lld, %lld, %lld) failed with status %d", (long long)p->m,
                   (long long)p->n, (long long)p->k, (int)st);
}

bool tk_matmul_has(tk_dtype t)
{
    static int has[2]; // by type: 0 not asked yet, 1 yes, -1 no
    if (t == TK_I32 || !engine()) return false;
    if (!has[t]) {
        const tk_matrix x = {.type = t, .ld = 64};
        const product p = {.m = 64, .n = 64, .k = 64, .a = x, .b = x, .c = x};
        shapes s;
        dnnl_primitive_t primitive = NULL;
        dnnl_status_t st = describe_product(&p, s);
        if (st == dnnl_success) st = new_primitive(&p, s, &primitive);
        dnnl_primitive_destroy(primitive);
        has[t] = st == dnnl_success ? 1 : -1;
    }
    return has[t] > 0;
}

// Rows from `row` and columns from `col` of what x means.
static tk_matrix part_of(tk_matrix x, int64_t row, int64_t col)
{
    const int64_t at = x.transposed ? col * x.ld + row : row * x.ld + col;
    x.data = (char *)x.data + (size_t)at * tk_dtype_size(x.type);
    return x;
}

tk_status tk_matmul(int threads, int64_t m, int64_t n, int64_t k, tk_matrix a, tk_matrix b,
                    const float *bias, bool add, tk_matrix c)
{
    if (m == 0 || n == 0) return TK_OK;
    if (!engine()) return TK_FAIL(TK_INTERNAL, "oneDNN has no engine for this processor");
    const tiles t = tiles_of(m, n);
    tk_team team = {TK_OK, ""};
    if (m * n * k < ALONE) threads = 1;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t j = 0; j < t.columns; j++) {
            const int64_t row = tk_split_begin(m, t.rows, i), col = tk_split_begin(n, t.columns, j);
            const product p = {.m = tk_split_count(m, t.rows, i),
                               .n = tk_split_count(n, t.columns, j),
                               .k = k,
                               .a = part_of(a, row, 0),
                               .b = part_of(b, 0, col),
                               .c = part_of(c, row, col),
                               .bias = bias ? bias + col : NULL,
                               .add = add};
            tk_team_report(&team, matmul_one(&p));
        }
    tk_alive();
    return tk_team_result(&team);
}

#else

bool tk_matmul_has(tk_dtype t)
{
    (void)t;
    return false;
}

tk_status tk_matmul(int threads, int64_t m, int64_t n, int64_t k, tk_matrix a, tk_matrix b,
                    const float *bias, bool add, tk_matrix c)
{
    (void)threads, (void)m, (void)n, (void)k, (void)a, (void)b, (void)bias, (void)add, (void)c;
    return TK_FAIL(TK_INTERNAL, "matmul is written for oneDNN 2");
}

#endif

void tk_gemm_library(char *out, size_t size)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(out, size, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
}
