// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// The spool's promises one by one: order, names, what is broken, ends, and what a worker that lost
// its lease can still do, which is nothing.
#include "core/base/files.h"
#include "core/base/log.h"
#include "tests/infer/spool/there.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static tk_spool a, b; // two workers of this process

static tk_spool *const workers[] = {&a, &b};

static int set_up(void **state)
{
    (void)state;
    return open_there(2, workers);
}

static int tear_down(void **state)
{
    (void)state;
    return close_there(2, workers);
}

static void do_filled(const char *fmt, ...)
{
    char what[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    do_there(what);
}

static void drop(const char *name, const char *text)
{
    do_filled("printf '%s' >new/.tmp && mv new/.tmp \"new/%s\"", text, name);
}

static bool there(const char *path)
{
    char full[256];
    struct stat s;
    snprintf(full, sizeof full, "%s/%s", dir, path);
    return lstat(full, &s) == 0;
}

static void assert_error(const char *folder, const char *words)
{
    char path[256];
    tk_spool_record r;
    bool found;
    snprintf(path, sizeof path, "%s/%s", dir, folder);
    assert_ok(tk_spool_record_read(path, &r, &found));
    if (!found) fail_msg("%s has no job.json", folder);
    if (!strstr(r.error, words)) fail_msg("%s: \"%s\" does not say \"%s\"", folder, r.error, words);
}

static bool claim_by(tk_spool *s, tk_claim *c)
{
    bool got;
    assert_ok(tk_spool_scan(s));
    assert_ok(tk_spool_next(s, NULL, NULL, c, &got));
    return got;
}

static void assert_claims(tk_spool *s, const char *name)
{
    tk_claim c;
    if (!claim_by(s, &c)) fail_msg("nothing waits, %s should", name);
    assert_string_equal(c.entry.name, name);
    assert_ok(tk_claim_commit(&c));
}

// ---- order and names ---------------------------------------------------------------------------

static void jobs_come_by_priority_then_age(void **state)
{
    (void)state;
    drop("late.yaml", "seed: 1");
    assert_ok(tk_spool_scan(&a));
    do_filled("cd waiting && mv 5,* 5,30000101-000000,late,0");
    drop("early.yaml", "seed: 1");
    drop("soon.yaml", "job.priority: 0");
    drop("some-day.yaml", "job:\\n  priority: 9\\n");
    assert_claims(&a, "soon");
    assert_claims(&b, "early");
    assert_claims(&a, "late");
    assert_claims(&a, "some-day");
    tk_claim c;
    assert_false(claim_by(&a, &c));
    assert_true(there("done/soon/soon.yaml"));
    assert_true(there("done/soon/job.json"));
}

static void a_name_is_given_once(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        drop("a.yaml", "seed: 1");
        assert_ok(tk_spool_scan(&a));
    }
    assert_claims(&a, "a");
    assert_claims(&a, "a-2");
    drop("job.yaml", "seed: 1"); // whose clip would be described in job.json
    assert_claims(&a, "job-2");
    do_filled("rm -r done/a");
    drop("a.yaml", "seed: 1");
    assert_claims(&a, "a-3");
}

// The one behind those that were given is found by few questions, however many they are.
static void names_are_given_in_a_row(void **state)
{
    (void)state;
    char name[TK_SPOOL_NAME + 1], want[TK_SPOOL_NAME + 1];
    assert_ok(tk_spool_give_name(&a, "walk", name));
    assert_string_equal(name, "walk");
    for (int i = 2; i < 70; i++) {
        snprintf(want, sizeof want, "walk-%d", i);
        assert_ok(tk_spool_give_name(i % 2 ? &a : &b, "walk", name));
        assert_string_equal(name, want);
    }
}

// A folder of more than are looked at: its first ones, whatever order the file system has.
static void the_first_names_are_read(void **state)
{
    (void)state;
    tk_spool_names all;
    for (int i = 0; i < 95; i++) do_filled("touch files/%02d", i * 37 % 95);
    assert_ok(tk_spool_names_read(dir, "files", 10, &a.arena, &all));
    assert_int_equal(all.n, 10);
    assert_true(all.more);
    for (int i = 0; i < 10; i++) assert_int_equal(atoi(all.name[i]), i);
    assert_ok(tk_spool_names_read(dir, "files", 95, &a.arena, &all));
    assert_int_equal(all.n, 95);
    assert_false(all.more);
    assert_ok(tk_spool_names_read(dir, "files", 94, &a.arena, &all));
    assert_true(all.n == 94 && all.more);
    assert_string_equal(all.name[93], "93");
}

