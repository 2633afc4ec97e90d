// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 240 */
// Runs that stop, die or lose a checkpoint go on to the same bits.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEPS = 24 };

static int open_runs(void **state)
{
    (void)state;
    runs_open();
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=straight train.steps=%d", STEPS), 0, "");
    return 0;
}

// All steps once, in order, with the losses and norms of `other` to the bit.
static void assert_same_run(const char *run, const char *other, int steps)
{
    runs_step a[RUNS_STEPS], b[RUNS_STEPS];
    char path[2][128];
    assert_int_equal(runs_metrics(run, a), steps);
    assert_int_equal(runs_metrics(other, b), steps);
    for (int i = 0; i < steps; i++) {
        assert_int_equal(a[i].step, i + 1);
        assert_true(a[i].loss == b[i].loss);
        assert_true(a[i].loss_video == b[i].loss_video);
        assert_true(a[i].loss_audio == b[i].loss_audio);
        assert_true(a[i].grad_norm == b[i].grad_norm);
    }
    snprintf(path[0], sizeof path[0], "%s/step-%08d.h5", run, steps);
    snprintf(path[1], sizeof path[1], "%s/step-%08d.h5", other, steps);
    static const char *const groups[] = {"model", "ema", "adam/m", "adam/v"};
    for (int g = 0; g < 4; g++) assert_true(runs_distance(path[0], path[1], groups[g]) == 0);
}

static void remove_file(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", runs_dir(), name);
    assert_int_equal(unlink(path), 0);
}

// Six steps straight, and three and three: of the same schedule, so the second half's checkpoint is
// taken away.
static void three_and_three_are_six(void **state)
{
    static const char *const layout[] = {
        "parallel.data=1", "parallel.tensor=3",
        "parallel.tensor=2 parallel.pipeline=2 parallel.data=2 parallel.threads=1"};
    static const int ranks[] = {1, 3, 8};
    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *run = "train tiny.yaml train.out=%s train.steps=6 train.keep=9 "
                          "train.checkpoint_every=3 %s train.resume=%d";
        char arguments[2][512];
        snprintf(arguments[0], sizeof arguments[0], run, "six", layout[i], 0);
        snprintf(arguments[1], sizeof arguments[1], run, "halves", layout[i], 0);
        runs_expect(runs_talkie(ranks[i], "%s", arguments[0]), 0, "");
        runs_expect(runs_talkie(ranks[i], "%s", arguments[1]), 0, "");
        remove_file("halves/step-00000006.h5");
        snprintf(arguments[1], sizeof arguments[1], run, "halves", layout[i], 1);
        runs_expect(runs_talkie(ranks[i], "%s", arguments[1]), 0, "at step 3 of 6");
        assert_same_run("halves", "six", 6);
    }
}

static void wait_for_checkpoint(const char *run)
{
    for (int i = 0; i < 10000 && runs_newest(run) < 0; i++) usleep(1000);
    assert_true(runs_newest(run) >= 0);
}

static void a_killed_run_goes_on(void **state)
{
    (void)state;
    const pid_t pid = runs_start(
        1, "train tiny.yaml train.out=killed train.checkpoint_every=3 train.steps=%d", STEPS);
    wait_for_checkpoint("killed");
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(runs_wait(pid), 128 + SIGKILL);
    assert_true(runs_newest("killed") < STEPS);
    runs_expect(runs_talkie(1,
                            "train tiny.yaml train.out=killed train.checkpoint_every=3 "
                            "train.steps=%d",
                            STEPS),
                0, "resuming");
    assert_same_run("killed", "straight", STEPS);
}

// Exit code 75 tells a batch system to start the run again.
static void a_signal_stops_at_a_checkpoint(void **state)
{
    static const int ranks[] = {1, 2}, number[] = {SIGTERM, SIGUSR1};
    static const char *const run[] = {"term", "usr1"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *form = "train tiny.yaml train.out=%s train.checkpoint_every=1000 "
                           "train.steps=%d parallel.tensor=%d";
        char arguments[512];
        runs_step steps[RUNS_STEPS];
        snprintf(arguments, sizeof arguments, form, run[i], STEPS, ranks[i]);
        const pid_t pid = runs_start(ranks[i], "%s", arguments);
        for (int k = 0; k < 10000 && runs_metrics(run[i], steps) < 2; k++) usleep(1000);
        assert_int_equal(kill(pid, number[i]), 0);
        runs_expect(runs_wait(pid), 75, "stopped on request");
        assert_true(runs_newest(run[i]) > 0 && runs_newest(run[i]) < STEPS);
        assert_int_equal(runs_metrics(run[i], steps), runs_newest(run[i]));
        runs_expect(runs_talkie(ranks[i], "%s", arguments), 0, "resuming");
    }
    assert_same_run("term", "straight", STEPS);
}

