// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// A spool on a disk that is full: job.json finds no room, signs of life do. No name and no try is
// used up by that, and with room again all goes on.
#include "tests/infer/spool/there.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static tk_spool a, b; // two workers of this process

static void limit_files(rlim_t bytes)
{
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &now), 0);
    now.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
}

static void fill_disk(void)
{
    limit_files(300); // a heartbeat has less, a job.json more
}

static void make_room(void) // also for what the test has to say
{
    limit_files(RLIM_INFINITY);
}

static tk_spool *const workers[] = {&a, &b};

static int set_up(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    return open_there(2, workers);
}

static int tear_down(void **state)
{
    (void)state;
    make_room();
    return close_there(2, workers);
}

static bool claim_by(tk_spool *s, tk_claim *c)
{
    bool got;
    assert_ok(tk_spool_scan(s));
    assert_ok(tk_spool_next(s, NULL, NULL, c, &got));
    return got;
}

static void scan_full(tk_spool *s)
{
    fill_disk();
    const tk_status st = tk_spool_scan(s);
    make_room();
    assert_ok(st);
}

// ---- names -------------------------------------------------------------------------------------

static void a_job_that_cannot_be_taken_in_keeps_its_name(void **state)
{
    char told[sizeof a.warned];
    tk_claim c;
    (void)state;
    do_there("echo 'seed: 1' >new/walk.yaml");
    scan_full(&a);
    snprintf(told, sizeof told, "%s", a.warned);
    assert_non_null(strstr(told, "disk full"));
    scan_full(&a);
    assert_string_equal(a.warned, told); // so that it is told once
    do_there("[ -z \"$(ls names)\" ]");
    assert_true(claim_by(&a, &c));
    assert_string_equal(c.entry.name, "walk");
    assert_ok(tk_claim_commit(&c));
}

static void lose_place(const char *point)
{
    if (!strcmp(point, "listed")) do_there("rmdir taking/*/making");
}

static void a_job_of_a_list_that_has_no_place_keeps_its_name(void **state)
{
    tk_claim c;
    (void)state;
    do_there("echo 'seed: 1' >files/walk.yaml && "
             "echo '{storyboards: [walk.yaml]}' >new/evening.yaml");
    tk_spool_seam.at = lose_place;
    assert_ok(tk_spool_scan(&a));
    tk_spool_seam.at = NULL;
    do_there("[ \"$(ls names)\" = evening ]");
    assert_true(claim_by(&a, &c));
    assert_string_equal(c.entry.name, "walk");
    assert_ok(tk_claim_commit(&c));
}

// ---- tries -------------------------------------------------------------------------------------

static void assert_no_room(tk_claim *c, tk_status (*end)(tk_claim *c))
{
    fill_disk();
    const tk_status st = end(c);
    make_room();
    assert_status(st, TK_IO);
}

static tk_status give_back(tk_claim *c)
{
    return tk_claim_return(c, "disk full");
}

static bool all_are_dead(bool held)
{
    (void)held;
    return false;
}

static void ends_that_find_no_room_cost_no_try(void **state)
{
    static tk_status (*const end[])(tk_claim *) = {give_back, tk_claim_commit};
    tk_claim c;
    (void)state;
    do_there("echo 'job.tries: 1' >new/walk.yaml");
    for (int i = 0; i < 2; i++) {
        assert_true(claim_by(&a, &c));
        assert_int_equal(c.record.tries, 1);
        assert_no_room(&c, end[i]);
        scan_full(&a);
    }
    assert_true(claim_by(&a, &c));
    assert_int_equal(c.record.tries, 1);
    assert_ok(tk_claim_commit(&c));
    do_there("[ -e done/walk/job.json ]");
}

// What was given back once is not given back again where the job could not go on to those that
// wait.
static int refuse_waiting(const char *from, const char *to)
{
    return strstr(to, "/waiting/") ? (errno = EIO, -1) : rename(from, to);
}

static void a_try_is_given_back_once(void **state)
{
    tk_claim c;
    (void)state;
    do_there("echo 'job.tries: 3' >new/walk.yaml");
    assert_true(claim_by(&a, &c));
    assert_ok(tk_claim_fail(&c, "no luck", true));
    assert_true(claim_by(&a, &c));
    assert_int_equal(c.record.tries, 2);
    tk_spool_seam.rename = refuse_waiting;
    assert_status(give_back(&c), TK_IO);
    tk_spool_seam.rename = NULL;
    assert_true(claim_by(&a, &c));
    assert_int_equal(c.record.tries, 2);
    assert_ok(tk_claim_commit(&c));
}

// Who takes a job over and finds no room to say so has given nothing back.
static void a_worker_lost_on_a_full_disk_costs_a_try(void **state)
{
    char lost[TK_SPOOL_PATH];
    tk_claim c;
    (void)state;
    do_there("echo 'job.tries: 1' >new/walk.yaml");
    assert_true(claim_by(&a, &c));
    tk_spool_seam.held = all_are_dead;
    scan_full(&b);
    tk_spool_seam.held = NULL;
    assert_false(claim_by(&b, &c));
    snprintf(lost, sizeof lost, "grep -q 'last worker (%s) was lost' failed/walk/job.json",
             a.lease.worker);
    do_there(lost);
}

// ---- folders -----------------------------------------------------------------------------------

static bool folders_sync = true;

int fsync(int fd) // in the place of the C library's: of a file system that syncs no folders
{
    struct stat s;
    if (!folders_sync && fstat(fd, &s) == 0 && S_ISDIR(s.st_mode)) return errno = EINVAL, -1;
    return fdatasync(fd);
}

static void a_folder_that_cannot_be_synced_fails_no_end(void **state)
{
    tk_claim c;
    (void)state;
    do_there("echo 'seed: 1' >new/walk.yaml");
    assert_true(claim_by(&a, &c));
    folders_sync = false;
    const tk_status st = tk_claim_commit(&c);
    folders_sync = true;
    assert_ok(st);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_job_that_cannot_be_taken_in_keeps_its_name),
        TEST(a_job_of_a_list_that_has_no_place_keeps_its_name),
        TEST(ends_that_find_no_room_cost_no_try),
        TEST(a_try_is_given_back_once),
        TEST(a_folder_that_cannot_be_synced_fails_no_end),
        TEST(a_worker_lost_on_a_full_disk_costs_a_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
