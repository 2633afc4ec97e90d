// SPDX-License-Identifier: Apache-2.0
// The communicators without a transport. Agreement among real ranks: tests/parallel.
#include "core/comm/comm.h"
#include "tests/support/test.h"

static void test_self__copies(void **state)
{
    (void)state;
    tk_comm *c = tk_comm_self();
    assert_int_equal(c->size, 1);
    assert_int_equal(c->rank, 0);
    double d = 2.5;
    uint64_t u = 7;
    assert_ok(tk_comm_sum_f64(c, &d, 1));
    assert_ok(tk_comm_sum_u64(c, &u, 1));
    assert_true(d == 2.5 && u == 7);
    int in = 4, out = 0;
    assert_ok(tk_comm_all_gather(c, &in, &out, sizeof in));
    assert_int_equal(out, 4);
    assert_ok(tk_comm_barrier(c));
    assert_status(tk_comm_sum_end(c, &u), TK_INTERNAL);
    assert_ok(tk_comm_sum_begin(c, 8));
    assert_status(tk_comm_sum_begin(c, 9), TK_INTERNAL);
    assert_ok(tk_comm_sum_end(c, &u));
    assert_int_equal(u, 8);
    assert_ok(tk_comm_broadcast(c, &in, sizeof in, 0));
    assert_status(tk_comm_broadcast(c, &in, sizeof in, 1), TK_INTERNAL);
    assert_says("broadcast from rank 1: the self communicator has 1");
}

static void test_dry__copies_what_this_rank_gives(void **state)
{
    (void)state;
    tk_comm c;
    tk_comm_dry(&c, "tensor", 1, 3);
    int mine = 6, all[3] = {0};
    assert_ok(tk_comm_all_gather(&c, &mine, all, sizeof mine));
    assert_true(all[0] == 6 && all[1] == 6 && all[2] == 6);
    assert_true(tk_comm_is_dry(&c));
    assert_false(tk_comm_is_dry(tk_comm_self()));
}

static void test_agree__alone(void **state)
{
    (void)state;
    tk_comm *c = tk_comm_self();
    tk_status_clear();
    assert_status(tk_agree(c, TK_OK), TK_OK);
    assert_status(tk_agree(c, TK_FAIL(TK_IO, "cannot open x")), TK_IO);
    assert_string_equal(tk_status_message(), "cannot open x"); // no "rank 0: " when alone
    assert_non_null(strstr(tk_status_trace(), "test_agree__alone"));
    tk_status_clear();
    assert_status(tk_agree(c, TK_MEMORY), TK_MEMORY);
}

// A communicator of three ranks seen from rank 1, the others being scripted: rank 2 has failed.
static char scripted[16384]; // what rank 2 will broadcast

static tk_status scripted_sum(tk_comm *c, uint64_t *x, int n)
{
    (void)c, (void)n;
    x[0] |= 1u << 2;
    return TK_OK;
}

static tk_status scripted_broadcast(tk_comm *c, void *x, size_t bytes, int root)
{
    if (root == c->rank)
        memcpy(scripted, x, bytes);
    else
        memcpy(x, scripted, bytes);
    return TK_OK;
}

static void test_agree__lowest_failing_rank_speaks(void **state)
{
    (void)state;
    tk_comm_ops ops = *tk_comm_self()->ops;
    ops.sum_u64 = scripted_sum;
    ops.broadcast = scripted_broadcast;
    tk_comm two = {.ops = &ops, .rank = 2, .size = 3, .name = "world"}, one = two;
    one.rank = 1;
    // as rank 2, recording the word it sends
    assert_status(tk_agree(&two, TK_FAIL(TK_INPUT, "no such key")), TK_INPUT);
    assert_string_equal(tk_status_message(), "rank 2: no such key");
    // as rank 1, which was fine
    tk_status_clear();
    assert_status(tk_agree(&one, TK_OK), TK_INPUT);
    assert_string_equal(tk_status_message(), "rank 2: no such key");
    assert_non_null(strstr(tk_status_trace(), "test_agree__lowest"));
    // as rank 1, failing too: lower than rank 2, so it speaks
    assert_status(tk_agree(&one, TK_FAIL(TK_IO, "disk full")), TK_IO);
    assert_string_equal(tk_status_message(), "rank 1: disk full");
    // agreed on again further up: no second prefix
    assert_status(tk_agree(&one, TK_IO), TK_IO);
    assert_string_equal(tk_status_message(), "rank 1: disk full");
}

static void test_same__names_the_ranks(void **state)
{
    (void)state;
    int x = 3;
    assert_ok(tk_same(tk_comm_self(), "the seed", &x, sizeof x));
    tk_comm_ops ops = *tk_comm_self()->ops;
    tk_comm c = {.ops = &ops, .rank = 0, .size = 3, .name = "world"};
    assert_ok(tk_same(&c, "the seed", &x, sizeof x));
    ops.sum_u64 = scripted_sum; // rank 2 differs
    assert_status(tk_same(&c, "the seed", &x, sizeof x), TK_INPUT);
    assert_says("the seed");
    assert_says("rank 2 ");
    // as rank 1, with bytes of its own: ranks 1 and 2 differ from rank 0
    ops.broadcast = scripted_broadcast;
    x = 4;
    assert_status(tk_same(&c, "the seed", &x, sizeof x), TK_INPUT);
    c.rank = 1;
    x = 5;
    assert_status(tk_same(&c, "the seed", &x, sizeof x), TK_INPUT);
    assert_says("ranks 1, 2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self__copies),
        cmocka_unit_test(test_dry__copies_what_this_rank_gives),
        cmocka_unit_test(test_agree__alone),
        cmocka_unit_test(test_agree__lowest_failing_rank_speaks),
        cmocka_unit_test(test_same__names_the_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