// GNU timeout and batch systems say it to the process and to its group.
static void a_wish_said_twice_is_one_wish(void **state)
{
    static const int number[] = {SIGTERM, SIGINT, SIGUSR1};
    runs_step steps[RUNS_STEPS];
    (void)state;
    for (int i = 0; i < 3; i++) {
        char run[16];
        snprintf(run, sizeof run, "twice%d", i);
        const pid_t pid = runs_start(1, "train tiny.yaml train.out=%s train.steps=100000", run);
        for (int k = 0; k < 10000 && runs_metrics(run, steps) < 2; k++) usleep(1000);
        for (int k = 0; k < 3; k++) assert_int_equal(kill(pid, number[i]), 0);
        runs_expect(runs_wait(pid), 75, "stopped on request");
        assert_true(runs_newest(run) > 0);
    }
}

// A name that only looks like a checkpoint's is nobody's: a run starts beside it.
static void a_foreign_name_is_no_checkpoint(void **state)
{
    static const char *const name[] = {"step-5.h5", "step-+0000001.h5", "step-000000005.h5"};
    (void)state;
    char command[4096];
    for (int i = 0; i < 3; i++) {
        snprintf(command, sizeof command, "mkdir -p '%s/foreign' && touch '%s/foreign/%s'",
                 runs_dir(), runs_dir(), name[i]);
        assert_int_equal(system(command), 0);
    }
    for (int resume = 1; resume >= 0; resume--) {
        runs_expect(runs_talkie(1,
                                "train tiny.yaml train.out=foreign train.steps=1 train.resume=%d",
                                resume),
                    0, "");
        for (int i = 0; i < 3; i++) {
            snprintf(command, sizeof command, "%s/foreign/%s", runs_dir(), name[i]);
            assert_int_equal(access(command, F_OK), 0);
        }
    }
}

static void a_flipped_bit_costs_one_checkpoint(void **state)
{
    (void)state;
    const char *run = "train tiny.yaml train.out=flipped train.steps=6 train.checkpoint_every=2 "
                      "train.keep=9";
    runs_expect(runs_talkie(1, "%s", run), 0, "");
    runs_expect(runs_talkie(1, "%s train.out=whole", run), 0, "");
    runs_flip("flipped/step-00000006.h5", -1);
    runs_expect(runs_talkie(1, "%s", run), 0, "at step 4 of 6");
    assert_same_run("flipped", "whole", 6);
}

// What is saved behind it counts by itself: a damaged checkpoint of a later step holds no place.
static void a_damaged_checkpoint_costs_none_that_is_saved_after_it(void **state)
{
    (void)state;
    const char *run = "train tiny.yaml train.out=held train.steps=6 train.checkpoint_every=2";
    runs_expect(runs_talkie(1, "%s train.keep=9", run), 0, "");
    runs_flip("held/step-00000006.h5", -1);
    runs_do("mv held/step-00000006.h5 held/step-00000040.h5");
    runs_expect(runs_talkie(1, "%s train.keep=1", run), 0, "at step 4 of 6");
    runs_do("test -e held/step-00000006.h5 && ! test -e held/step-00000004.h5");
    assert_same_run("held", "whole", 6);
    runs_expect(runs_talkie(1, "%s train.keep=1", run), 0, "at step 6 of 6 already");
}

static void a_finished_run_says_so(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=straight train.steps=%d", STEPS), 0,
                "nothing to do");
}

