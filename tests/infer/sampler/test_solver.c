// SPDX-License-Identifier: Apache-2.0
// Solvers against a flow that is known in closed form, and schedules.
#include "infer/sampler/solver.h"
#include "tests/support/test.h"
#include <math.h>

// Clean numbers are normal with mean MEAN and deviation WIDE. So are those on the way, with mean
// t MEAN and deviation wide_at(t), and a point keeps its place in the distribution.
static const double MEAN = 0.7, WIDE = 0.3;

static double wide_at(double sigma)
{
    const double t = 1 - sigma;
    return sqrt(t * t * WIDE * WIDE + sigma * sigma);
}

// What the best model answers: the mean of clean - noise, given x.
static double velocity(double x, double sigma)
{
    const double t = 1 - sigma, w = wide_at(sigma), off = (x - t * MEAN) / (w * w);
    return MEAN + t * WIDE * WIDE * off - sigma * off;
}

// How far from where it ought to end a solver takes a point.
static double error_of(tk_solver s, int64_t n, double shift)
{
    const double start = 1.3;
    const tk_walk walk = {.n = n, .shift = shift};
    double x = start, before = NAN;
    for (int64_t k = 0; k < n; k++) {
        const tk_solver_step go = tk_solver_at(s, k, &walk);
        const double v = velocity(x, tk_sigma(k, &walk));
        x += go.now * v;
        if (go.before != 0) x += go.before * before;
        before = v;
    }
    return fabs(x - (MEAN + WIDE * start));
}

// The slope of the error over the step, or better (at shift 1 this flow treats the midpoint
// kindly).
static void errors_fall_by_the_order(void **state)
{
    static const double order[] = {1, 2, 2}, shifts[] = {1, 3, 12};
    (void)state;
    for (int s = TK_SOLVER_EULER; s <= TK_SOLVER_MULTISTEP; s++)
        for (int i = 0; i < 3; i++) {
            const double coarse = error_of((tk_solver)s, 256, shifts[i]);
            const double fine = error_of((tk_solver)s, 512, shifts[i]);
            const double slope = log2(coarse / fine);
            if (!(slope > order[s] - 0.1) || (s == TK_SOLVER_EULER && slope > 1.1))
                fail_msg("%s, shift %g: error %.3e, then %.3e", tk_solver_name((tk_solver)s),
                         shifts[i], coarse, fine);
        }
}

// A velocity that stays is followed exactly, by any number of steps, odd ones and one alone, from
// wherever the walk begins.
static void all_of_the_way_is_gone(void **state)
{
    (void)state;
    for (int s = TK_SOLVER_EULER; s <= TK_SOLVER_MULTISTEP; s++)
        for (int64_t n = 1; n < 8; n++) {
            const tk_walk walk = {.n = n, .shift = 3, .skip = n % 2 ? 0.4 : 0};
            double way = 0;
            for (int64_t k = 0; k < n; k++) {
                const tk_solver_step go = tk_solver_at((tk_solver)s, k, &walk);
                way += go.now + go.before;
                if (k == 0) assert_true(go.before == 0);
                if (go.before != 0) assert_true(tk_solver_remembers((tk_solver)s));
            }
            assert_near(way, tk_sigma(0, &walk), 1e-12);
        }
}

static void schedules_end_where_they_should(void **state)
{
    (void)state;
    for (double shift = 1; shift < 13; shift += 5.5) {
        const tk_walk walk = {.n = 24, .shift = shift};
        assert_near(tk_sigma(0, &walk), 1, 1e-12);
        assert_near(tk_sigma(24, &walk), 0, 1e-12);
        for (int k = 0; k < 24; k++) assert_true(tk_sigma(k, &walk) > tk_sigma(k + 1, &walk));
        // The end of it is the end of the whole one, level for level.
        const tk_walk half = {.n = 12, .shift = shift, .skip = 0.5};
        for (int k = 0; k <= 12; k++)
            assert_near(tk_sigma(k, &half), tk_sigma(12 + k, &walk), 1e-12);
    }
    assert_near(tk_sigma(12, &(tk_walk){.n = 24, .shift = 1}), 0.5, 1e-12);
    assert_near(tk_sigma(12, &(tk_walk){.n = 24, .shift = 3}), 0.75, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_fall_by_the_order),
        cmocka_unit_test(all_of_the_way_is_gone),
        cmocka_unit_test(schedules_end_where_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
