// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// The emulated GPU itself: kernels that do right give what they should in every order of threads,
// and each fault planted in one is found.
#include "tests/cuda/planted.h"
#include "tests/support/test.h"
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 93, THREADS = 64, SEEDS = 3, ORDERS = 8, ROOM = 8 * 128 };
static _Alignas(16) float x[N];

static void fill_numbers(void)
{
    for (int i = 0; i < N; i++) x[i] = (float)(i + 1);
}

// ---- what is right ---------------------------------------------------------------------------

static void check_reverse(const float *y)
{
    for (int i = 0; i < N; i++) {
        const int first = i / THREADS * THREADS, rows = N - first < THREADS ? N - first : THREADS;
        assert_true(y[i] == x[first + rows - 1 - (i - first)]);
    }
    for (int i = N; i < ROOM; i++) assert_true(y[i] == -1);
}

static float sum_of_numbers(void)
{
    float s = 0;
    for (int i = 0; i < N; i++) s += x[i];
    return s;
}

static void check_sums(const float *y)
{
    assert_true(y[0] == sum_of_numbers());
    assert_true(y[1] == 2 * sum_of_numbers());
}

static float at(int i)
{
    return i < N ? x[i] : 0;
}

static void check_lanes(const float *y)
{
    for (int i = 0; i < N; i++) {
        const int lane = i % 32, first = i - lane, in8 = lane % 8;
        const float *got = y + 8 * i;
        assert_true(got[0] == at(first + (lane ^ 5)));
        assert_true(got[1] == at(lane + 3 < 32 ? i + 3 : i));
        assert_true(got[2] == at(first + lane / 2) + (lane < 16 ? at(i ^ 1) : 0));
        // across segments of eight: what comes before may be read, what comes after not
        assert_true(got[3] == at((lane ^ 9) / 8 > lane / 8 ? i : first + (lane ^ 9)));
        assert_true(got[4] == at(in8 + 3 < 8 ? i + 3 : i));
        assert_true(got[5] == 0x7ff);
        assert_true(got[6] == 1);
        assert_true(got[7] == 1);
    }
}

static void (*const check[PLANTED_RIGHT])(const float *y) = {check_reverse, check_sums,
                                                             check_lanes};

static int run_with(planted what, int seed, float *y)
{
    char word[16];
    snprintf(word, sizeof word, "%d", seed);
    setenv("TK_CUDA_SEED", word, 1);
    for (int i = 0; i < ROOM; i++) y[i] = -1;
    return planted_run(what, x, y, N, THREADS);
}

static void test_dialect__right_kernels_are_right_in_every_order(void **state)
{
    (void)state;
    _Alignas(16) float y[ROOM];
    for (int what = 0; what < PLANTED_RIGHT; what++)
        for (int seed = 0; seed < 20; seed++) {
            assert_true(run_with((planted)what, seed, y));
            check[what](y);
        }
}

static void test_dialect__launches_are_checked(void **state)
{
    (void)state;
    float y[ROOM];
    assert_false(planted_run(PLANTED_REVERSE, x, y, N, 1025 + 31));
    assert_false(planted_run(PLANTED_REVERSE, x, y, N, 33));
    assert_false(planted_run(PLANTED_REVERSE, x, y, 0, 64)); // a grid without blocks
}

// ---- what is wrong ---------------------------------------------------------------------------

// Faults that end the process, with these words; under the address sanitizer its own may come
// first.
static const struct {
    planted what;
    const char *words, *sanitizer;
} deadly[] = {
    {PLANTED_HALF_MASK, "does not name this thread's lane", NULL},
    {PLANTED_OTHER_MASK, "which is at __shfl_xor_sync", NULL},
    {PLANTED_FOREIGN_LANE, "which its mask 0000ffff does not name", NULL},
    {PLANTED_ENDED_LANE, "waits for lane 4, which has ended", NULL},
    {PLANTED_ENDED_THREAD, "has ended, but thread", NULL},
    {PLANTED_TWO_BARRIERS, "waits at __syncthreads", NULL},
    {PLANTED_OVERRUN, "256 bytes of shared memory, and touches byte 256", "AddressSanitizer"},
    {PLANTED_UNDERRUN, "256 bytes of shared memory, and touches byte -4", "AddressSanitizer"},
    {PLANTED_READ_BEHIND, "256 bytes of shared memory, and touches byte 256", "AddressSanitizer"},
    {PLANTED_READ_BEFORE, "256 bytes of shared memory, and touches byte -4", "AddressSanitizer"},
    {PLANTED_MISPLACED_LOAD, "accesses 8 bytes at once at", NULL},
    {PLANTED_MISPLACED_STORE, "accesses 8 bytes at once at", NULL},
    {PLANTED_DEEP, "a thread needs more than the", "AddressSanitizer"},
};

// What a child says that runs it in some orders, and whether it died.
static bool dies(planted what, char *said, size_t bytes)
{
    int ends[2], status = 0;
    size_t n = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        _Alignas(16) float y[ROOM];
        dup2(ends[1], 2);
        signal(SIGABRT, SIG_DFL);
        for (int seed = 1; seed <= ORDERS; seed++) run_with(what, seed, y);
        _exit(0);
    }
    close(ends[1]);
    while (n + 1 < bytes && (got = read(ends[0], said + n, bytes - 1 - n)) > 0) n += (size_t)got;
    said[n] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_dialect__what_is_not_allowed_ends_with_words(void **state)
{
    (void)state;
    static char said[1 << 16];
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        if (!dies(deadly[i].what, said, sizeof said)) fail_msg("fault %d is not found", (int)i);
        const bool told = strstr(said, deadly[i].words) && strstr(said, "kernel planted, block (");
        const bool found = deadly[i].sanitizer && strstr(said, deadly[i].sanitizer);
        if (!told && !found) fail_msg("\"%s\" does not say \"%s\"", said, deadly[i].words);
    }
}

// Faults that give wrong numbers in one of the orders that a test looks at.
static void test_dialect__wrong_orders_give_wrong_numbers(void **state)
{
    (void)state;
    static const struct {
        planted fault, of;
    } wrong[] = {{PLANTED_NO_BARRIER, PLANTED_REVERSE},
                 {PLANTED_NO_SECOND_BARRIER, PLANTED_SUMS},
                 {PLANTED_TAIL, PLANTED_REVERSE},
                 {PLANTED_NO_STORE, PLANTED_REVERSE},
                 {PLANTED_UNWRITTEN, PLANTED_REVERSE}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        float right[ROOM], y[ROOM];
        int found = 0;
        run_with(wrong[i].of, 1, right);
        for (int seed = 1; seed <= SEEDS; seed++) {
            assert_true(run_with(wrong[i].fault, seed, y));
            found += memcmp(y, right, sizeof y) != 0;
        }
        if (!found) fail_msg("fault %d is not found in %d orders", wrong[i].fault, SEEDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialect__right_kernels_are_right_in_every_order),
        cmocka_unit_test(test_dialect__launches_are_checked),
        cmocka_unit_test(test_dialect__what_is_not_allowed_ends_with_words),
        cmocka_unit_test(test_dialect__wrong_orders_give_wrong_numbers),
    };
    fill_numbers();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