// Shapes alone do not tell another rope_theta or seed.
static void a_changed_run_is_refused_unless_told(void **state)
{
    static const char *const binding[] = {"model.rope_theta=20000", "model.norm_eps=0.001",
                                          "train.seed=9", "train.batch=5", "train.lr=0.5"};
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=changed train.steps=2"), 0, "");
    for (int i = 0; i < 5; i++) {
        char words[64];
        snprintf(words, sizeof words, "%.*s: ", (int)strcspn(binding[i], "="), binding[i]);
        runs_expect(
            runs_talkie(1, "train tiny.yaml train.out=changed train.steps=3 %s", binding[i]), 2,
            words);
    }
    assert_int_equal(runs_newest("changed"), 2);
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=changed train.steps=3 train.log_every=2"),
                0, "train.steps: 2 -> 3");
    assert_true(runs_said("train.log_every: 1 -> 2"));
    runs_expect(runs_talkie(1,
                            "train tiny.yaml train.out=changed train.steps=4 %s "
                            "train.changes=allow",
                            binding[0]),
                0, "model.rope_theta: 10000 -> 20000");
    assert_int_equal(runs_newest("changed"), 4);
}

// Files may lie elsewhere, and hold them otherwise; other clips under the same name are no longer
// what the run has seen.
static void changed_clips_are_refused_unless_told(void **state)
{
    static const char *const run = "train tiny.yaml train.out=clips data.files=here.h5";
    char command[512];
    (void)state;
    runs_expect(runs_talkie(1, "data world tiny.yaml -o here.h5"), 0, "");
    runs_expect(runs_talkie(1, "%s train.steps=2", run), 0, "");
    runs_do("mv here.h5 there.h5");
    snprintf(command, sizeof command, "train tiny.yaml train.out=clips data.files=there.h5");
    runs_expect(runs_talkie(1, "%s train.steps=3", command), 0, "at step 2 of 3");
    runs_expect(runs_talkie(1, "data world tiny.yaml -o here.h5 world.seed=5 codec.from=there.h5"),
                0, "");
    runs_expect(runs_talkie(1, "%s train.steps=4", run), 2, "was trained on other clips");
    assert_int_equal(runs_newest("clips"), 3);
    runs_expect(runs_talkie(1, "%s train.steps=4 train.changes=allow", run), 0,
                "the clips of data.files, or their order");
    assert_int_equal(runs_newest("clips"), 4);
}

// Starting anew keeps what was there, out of the way.
static void a_new_run_sets_the_old_aside(void **state)
{
    runs_step steps[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=again train.steps=3"), 0, "");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=again train.steps=2 train.resume=0"), 0,
                "again/before-1");
    assert_int_equal(runs_metrics("again", steps), 2);
    assert_int_equal(runs_metrics("again/before-1", steps), 3);
    assert_int_equal(runs_newest("again"), 2);
    assert_int_equal(runs_newest("again/before-1"), 3);
}

// What cannot begin moves nothing; weights that it begins with may be of the run that it moves.
static void only_what_begins_sets_aside(void **state)
{
    static const char *const anew = "train tiny.yaml train.out=kept train.resume=0 train.steps=2";
    (void)state;
    runs_expect(runs_talkie(1, "%s", anew), 0, "");
    runs_expect(runs_talkie(1, "%s train.from=straight model.layers=5", anew), 2, "another model");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=kept train.steps=2"), 0, "nothing to do");
    runs_expect(runs_talkie(1, "%s train.from=kept", anew), 0,
                "starting from the weights of kept/step-00000002.h5");
    runs_do("test -e kept/before-1/step-00000002.h5 && ! test -e kept/before-2");
}

static void as_job(const char *job, const char *restart)
{
    assert_int_equal(setenv("SLURM_JOB_ID", job, 1), 0);
    assert_int_equal(setenv("SLURM_RESTART_COUNT", restart, 1), 0);
}

// A requeued job has the command that it began with: it goes on with what it has begun anew,
// whatever has become of the weights it began with. Another job begins anew, and so does a command
// that is given again within a job.
static void a_requeued_job_begins_anew_once(void **state)
{
    static const char *const anew = "train tiny.yaml train.out=queued train.resume=0 "
                                    "train.from=queued/step-00000001.h5 train.steps=";
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=queued train.steps=1"), 0, "");
    as_job("4711", "0");
    runs_expect(runs_talkie(1, "%s2", anew), 0, "move to queued/before-1");
    for (int i = 1; i < 3; i++) {
        as_job("4711", i == 1 ? "1" : "2");
        runs_expect(runs_talkie(1, "%s%d", anew, i + 2), 0, "resuming queued");
        assert_int_equal(runs_newest("queued"), i + 2);
    }
    runs_do("! test -e queued/before-2 && cp queued/before-1/step-00000001.h5 queued");
    as_job("4712", "0");
    runs_expect(runs_talkie(1, "%s2", anew), 0, "move to queued/before-2");
    runs_do("cp queued/before-1/step-00000001.h5 queued");
    runs_expect(runs_talkie(1, "%s2", anew), 0, "move to queued/before-3");
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
}

