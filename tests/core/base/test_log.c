// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"
#include "core/base/version.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int saved, from;

// From here to heard(), stderr goes into a pipe or a pseudo-terminal.
static void listen(bool terminal)
{
    int to, pair[2];
    fflush(stderr);
    saved = dup(STDERR_FILENO);
    if (terminal) {
        struct termios t;
        assert_int_equal(openpty(&from, &to, NULL, NULL, NULL), 0);
        assert_int_equal(tcgetattr(to, &t), 0);
        t.c_oflag &= ~(tcflag_t)OPOST; // newlines as they are
        assert_int_equal(tcsetattr(to, TCSANOW, &t), 0);
    } else {
        assert_int_equal(pipe(pair), 0);
        from = pair[0];
        to = pair[1];
    }
    dup2(to, STDERR_FILENO);
    close(to);
    fcntl(from, F_SETFL, O_NONBLOCK);
}

static const char *heard(void)
{
    static char text[65536];
    fflush(stderr);
    size_t used = 0; // a terminal hands over what was written piece by piece, each a moment later
    struct pollfd more = {from, POLLIN, 0};
    while (used < sizeof text - 1 && poll(&more, 1, 100) > 0) {
        ssize_t n = read(from, text + used, sizeof text - 1 - used);
        if (n <= 0) break;
        used += (size_t)n;
    }
    text[used] = 0;
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(from);
    return text;
}

static void test_log__ranks_and_levels(void **state)
{
    (void)state;
    static const char *want[3] = {"warning: w 3\n", "one\nwarning: w 3\n",
                                  "one\ntwo\nwarning: w 3\n"};
    for (int level = 0; level < 3; level++) {
        listen(false);
        tk_log_open(0, level);
        tk_log("%s", "one");
        tk_log_verbose("two");
        tk_log_warn("w %d", 3);
        assert_string_equal(heard(), want[level]);
        listen(false);
        tk_log_warn_once("w %d", 3);
        assert_string_equal(heard(), "warning: w 3\n");
    }
    listen(false);
    tk_log_open(5, 2);
    tk_log("one");
    tk_log_warn_once("once");
    tk_log_warn("w");
    assert_string_equal(heard(), "rank 5: warning: w\n");
}

// Names of files and what others wrote steer no terminal.
static void test_log__steers_no_terminal(void **state)
{
    (void)state;
    listen(false);
    tk_log_open(0, 1);
    tk_log_warn("a\033[2J \302\233c \177 \377 \303\244\nb");
    assert_string_equal(heard(), "warning: a?[2J ??c ? ? \303\244\n  b\n");
}

// Nor do they pass for a line of ours.
static void test_log__says_nothing_for_others(void **state)
{
    (void)state;
    char text[5000];
    memset(text, '\n', sizeof text);
    memcpy(text + sizeof text - 9, "warning:", 9);
    listen(false);
    tk_log_open(0, 1);
    tk_log("x\nwarning: job a: failed\n  b");
    assert_string_equal(heard(), "x\n  warning: job a: failed\n  b\n");
    listen(false);
    tk_log("%s", text);
    assert_null(strstr(heard(), "\nwarning:"));
}

static void walk(int rank, int level)
{
    tk_progress p;
    tk_log_open(rank, level);
    tk_progress_begin(&p, "train", "steps", 200);
    p.shown -= 3600; // the next report is due
    tk_progress_at(&p, 50, "loss 0.31");
    tk_progress_at(&p, 51, "too soon");
    tk_log("a line between");
    tk_progress_at(&p, 200, "");
    tk_progress_end(&p);
}

static void test_progress__plain_lines(void **state)
{
    (void)state;
    listen(false);
    walk(0, 1);
    const char *text = heard();
    assert_non_null(strstr(text, "train   25%  50/200 steps"));
    assert_non_null(strstr(text, "loss 0.31\n"));
    assert_null(strstr(text, "too soon"));
    assert_non_null(strstr(text, "\na line between\n"));
    assert_non_null(strstr(text, "100%  200/200 steps"));
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '\033'));
    listen(false);
    walk(1, 1);
    assert_string_equal(heard(), "");
    listen(false);
    walk(0, 0);
    assert_string_equal(heard(), "");
}

static void test_progress__bar_on_a_terminal(void **state)
{
    (void)state;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    listen(true);
    walk(0, 1);
    const char *text = heard();
    assert_non_null(strstr(text, "\rtrain"));
    assert_non_null(strstr(text, "\033[32m"));
    assert_non_null(strstr(text, "\r\033[Ka line between\n")); // the bar makes room
    assert_int_equal(text[strlen(text) - 1], '\n');
    setenv("NO_COLOR", "1", 1);
    listen(true);
    walk(0, 1);
    text = heard();
    assert_non_null(strstr(text, "\rtrain"));
    assert_null(strstr(text, "\033[32m"));
}

static void test_progress__odd_totals(void **state)
{
    (void)state;
    listen(false);
    tk_progress p;
    tk_log_open(0, 1);
    tk_progress_begin(&p, "nothing", "files", 0);
    tk_progress_end(&p);
    tk_progress_begin(&p, "more", "files", 2);
    tk_progress_at(&p, 5, NULL);
    tk_progress_end(&p);
    const char *text = heard();
    assert_non_null(strstr(text, "0%  0/0 files"));
    assert_non_null(strstr(text, "100%  5/2 files"));
    assert_null(strstr(text, "nan"));
}

static void test_now__goes_forward(void **state)
{
    (void)state;
    double t = tk_now();
    usleep(2000);
    assert_true(tk_now() - t > 0.0015 && tk_now() - t < 10);
    assert_true(*tk_revision());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__ranks_and_levels),
        cmocka_unit_test(test_log__steers_no_terminal),
        cmocka_unit_test(test_log__says_nothing_for_others),
        cmocka_unit_test(test_progress__plain_lines),
        cmocka_unit_test(test_progress__bar_on_a_terminal),
        cmocka_unit_test(test_progress__odd_totals),
        cmocka_unit_test(test_now__goes_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
