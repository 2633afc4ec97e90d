// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// A spool seen from outside: every state, in the middle of every step of the protocol, broken on
// purpose, and nothing written into it; and asking to cancel.
#include "infer/spool/look.h"
#include "tests/infer/spool/there.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static tk_spool w, other; // workers
static tk_arena arena;

static tk_spool *const workers[] = {&w, &other};

static int set_up(void **state)
{
    (void)state;
    tk_arena_init(&arena, 0);
    return open_there(2, workers);
}

static int tear_down(void **state)
{
    (void)state;
    tk_arena_free(&arena);
    return close_there(2, workers);
}

static void drop_job(const char *name, const char *text)
{
    char command[1024];
    snprintf(command, sizeof command, "echo '%s' >new/.tmp && mv new/.tmp new/%s.yaml", text, name);
    do_there(command);
}

static void claim(tk_claim *c, const char *name)
{
    bool got;
    assert_ok(tk_spool_scan(&w));
    assert_ok(tk_spool_next(&w, NULL, NULL, c, &got));
    assert_true(got);
    assert_string_equal(c->entry.name, name);
}

// The one job of that name; fails where there is none, or more.
static const tk_spool_job *find_one(const tk_spool_view *v, const char *name)
{
    const tk_spool_job *found = NULL;
    for (int i = 0; i < v->n; i++) {
        if (strcmp(v->job[i].name, name)) continue;
        if (found) fail_msg("%s is seen twice", name);
        found = &v->job[i];
    }
    if (!found) fail_msg("%s is not seen", name);
    return found;
}

static void look_now(tk_spool_view *v)
{
    tk_arena_reset(&arena);
    assert_ok(tk_spool_look(dir, &arena, v));
}

static void assert_state(const tk_spool_view *v, const char *name, tk_spool_state state)
{
    const tk_spool_job *j = find_one(v, name);
    assert_false(j->fresh);
    assert_int_equal(j->state, state);
}

// One of each, in the order in which they are shown.
static void each_state_is_told(void **state)
{
    static const char *const order[] = {"runs",  "soon",  "later", "fresh.yaml",
                                        "wrong", "taken", "made"};
    tk_spool_view v;
    tk_spool_record r;
    tk_claim c;
    (void)state;
    drop_job("made", "job.priority: 0");
    claim(&c, "made");
    assert_ok(tk_claim_commit(&c));
    drop_job("taken", "job.priority: 0");
    claim(&c, "taken");
    assert_ok(tk_claim_cancel(&c));
    drop_job("wrong", "no_such_option: 1");
    drop_job("runs", "job.priority: 0");
    claim(&c, "runs");
    assert_int_equal(tk_claim_progress(&c, 3, 8, "steps"), TK_CLAIM_GOES_ON);
    drop_job("later", "job.priority: 7");
    drop_job("soon", "job: {priority: 1, deadline: 100}");
    assert_ok(tk_spool_scan(&other));
    drop_job("fresh", "job.priority: 0");
    look_now(&v);
    assert_int_equal(v.n, 7);
    for (int i = 0; i < 7; i++) assert_string_equal(v.job[i].name, order[i]);
    assert_int_equal(v.fresh, 1);
    for (int k = 0; k < TK_SPOOL_STATES; k++)
        assert_int_equal(v.count[k], k == TK_SPOOL_WAITING ? 2 : 1);
    assert_ok(tk_spool_look_at(dir, find_one(&v, "runs"), &r));
    assert_int_equal(r.done, 3);
    assert_int_equal(r.total, 8);
    assert_string_equal(r.worker, w.lease.worker);
    assert_false(find_one(&v, "runs")->lost);
    assert_ok(tk_spool_look_at(dir, find_one(&v, "soon"), &r));
    assert_int_equal(r.priority, 1);
    assert_true(r.deadline > r.taken);
    assert_ok(tk_spool_look_at(dir, find_one(&v, "wrong"), &r));
    assert_non_null(strstr(r.error, "no_such_option"));
}

// ---- in the middle of any step -----------------------------------------------------------------

static int looks;

// Called between any two steps of the worker: the job that goes through the spool is seen once.
static void look_between(const char *point)
{
    tk_spool_view v;
    int seen = 0;
    looks++;
    assert_ok(tk_spool_look(dir, &arena, &v));
    for (int i = 0; i < v.n; i++) {
        tk_spool_record r;
        assert_ok(tk_spool_look_at(dir, &v.job[i], &r));
        seen += !strncmp(v.job[i].name, "a", 1);
    }
    if (seen != 1) fail_msg("at '%s' the job is seen %d times", point, seen);
}