// Told by a run that would be set aside if it were begun in the same way again.
static void a_run_begun_anew_says_how_it_goes_on(void **state)
{
    runs_step steps[RUNS_STEPS];
    (void)state;
    const pid_t pid =
        runs_start(1, "train tiny.yaml train.out=fresh train.steps=100000 train.resume=0");
    for (int k = 0; k < 10000 && runs_metrics("fresh", steps) < 2; k++) usleep(1000);
    assert_int_equal(kill(pid, SIGTERM), 0);
    runs_expect(runs_wait(pid), 75, "run the same command with train.resume=1 to go on");
}

// Weights of another run, everything else fresh.
static void from_takes_the_weights(void **state)
{
    runs_step a[RUNS_STEPS], b[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=base train.steps=6 train.lr=0.01"), 0,
                "");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=tuned train.steps=2 train.from=base"), 0,
                "starting from the weights of base/step-00000006.h5");
    assert_int_equal(runs_metrics("base", a), 6);
    assert_int_equal(runs_metrics("tuned", b), 2);
    assert_int_equal(b[0].step, 1);
    assert_true(b[0].loss < a[0].loss); // the same documents, better weights
}

// What model.shots adds begins as in a new model: the same in every layout, from a checkpoint and
// from weights alone, beside weights that stay what they were. What has it cannot lose it.
static void numbers_of_shots_may_be_new_to_the_weights(void **state)
{
    static const char tune[] = "train tiny.yaml train.steps=2 train.lr=0 train.from=";
    static const char *const from[] = {"base", "base.safetensors", "base.safetensors"};
    runs_step alike[RUNS_STEPS], numbered[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(1, "convert base -o base.safetensors convert.type=fp32 "
                               "convert.average=no"),
                0, "");
    runs_expect(runs_talkie(1, "%sbase train.out=alike", tune), 0, "");
    assert_int_equal(runs_metrics("alike", alike), 2);
    for (int i = 0; i < 3; i++) {
        const int ranks = i < 2 ? 2 : 1;
        runs_expect(runs_talkie(ranks,
                                "%s%s train.out=numbered%d model.shots=numbered "
                                "parallel.pipeline=%d train.resume=0",
                                tune, from[i], i, ranks),
                    0, "its learned rows begin as in a new model");
    }
    assert_int_equal(runs_metrics("numbered0", numbered), 2);
    const double away = fabs(numbered[0].loss - alike[0].loss) / alike[0].loss;
    assert_true(away > 1e-3 && away < 0.2);
    static const char last[] = "numbered0/step-00000002.h5";
    assert_true(runs_distance(last, "numbered1/step-00000002.h5", "model") == 0);
    assert_true(runs_distance(last, "numbered2/step-00000002.h5", "model") == 0);
    assert_true(runs_distance("alike/step-00000002.h5", last, "model") == 0); // of what both have
    runs_expect(runs_talkie(1, "%snumbered0 train.out=back", tune), 2, "model.shots");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_and_three_are_six),
        cmocka_unit_test(a_killed_run_goes_on),
        cmocka_unit_test(a_signal_stops_at_a_checkpoint),
        cmocka_unit_test(a_wish_said_twice_is_one_wish),
        cmocka_unit_test(a_foreign_name_is_no_checkpoint),
        cmocka_unit_test(a_flipped_bit_costs_one_checkpoint),
        cmocka_unit_test(a_damaged_checkpoint_costs_none_that_is_saved_after_it),
        cmocka_unit_test(a_finished_run_says_so),
        cmocka_unit_test(a_changed_run_is_refused_unless_told),
        cmocka_unit_test(changed_clips_are_refused_unless_told),
        cmocka_unit_test(a_new_run_sets_the_old_aside),
        cmocka_unit_test(only_what_begins_sets_aside),
        cmocka_unit_test(a_requeued_job_begins_anew_once),
        cmocka_unit_test(a_run_begun_anew_says_how_it_goes_on),
        cmocka_unit_test(from_takes_the_weights),
        cmocka_unit_test(numbers_of_shots_may_be_new_to_the_weights),
    };
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
