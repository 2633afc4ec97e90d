// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Matrix products: right, the same bits whatever the number of threads, and refusals that are said.
#include "core/base/mem.h"
#include "core/device/gemm.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm__same_bits_on_any_number_of_threads),
        cmocka_unit_test(test_gemm__says_what_was_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
