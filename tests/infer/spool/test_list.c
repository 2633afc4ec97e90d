// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 100; waits: mostly */
// A list of storyboards in a spool becomes its jobs, each once: undisturbed, with a worker that
// dies between any two steps, and with one that stops there, loses its place, and goes on.
#include "infer/spool/look.h"
#include "tests/infer/spool/there.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEPS_AT_LEAST = 20 };

static tk_spool w;

static tk_spool *const workers[] = {&w};

static int set_up(void **state)
{
    (void)state;
    return open_there(1, workers);
}

static int tear_down(void **state)
{
    (void)state;
    return close_there(1, workers);
}

// walk twice, one that asks for other things, one that is wrong, one that is not there.
static void drop_list(void)
{
    do_there("mkdir -p files/far && echo 'seed: 1' >files/walk.yaml && "
             "echo '{job: {priority: 1}, seed: 2}' >files/far/soon.yaml && "
             "echo 'no_such_option: 1' >files/wrong.yaml && "
             "echo '{job: {priority: 7, tries: 2, deadline: 500}, storyboards: [walk.yaml, "
             "far/soon.yaml, walk.yaml, wrong.yaml, absent.yaml, evening.yaml]}' >new/.evening && "
             "cp new/.evening files/evening.yaml && mv new/.evening new/evening.yaml");
}

static void assert_error(const char *folder, const char *words)
{
    char path[TK_SPOOL_PATH];
    tk_spool_record r;
    bool found;
    snprintf(path, sizeof path, "%s/%s", dir, folder);
    assert_ok(tk_spool_record_read(path, &r, &found));
    if (!found || !strstr(r.error, words))
        fail_msg("%s: \"%s\" does not say \"%s\"", folder, found ? r.error : "", words);
}

// Each of its jobs is there once, whole, and of the list nothing is left but itself. Names may be
// further ones where a worker died with one.
static void assert_became(void)
{
    do_there("[ \"$(ls waiting | sed -E 's/^([0-9]),[^,]*,([a-z]+)(-[0-9]+)?,0$/\\1 \\2/' | "
             "xargs)\" = '1 soon 7 walk 7 walk' ] || { ls waiting; false; }");
    do_there("[ \"$(ls failed | sed -E 's/-[0-9]+$//' | xargs)\" = 'absent evening wrong' ] || "
             "{ ls failed; false; }");
    do_there("for j in waiting/* failed/*; do cmp $j/*.list.yaml files/evening.yaml && "
             "[ -f $j/job.json ] && case $j in failed/absent*) n=2;; *) n=3;; esac && "
             "[ $(ls -A $j | wc -l) = $n ] || { ls -A $j; exit 1; }; done");
    do_there("[ -z \"$(ls -A taking)\" ] && [ \"$(ls -A done | sed -E 's/-[0-9]+$//')\" = evening "
             "] && [ \"$(ls -A done/* | sed -E 's/-[0-9]+//' | xargs)\" = 'evening.yaml job.json' "
             "] || { ls -AR taking done; false; }");
    do_there("[ \"$(cat waiting/*walk*/walk*.yaml | grep -c 'seed: 1')\" = 2 ]");
}

static void a_list_becomes_its_jobs(void **state)
{
    tk_claim c;
    bool got;
    (void)state;
    drop_list();
    assert_ok(tk_spool_scan(&w));
    assert_became();
    assert_error("failed/wrong", "no_such_option");
    assert_error("failed/absent", "cannot use");
    assert_error("failed/evening-2", "it is a list too");
    assert_ok(tk_spool_next(&w, NULL, NULL, &c, &got));
    assert_true(got);
    assert_string_equal(c.entry.name, "soon"); // its own priority goes over the list's
    assert_int_equal(c.record.priority, 1);
    assert_int_equal(c.record.most_tries, 2); // what it does not say the list does
    assert_string_equal(c.record.list, "evening");
    assert_ok(tk_claim_commit(&c));
    assert_ok(tk_spool_next(&w, NULL, NULL, &c, &got));
    assert_true(got);
    assert_int_equal(c.record.priority, 7);
    assert_int_equal(c.record.deadline, c.record.taken + 500);
    assert_ok(tk_claim_return(&c, ""));
}

