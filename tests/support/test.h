// SPDX-License-Identifier: Apache-2.0
// What every test program includes: cmocka and what it needs first.
#pragma once
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "core/base/status.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// The call succeeds; otherwise its message and trace are printed.
#define assert_ok(expr)                                                            \
    do {                                                                           \
        tk_status assert_ok_ = (expr);                                             \
        if (assert_ok_ != TK_OK)                                                   \
            fail_msg("%s: %s\n%s", #expr, tk_status_message(), tk_status_trace()); \
    } while (0)
#define assert_status(expr, want) assert_int_equal((expr), (want))
// The message of the last failure holds `text`.
#define assert_says(text)                                                        \
    do {                                                                         \
        if (!strstr(tk_status_message(), (text)))                                \
            fail_msg("\"%s\" does not say \"%s\"", tk_status_message(), (text)); \
    } while (0)
// |a - b| <= tolerance; NaN fails.
#define assert_near(a, b, tolerance)                                                               \
    do {                                                                                           \
        double assert_a_ = (a), assert_b_ = (b), assert_t_ = (tolerance);                          \
        if (!(assert_a_ - assert_b_ <= assert_t_ && assert_b_ - assert_a_ <= assert_t_))           \
            fail_msg("%s = %.9g is not within %.3g of %.9g", #a, assert_a_, assert_t_, assert_b_); \
    } while (0)
// The larger of both, and NaN once one of them is: fmax would pass it over.
static inline double test_larger(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}
// What `write` writes into a file that is begun, as a whole file at `path`.
#define whole_file(write, path, ...)                                     \
    ({                                                                   \
        tk_file whole_;                                                  \
        tk_status whole_st_ = tk_file_begin(&whole_, (path));            \
        if (whole_st_ == TK_OK) {                                        \
            whole_st_ = write(&whole_, __VA_ARGS__);                     \
            if (whole_st_ == TK_OK) whole_st_ = tk_file_commit(&whole_); \
            tk_file_abort(&whole_);                                      \
        }                                                                \
        whole_st_;                                                       \
    })
