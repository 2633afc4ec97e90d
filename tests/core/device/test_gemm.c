// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Matrix products: right, the same bits whatever the number of threads, and refusals that are said.
#include "core/base/mem.h"
#include "core/device/ops/gemm.h"
#include "core/numbers/half.h"
#include "core/numbers/rng.h"
#include "tests/support/test.h"
#include <math.h>
#include <omp.h>
#include <string.h>

typedef struct shape {
    char ta, tb;
    int64_t m, n, k;
} shape;

// Of the codec and of layers; few rows of a long sum is where the library splits the sum.
static const shape shapes[] = {{'N', 'T', 256, 96, 3072}, {'N', 'T', 61, 64, 800},
                               {'N', 'N', 72, 3072, 96},  {'T', 'N', 400, 400, 1024},
                               {'T', 'N', 128, 384, 700}, {'N', 'N', 1, 400, 800},
                               {'T', 'T', 33, 130, 65},   {'N', 'N', 5, 7, 0}};
enum { SHAPES = (int)(sizeof shapes / sizeof *shapes) };

static float *numbers(uint32_t stream, int64_t n)
{
    float *x = tk_alloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    tk_rng_fill_normal(tk_rng_key(7, TK_RNG_WEIGHTS, stream), 0, x, n, 1);
    return x;
}

static float *product(const shape *s, int threads, const float *a, const float *b)
{
    float *c = tk_alloc((size_t)(s->m * s->n) * sizeof *c);
    assert_non_null(c);
    assert_ok(tk_gemm(threads, s->ta, s->tb, s->m, s->n, s->k, a, s->ta == 'N' ? s->k : s->m, b,
                      s->tb == 'N' ? s->n : s->k, 0, c, s->n));
    return c;
}

static double element(const shape *s, const float *a, const float *b, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t p = 0; p < s->k; p++)
        sum += (double)(s->ta == 'N' ? a[i * s->k + p] : a[p * s->m + i]) *
               (double)(s->tb == 'N' ? b[p * s->n + j] : b[j * s->k + p]);
    return sum;
}

static void test_gemm__same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    static const int threads[] = {0, 2, 5, 16};
    for (int k = 0; k < SHAPES; k++) {
        const shape *s = &shapes[k];
        float *a = numbers(1, s->m * s->k), *b = numbers(2, s->k * s->n);
        omp_set_num_threads(1);
        float *one = product(s, 1, a, b);
        for (int64_t i = 0; i < s->m; i += 7)
            for (int64_t j = 0; j < s->n; j += 11)
                assert_true(fabs((double)one[i * s->n + j] - element(s, a, b, i, j)) <
                            1e-5 * (double)(s->k + 1));
        omp_set_num_threads(16);
        for (int t = 0; t < 4; t++) {
            float *many = product(s, threads[t], a, b);
            assert_memory_equal(many, one, (size_t)(s->m * s->n) * sizeof *one);
            tk_free(many);
        }
        tk_free(one), tk_free(a), tk_free(b);
    }
}

static void test_gemm__says_what_was_refused(void **state)
{
    (void)state;
    float x[2000] = {0}, c[2000];
    assert_status(tk_gemm_one('N', 'N', 4, 4, 8, 1, x, 3, x, 4, 0, c, 4), TK_INTERNAL);
    assert_says("dnnl_sgemm NN of (4, 4, 8), row strides 3, 4 and 4");
    // from whichever thread it comes
    float *wide = numbers(1, 512 * 512);
    assert_status(tk_gemm(4, 'N', 'N', 512, 512, 512, wide, 512, wide, 3, 0, wide, 512),
                  TK_INTERNAL);
    assert_says("dnnl_sgemm");
    tk_free(wide);
}

// ---- matmul primitives: bf16 where the processor has it, and the same code in fp32 --------------

static tk_matrix operand(const float *x, tk_dtype t, int64_t n, int64_t ld, bool transposed)
{
    tk_matrix m = {.type = t, .ld = ld, .transposed = transposed};
    m.data = tk_alloc((size_t)(n + 1) * tk_dtype_size(t));
    assert_non_null(m.data);
    for (int64_t i = 0; i < n; i++) {
        if (t == TK_F32) ((float *)m.data)[i] = x[i];
        if (t == TK_BF16) ((uint16_t *)m.data)[i] = tk_bf16_from_float(x[i]);
    }
    return m;
}

static double value_at(const tk_matrix *m, int64_t i)
{
    if (m->type == TK_F32) return ((const float *)m->data)[i];
    return tk_bf16_to_float(((const uint16_t *)m->data)[i]);
}

