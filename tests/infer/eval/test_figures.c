// SPDX-License-Identifier: Apache-2.0
// Intervals against published values, and what a report says.
#include "infer/eval/figures.h"
#include "tests/support/test.h"
#include <math.h>

// Newcombe 1998, table I, the score method: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
static void test_intervals(void **state)
{
    (void)state;
    static const double known[][4] = {{81, 263, 0.2553, 0.3662},
                                      {15, 148, 0.0624, 0.1605},
                                      {0, 20, 0.0000, 0.1611},
                                      {1, 29, 0.0061, 0.1718}};
    for (int i = 0; i < 4; i++) {
        const tk_interval w = tk_figures_interval(known[i][0], known[i][1]);
        assert_true(fabs(w.low - known[i][2]) < 6e-5 && fabs(w.high - known[i][3]) < 6e-5);
    }
    const tk_interval all = tk_figures_interval(20, 20), none = tk_figures_interval(0, 0);
    assert_true(all.high == 1 && fabs(all.low - (1 - 0.1611)) < 6e-5);
    assert_true(none.low == 0 && none.high == 1);
}

static void test_report(void **state)
{
    (void)state;
    tk_figures model = {0}, ceiling = {0};
    const tk_column_of_figures column[] = {{"model", &model}, {"ceiling", &ceiling}};
    tk_figures_count(&model, TK_FIG_KIND, 1, 2);
    tk_figures_count(&model, TK_FIG_KIND, 2, 2);
    tk_figures_count(&ceiling, TK_FIG_CUTS, 0, 3);
    assert_true(fabs(tk_figures_score(&model) - 0.75) < 1e-12 && tk_figures_score(&ceiling) == 0);
    assert_true(isnan(tk_figures_score(&(tk_figures){0})));
    json_t *report = tk_figures_report(2, column);
    assert_int_equal(json_object_size(report), 2); // figures of which nobody tells are left out
    json_t *kind = json_object_get(json_object_get(report, "kind"), "model");
    assert_int_equal(json_integer_value(json_object_get(kind, "hits")), 3);
    assert_int_equal(json_integer_value(json_object_get(kind, "of")), 4);
    assert_true(json_real_value(json_object_get(kind, "low")) < 0.75);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_intervals),
                                       cmocka_unit_test(test_report)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