// Who dropped a file may have it open still: what a worker has read is what it makes.
static void what_was_read_stays(void **state)
{
    (void)state;
    char path[128], *text;
    size_t n;
    tk_claim c;
    tk_arena arena;
    struct stat s;
    drop("a.yaml", "seed: 1");
    do_filled("chmod 664 new/a.yaml");
    snprintf(path, sizeof path, "%s/new/a.yaml", dir);
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_true(claim_by(&a, &c));
    tk_arena_init(&arena, 0);
    assert_ok(tk_claim_read(&c, &arena, &text, &n));
    assert_string_equal(text, "seed: 1");
    assert_int_equal(pwrite(fd, "seed: 2", 7, 0), 7);
    assert_ok(tk_file_read(c.yaml, 100, &arena, &text, &n));
    assert_string_equal(text, "seed: 1");
    assert_int_equal(stat(c.yaml, &s), 0);
    assert_int_equal(s.st_mode & 0777,
                     0664); // others might write to it: who asks for cameos is told
    // Of a name that others have too it is not known who writes to it.
    drop("b.yaml", "seed: 1");
    do_filled("ln new/b.yaml second");
    assert_ok(tk_spool_scan(&b));
    assert_error("failed/b", "other names");
    tk_arena_free(&arena);
    close(fd);
}

