// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120; waits: mostly */
// A run directory has one owner: a second run is refused, a dead one's place is taken at once, and
// one that was taken for dead and comes back writes nothing more and says so. The program runs
// itself as an orphan that pauses between its last check and its rename.
#include "core/config/command.h"
#include "parallel/mpi/start.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "train/checkpoint/internal.h"
#include "train/run/metrics.h"
#include "train/run/run.h"
#include "train/run/rundir.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEPS = 6, FENCED = 7 };
static char self[PATH_MAX];

static int open_runs(void **state)
{
    (void)state;
    runs_open();
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=straight train.steps=%d", STEPS), 0, "");
    return 0;
}

static void incarnation(const char *restart)
{
    assert_int_equal(setenv("SLURM_JOB_ID", "4711", 1), 0);
    assert_int_equal(setenv("SLURM_RESTART_COUNT", restart, 1), 0);
}

static void no_job(void)
{
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
}

static void pause_at_rename(const char *arrow)
{
    if (!strcmp(arrow, "rename")) raise(SIGSTOP);
}

// This program as `talkie train`, inside the runs' directory, stopped at its first commit.
static int play(int argc, char **argv)
{
    static const tk_command table[] = {{.name = "train",
                                        .arguments = "CONFIG.yaml",
                                        .options = TK_CMD_TRAIN,
                                        .config = TK_CONFIG_FILE,
                                        .run = tk_train_command},
                                       {.name = NULL}};
    tk_comm world = {0};
    tk_ck_at = pause_at_rename;
    tk_status st = tk_parallel_start(&argc, &argv, &world);
    if (st == TK_OK) st = tk_command_run(table, &world, argc, argv);
    return tk_parallel_end(&world, st);
}

static pid_t start_orphan(void)
{
    char command[2 * PATH_MAX];
    snprintf(command, sizeof command,
             "cd '%s' && export OMP_NUM_THREADS=1 && exec '%s' train tiny.yaml train.out=raced "
             "train.checkpoint_every=3 train.steps=%d >orphan 2>&1",
             runs_dir(), self, STEPS);
    return runs_shell(command);
}

static bool orphan_said(const char *text)
{
    char path[PATH_MAX], said[1 << 14];
    snprintf(path, sizeof path, "%s/orphan", runs_dir());
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    said[fread(said, 1, sizeof said - 1, f)] = 0;
    fclose(f);
    return strstr(said, text) != NULL;
}

static void wait_for_steps(const char *run, int n)
{
    runs_step steps[RUNS_STEPS];
    for (int i = 0; i < 30000 && runs_metrics(run, steps) < n; i++) usleep(1000);
    assert_true(runs_metrics(run, steps) >= n);
}

static void assert_as_straight(const char *run)
{
    runs_step a[RUNS_STEPS], b[RUNS_STEPS];
    char path[64];
    assert_int_equal(runs_metrics(run, a), STEPS);
    assert_int_equal(runs_metrics("straight", b), STEPS);
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(a[i].step, i + 1);
        assert_true(a[i].loss == b[i].loss);
    }
    snprintf(path, sizeof path, "%s/step-%08d.h5", run, STEPS);
    assert_true(runs_distance(path, "straight/step-00000006.h5", "model") == 0);
}

// Whether a path of the runs' directory is there.
static bool there(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", runs_dir(), name);
    return access(path, F_OK) == 0;
}

static void a_second_run_is_refused_and_a_dead_one_replaced(void **state)
{
    char words[64], command[2 * PATH_MAX];
    (void)state;
    no_job();
    const pid_t pid = runs_start(1, "train tiny.yaml train.out=one train.steps=100000");
    wait_for_steps("one", 2);
    snprintf(words, sizeof words, "pid %d, started 2", (int)pid);
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=one"), 2, words);
    runs_expect(runs_talkie(2, "train tiny.yaml train.out=one train.resume=0 parallel.data=2"), 2,
                words);
    assert_false(there("one/before-1"));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(runs_wait(pid), 128 + SIGKILL);
    assert_true(there("one/owner"));
    // a newcomer that died before the directory was its own
    snprintf(command, sizeof command,
             "cd '%s/one' && t=$(ls owner) && cp -r owner \"owner.$t\" && ls -d owner.*",
             runs_dir());
    assert_int_equal(system(command), 0);
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=one train.steps=%d", STEPS), 0, "over");
    assert_false(there("one/owner"));
    snprintf(command, sizeof command, "! ls -d '%s'/one/owner.* 2>/dev/null", runs_dir());
    assert_int_equal(system(command), 0);
    assert_as_straight("one");
}

