// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// What goes wrong on the way: handles that would name a file of the store's own, changes that end
// half way, logs that are full. The store and its people go on, and whoever lends can still end it.
#include "infer/enroll/challenge.h"
#include "tests/infer/cameo/lender.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

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

// ---- changes that end half way -----------------------------------------------------------------

// The log takes no further line.
static void block_log(bool blocked)
{
    const char *way = lender_path("store/people/ada/.log.end.new");
    assert_int_equal(blocked ? mkdir(way, 0700) : rmdir(way), 0);
}

// What was in force stays so until the log has the line, and the grant is made again.
static void test_a_grant_without_its_line(void **state)
{
    (void)state;
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, 7, 1000)));
    block_log(true);
    assert_status(lender_grant("@ada", lender_consent(LENDER_CARL, 7, 1000)), TK_IO);
    assert_ok(lender_ask("@ada", LENDER_BO));
    assert_ok(lender_ask("@ada", LENDER_ADA));
    block_log(false);
    assert_status(lender_ask("@ada", LENDER_CARL), TK_INPUT);
    assert_says("does not consent to a use by 1003");
    assert_ok(lender_grant("@ada", lender_consent(LENDER_CARL, 7, 1000)));
    assert_ok(lender_ask("@ada", LENDER_CARL));
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
}

// A run that died behind the line: the paper is beside the one before, and comes into its place.
static void test_a_grant_that_died_behind_its_line(void **state)
{
    (void)state;
    size_t n;
    const char *next = lender_path("store/people/ada/consent.next");
    const tk_handle ada = {"ada"};
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, 7, 1000)));
    const char *before = lender_get("store/people/ada/consent", &n);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_CARL, 7, 1000)));
    assert_int_equal(access(next, F_OK), -1);
    assert_int_equal(lender_run("cd %s && mv consent consent.next", "store/people/ada"), 0);
    lender_put("store/people/ada/consent", before, n);
    assert_ok(lender_ask("@ada", LENDER_CARL));
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    assert_says("does not consent to a use by 1002");
    block_log(true); // not even the next one that fails takes it away
    assert_status(lender_grant("@ada", lender_consent(LENDER_BO, 7, 1000)), TK_IO);
    block_log(false);
    assert_ok(lender_ask("@ada", LENDER_CARL));
    assert_int_equal(access(next, F_OK), 0); // the one that failed, which counts for nothing
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    assert_ok(tk_cameo_revoke(&lender_store, &ada, LENDER_ADA, NULL));
    assert_int_equal(access(next, F_OK), -1);
}

// A consent that is not the log's is replaced by a new one, and by nothing else.
static void test_a_grant_mends_a_consent(void **state)
{
    (void)state;
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, 7, 1000)));
    lender_put("store/people/ada/consent", "none", 4);
    assert_status(lender_ask("@ada", LENDER_ADA), TK_INPUT);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, 7, 1000)));
    assert_ok(lender_ask("@ada", LENDER_BO));
    lender_put("store/people/ada/card", "none", 4);
    assert_status(lender_grant("@ada", lender_consent(LENDER_BO, 7, 1000)), TK_INPUT);
    assert_says("its card is not the one");
}

// ---- a log that is full ------------------------------------------------------------------------

enum { FULL = 64 << 20 };

// By one clip whose path is long.
static void fill_log(void)
{
    static char *name[] = {"@ada"};
    const tk_cameo_ask x = {.n = 1, .names = name, .user = {LENDER_ADA}, .users = 1};
    char *path = tk_arena_alloc(&lender_arena, FULL + 1);
    assert_non_null(path);
    memset(path, 'p', FULL);
    path[FULL] = 0;
    assert_ok(lender_ask("@ada", LENDER_ADA));
    assert_ok(tk_cameos_tell(&lender_store, &x, lender_cameo, TK_CAMEO_USED, path));
}

static tk_status add_line(tk_lender *p, tk_cameo_event event)
{
    const tk_cameo_line line = {event, time(NULL), LENDER_ADA, "/a", "", ""};
    return tk_history_add(&p->folder, "ada", lender_store.server, &p->history, &line,
                          &lender_arena);
}

// Nothing more is begun; what was begun is told to its end, and who lends ends it.
static void test_a_full_log(void **state)
{
    (void)state;
    static const tk_cameo_event begins[] = {TK_CAMEO_ENROLLED, TK_CAMEO_GRANTED, TK_CAMEO_USED,
                                            TK_CAMEO_KEYED};
    const tk_handle ada = {"ada"};
    tk_cameo_new again = {
        .who = ada, .owner = LENDER_ADA, .by = "r", .reference = {"f"}, .bytes = {1}};
    tk_lender p;
    lender_enroll("@ada", LENDER_ADA);
    fill_log();
    assert_ok(tk_lender_open(&lender_store, &ada, true, &lender_arena, &p));
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        assert_status(add_line(&p, begins[i]), TK_INPUT);
        assert_says("@ada: its log is full");
    }
    assert_ok(add_line(&p, TK_CAMEO_MADE));
    tk_lender_close(&p);
    assert_ok(tk_cameo_revoke(&lender_store, &ada, LENDER_ADA, NULL));
    assert_status(tk_cameo_enroll(&lender_store, &again), TK_INPUT);
    assert_says("@ada: its log is full");
    assert_int_equal(access(lender_path("keys/ada.key"), F_OK), -1);
    assert_int_equal(access(lender_path("store/people/ada/face"), F_OK), -1);
    assert_ok(tk_lender_open(&lender_store, &ada, false, &lender_arena, &p));
    assert_int_equal(p.history.n, 4);
    assert_int_equal(p.history.line[2].event, TK_CAMEO_MADE);
    assert_int_equal(p.history.line[3].event, TK_CAMEO_REVOKED);
    tk_lender_close(&p);
}

// ---- file systems that sync no folders ---------------------------------------------------------

static bool folders_sync = true;

int fsync(int fd) // in the place of the C library's
{
    struct stat s;
    if (!folders_sync && fstat(fd, &s) == 0 && S_ISDIR(s.st_mode)) return errno = EINVAL, -1;
    return fdatasync(fd);
}

static void test_a_store_whose_folders_cannot_be_synced(void **state)
{
    (void)state;
    const tk_handle ada = {"ada"};
    folders_sync = false;
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, 7, 1000)));
    assert_ok(lender_ask("@ada", LENDER_BO));
    assert_ok(tk_cameo_revoke(&lender_store, &ada, LENDER_ADA, NULL));
    folders_sync = true;
    assert_int_equal(access(lender_path("keys/ada.key"), F_OK), -1);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, lender_setup, lender_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(test_nobody_is_the_server),
        FRESH(test_a_challenge_is_no_lock),
        FRESH(test_a_grant_without_its_line),
        FRESH(test_a_grant_that_died_behind_its_line),
        FRESH(test_a_grant_mends_a_consent),
        FRESH(test_a_full_log),
        FRESH(test_a_store_whose_folders_cannot_be_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