static void a_job_is_seen_once_between_any_two_steps(void **state)
{
    tk_claim c;
    (void)state;
    drop_job("a", "job.tries: 5");
    tk_spool_seam.at = look_between;
    claim(&c, "a");
    assert_ok(tk_claim_return(&c, "not now"));
    claim(&c, "a");
    assert_ok(tk_claim_fail(&c, "once more", true));
    claim(&c, "a");
    assert_ok(tk_claim_commit(&c));
    assert_true(looks > 15);
}

static void job_that_moves_is_seen_as_far_along_as_it_came(void **state)
{
    tk_spool_view v;
    (void)state;
    // as if read before and after a move: both entries are there
    static const struct {
        const char *make, *name;
        tk_spool_state want;
    } both[] = {
        {"waiting/5,t,a,0 running/5,t,a,1,w", "a", TK_SPOOL_RUNNING},
        {"running/5,t,b,1,w waiting/5,t,b,1", "b", TK_SPOOL_WAITING},
        {"waiting/5,t,c,1 running/5,t,c,2,w", "c", TK_SPOOL_RUNNING},
        {"running/5,t,d,4,w done/d", "d", TK_SPOOL_DONE},
        {"running/5,t,e,4,w running/5,t,e,4,x", "e", TK_SPOOL_RUNNING},
    };
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        char command[256];
        snprintf(command, sizeof command, "mkdir %s", both[i].make);
        do_there(command);
    }
    look_now(&v);
    assert_int_equal(v.n, 5);
    for (size_t i = 0; i < sizeof both / sizeof *both; i++)
        assert_state(&v, both[i].name, both[i].want);
    assert_true(find_one(&v, "a")->lost); // there is no worker w
}

// ---- what is broken ----------------------------------------------------------------------------

static void what_is_broken_hides_nothing_else(void **state)
{
    tk_spool_view v;
    tk_spool_record r;
    (void)state;
    do_there("mkdir waiting/nonsense 'running/5,t,x' done/.hidden 'done/a b' waiting/5,t,none,0 "
             "waiting/5,t,half,0 waiting/5,t,link,0 waiting/5,t,pipe,0 && "
             "echo '{\"format\": \"talkie-job\", \"err' >waiting/5,t,half,0/job.json && "
             "ln -s /dev/zero waiting/5,t,link,0/job.json && mkfifo waiting/5,t,pipe,0/job.json && "
             "printf x >\"$(printf 'new/\\033[31m\\377.yaml')\" && touch failed/file");
    look_now(&v);
    static const char *const waiting[] = {"none", "half", "link", "pipe"};
    for (int i = 0; i < 4; i++) {
        assert_state(&v, waiting[i], TK_SPOOL_WAITING);
        assert_ok(tk_spool_look_at(dir, find_one(&v, waiting[i]), &r));
        assert_int_equal(r.priority, 5);
        assert_int_equal(r.total, 0);
    }
    assert_int_equal(v.fresh, 1);
    assert_state(&v, "file", TK_SPOOL_FAILED);
    assert_int_equal(v.n, 6);
}

static void what_is_no_spool_is_refused(void **state)
{
    tk_spool_view v;
    char path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/nowhere", dir);
    assert_status(tk_spool_look(path, &arena, &v), TK_INPUT);
    assert_says("no spool at");
    snprintf(path, sizeof path, "%s/files", dir);
    assert_status(tk_spool_look(path, &arena, &v), TK_INPUT);
    assert_says("is no spool");
}

#define LIST "find . -path ./workers -prune -o -printf '%p %T@ %C@ %i\\n' | sort "

static void looking_writes_nothing(void **state)
{
    tk_spool_view v;
    tk_spool_record r;
    (void)state;
    drop_job("a", "job.priority: 1");
    assert_ok(tk_spool_scan(&other));
    drop_job("b", "job.priority: 1");
    do_there(LIST ">/tmp/${PWD##*/}.was");
    look_now(&v);
    for (int i = 0; i < v.n; i++) assert_ok(tk_spool_look_at(dir, &v.job[i], &r));
    do_there(LIST "| cmp - /tmp/${PWD##*/}.was && rm /tmp/${PWD##*/}.was");
}

// ---- cancelling --------------------------------------------------------------------------------

