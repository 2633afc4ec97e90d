// SPDX-License-Identifier: Apache-2.0
// What others wrote, as a terminal may show it.
#include "core/base/utf8.h"
#include "tests/support/test.h"
#include <stdio.h>

static void check_plain(const char *text, const char *keep, const char *want)
{
    char s[64];
    snprintf(s, sizeof s, "%s", text);
    tk_utf8_plain(s, '?', keep);
    assert_string_equal(s, want);
}

static void test_plain__what_is_no_steering_stays(void **state)
{
    (void)state;
    check_plain("d\u00e9j\u00e0 \u3042 \U0001F600 \u00a0", "",
                "d\u00e9j\u00e0 \u3042 \U0001F600 \u00a0");
    check_plain("\u2027\u202f\u2065\u206a", "", "\u2027\u202f\u2065\u206a"); // next to what turns
}

static void test_plain__controls_are_replaced(void **state)
{
    (void)state;
    check_plain("a\n\033[31mb\x7f\tc", "", "a??[31mb??c");
    check_plain("a\nb\tc", "\n", "a\nb?c");
    check_plain("a\xc2\x85 b\xc2\x9b c", "", "a?? b?? c");
    check_plain("a\xff\xe2\x80", "", "a???");
}

// "signed by a, issued by b" must not be read as what a wrote backwards, nor on two lines.
static void test_plain__what_turns_lines_is_replaced(void **state)
{
    (void)state;
    check_plain("a\u202eb\u202cc", "", "a???b???c");
    check_plain("\u2028\u2029\u202a", "", "?????????");
    check_plain("\u2066\u2069", "", "??????");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain__what_is_no_steering_stays),
        cmocka_unit_test(test_plain__controls_are_replaced),
        cmocka_unit_test(test_plain__what_turns_lines_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