// Who may not write into a spool is told so.
static void a_spool_of_somebody_elses(void **state)
{
    (void)state;
    if (getuid() != 0) skip();
    do_filled("chmod 755 .");
    const pid_t child = fork();
    if (child == 0) {
        tk_spool s;
        const bool refused = setgid(1001) == 0 && setuid(1001) == 0 &&
                             tk_spool_open(&s, dir, 60) == TK_INPUT &&
                             strstr(tk_status_message(), "Permission denied");
        _exit(refused ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

// A worker that is neither root nor the owner of what is in new/ leaves `stuck` things there, does
// the one job that it may, and has nothing else to wait for.
static void do_a_job_as_1005(int stuck)
{
    const pid_t child = fork();
    if (child == 0) {
        tk_spool s;
        tk_claim c;
        int waiting = -1, running = -1;
        bool got = false,
             good = setgid(1005) == 0 && setuid(1005) == 0 && tk_spool_open(&s, dir, 60) == TK_OK;
        for (int i = 0; i < 2 && good; i++) good = tk_spool_scan(&s) == TK_OK && s.stuck == stuck;
        good = good && tk_spool_next(&s, NULL, NULL, &c, &got) == TK_OK && got;
        good = good && tk_claim_commit(&c) == TK_OK;
        good = good && tk_spool_busy(&s, &waiting, &running) == TK_OK;
        _exit(good && waiting == 0 && running == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

// A folder of somebody else's in new/ can be moved by root alone: others leave it, and end all the
// same when nothing else waits.
static void folders_of_others_stay(void **state)
{
    (void)state;
    if (getuid() != 0) skip();
    do_filled("chown -R 1005 . && chmod 755 . && chmod 1777 new cancel && mkdir new/a.yaml "
              "new/b.yaml cancel/none && chown 1001 new/*.yaml cancel/none && "
              "echo 'seed: 1' >new/c.yaml && chown 1001 new/c.yaml");
    do_a_job_as_1005(2);
    assert_true(there("new/a.yaml") && there("new/b.yaml") && there("done/c/c.yaml"));
    assert_false(there("cancel/none"));
    do_filled("rmdir taking && mkdir taking"); // nothing is left there
}

// So do files in a folder that is sticky, where neither they nor it are the worker's.
static void files_of_others_stay_in_a_sticky_folder(void **state)
{
    (void)state;
    if (getuid() != 0) skip();
    do_filled("chmod 755 . && chmod 777 * && chmod 1777 new && echo 'seed: 1' >new/c.yaml && "
              "chown 1001 new/c.yaml && echo 'seed: 1' >new/d.yaml && chown 1005 new/d.yaml");
    do_a_job_as_1005(1);
    assert_true(there("new/c.yaml") && there("done/d/d.yaml"));
}

static void entries_are_read_as_printed(void **state)
{
    static const char *const bad[] = {"",
                                      "5",
                                      "5,t,a",
                                      "x,t,a,0",
                                      "10,t,a,0",
                                      "5,t,,0",
                                      "5,t,a,-1",
                                      "5,t,a,0,",
                                      "5,t,a,0,w,",
                                      "5,t,a b,0",
                                      "5,t,.a,0",
                                      "5,t,a,9999999999999999999",
                                      "5,t,a,0,w,x",
                                      "-1,t,a,0",
                                      "5,20261126-2031011,a,0"};
    tk_spool_entry e;
    char text[TK_SPOOL_PATH];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (tk_spool_entry_read(bad[i], &e)) fail_msg("'%s' is taken for an entry", bad[i]);
    assert_true(tk_spool_entry_read("3,20261126-203101,a.b_c-1,12,host.x-1-ab", &e));
    tk_spool_entry_print(&e, text, sizeof text);
    assert_string_equal(text, "3,20261126-203101,a.b_c-1,12,host.x-1-ab");
}

// ---- what is broken ----------------------------------------------------------------------------

static void what_is_broken_fails_alone(void **state)
{
    (void)state;
    do_filled(
        "ln -s /etc/passwd new/link.yaml && mkdir new/folder.yaml && touch new/folder.yaml/x && "
        "mkfifo new/pipe.yaml && truncate -s 2M new/huge.yaml && : >new/empty.yaml && "
        "printf x >new/text.txt && printf x >'new/-rf .yaml' && printf x >\"$(printf "
        "'new/a\\nb.yaml')\"");
    do_filled("printf x >new/$(printf 'n%%.0s' $(seq 250)).yaml; printf '\\377' >\"$(printf "
              "'new/\\377.yaml')\"");
    drop("half.yaml", "shots:\\n  - prompt: \\042two bal");
    drop("slip.yaml", "seeds: 3");
    drop("job.json", "{}");
    drop("good.yaml", "seed: 3");
    assert_claims(&a, "good");
    assert_error("failed/link", "it is a link");
    assert_error("failed/folder", "it is no file");
    assert_error("failed/pipe", "it is no file");
    assert_error("failed/huge", "2097152 bytes");
    assert_error("failed/empty", "it is empty");
    assert_error("failed/text.txt", "NAME.yaml");
    assert_error("failed/_rf_", "names are of letters");
    assert_error("failed/a_b", "names are of letters");
    assert_error("failed/_", "names are of letters");
    do_filled("grep -q 'at most 80 bytes before .yaml' failed/nnn*/job.json");
    assert_error("failed/half", "half.yaml:");
    assert_error("failed/slip", "seed");
    assert_error("failed/job.json", "NAME.yaml");
    do_filled("[ $(ls failed | wc -l) = 13 ] && [ -z \"$(ls new taking/ waiting running | grep -v "
              ":)\" ] && "
              "[ -L failed/link/link.yaml ] && [ ! -e waiting/.job.json ]");
}

// ---- ends --------------------------------------------------------------------------------------

static void failures_are_tried_again_as_often_as_they_may(void **state)
{
    tk_claim c;
    (void)state;
    drop("a.yaml", "job.tries: 2");
    assert_true(claim_by(&a, &c));
    assert_ok(tk_claim_fail(&c, "no luck", true));
    assert_true(claim_by(&b, &c));
    assert_int_equal(c.record.tries, 2);
    assert_int_equal(c.entry.claims, 2);
    assert_ok(tk_claim_return(&c, "")); // costs no try
    assert_true(claim_by(&b, &c));
    assert_int_equal(c.record.tries, 2);
    assert_ok(tk_claim_fail(&c, "no luck again", true));
    assert_error("failed/a", "no luck again");
    drop("b.yaml", "seed: 1");
    assert_true(claim_by(&a, &c));
    assert_ok(tk_claim_fail(&c, "wrong for ever", false));
    assert_error("failed/b", "wrong for ever");
}

static void cancelled_jobs_end_waiting_or_running(void **state)
{
    tk_claim c;
    (void)state;
    drop("a.yaml", "seed: 1");
    drop("b.yaml", "seed: 1");
    assert_true(claim_by(&a, &c));
    assert_string_equal(c.entry.name, "a");
    assert_int_equal(tk_claim_progress(&c, 1, 4, "steps"), TK_CLAIM_GOES_ON);
    do_filled("touch cancel/a cancel/b cancel/nobody");
    assert_ok(tk_spool_scan(&b));
    assert_true(there("cancelled/b/b.yaml"));
    assert_false(there("cancel/b"));
    assert_false(there("cancel/nobody"));
    c.asked = 0;
    assert_int_equal(tk_claim_progress(&c, 2, 4, "steps"), TK_CLAIM_CANCELLED);
    assert_ok(tk_claim_stop(&c, TK_CLAIM_CANCELLED));
    assert_true(there("cancelled/a/job.json"));
    assert_false(there("cancel/a"));
}

static void a_job_that_is_late_fails(void **state)
{
    tk_claim c;
    (void)state;
    drop("a.yaml", "job.deadline: 100");
    assert_true(claim_by(&a, &c));
    assert_true(c.until > tk_now() + 90 && c.until < tk_now() + 110);
    c.until = tk_now() - 1;
    assert_int_equal(tk_claim_progress(&c, 2, 4, "steps"), TK_CLAIM_LATE);
    assert_ok(tk_claim_stop(&c, TK_CLAIM_LATE));
    assert_error("failed/a", "deadline");
    drop("b.yaml", "job.deadline: 1");
    assert_ok(tk_spool_scan(&a));
    sleep(2);
    assert_false(claim_by(&a, &c));
    assert_error("failed/b", "while it waited");
}

// Longer ago than this machine has been up.
static void a_deadline_of_long_ago_has_passed(void **state)
{
    tk_claim c;
    (void)state;
    drop("a.yaml", "job.deadline: 100");
    assert_true(claim_by(&a, &c));
    c.until = -1e6;
    assert_int_equal(tk_claim_progress(&c, 2, 4, "steps"), TK_CLAIM_LATE);
    assert_ok(tk_claim_return(&c, ""));
    do_filled("sed -i 's/\"deadline\": [0-9]*/\"deadline\": 1/' waiting/*/job.json");
    assert_false(claim_by(&a, &c));
    assert_error("failed/a", "while it waited");
}

// ---- leases ------------------------------------------------------------------------------------

static bool all_are_dead(bool held)
{
    (void)held;
    return false;
}

static void who_lost_its_lease_commits_nothing(void **state)
{
    tk_claim old, new;
    char path[TK_SPOOL_PATH];
    (void)state;
    drop("a.yaml", "seed: 1");
    assert_true(claim_by(&a, &old));
    assert_false(claim_by(&b, &new));
    tk_spool_seam.held = all_are_dead;
    assert_true(claim_by(&b, &new));
    tk_spool_seam.held = NULL;
    assert_string_equal(new.entry.name, "a");
    assert_int_equal(new.record.tries, 2);
    assert_int_equal(new.record.n_history, 1);
    assert_ok(tk_spool_path(path, old.dir, "late"));
    assert_int_equal(open(path, O_WRONLY | O_CREAT, 0666), -1); // none of its paths leads anywhere
    assert_int_equal(tk_claim_progress(&old, 1, 4, "steps"), TK_CLAIM_LOST);
    assert_status(tk_claim_commit(&old), TK_FENCED);
    assert_says("another has the job");
    assert_status(tk_claim_return(&old, ""), TK_FENCED);
    assert_ok(tk_claim_commit(&new));
    assert_status(tk_claim_commit(&old), TK_FENCED);
    assert_true(there("done/a/a.yaml"));
}

static void claim_and_make(const char *name, const char *text, tk_claim *c)
{
    drop(name, text);
    assert_true(claim_by(&a, c));
    do_filled("cd running/* && mkdir x.windows && touch x.windows/1.window x.mp4 x.yaml");
}

// Whoever ends it, and wherever it lies then.
static void of_a_job_that_comes_to_nothing_stays_what_it_came_with(void **state)
{
    tk_claim c;
    (void)state;
    claim_and_make("lost.yaml", "job.tries: 1", &c);
    tk_spool_seam.held = all_are_dead;
    assert_ok(tk_spool_scan(&b));
    tk_spool_seam.held = NULL;
    claim_and_make("cut.yaml", "seed: 1", &c);
    assert_ok(tk_claim_return(&c, ""));
    do_filled("cd waiting/*,cut,* && touch cut.list.yaml && ln -s ../../files y.windows && "
              "touch ../../files/theirs ../../cancel/cut");
    assert_ok(tk_spool_scan(&b));
    claim_and_make("late.yaml", "job.deadline: 100", &c);
    assert_ok(tk_claim_return(&c, ""));
    do_filled("[ -e waiting/*/x.windows/1.window ] && "
              "sed -i 's/\"deadline\": [0-9]*/\"deadline\": 1/' waiting/*/job.json");
    assert_false(claim_by(&b, &c));
    do_filled("for j in failed/lost cancelled/cut failed/late; do ls -A $j; done | xargs >left && "
              "[ \"$(cat left)\" = 'job.json lost.yaml cut.list.yaml cut.yaml job.json job.json "
              "late.yaml' ] || { cat left; false; }");
    assert_true(there("files/theirs"));
    claim_and_make("done.yaml", "seed: 1", &c);
    assert_ok(tk_claim_commit(&c));
    assert_true(there("done/done/x.mp4"));
}

static void a_heartbeat_that_is_old_is_a_dead_worker(void **state)
{
    int64_t now;
    char path[TK_SPOOL_PATH];
    (void)state;
    assert_ok(tk_lease_now(&a.lease, &now));
    assert_true(tk_lease_held(&a.lease, b.lease.worker, now));
    assert_true(tk_lease_held(&a.lease, b.lease.worker, now + 59000000000));
    assert_false(tk_lease_held(&a.lease, b.lease.worker, now + 62000000000));
    assert_false(tk_lease_held(&a.lease, "nobody-1-0", now));
    // of a process of this machine that is no more, at once
    assert_ok(tk_spool_path(path, dir, "workers/gone"));
    assert_int_equal(mkdir(path, 0777), 0);
    const char *id = strchr(b.lease.line, ' ') + 1;
    do_filled("echo 'host %.*s 4194304 1 60' >workers/gone/heartbeat", (int)(strchr(id, ' ') - id),
              id);
    assert_ok(tk_lease_now(&a.lease, &now));
    assert_false(tk_lease_held(&a.lease, "gone", now));
    do_filled("echo 'far ffff 4194304 1 60' >workers/gone/heartbeat");
    assert_true(tk_lease_held(&a.lease, "gone", now));
    // What was asked long ago makes nobody dead; a clock that was set back keeps nobody alive.
    assert_true(tk_lease_held(&a.lease, b.lease.worker, now - 300000000000));
    do_filled("touch -d '+1 hour' workers/gone/heartbeat");
    assert_false(tk_lease_held(&a.lease, "gone", now));
}

// ---- renames whose answer is lost --------------------------------------------------------------

static int lies, lie_at, lie;

static int rename_and_lie(const char *from, const char *to)
{
    const int got = rename(from, to);
    if (got != 0 || lies++ != lie_at) return got;
    errno = lie;
    return -1;
}

static void an_answer_that_is_lost_changes_nothing(void **state)
{
    static const int errors[] = {ENOENT, ESTALE, EIO};
    tk_claim c;
    (void)state;
    tk_spool_seam.rename = rename_and_lie;
    for (size_t k = 0; k < 3; k++)
        for (lie_at = 0; lie_at < 4; lie_at++) {
            lies = 0;
            lie = errors[k];
            drop("a.yaml", "seed: 1");
            assert_true(claim_by(&a, &c));
            assert_ok(tk_claim_commit(&c));
            assert_int_equal(lies, 4); // taking, waiting, running, done
            do_filled("[ $(ls done | wc -l) = %d ]", (int)(k * 4) + lie_at + 1);
        }
}

// The commit's goal is there, but another's: found by the token in it.
static void the_goal_of_a_commit_may_be_anothers(void **state)
{
    tk_claim old, new;
    (void)state;
    drop("a.yaml", "seed: 1");
    assert_true(claim_by(&a, &old));
    tk_spool_seam.held = all_are_dead;
    assert_true(claim_by(&b, &new));
    assert_ok(tk_claim_commit(&new));
    do_filled("mkdir -p '%s'", old.dir); // so that it gets as far as the rename
    assert_int_not_equal(tk_claim_commit(&old), TK_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(jobs_come_by_priority_then_age),
        TEST(a_name_is_given_once),
        TEST(names_are_given_in_a_row),
        TEST(the_first_names_are_read),
        TEST(what_was_read_stays),
        TEST(a_spool_of_somebody_elses),
        TEST(folders_of_others_stay),
        TEST(files_of_others_stay_in_a_sticky_folder),
        TEST(entries_are_read_as_printed),
        TEST(what_is_broken_fails_alone),
        TEST(failures_are_tried_again_as_often_as_they_may),
        TEST(cancelled_jobs_end_waiting_or_running),
        TEST(a_job_that_is_late_fails),
        TEST(a_deadline_of_long_ago_has_passed),
        TEST(who_lost_its_lease_commits_nothing),
        TEST(of_a_job_that_comes_to_nothing_stays_what_it_came_with),
        TEST(a_heartbeat_that_is_old_is_a_dead_worker),
        TEST(an_answer_that_is_lost_changes_nothing),
        TEST(the_goal_of_a_commit_may_be_anothers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
