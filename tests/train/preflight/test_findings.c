// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 */
// What is said of figures, without measuring any.
#include "tests/support/test.h"
#include "train/preflight/findings.h"
#include <stdio.h>
#include <string.h>

enum { RANKS = 8, EACH = 4 }; // two hosts

static tk_arena arena;
static tk_flight_rank ranks[RANKS];
static tk_flight_verdicts said;

static int set_up(void **state)
{
    (void)state;
    tk_arena_init(&arena, 0);
    memset(ranks, 0, sizeof ranks);
    said = (tk_flight_verdicts){.arena = &arena};
    for (int i = 0; i < RANKS; i++) {
        tk_flight_rank *r = &ranks[i];
        snprintf(r->host, sizeof r->host, "host%d", i / EACH);
        for (int f = 0; f < TK_FLIGHT_FACTS; f++) strcpy(r->fact[f], "one kind");
        for (int f = 0; f < TK_FLIGHT_FIGURES; f++) r->figure[f] = 1e12 + 1e9 * i;
        r->near = i % EACH ? i - 1 : i + EACH - 1;
        r->far = (i + EACH) % RANKS;
        r->wrong_from = -1;
        r->product = 7;
        r->memory = 1e12;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tk_arena_free(&arena);
    return 0;
}

// So many findings, the first of which begins so.
static void expect(int n, const char *begins)
{
    double *middle;
    said.n = 0;
    assert_ok(tk_flight_medians(ranks, RANKS, &arena, &middle));
    assert_ok(tk_flight_judge(ranks, RANKS, middle, 0.8, &said));
    assert_int_equal(said.n, n);
    if (n) assert_memory_equal(said.line[0], begins, strlen(begins));
}

static void ranks_that_are_alike_are_fine(void **state)
{
    (void)state;
    expect(0, "");
    for (int f = 0; f < TK_FLIGHT_FIGURES; f++) ranks[3].figure[f] = 0; // was not measured
    expect(0, "");
}

static void a_slow_rank_is_named(void **state)
{
    (void)state;
    ranks[5].figure[TK_FLIGHT_PRODUCT] *= 0.5;
    expect(1, "rank 5 on host1: matrix products at 0.50 of the median, 502.5 of 1003 GFLOP/s");
}

static void a_host_of_slow_ranks_is_one_finding(void **state)
{
    (void)state;
    for (int i = EACH; i < RANKS; i++) ranks[i].figure[TK_FLIGHT_COPY] *= 0.01;
    ranks[EACH].figure[TK_FLIGHT_COPY] = 0.8 * 1e12; // of two equal halves the faster is the middle
    for (int i = 0; i < EACH; i++) ranks[i].figure[TK_FLIGHT_COPY] = 2e12;
    expect(1, "host host1, all of its 4 ranks (rank 4 on): copies within the device at 0.40");
}

static void a_slow_link_is_named_by_both_ends(void **state)
{
    (void)state;
    ranks[2].figure[TK_FLIGHT_FAR] *= 0.3;
    expect(1, "the link between rank 2 on host0 and rank 6 on host1: messages between hosts");
}

static void devices_are_compared_with_their_like(void **state)
{
    (void)state;
    for (int i = 6; i < RANKS; i++) {
        strcpy(ranks[i].fact[TK_FLIGHT_DEVICE], "another");
        ranks[i].figure[TK_FLIGHT_PRODUCT] *= 0.5;
        ranks[i].product = 8;
    }
    expect(2, "rank 6 on host1: its device is another, that of most is one kind");
    ranks[7].figure[TK_FLIGHT_PRODUCT] *= 0.5;
    expect(3, "rank 7 on host1: matrix products at 0.5");
}

static void wrong_numbers_are_named(void **state)
{
    (void)state;
    ranks[0].product = 9;
    expect(1, "rank 0 on host0: a matrix product gives other bits than on most of the 8");
    ranks[0].product = 7;
    ranks[1].unsteady = true;
    expect(1, "rank 1 on host0: the same matrix product gave other bits the second time");
    ranks[1].unsteady = false;
    ranks[2].bad_bytes = 4;
    expect(1, "rank 2 on host0: 4 bytes of its device's memory");
    ranks[2].bad_bytes = 0;
    ranks[3].wrong_sum = true;
    expect(1, "rank 3 on host0: an all-reduce gave it wrong numbers");
    ranks[3].wrong_sum = false;
    ranks[4].wrong_from = 0;
    expect(1, "the link between rank 0 on host0 and rank 4 on host1: what arrives is not");
}

static void hosts_that_differ_are_named_once(void **state)
{
    (void)state;
    for (int i = EACH; i < RANKS; i++) {
        ranks[i].ahead = -2.5;
        ranks[i].memory = 1e11;
        ranks[i].lost = true;
    }
    expect(3, "host host1: its clock is 2.5 s behind the others'");
    for (int i = EACH; i < RANKS; i++) ranks[i].ahead = 0.1, ranks[i].memory = 9e11;
    expect(1, "host host1: the folder of train.out is not the one that rank 0 on host0 sees");
}

static void hosts_have_ranks_in_a_row_or_one_each(void **state)
{
    (void)state;
    assert_int_equal(tk_flight_ranks_of_host(ranks, RANKS), EACH);
    assert_int_equal(tk_flight_ranks_of_host(ranks, EACH), EACH);
    assert_int_equal(tk_flight_ranks_of_host(ranks, 6), 1);
    strcpy(ranks[1].host, "host1");
    assert_int_equal(tk_flight_ranks_of_host(ranks, RANKS), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(ranks_that_are_alike_are_fine),        TEST(a_slow_rank_is_named),
        TEST(a_host_of_slow_ranks_is_one_finding),  TEST(a_slow_link_is_named_by_both_ends),
        TEST(devices_are_compared_with_their_like), TEST(wrong_numbers_are_named),
        TEST(hosts_that_differ_are_named_once),     TEST(hosts_have_ranks_in_a_row_or_one_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
