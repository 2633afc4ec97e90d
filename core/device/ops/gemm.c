// SPDX-License-Identifier: Apache-2.0
// Products as Goto and van de Geijn cut them ("Anatomy of High-Performance Matrix Multiplication",
// 2008): of the inner sum a part at a time; of that part of B as many columns as the second cache
// holds, laid out as panels of WIDE columns, of which the nearest cache holds one; past which go
// rows of A, HIGH at a time, whose HIGH x WIDE sums live in registers.
//
// An element of C is added up in the order of the inner sum, DEEP of it at a time, whatever rows,
// columns and threads are beside it: its bits follow from its row of A and its column of B alone.
#include "core/device/ops/gemm.h"
#include "core/base/log.h"
#include <omp.h>
#include <stdbool.h>
#include <string.h>

enum {
#ifdef __AVX512F__
    LANES = 16, // of a register
    HIGH = 12,
#else
    LANES = 8,
    HIGH = 6, // with two registers of B and one of A, 15 of 16
#endif
    WIDE = 2 * LANES,
    DEEP = 384,       // of the inner sum
    BROAD = 256,      // columns of B in panels
    TALL = 16 * HIGH, // rows of A that go past all panels
    SIDE = 8,         // of a block that is transposed
    ALONE = 1 << 18   // multiplications below which threads cost more than they bring
};

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// ---- panels ------------------------------------------------------------------------------------

// Which of the sixteen elements of two rows are taken.
#define LOW_1 0, 8, 1, 9, 4, 12, 5, 13
#define HIGH_1 2, 10, 3, 11, 6, 14, 7, 15
#define LOW_2 0, 1, 8, 9, 4, 5, 12, 13
#define HIGH_2 2, 3, 10, 11, 6, 7, 14, 15
#define LOW_4 0, 1, 2, 3, 8, 9, 10, 11
#define HIGH_4 4, 5, 6, 7, 12, 13, 14, 15
#define TAKE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)

// An 8 x 8 block: pairs of rows are interleaved by elements, then by pairs, then by halves.
INLINE void transpose_block(const float *from, int64_t ld_from, float *to, int64_t ld_to)
{
    eight a[SIDE], b[SIDE];
    for (int i = 0; i < SIDE; i++) a[i] = *(const eight *)(from + i * ld_from);
    for (int i = 0; i < SIDE; i += 2) {
        b[i] = TAKE(a[i], a[i + 1], LOW_1);
        b[i + 1] = TAKE(a[i], a[i + 1], HIGH_1);
    }
    for (int i = 0; i < SIDE; i += 4)
        for (int j = 0; j < 2; j++) {
            a[i + 2 * j] = TAKE(b[i + j], b[i + j + 2], LOW_2);
            a[i + 2 * j + 1] = TAKE(b[i + j], b[i + j + 2], HIGH_2);
        }
    for (int i = 0; i < 4; i++) {
        *(eight *)(to + i * ld_to) = TAKE(a[i], a[i + 4], LOW_4);
        *(eight *)(to + (i + 4) * ld_to) = TAKE(a[i], a[i + 4], HIGH_4);
    }
}

// to (cols, ld_to) = from (rows, ld_from) transposed.
static void transpose(const float *from, int64_t ld_from, int64_t rows, int64_t cols, float *to,
                      int64_t ld_to)
{
    int64_t i = 0;
    for (; i + SIDE <= rows; i += SIDE) {
        int64_t j = 0;
        for (; j + SIDE <= cols; j += SIDE)
            transpose_block(from + i * ld_from + j, ld_from, to + j * ld_to + i, ld_to);
        for (; j < cols; j++)
            for (int64_t p = i; p < i + SIDE; p++) to[j * ld_to + p] = from[p * ld_from + j];
    }
    for (; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) to[j * ld_to + i] = from[i * ld_from + j];
}

// Rows of `width` floats, k of them, from rows of ld to rows of `panel`.
INLINE void copy_rows(const float *from, int64_t ld, int64_t k, int64_t width, int64_t panel,
                      float *to)
{
    for (int64_t p = 0; p < k; p++)
        memcpy(to + p * panel, from + p * ld, (size_t)width * sizeof *to);
}

// op(B) (k,n) as panels of (k, WIDE), columns behind the last 0.
static void pack_columns(char tb, const float *b, int64_t ldb, int64_t k, int64_t n, float *to)
{
    for (int64_t j = 0; j < n; j += WIDE, to += k * WIDE) {
        const int64_t width = least(WIDE, n - j);
        if (width < WIDE) memset(to, 0, (size_t)(k * WIDE) * sizeof *to);
        if (tb == 'T')
            transpose(b + j * ldb, ldb, width, k, to, WIDE);
        else if (width == WIDE)
            copy_rows(b + j, ldb, k, WIDE, WIDE, to);
        else
            copy_rows(b + j, ldb, k, width, WIDE, to);
    }
}

