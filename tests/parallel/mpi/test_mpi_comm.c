// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3 4; timeout: 60 */
// The communicator of the host over MPI. Values are small integers, so that sums are exact.
#include "core/base/mem.h"
#include "parallel/mpi/comm.h"
#include "tests/support/ranks.h"
#include "tests/support/values.h"
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

static tk_comm world;

static void test_start__starts_no_other_process(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_messages__longer_than_one_piece(void **state)
{
    (void)state;
    tk_mpi_set_max_message(1000);
    char *x = tk_alloc(5001);
    if (world.rank == 0) memset(x, 'a', 5001);
    assert_int_equal(tk_comm_broadcast(&world, x, 5001, 0), TK_OK);
    assert_int_equal(x[5000], 'a');
    tk_free(x);
    tk_mpi_set_max_message((size_t)1 << 30);
}

static void test_host__sums_and_gather(void **state)
{
    (void)state;
    enum { N = 5000 }; // more than one window
    double *d = tk_alloc(N * sizeof *d);
    uint64_t *u = tk_alloc(N * sizeof *u);
    for (int i = 0; i < N; i++) {
        d[i] = value_of_rank(world.rank, i);
        u[i] = UINT64_MAX - (uint64_t)world.rank; // wraps
    }
    assert_int_equal(tk_comm_sum_f64(&world, d, N), TK_OK);
    assert_int_equal(tk_comm_sum_u64(&world, u, N), TK_OK);
    uint64_t want = 0;
    for (int r = 0; r < world.size; r++) want += UINT64_MAX - (uint64_t)r;
    for (int i = 0; i < N; i++) {
        assert_true(d[i] == sum_of_values(&world, i));
        assert_true(u[i] == want);
    }
    for (size_t bytes = 3; bytes < 200000; bytes *= 40) {
        unsigned char *in = tk_alloc(bytes), *out = tk_alloc(bytes * (size_t)world.size);
        memset(in, world.rank + 1, bytes);
        assert_int_equal(tk_comm_all_gather(&world, in, out, bytes), TK_OK);
        for (size_t i = 0; i < bytes * (size_t)world.size; i++)
            assert_int_equal(out[i], i / bytes + 1);
        tk_free(in);
        tk_free(out);
    }
    assert_int_equal(tk_comm_barrier(&world), TK_OK);
    tk_free(d);
    tk_free(u);
}

// Other sums come between its halves.
static void test_sum__in_two_halves(void **state)
{
    uint64_t between = 1, sum = 0, want = 0;
    (void)state;
    for (int r = 0; r < world.size; r++) want += UINT64_MAX - (uint64_t)r;
    for (int k = 0; k < 3; k++) {
        assert_int_equal(tk_comm_sum_begin(&world, UINT64_MAX - (uint64_t)world.rank), TK_OK);
        assert_int_equal(tk_comm_sum_u64(&world, &between, 1), TK_OK);
        assert_int_equal(tk_comm_sum_end(&world, &sum), TK_OK);
        assert_true(sum == want);
    }
}

static void test_most__is_that_of_any_rank(void **state)
{
    (void)state;
    for (int holder = 0; holder < world.size; holder++) {
        // Others have more of every byte but the one that tells.
        size_t x = world.rank == holder ? (size_t)0x5100000000000100 : (size_t)0x50ffffffffffffff;
        assert_ok(tk_comm_most(&world, &x));
        assert_int_equal(x, 0x5100000000000100);
        x = (size_t)(world.rank == holder ? 700 : 700 - world.rank - 1);
        assert_ok(tk_comm_most(&world, &x));
        assert_int_equal(x, 700);
    }
    size_t most = SIZE_MAX - (size_t)world.rank, none = 0;
    assert_ok(tk_comm_most(&world, &most));
    assert_ok(tk_comm_most(&world, &none));
    assert_int_equal(most, SIZE_MAX);
    assert_int_equal(none, 0);
}

static void test_agree__message_of_the_failing_rank(void **state)
{
    (void)state;
    for (int bad = 0; bad < world.size; bad++) {
        char want[64];
        tk_status mine = TK_OK;
        tk_status_clear();
        if (world.rank >= bad) mine = TK_FAIL(TK_IO, "disk of rank %d is full", world.rank);
        assert_int_equal(tk_agree(&world, mine), TK_IO);
        snprintf(want, sizeof want, "disk of rank %d is full", bad);
        assert_non_null(strstr(tk_status_message(), want));
    }
    tk_status_clear();
    assert_int_equal(tk_agree(&world, TK_OK), TK_OK);
}

static void test_same__names_the_ranks_that_differ(void **state)
{
    (void)state;
    int64_t x[2] = {1, 2};
    assert_int_equal(tk_same(&world, "the config", x, sizeof x), TK_OK);
    if (world.size == 1) return;
    if (world.rank == world.size - 1) x[1] = 3;
    assert_int_equal(tk_same(&world, "the config", x, sizeof x), TK_INPUT);
    assert_true(tk_status_shared()); // so that it is said once
    assert_non_null(strstr(tk_status_message(), "the config"));
    tk_status_clear();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start__starts_no_other_process),
        cmocka_unit_test(test_messages__longer_than_one_piece),
        cmocka_unit_test(test_host__sums_and_gather),
        cmocka_unit_test(test_sum__in_two_halves),
        cmocka_unit_test(test_most__is_that_of_any_rank),
        cmocka_unit_test(test_agree__message_of_the_failing_rank),
        cmocka_unit_test(test_same__names_the_ranks_that_differ),
    };
    ranks_run(argc, argv, world, tests);
}
