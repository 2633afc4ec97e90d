// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test.h"
#include <pthread.h>
#include <stdio.h>

static tk_status inner(int x)
{
    if (x < 0) return TK_FAIL(TK_INPUT, "x is %d; it must not be negative", x);
    return TK_OK;
}

static tk_status outer(int x)
{
    TK_TRY(inner(x));
    return TK_OK;
}

static tk_status cleans_up(int x, int *cleaned)
{
    tk_status st;
    TK_TRY_TO(st, out, outer(x));
out:
    *cleaned = 1;
    return st;
}

static void test_status__message_and_trace(void **state)
{
    (void)state;
    tk_status_clear();
    assert_status(outer(1), TK_OK);
    assert_string_equal(tk_status_message(), "");
    assert_string_equal(tk_status_trace(), "");

    int cleaned = 0;
    assert_status(cleans_up(-3, &cleaned), TK_INPUT);
    assert_int_equal(cleaned, 1);
    assert_string_equal(tk_status_message(), "x is -3; it must not be negative");
    // innermost first: inner, outer, cleans_up
    const char *t = tk_status_trace(), *names[] = {":inner\n", ":outer\n", ":cleans_up\n"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(strncmp(t, "tests/core/base/test_status.c:", 30), 0);
        const char *end = strchr(t, '\n');
        assert_non_null(end);
        assert_int_equal(strncmp(end + 1 - strlen(names[i]), names[i], strlen(names[i])), 0);
        t = end + 1;
    }
    assert_string_equal(t, "");
}

static void test_status__next_failure_replaces_and_may_quote(void **state)
{
    (void)state;
    outer(-1);
    assert_status(TK_FAIL(TK_IO, "in a.yaml: %s", tk_status_message()), TK_IO);
    assert_string_equal(tk_status_message(), "in a.yaml: x is -1; it must not be negative");
    assert_null(strstr(tk_status_trace(), ":inner"));
    tk_status_clear();
    assert_string_equal(tk_status_message(), "");
}

static void test_status__names_the_file_once(void **state)
{
    (void)state;
    assert_int_equal(tk_status_in_file(TK_OK, "a.h5"), TK_OK);
    assert_int_equal(tk_status_in_file(TK_FAIL(TK_IO, "full"), "a.h5"), TK_IO);
    assert_string_equal(tk_status_message(), "a.h5: full");
    assert_int_equal(tk_status_in_file(TK_IO, "a.h5"), TK_IO);
    assert_string_equal(tk_status_message(), "a.h5: full");
}

static void test_status__long_texts_are_cut(void **state)
{
    (void)state;
    static char text[20000];
    memset(text, 'a', sizeof text - 1);
    TK_FAIL(TK_INPUT, "%s", text);
    size_t n = strlen(tk_status_message());
    assert_true(n > 4000 && n < sizeof text);
    assert_string_equal(tk_status_message() + n - 3, "...");
    for (int i = 0; i < 10000; i++) tk_trace(TK_INPUT, "file.c", i, "f");
    n = strlen(tk_status_trace());
    assert_int_equal(tk_status_trace()[n - 1], '\n'); // whole lines
}

static void *fails(void *arg)
{
    (void)arg;
    TK_FAIL(TK_IO, "elsewhere");
    return NULL;
}

static void test_status__is_per_thread(void **state)
{
    (void)state;
    pthread_t thread;
    TK_FAIL(TK_INPUT, "here");
    assert_int_equal(pthread_create(&thread, NULL, fails, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(tk_status_message(), "here");
}

static void test_status__codes(void **state)
{
    (void)state;
    assert_int_equal(tk_status_exit_code(TK_OK), 0);
    assert_int_equal(tk_status_exit_code(TK_INPUT), 2);
    assert_int_equal(tk_status_exit_code(TK_STOPPED), 75);
    assert_int_equal(tk_status_exit_code((tk_status)99), 70);
    for (int s = 0; s < TK_STATUS_COUNT; s++) {
        assert_true(*tk_status_words((tk_status)s));
        for (int t = 0; t < s; t++)
            assert_int_not_equal(tk_status_exit_code((tk_status)s),
                                 tk_status_exit_code((tk_status)t));
    }
    tk_status_set(TK_COMM, NULL);
    assert_string_equal(tk_status_message(), "communication failed");
}

// Who takes an old failure for one that all ranks hold says nothing about the new one.
static void test_status__shared_ends_with_its_failure(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        tk_status_set_shared(true);
        if (way == 0) tk_status_clear();
        if (way == 1) tk_status_set(TK_IO, "another");
        if (way == 2) assert_status(TK_FAIL(TK_IO, "another"), TK_IO);
        assert_false(tk_status_shared());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status__message_and_trace),
        cmocka_unit_test(test_status__next_failure_replaces_and_may_quote),
        cmocka_unit_test(test_status__names_the_file_once),
        cmocka_unit_test(test_status__long_texts_are_cut),
        cmocka_unit_test(test_status__is_per_thread),
        cmocka_unit_test(test_status__codes),
        cmocka_unit_test(test_status__shared_ends_with_its_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
