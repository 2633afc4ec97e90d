// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Samples at other rates: tones below both Nyquist frequencies stay where they are, others go.
#include "core/numbers/resample.h"
#include "tests/support/test.h"
#include <math.h>

static void make_tone(float *x, int64_t n, int64_t rate, double hz)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)sin(2 * M_PI * hz * (double)i / (double)rate);
}

// The largest error of a tone of one second between rates, away from its ends; `gain` 1: it should
// stay, 0: it should be gone.
static double error_of(int64_t from, int64_t to, double hz, double gain)
{
    float *x = calloc((size_t)from, sizeof *x);
    const int64_t m = tk_resample_count(from, from, to);
    float *y = calloc((size_t)m, sizeof *y);
    double worst = 0;
    make_tone(x, from, from, hz);
    assert_ok(tk_resample(x, from, from, to, y));
    for (int64_t i = m / 10; i < m - m / 10; i++) {
        const double want = gain * sin(2 * M_PI * hz * (double)i / (double)to);
        worst = test_larger(worst, fabs(y[i] - want));
    }
    free(x);
    free(y);
    return worst;
}

static void tones_stay(void **state)
{
    (void)state;
    const int64_t rates[][2] = {{16000, 12000}, {12000, 16000}, {44100, 16000},
                                {16000, 48000}, {8000, 22050},  {16000, 16000}};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        const int64_t from = rates[k][0], to = rates[k][1], low = from < to ? from : to;
        assert_int_equal(tk_resample_count(from, from, to), to);
        assert_near(error_of(from, to, 200, 1), 0, 2e-3);
        assert_near(error_of(from, to, 0.43 * (double)low, 1), 0, 2e-3);
    }
}

static void what_does_not_fit_goes(void **state)
{
    (void)state;
    assert_near(error_of(16000, 12000, 6200, 0), 0, 2e-3);
    assert_near(error_of(48000, 16000, 11000, 0), 0, 2e-3);
}

static void odd_inputs(void **state)
{
    (void)state;
    float one = 1, out[4];
    assert_status(tk_resample(&one, 1, 0, 16000, out), TK_INPUT);
    assert_says("0 samples a second");
    assert_int_equal(tk_resample_count(0, 8000, 16000), 0);
    assert_ok(tk_resample(&one, 0, 8000, 16000, out));
    assert_int_equal(tk_resample_count(1, 8000, 16000), 2);
    assert_ok(tk_resample(&one, 1, 8000, 16000, out));
    assert_near(out[0], 0.95, 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tones_stay),
                                       cmocka_unit_test(what_does_not_fit_goes),
                                       cmocka_unit_test(odd_inputs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
