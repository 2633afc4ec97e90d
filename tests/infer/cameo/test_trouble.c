// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// What goes wrong on the way: handles that would name a file of the store's own, changes that end
// half way, logs that are full. The store and its people go on, and whoever lends can still end it.
#include "infer/enroll/challenge.h"
#include "tests/infer/cameo/lender.h"

// ---- names of the store's own ------------------------------------------------------------------

static void test_nobody_is_the_server(void **state)
{
    (void)state;
    size_t n, m;
    tk_cameo_new x = {.owner = LENDER_ADA, .by = "registrar", .reference = {"f"}, .bytes = {1}};
    lender_enroll("@ada", LENDER_ADA);
    const char *before = lender_get("keys/server.key", &n);
    tk_status st = tk_handle_read("@server", &x.who);
    if (st == TK_OK) st = tk_cameo_enroll(&lender_store, &x);
    assert_status(st, TK_INPUT);
    assert_says("\"@server\" is no handle");
    assert_memory_equal(before, lender_get("keys/server.key", &m), n);
    assert_int_equal(n, m);
    tk_cameo_store_close(&lender_store);
    lender_open();
    assert_ok(lender_ask("@ada", LENDER_ADA));
}

// A challenge lies beside the lock of all of them.
static void test_a_challenge_is_no_lock(void **state)
{
    (void)state;
    tk_handle h;
    tk_challenge asked, taken;
    struct stat lock, now;
    assert_ok(tk_handle_read("@ada", &h));
    assert_ok(tk_challenge_ask(&lender_store, &h, &asked));
    assert_int_equal(stat(lender_path("keys/challenges/lock"), &lock), 0);
    assert_ok(tk_handle_read("@lock", &h));
    assert_ok(tk_challenge_ask(&lender_store, &h, &asked));
    assert_int_equal(stat(lender_path("keys/challenges/lock"), &now), 0);
    assert_true(now.st_ino == lock.st_ino && now.st_size == 0);
    assert_ok(tk_challenge_take(&lender_store, &h, &taken));
    assert_memory_equal(asked.word, taken.word, sizeof asked.word);
    assert_int_equal(stat(lender_path("keys/challenges/lock"), &now), 0);
    assert_true(now.st_ino == lock.st_ino);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, lender_setup, lender_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(test_nobody_is_the_server),
        FRESH(test_a_challenge_is_no_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