// C of type `to` = A B + bias + c, where wanted, of A and B of type t.
static void check_matmul(const shape *s, tk_dtype t, tk_dtype to, bool bias, bool add)
{
    float *a = numbers(1, s->m * s->k), *b = numbers(2, s->k * s->n), *by = numbers(3, s->n);
    float *c = numbers(4, s->m * s->n);
    for (int64_t i = 0; i < s->m * s->k; i++) a[i] = tk_bf16_to_float(tk_bf16_from_float(a[i]));
    for (int64_t i = 0; i < s->k * s->n; i++) b[i] = tk_bf16_to_float(tk_bf16_from_float(b[i]));
    tk_matrix ma = operand(a, t, s->m * s->k, s->ta == 'N' ? s->k : s->m, s->ta == 'T');
    tk_matrix mb = operand(b, t, s->k * s->n, s->tb == 'N' ? s->n : s->k, s->tb == 'T');
    tk_matrix before = operand(c, to, s->m * s->n, s->n, false), one = {0};
    for (int threads = 1; threads < 6; threads += 2) {
        tk_matrix got = operand(c, to, s->m * s->n, s->n, false);
        omp_set_num_threads(threads);
        assert_ok(tk_matmul(threads, s->m, s->n, s->k, ma, mb, bias ? by : NULL, add, got));
        if (one.data)
            assert_memory_equal(got.data, one.data, (size_t)(s->m * s->n) * tk_dtype_size(to));
        for (int64_t i = 0; i < s->m; i += 7)
            for (int64_t j = 0; j < s->n; j += 11) {
                const double wanted = element(s, a, b, i, j) + (bias ? (double)by[j] : 0) +
                                      (add ? value_at(&before, i * s->n + j) : 0);
                const double step = to == TK_BF16 ? 0x1p-8 * fabs(wanted) : 0;
                assert_near(value_at(&got, i * s->n + j), wanted, step + 2e-5 * (double)(s->k + 1));
            }
        if (one.data) tk_free(got.data);
        if (!one.data) one = got;
    }
    tk_free(one.data), tk_free(ma.data), tk_free(mb.data), tk_free(before.data);
    tk_free(a), tk_free(b), tk_free(by), tk_free(c);
}

static void test_matmul__right_on_any_number_of_threads(void **state)
{
    (void)state;
    assert_false(tk_matmul_has(TK_I32));
    for (int k = 0; k < SHAPES; k++)
        for (int way = 0; shapes[k].k > 0 && way < 4; way++) {
            const bool bias = way & 1, add = way & 2;
            if (tk_matmul_has(TK_F32)) check_matmul(&shapes[k], TK_F32, TK_F32, bias, add);
            if (!tk_matmul_has(TK_BF16)) continue;
            check_matmul(&shapes[k], TK_BF16, TK_BF16, bias, add);
            check_matmul(&shapes[k], TK_BF16, TK_F32, bias, add);
        }
    if (!tk_matmul_has(TK_BF16))
        print_message("this processor has no products of bf16: those were not looked at\n");
}

// Rows of a product, with more and with fewer others: by tk_gemm_steady the same bits, however many
// are left at the end.
static void test_gemm_steady__a_row_is_the_same_in_any_company(void **state)
{
    (void)state;
    static const int64_t sums[] = {8, 24, 96, 256, 1024, 2048},
                         columns[] = {8, 40, 96, 192, 640, 1536};
    static const int64_t rows[] = {1,  2,   5,   33,  64,  65,  70,  95,  96,  97,
                                   99, 127, 128, 191, 192, 193, 256, 385, 512, 599};
    enum { MOST = 600 };
    for (int i = 0; i < 36; i++) {
        const int64_t k = sums[i / 6], n = columns[i % 6];
        float *a = numbers(1, MOST * k), *b = numbers(2, k * n), *all = numbers(3, MOST * n);
        float *room = numbers(4, TK_GEMM_ROWS * (k + n));
        for (char how = 'N'; how <= 'T'; how = (char)(how + 'T' - 'N')) {
            const int64_t ldb = how == 'N' ? n : k;
            assert_ok(tk_gemm_steady(1, how, MOST, n, k, a, k, b, ldb, 0, all, n, room));
            for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
                const int64_t m = rows[r], from = MOST - m;
                float *some = numbers(4, m * n);
                assert_ok(
                    tk_gemm_steady(1, how, m, n, k, a + from * k, k, b, ldb, 0, some, n, room));
                if (memcmp(some, all + from * n, (size_t)(m * n) * sizeof *some))
                    fail_msg("%c, sum of %d, %d columns: %d rows are not those of %d", how, (int)k,
                             (int)n, (int)m, MOST);
                tk_free(some);
            }
        }
        tk_free(a), tk_free(b), tk_free(all), tk_free(room);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm__same_bits_on_any_number_of_threads),
        cmocka_unit_test(test_gemm__says_what_was_refused),
        cmocka_unit_test(test_gemm_steady__a_row_is_the_same_in_any_company),
        cmocka_unit_test(test_matmul__right_on_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