static void cancelling_is_asked_for_and_done_once(void **state)
{
    tk_spool_view v;
    tk_claim c;
    (void)state;
    drop_job("a", "job.priority: 0");
    drop_job("b", "job.priority: 1");
    claim(&c, "a");
    assert_ok(tk_spool_cancel(dir, "a"));
    assert_ok(tk_spool_cancel(dir, "a")); // asked for already
    assert_ok(tk_spool_cancel(dir, "b"));
    assert_ok(tk_spool_scan(&other));
    c.asked = 0;
    assert_int_equal(tk_claim_progress(&c, 1, 4, "steps"), TK_CLAIM_CANCELLED);
    assert_ok(tk_claim_stop(&c, TK_CLAIM_CANCELLED));
    look_now(&v);
    assert_state(&v, "a", TK_SPOOL_CANCELLED);
    assert_state(&v, "b", TK_SPOOL_CANCELLED);
    assert_status(tk_spool_cancel(dir, "a"), TK_INPUT);
    assert_says("has ended");
    do_there("[ -z \"$(ls cancel)\" ]");
}

// One of more jobs than are looked at has its name, and nothing in the folders of those that ended.
static void a_job_behind_many_can_be_cancelled(void **state)
{
    (void)state;
    do_there("cd waiting && seq -f '5,20260101-000000,%05.0f,0' 0 19999 | xargs touch");
    do_there("cd names && mkdir 00000 10000 19999 ended ../done/ended");
    static const char *const some[] = {"00000", "10000", "19999"};
    for (int i = 0; i < 3; i++) assert_ok(tk_spool_cancel(dir, some[i]));
    do_there("[ $(ls cancel | wc -l) = 3 ]");
    assert_status(tk_spool_cancel(dir, "ended"), TK_INPUT);
    assert_status(tk_spool_cancel(dir, "nobody"), TK_INPUT);
}

// All that ended are counted, and the newest of them told, whatever they are called.
static void of_many_that_ended_the_newest_are_told(void **state)
{
    tk_spool_view v;
    (void)state;
    do_there("cd done && seq -f 'm-%05.0f' 0 10009 | xargs mkdir && touch -d 2001-01-01 m-* && "
             "mkdir a z && touch -d 2002-01-01 a && touch -d 2003-01-01 z && touch -d 2004-01-01 "
             "m-05000 && mkdir ../failed/one");
    look_now(&v);
    assert_int_equal(v.count[TK_SPOOL_DONE], 10012);
    assert_int_equal(v.count[TK_SPOOL_FAILED], 1);
    assert_int_equal(v.n, 10001);
    assert_int_equal(v.beyond, 12);
    static const char *const first[] = {"one", "m-05000", "z", "a", "m-00000"};
    for (int i = 0; i < 5; i++) assert_string_equal(v.job[i].name, first[i]);
}

static void who_cannot_cancel_is_told(void **state)
{
    tk_claim c;
    (void)state;
    static const char *const no[] = {"", ".a", "a/b", "../x", "-rf", "a b"};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_status(tk_spool_cancel(dir, no[i]), TK_INPUT);
    assert_status(tk_spool_cancel(dir, "nobody"), TK_INPUT);
    assert_says("no job in");
    if (geteuid() != 0) return; // others' jobs take root to make
    drop_job("a", "job.priority: 0");
    do_there("chown 12345 new/a.yaml && chmod 755 . && chmod 777 cancel");
    claim(&c, "a");
    assert_int_equal(seteuid(54321), 0);
    const tk_status st = tk_spool_cancel(dir, "a");
    assert_int_equal(seteuid(0), 0);
    assert_status(st, TK_INPUT);
    assert_says("12345's");
    assert_int_equal(seteuid(12345), 0);
    const tk_status own = tk_spool_cancel(dir, "a");
    assert_int_equal(seteuid(0), 0);
    assert_ok(own);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_state_is_told),
        TEST(a_job_is_seen_once_between_any_two_steps),
        TEST(job_that_moves_is_seen_as_far_along_as_it_came),
        TEST(what_is_broken_hides_nothing_else),
        TEST(what_is_no_spool_is_refused),
        TEST(looking_writes_nothing),
        TEST(cancelling_is_asked_for_and_done_once),
        TEST(a_job_behind_many_can_be_cancelled),
        TEST(of_many_that_ended_the_newest_are_told),
        TEST(who_cannot_cancel_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