// Checked, verified, about to rename: the worst moment to be taken for dead.
static void an_orphan_between_check_and_rename_commits_nothing(void **state)
{
    int status;
    (void)state;
    incarnation("0");
    const pid_t pid = start_orphan();
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(runs_newest("raced"), -1);
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=raced"), 2, "alive"); // of the same count
    incarnation("1");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=raced train.steps=%d", STEPS), 0, "over");
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(runs_wait(pid), FENCED);
    assert_true(orphan_said("fenced: another run has taken raced over"));
    assert_false(there("raced/step-00000003.h5"));
    assert_as_straight("raced");
    no_job();
}

// In the middle of a step; its late lines must not stand in the new owner's metrics.
static void an_orphan_between_steps_ends_itself(void **state)
{
    (void)state;
    incarnation("3");
    const pid_t pid = runs_start(1, "train tiny.yaml train.out=slow train.steps=100000");
    wait_for_steps("slow", 2);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    incarnation("4");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=slow train.steps=%d", STEPS), 0, "over");
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(runs_wait(pid), FENCED);
    assert_as_straight("slow");
    assert_int_equal(runs_newest("slow"), STEPS);
    no_job();
}

// What it writes beside checkpoints and metrics, at every step here: all files stay the new
// owner's.
static void an_orphan_replaces_no_file(void **state)
{
    static const char *const run = "train tiny.yaml train.out=late data.hold_out=4 "
                                   "train.check_every=1";
    (void)state;
    incarnation("0");
    const pid_t pid = runs_start(1, "%s train.steps=100000", run);
    wait_for_steps("late", 2);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    incarnation("1");
    runs_expect(runs_talkie(1, "%s train.steps=%d", run, STEPS), 0, "over");
    runs_do("cksum late/*.* >before");
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(runs_wait(pid), FENCED);
    runs_do("cksum late/*.* | diff before -");
    no_job();
}

// However late it writes: no file comes beside those of the run that took over.
static void files_of_a_fenced_run_do_not_come(void **state)
{
    char path[PATH_MAX];
    double loss[] = {2, 1};
    tk_owner o;
    (void)state;
    snprintf(path, sizeof path, "%s/unit", runs_dir());
    runs_do("mkdir unit");
    assert_ok(tk_owner_take(&o, path));
    const tk_metrics m = {.owner = &o, .loss = {loss, loss}, .n = 2};
    assert_ok(tk_rundir_text(&o, "config.yaml", "of this one"));
    assert_ok(tk_metrics_plot(&m));
    runs_do("mv unit/owner unit/fenced.it && rm unit/loss.png");
    assert_status(tk_rundir_text(&o, "config.yaml", "of an orphan"), TK_FENCED);
    assert_status(tk_metrics_plot(&m), TK_FENCED);
    runs_do("grep -q 'of this one' unit/config.yaml && ! test -e unit/loss.png");
    tk_owner_release(&o);
    assert_true(there("unit/fenced.it"));
}

static void set_heartbeat(int n)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/far/owner/elsewhere,1,2,3,4,none,0/heartbeat", runs_dir());
    FILE *f = fopen(path, "w");
    if (!f) return;
    fprintf(f, "%020d\n", n);
    fclose(f);
}

// Whether another host's process lives is told by its heartbeat alone.
static void another_host_is_listened_to(void **state)
{
    char command[PATH_MAX];
    int status;
    (void)state;
    no_job();
    snprintf(command, sizeof command, "mkdir -p '%s/far/owner/elsewhere,1,2,3,4,none,0'",
             runs_dir());
    assert_int_equal(system(command), 0);
    pid_t pid = runs_start(1, "train tiny.yaml train.out=far train.steps=1");
    for (int n = 0; waitpid(pid, &status, WNOHANG) == 0; n++, usleep(100000)) set_heartbeat(n);
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_true(runs_said("host elsewhere, pid 2"));
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=far train.steps=1"), 0, "listening");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_run_is_refused_and_a_dead_one_replaced),
        cmocka_unit_test(an_orphan_between_check_and_rename_commits_nothing),
        cmocka_unit_test(an_orphan_between_steps_ends_itself),
        cmocka_unit_test(an_orphan_replaces_no_file),
        cmocka_unit_test(files_of_a_fenced_run_do_not_come),
        cmocka_unit_test(another_host_is_listened_to),
    };
    if (argc > 1) return play(argc, argv);
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return 1;
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
