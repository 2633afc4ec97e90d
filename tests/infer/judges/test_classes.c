// SPDX-License-Identifier: Apache-2.0
// Discriminants on clouds whose best rule is known, on classes that are alike, and on bad input.
#include "core/numbers/rng.h"
#include "infer/judges/classes.h"
#include "tests/support/test.h"
#include <math.h>

enum { N = 3000, D = 4, CLASSES = 3 };

// Class k: normal with mean `apart` on axis k, features of scales far apart and correlated.
static void make_cloud(uint64_t seed, double apart, double *x, int *label)
{
    const tk_key key = tk_rng_key(seed, TK_RNG_TEST, 0);
    for (int i = 0; i < N; i++) {
        double *p = x + i * D;
        label[i] = (int)tk_rng_below(key, (uint64_t)i, CLASSES);
        for (int k = 0; k < D; k++)
            p[k] = (double)tk_rng_normal(key, (uint64_t)(1 << 20 | (i * D + k))) +
                   (label[i] == k ? apart : 0);
        p[1] = 1000 * (p[1] + 0.5 * p[0]) + 77;
        p[3] *= 1e-6;
    }
}

static double right_of(double apart, tk_arena *a)
{
    static double x[N * D];
    static int label[N];
    tk_classes c;
    tk_confusion m;
    make_cloud(1, apart, x, label);
    assert_int_equal(tk_classes_learn(N, D, CLASSES, x, label, 1e-6, a, &c), TK_OK);
    assert_int_equal(tk_confusion_new(CLASSES, a, &m), TK_OK);
    make_cloud(2, apart, x, label);
    for (int i = 0; i < N; i++) {
        double odds[CLASSES];
        const int found = tk_classes_find(&c, x + i * D, odds);
        assert_true(fabs(odds[0] + odds[1] + odds[2] - 1) < 1e-9 && odds[found] >= 1.0 / CLASSES);
        tk_confusion_add(&m, label[i], found);
    }
    assert_int_equal(tk_confusion_all(&m), N);
    assert_true(tk_confusion_chance(&m) > 0.3 && tk_confusion_chance(&m) < 0.4);
    return (double)tk_confusion_right(&m) / N;
}

static void test_clouds(void **state)
{
    (void)state;
    tk_arena a;
    tk_arena_init(&a, 0);
    assert_true(right_of(8, &a) > 0.999);
    // Three unit normals a distance 2 sqrt 2 apart: the best rule finds 0.866 of them.
    const double right = right_of(2, &a);
    print_message("right: %.3f\n", right);
    assert_true(fabs(right - 0.866) < 0.02);
    assert_true(right_of(0, &a) < 0.37); // nothing to tell them by
    tk_arena_free(&a);
}

static void test_bad_input(void **state)
{
    (void)state;
    double x[] = {1, 5, 1, 6, 1, 7}; // the first feature is the same in all
    const int label[] = {0, 2, 2};
    tk_arena a;
    tk_classes c;
    tk_arena_init(&a, 0);
    assert_int_equal(tk_classes_learn(3, 2, 3, x, label, 1e-3, &a, &c), TK_OK);
    assert_int_equal(tk_classes_find(&c, x, NULL), 0);
    assert_int_equal(tk_classes_find(&c, x + 4, NULL), 2);
    assert_int_equal(tk_classes_find(&c, (double[]){1, NAN}, NULL), -1);
    x[3] = INFINITY;
    assert_int_equal(tk_classes_learn(3, 2, 3, x, label, 1e-3, &a, &c), TK_NUMERIC);
    assert_int_equal(tk_classes_learn(0, 2, 3, NULL, NULL, 1e-3, &a, &c), TK_OK);
    assert_int_equal(tk_classes_find(&c, x, NULL), -1); // nothing was learned
    tk_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clouds),
                                       cmocka_unit_test(test_bad_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
