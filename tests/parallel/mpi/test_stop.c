// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Wishes to stop are heard, and by no thread that computes: what the kernel pushes for a handler
// would lie in the middle of a product's workspace.
#include "core/device/ops/gemm.h"
#include "parallel/mpi/stop.h"
#include "tests/support/test.h"
#include <omp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PRODUCTS = 40000, ROWS = 127, COLUMNS = 16, INNER = 127, THREADS = 3 };

// In a process of its own, which does not look at wishes.
static void who_asks_again_after_a_while_means_now(void **state)
{
    int ended;
    (void)state;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (tk_stop_watch() != TK_OK) _exit(1);
        for (;;) sleep(1);
    }
    sleep(1);
    for (int i = 0; i < 3; i++) assert_int_equal(kill(pid, SIGINT), 0);
    sleep(1);
    assert_int_equal(waitpid(pid, &ended, WNOHANG), 0);
    sleep(3);
    assert_int_equal(kill(pid, SIGINT), 0);
    assert_int_equal(waitpid(pid, &ended, 0), pid);
    assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGINT);
}

static int watch(void **state)
{
    (void)state;
    assert_ok(tk_stop_watch());
    return 0;
}

// SIGTERM and SIGUSR1 to the parent in turns until it is killed.
static pid_t rain_wishes(void)
{
    const pid_t parent = getpid(), pid = fork();
    assert_true(pid >= 0);
    for (int i = 0; pid == 0; i++) {
        if (kill(parent, i % 2 ? SIGTERM : SIGUSR1) != 0) _exit(1);
        usleep(30);
    }
    return pid;
}

static void products_under_wishes_keep_the_heap_whole(void **state)
{
    float *a = calloc(ROWS * INNER, sizeof *a), *b = calloc(INNER * COLUMNS, sizeof *b);
    float *c = calloc(ROWS * COLUMNS, sizeof *c);
    (void)state;
    assert_true(a && b && c);
    for (int i = 0; i < ROWS * INNER; i++) a[i] = 1;
    for (int i = 0; i < INNER * COLUMNS; i++) b[i] = 2;
    const pid_t pid = rain_wishes();
    for (int i = 0; i < PRODUCTS; i++)
        assert_ok(
            tk_gemm_one('T', 'N', ROWS, COLUMNS, INNER, 1, a, ROWS, b, COLUMNS, 0, c, COLUMNS));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(tk_stop_asked());
    for (int i = 0; i < ROWS * COLUMNS; i++) assert_true(c[i] == 2 * INNER);
    free(a);
    free(b);
    free(c);
}

static void no_thread_that_computes_listens(void **state)
{
    static const int wishes[] = {SIGTERM, SIGUSR1, SIGINT};
    int blocked[THREADS] = {0};
    (void)state;
#pragma omp parallel num_threads(THREADS)
    {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        for (int i = 0; i < 3; i++)
            blocked[omp_get_thread_num()] += sigismember(&mask, wishes[i]) == 1;
    }
    for (int i = 0; i < THREADS; i++) assert_int_equal(blocked[i], 3);
}

static void watching_again_forgets_a_wish(void **state)
{
    (void)state;
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    for (int i = 0; i < 5000 && !tk_stop_asked(); i++) usleep(1000);
    assert_true(tk_stop_asked());
    assert_ok(tk_stop_watch());
    assert_false(tk_stop_asked());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_again_after_a_while_means_now),
        cmocka_unit_test_setup(no_thread_that_computes_listens, watch),
        cmocka_unit_test(products_under_wishes_keep_the_heap_whole),
        cmocka_unit_test(watching_again_forgets_a_wish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