static void files_outside_are_refused(void **state)
{
    (void)state;
    do_there("echo 'seed: 1' >out.yaml && ln -s ../out.yaml files/link.yaml && "
             "echo 'storyboards: [../out.yaml, link.yaml, /etc/passwd]' >new/.l && mv new/.l "
             "new/l.yaml");
    assert_ok(tk_spool_scan(&w));
    assert_error("failed/out", "outside of the spool");
    assert_error("failed/link", "outside of the spool");
    assert_error("failed/passwd", "outside of the spool");
    w.open = true;
    do_there("echo 'storyboards: [../out.yaml]' >new/.m && mv new/.m new/m.yaml");
    assert_ok(tk_spool_scan(&w));
    do_there("[ -d waiting/*,out-2,0 ]");
}

static void a_list_that_is_too_long_fails(void **state)
{
    (void)state;
    do_there(
        "{ echo 'storyboards:'; for i in $(seq 1001); do echo '- a.yaml'; done; } >new/.l && mv "
        "new/.l new/l.yaml");
    assert_ok(tk_spool_scan(&w));
    assert_error("failed/l", "at most 1000");
    do_there("[ -z \"$(ls waiting)\" ] && [ \"$(ls failed)\" = l ]");
}

// ---- whatever dies when ------------------------------------------------------------------------

static int fatal_step, steps, fatal_signal;

static void end_at_step(const char *point)
{
    (void)point;
    if (steps++ == fatal_step) raise(fatal_signal);
}

static bool all_others_are_dead(bool held)
{
    (void)held;
    return false;
}

// A worker in a process of its own that gets a signal at a step. Its status as waitpid has it.
static pid_t start_worker(int step, int number, int *status)
{
    fatal_step = step;
    fatal_signal = number;
    steps = 0;
    const pid_t pid = fork();
    if (pid == 0) {
        tk_spool s;
        tk_spool_seam.at = end_at_step;
        if (!freopen("/dev/null", "w", stderr)) _exit(9);
        if (tk_spool_open(&s, dir, 60) != TK_OK) _exit(9);
        const tk_status st = tk_spool_scan(&s);
        _exit(st == TK_OK ? 0 : 8);
    }
    assert_int_equal(waitpid(pid, status, WUNTRACED), pid);
    return pid;
}

static void next_spool(void)
{
    assert_int_equal(tear_down(NULL), 0);
    assert_int_equal(set_up(NULL), 0);
    drop_list();
}

static void a_worker_that_dies_anywhere_loses_and_doubles_nothing(void **state)
{
    int step = 0, status;
    (void)state;
    for (;; step++) {
        next_spool();
        start_worker(step, SIGKILL, &status);
        if (!WIFSIGNALED(status)) break;
        assert_ok(tk_spool_scan(&w));
        assert_became();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_became();
    assert_true(step > STEPS_AT_LEAST);
    print_message("%d steps\n", step);
}

static void a_worker_that_stops_anywhere_and_goes_on_neither(void **state)
{
    int status;
    (void)state;
    for (int step = 0;; step++) {
        next_spool();
        const pid_t pid = start_worker(step, SIGSTOP, &status);
        if (!WIFSTOPPED(status)) break;
        tk_spool_seam.held = all_others_are_dead;
        assert_ok(tk_spool_scan(&w));
        tk_spool_seam.held = NULL;
        kill(pid, SIGCONT);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_ok(tk_spool_scan(&w));
        assert_became();
    }
}

// What renames say may be wrong.
static int renames, lie_at;

static int rename_and_lie(const char *from, const char *to)
{
    const int got = rename(from, to);
    if (got != 0 || renames++ != lie_at) return got;
    errno = ENOENT;
    return -1;
}

static void an_answer_that_is_lost_doubles_nothing(void **state)
{
    (void)state;
    for (lie_at = 0; lie_at == 0 || renames > lie_at; lie_at++) {
        next_spool();
        renames = 0;
        tk_spool_seam.rename = rename_and_lie;
        assert_ok(tk_spool_scan(&w));
        assert_became();
    }
    assert_true(lie_at > 6);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_list_becomes_its_jobs),
        TEST(files_outside_are_refused),
        TEST(a_list_that_is_too_long_fails),
        TEST(a_worker_that_dies_anywhere_loses_and_doubles_nothing),
        TEST(a_worker_that_stops_anywhere_and_goes_on_neither),
        TEST(an_answer_that_is_lost_doubles_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