// A (k,m) as panels of (k, HIGH): rows of its transpose.
static void pack_rows(const float *a, int64_t lda, int64_t k, int64_t m, float *to)
{
    for (int64_t i = 0; i < m; i += HIGH, to += k * HIGH) {
        if (m - i >= HIGH)
            copy_rows(a + i, lda, k, HIGH, HIGH, to);
        else
            copy_rows(a + i, lda, k, m - i, HIGH, to);
    }
}

// ---- sums in registers -------------------------------------------------------------------------

// C (height, WIDE) = alpha * A @ panel (k, WIDE), or added to C; element (i, p) of A lies at
// a[i * row + p * step].
INLINE void multiply_rows(int height, int64_t k, float alpha, const float *restrict a, int64_t row,
                          int64_t step, const float *restrict panel, bool add, float *restrict c,
                          int64_t ldc)
{
    lanes sum[HIGH][2];
    for (int i = 0; i < height; i++) {
        sum[i][0] = sum[i][1] = (lanes){0};
        __builtin_prefetch(c + i * ldc, 1);
        __builtin_prefetch(c + i * ldc + WIDE - 1, 1);
    }
    for (int64_t p = 0; p < k; p++) {
        const lanes left = *(const lanes *)(panel + p * WIDE);
        const lanes right = *(const lanes *)(panel + p * WIDE + LANES);
#pragma GCC unroll 12
        for (int i = 0; i < height; i++) {
            const float x = a[i * row + p * step];
            sum[i][0] += x * left;
            sum[i][1] += x * right;
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < height; i++) {
        lanes *left = (lanes *)(c + i * ldc), *right = (lanes *)(c + i * ldc + LANES);
        *left = add ? *left + alpha * sum[i][0] : alpha * sum[i][0];
        *right = add ? *right + alpha * sum[i][1] : alpha * sum[i][1];
    }
}

// The same with the height known to the compiler.
#define OF_HEIGHT(h)                                                  \
    case h:                                                           \
        multiply_rows(h, k, alpha, a, row, step, panel, add, c, ldc); \
        break
INLINE void multiply_any(int64_t height, int64_t k, float alpha, const float *a, int64_t row,
                         int64_t step, const float *panel, bool add, float *c, int64_t ldc)
{
    switch (height) {
        OF_HEIGHT(1);
        OF_HEIGHT(2);
        OF_HEIGHT(3);
        OF_HEIGHT(4);
        OF_HEIGHT(5);
        OF_HEIGHT(6);
#ifdef __AVX512F__
        OF_HEIGHT(7);
        OF_HEIGHT(8);
        OF_HEIGHT(9);
        OF_HEIGHT(10);
        OF_HEIGHT(11);
        OF_HEIGHT(12);
#endif
    }
}

// The two ways A lies: rows of lda (packed false), or a panel (k, HIGH).
static void multiply_tile(int64_t height, int64_t k, float alpha, const float *a, int64_t lda,
                          bool packed, const float *panel, bool add, float *c, int64_t ldc)
{
    if (packed)
        multiply_any(height, k, alpha, a, 1, HIGH, panel, add, c, ldc);
    else
        multiply_any(height, k, alpha, a, lda, 1, panel, add, c, ldc);
}

// The same for a panel of which only `width` columns are meant: what lies behind them in C stays.
static void multiply_narrow(int64_t height, int64_t width, int64_t k, float alpha, const float *a,
                            int64_t lda, bool packed, const float *panel, bool add, float *c,
                            int64_t ldc)
{
    float part[HIGH * WIDE] = {0};
    const size_t bytes = (size_t)width * sizeof *c;
    for (int64_t i = 0; add && i < height; i++) memcpy(part + i * WIDE, c + i * ldc, bytes);
    multiply_tile(height, k, alpha, a, lda, packed, panel, add, part, WIDE);
    for (int64_t i = 0; i < height; i++) memcpy(c + i * ldc, part + i * WIDE, bytes);
}

// ---- products ----------------------------------------------------------------------------------

typedef struct gemm { // C (m,n) = alpha * op(A) (m,k) @ op(B) (k,n), or added to C
    char ta, tb;
    int64_t m, n, k;
    float alpha;
    const float *a, *b;
    float *c;
    int64_t lda, ldb, ldc;
    bool add;
} gemm;

// Rows [i, i + m) and columns [j, j + n) of a part k of the inner sum: rows of A, as they lie or
// packed, past the panels.
static void pass_rows(const gemm *p, int64_t i, int64_t m, int64_t j, int64_t n, int64_t k,
                      const float *a, const float *panels, bool add)
{
    const bool packed = p->ta == 'T';
    for (int64_t at = 0; at < n; at += WIDE, panels += k * WIDE)
        for (int64_t row = 0; row < m; row += HIGH) {
            const float *from = a + row * (packed ? k : p->lda);
            float *c = p->c + (i + row) * p->ldc + j + at;
            const int64_t height = least(HIGH, m - row), width = n - at;
            if (width >= WIDE)
                multiply_tile(height, k, p->alpha, from, p->lda, packed, panels, add, c, p->ldc);
            else
                multiply_narrow(height, width, k, p->alpha, from, p->lda, packed, panels, add, c,
                                p->ldc);
        }
}

static void multiply_all(const gemm *p)
{
    float panels[DEEP * BROAD] __attribute__((aligned(64)));
    float rows[TALL * DEEP] __attribute__((aligned(64)));
    const int64_t parts = tk_blocks(p->k, DEEP);
    for (int64_t part = 0; part < parts; part++) {
        const int64_t from = tk_split_begin(p->k, parts, part);
        const int64_t k = tk_split_count(p->k, parts, part);
        for (int64_t j = 0; j < p->n; j += BROAD) {
            const int64_t n = least(BROAD, p->n - j);
            const float *b = p->b + (p->tb == 'N' ? from * p->ldb + j : j * p->ldb + from);
            pack_columns(p->tb, b, p->ldb, k, n, panels);
            for (int64_t i = 0; i < p->m; i += TALL) {
                const int64_t m = least(TALL, p->m - i);
                const float *a = p->a + (p->ta == 'N' ? i * p->lda + from : from * p->lda + i);
                if (p->ta == 'T') pack_rows(a, p->lda, k, m, rows);
                pass_rows(p, i, m, j, n, k, p->ta == 'T' ? rows : a, panels, part > 0 || p->add);
            }
        }
    }
}

static void nothing_to_add(const gemm *p)
{
    for (int64_t i = 0; i < p->m && !p->add; i++)
        memset(p->c + i * p->ldc, 0, (size_t)p->n * sizeof *p->c);
}

static tk_status check_strides(const gemm *p)
{
    const int64_t a = p->ta == 'N' ? p->k : p->m, b = p->tb == 'N' ? p->n : p->k;
    if (p->lda >= a && p->ldb >= b && p->ldc >= p->n) return TK_OK;
    return TK_FAIL(TK_INTERNAL,
                   "a product %c%c of (%lld, %lld, %lld) has rows longer than their strides %lld, "
                   "%lld and %lld",
                   p->ta, p->tb, (long long)p->m, (long long)p->n, (long long)p->k,
                   (long long)p->lda, (long long)p->ldb, (long long)p->ldc);
}

tk_status tk_gemm_one(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
                      const float *a, int64_t lda, const float *b, int64_t ldb, bool add, float *c,
                      int64_t ldc)
{
    const gemm p = {ta, tb, m, n, k, alpha, a, b, c, lda, ldb, ldc, add};
    if (m == 0 || n == 0) return TK_OK;
    TK_TRY(check_strides(&p));
    if (k == 0)
        nothing_to_add(&p);
    else
        multiply_all(&p);
    return TK_OK;
}

// Pieces of the longer side, some for each thread, so that none waits long for one that is held up.
static int64_t pieces_of(int threads, int64_t units)
{
    enum { EACH = 3, LEAST = 8 }; // pieces a thread; units in a piece
    if (threads == 1 || units < 2 * LEAST) return 1;
    return least(units / LEAST, (int64_t)EACH * threads);
}

tk_status tk_gemm(int threads, char ta, char tb, int64_t m, int64_t n, int64_t k, const float *a,
                  int64_t lda, const float *b, int64_t ldb, bool add, float *c, int64_t ldc)
{
    tk_team team = {TK_OK, ""};
    if (threads == 0) threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (m * n * k < ALONE) threads = 1;
    const bool down = m > n;
    const int64_t side = down ? m : n, unit = down ? HIGH : WIDE, units = tk_blocks(side, unit);
    const int64_t pieces = pieces_of(threads, units);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t i = 0; i < pieces; i++) {
        const int64_t at = tk_split_begin(units, pieces, i) * unit;
        const int64_t count = least(side - at, tk_split_count(units, pieces, i) * unit);
        const int64_t row = down ? at : 0, col = down ? 0 : at;
        tk_team_report(&team, tk_gemm_one(ta, tb, down ? count : m, down ? n : count, k, 1,
                                          a + (ta == 'N' ? row * lda : row), lda,
                                          b + (tb == 'N' ? col : col * ldb), ldb, add,
                                          c + row * ldc + col, ldc));
    }
    tk_alive();
    return tk_team_result(&team);
}
